"""Kubelet on one node: pods in, volumes published through the driver, events out.

Kept as kubelet does it: tokens only for the audiences that the CSIDriver object asks for; after a failed publish the
target and its parent go away if the code is final, and stay as they are if it is not (which is what arms the driver's
fail-open trap); a retry comes only when the caller asks for one.

Different from kubelet: a republish is the caller's call and no timer; of its own bookkeeping (`vol_data.json`) nothing
is written; the root directory is made for the owner only, because files here are on a disk and not in memory.

Source: kubelet 1.36 `pkg/volume/csi` (`csi_mounter.go` SetUpAt and removeMountDir, `csi_client.go` isFinalError).
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Generic, Protocol, Self, TypeVar

import grpc

from local.atomic_writer import load_contents, load_visible_paths, make_directories
from local.cluster_objects import PodStatus
from local.driver import (
    EPHEMERAL_KEY,
    POD_NAME_KEY,
    POD_NAMESPACE_KEY,
    POD_UID_KEY,
    PUBLISH_DEADLINE_SECONDS,
    SERVICE_ACCOUNT_KEY,
    TOKENS_KEY,
    PublishRequest,
    dump_go_json,
)
from local.pods import FailedMount, MountedFile, Pod, PodStarted, PodUid, PublishOutcome, TokenSource, Volume
from local.provider_client import CallError, render_status

NON_FINAL_CODES: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    }
)
"""After these the mount may still be going on, kubelet thinks, and touches nothing."""
FIRST_RETRY_SECONDS: Final = 0.5
RETRY_LIMIT_SECONDS: Final = 122.0

_ROOT_MODE: Final = 0o700
_PARENT_MODE: Final = 0o750


class PodObjects(Protocol):
    """What a driver keeps of pods in the API server."""

    def status(self, namespace: str, name: str) -> PodStatus | None:
        """Return one status."""
        ...

    def collect_pod(self, uid: PodUid) -> None:
        """Let go of what belongs to a pod that is gone."""
        ...


class NodeDriver(Protocol):
    """A CSI driver, as far as kubelet sees it: the one of `local.driver`, or a real one behind the same methods."""

    @property
    def cluster(self) -> PodObjects:
        """Its objects in the API server."""
        ...

    def publish(self, request: PublishRequest) -> PublishOutcome:
        """Answer one publish or republish; raises CallError."""
        ...

    def unpublish(self, target: Path) -> None:
        """Unmount and remove the target."""
        ...

    def is_mounted(self, target: Path) -> bool:
        """Say whether the target is a mount point."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


AnyDriver = TypeVar("AnyDriver", bound=NodeDriver)


class Kubelet(Generic[AnyDriver]):
    """One node's kubelet.

    Args:
        root: Kubelet's root directory; made when missing.
        driver: The CSI driver of the node.
        tokens: Signs tokens and keeps them, as kubelet's token manager does.
        audiences: `tokenRequests` of the CSIDriver object; empty: no tokens are handed to the driver.
        are_tokens_secrets: `serviceAccountTokenInSecrets` of the CSIDriver object (Kubernetes >= 1.35).
        deadline_seconds: Of one publish.
        sleep: Waits between retries, in seconds.
    """

    def __init__(
        self,
        *,
        root: Path,
        driver: AnyDriver,
        tokens: TokenSource,
        audiences: tuple[str, ...] = (),
        are_tokens_secrets: bool = False,
        deadline_seconds: float = PUBLISH_DEADLINE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        make_directories(root, _ROOT_MODE)
        self.driver = driver
        self._root = root
        self._tokens = tokens
        self._audiences = audiences
        self._are_tokens_secrets = are_tokens_secrets
        self._deadline_seconds = deadline_seconds
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.close()

    def start_pod(self, pod: Pod, *, attempts: int = 1) -> PodStarted | FailedMount:
        """Publish the pod's volumes.

        Args:
            pod: Its volumes are independent of each other; all are tried.
            attempts: At most this many per volume, 0.5 s apart at first, then twice as long each time.

        Returns:
            The start, or the first volume that failed; the others stay mounted then.
        """
        outcomes: dict[str, PublishOutcome] = {}
        failures: dict[str, FailedMount] = {}
        for attempt in range(attempts):
            if attempt:
                self._sleep(min(FIRST_RETRY_SECONDS * 2 ** (attempt - 1), RETRY_LIMIT_SECONDS))
            failures = {}
            for volume in pod.volumes:
                if volume.name in outcomes:
                    continue
                try:
                    outcomes[volume.name] = self._publish(pod, volume)
                except CallError as error:
                    failures[volume.name] = _failed_mount(pod, volume, error)
            if not failures:
                return PodStarted(pod=pod, outcomes=outcomes)
        return next(iter(failures.values()))

    def republish(self, pod: Pod) -> PodStarted | FailedMount:
        """Publish every volume again, as kubelet does every 60 to 90 s and at any update of the pod."""
        return self.start_pod(pod)

    def stop_pod(self, pod: Pod) -> None:
        """Unpublish every volume and remove all that the pod left; nothing happens for a pod that is gone."""
        for volume in pod.volumes:
            self.driver.unpublish(self.target_path(pod, volume))
        pod_directory = self._root / "pods" / pod.uid
        if pod_directory.is_dir():
            shutil.rmtree(pod_directory)
        self.driver.cluster.collect_pod(pod.uid)

    def target_path(self, pod: Pod, volume: Volume) -> Path:
        """Return the directory that the containers of the pod see."""
        return self._root / "pods" / pod.uid / "volumes" / "kubernetes.io~csi" / volume.name / "mount"

    def list_files(self, pod: Pod) -> tuple[MountedFile, ...]:
        """Return what the app sees, by volume and path; never a value."""
        return tuple(
            self._describe(pod, volume, path, file)
            for volume in pod.volumes
            for path, file in load_visible_paths(self.target_path(pod, volume)).items()
        )

    def digest_files(self, pod: Pod) -> Mapping[tuple[str, str], str]:
        """Return a SHA-256 of each file by (volume, path), to compare two moments; keep it out of any output."""
        return {
            (volume.name, path): hashlib.sha256(load_contents(file)).hexdigest()
            for volume in pod.volumes
            for path, file in load_visible_paths(self.target_path(pod, volume)).items()
        }

    def _describe(self, pod: Pod, volume: Volume, path: str, file: Path) -> MountedFile:
        name = f"{pod.name}-{pod.namespace}-{volume.class_name}"
        status = self.driver.cluster.status(pod.namespace, name)
        details = file.stat()
        return MountedFile(
            volume=volume.name,
            path=path,
            mode=stat.S_IMODE(details.st_mode),
            size_bytes=details.st_size,
            version=status.versions.get(path, "") if status else "",
        )

    def _publish(self, pod: Pod, volume: Volume) -> PublishOutcome:
        target = self.target_path(pod, volume)
        make_directories(target.parent, _PARENT_MODE)
        try:
            return self.driver.publish(self._build_request(pod, volume, target))
        except CallError as error:
            if error.code not in NON_FINAL_CODES and not self.driver.is_mounted(target):
                _remove_empty(target)
                _remove_empty(target.parent)
            raise

    def _build_request(self, pod: Pod, volume: Volume, target: Path) -> PublishRequest:
        context = {
            **volume.attributes,
            POD_NAME_KEY: pod.name,
            POD_NAMESPACE_KEY: pod.namespace,
            POD_UID_KEY: pod.uid,
            SERVICE_ACCOUNT_KEY: pod.service_account,
            EPHEMERAL_KEY: "true",
        }
        secrets: dict[str, str] | None = None
        if self._audiences:
            tokens = self._tokens.tokens(
                namespace=pod.namespace,
                service_account=pod.service_account,
                pod_name=pod.name,
                pod_uid=pod.uid,
                audiences=self._audiences,
            )
            text = dump_go_json({audience: dict(status) for audience, status in tokens.items()})
            if self._are_tokens_secrets:
                secrets = {TOKENS_KEY: text}
            else:
                context[TOKENS_KEY] = text
        return PublishRequest(
            target_path=target,
            volume_context=context,
            secrets=secrets,
            read_only=volume.read_only,
            deadline_seconds=self._deadline_seconds,
        )


def _failed_mount(pod: Pod, volume: Volume, error: CallError) -> FailedMount:
    text = f'MountVolume.SetUp failed for volume "{volume.name}" : {render_status(error.code, error.message)}'
    return FailedMount(pod=pod, volume=volume.name, code=error.code, event_text=text)


def _remove_empty(directory: Path) -> None:
    """Remove a directory as kubelet does: one that is missing or not empty is left at that."""
    try:
        directory.rmdir()
    except OSError:
        return
