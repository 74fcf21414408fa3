"""The Secrets Store CSI driver 1.6.0 on one node, as far as a volume goes: publish and unpublish.

In order, as the driver does it: skip when rotation is not due, make the target, look up the class, build the request,
mount, ask the provider, write the files, put the pod's status, copy Secrets. Its defects are part of it:

* `rotationPollInterval` is a minimum age of the target directory. A first mount that failed leaves a young directory,
  so a retry within the interval is answered OK without a mount: the pod starts with nothing (the fail-open trap).
* A provider's error on a refresh is answered OK; only the log has it.

Different from the driver: a mount point is a plain directory here, so that no root is needed. Which directories count
as mounted is held in memory, for as long as this object lives. "Mounting" gives the directory a new modification time,
as a fresh tmpfs has; "unmounting" empties it and gives back the time from before, as a directory has that comes to
light under a tmpfs. Files are on the disk of the root directory, not in memory; the mode stays 0750 (a tmpfs: 1777).

Source: secrets-store-csi-driver 1.6.0, `pkg/secrets-store/nodeserver.go`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import grpc

from local.atomic_writer import PayloadFile, WriteError, clear_directory, make_directories, write_payload
from local.cluster_objects import STATUS_NAME_LIMIT, ClusterObjects, PodStatus, derive_versions
from local.pods import CLASS_KEY, PodUid, ProviderClass, PublishOutcome, parse_provider_class
from local.provider_client import (
    MAX_RECEIVE_BYTES,
    RETRY_INITIAL_BACKOFF_SECONDS,
    CallError,
    ProviderClients,
    plain_error,
)
from local.secret_sync import name_owners, sync_secrets
from provider_runtime.csi_v1alpha1 import service_pb2

POD_NAME_KEY: Final = "csi.storage.k8s.io/pod.name"
POD_NAMESPACE_KEY: Final = "csi.storage.k8s.io/pod.namespace"
POD_UID_KEY: Final = "csi.storage.k8s.io/pod.uid"
SERVICE_ACCOUNT_KEY: Final = "csi.storage.k8s.io/serviceAccount.name"
EPHEMERAL_KEY: Final = "csi.storage.k8s.io/ephemeral"
TOKENS_KEY: Final = "csi.storage.k8s.io/serviceAccount.tokens"
PUBLISH_DEADLINE_SECONDS: Final = 120.0
"""Kubelet's, for one publish."""
DEADLINE_TEXT: Final = "context deadline exceeded"
"""What kubelet's own client says when it strikes."""

_TARGET_MODE: Final = 0o750
_FILE_PERMISSION: Final = "420"  # 0644 as a JSON number
_SECRET_SIZE_LIMIT_BYTES: Final = 1024 * 1024
_GO_HTML_ESCAPES: Final = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)

ClassSource: TypeAlias = Callable[[str, str], Mapping[str, object] | None]
"""SecretProviderClass manifest by (namespace, name); None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSettings:
    """The driver's flags.

    Attributes:
        socket_directories: Searched in order for `<provider>.sock`.
        rotation_interval_seconds: `--rotation-poll-interval`; None: `--enable-secret-rotation=false`.
        sync_secrets: Whether the chart's `syncSecret.enabled` gave it the rights to write Secrets.
        node_name: `--nodeid`.
        max_receive_bytes: `--max-call-recv-msg-size`.
        retry_initial_backoff_seconds: No flag of the driver's; tests make it short.
    """

    socket_directories: tuple[Path, ...]
    rotation_interval_seconds: float | None = 120.0
    sync_secrets: bool = True
    node_name: str = "local-node"
    max_receive_bytes: int = MAX_RECEIVE_BYTES
    retry_initial_backoff_seconds: float = RETRY_INITIAL_BACKOFF_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """NodePublishVolume: what kubelet sends to the driver.

    Attributes:
        target_path: The volume's directory; its parent exists.
        volume_context: The pod's volumeAttributes, overlaid by kubelet's keys; may hold tokens.
        secrets: Tokens, on Kubernetes >= 1.35; None: no secrets.
        read_only: Must be True.
        deadline_seconds: From now.
    """

    target_path: Path
    volume_context: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] | None = field(default=None, repr=False)
    read_only: bool = True
    deadline_seconds: float = PUBLISH_DEADLINE_SECONDS

    @property
    def pod_label(self) -> str:
        """`namespace/name`."""
        return f"{self.volume_context.get(POD_NAMESPACE_KEY, '')}/{self.volume_context.get(POD_NAME_KEY, '')}"


class Driver:
    """One driver; publishes of different targets may run at the same time, kubelet never sends two for one.

    Args:
        settings: Its flags.
        find_class: Read at every publish, so a changed class counts from the next refresh on.
        cluster: Receives statuses and Secrets.
    """

    def __init__(self, settings: DriverSettings, *, find_class: ClassSource, cluster: ClusterObjects) -> None:
        self.settings = settings
        self.cluster = cluster
        self._find_class = find_class
        self._clients = ProviderClients(
            settings.socket_directories,
            max_receive_bytes=settings.max_receive_bytes,
            retry_initial_backoff_seconds=settings.retry_initial_backoff_seconds,
        )
        self._mounts: dict[Path, int] = {}  # modification time of the directory underneath, by target
        self._log: list[str] = []
        self._lock = threading.Lock()

    @property
    def log(self) -> tuple[str, ...]:
        """Everything logged so far: masked errors and Secrets that could not be copied among it, never a value."""
        with self._lock:
            return tuple(self._log)

    def is_mounted(self, target: Path) -> bool:
        """Say whether the target counts as a mount point."""
        with self._lock:
            return target in self._mounts and target.is_dir()

    def publish(self, request: PublishRequest) -> PublishOutcome:
        """Answer one publish or republish.

        Raises:
            CallError: What kubelet sees as the status; the target is unmounted then, unless it was mounted before.
        """
        ends_at = time.monotonic() + request.deadline_seconds
        answer: PublishOutcome | CallError
        try:
            answer = self._publish(request)
        except CallError as error:
            answer = error
        if time.monotonic() >= ends_at:  # kubelet no longer listens; the real driver can be first on a busy machine
            raise CallError(grpc.StatusCode.DEADLINE_EXCEEDED, DEADLINE_TEXT, is_status=True)
        if isinstance(answer, CallError):
            raise answer
        return answer

    def _publish(self, request: PublishRequest) -> PublishOutcome:
        target = request.target_path
        if self._is_not_due(target):
            return PublishOutcome.NOT_DUE
        was_mounted = self.is_mounted(target)
        make_directories(target, _TARGET_MODE)
        if was_mounted and self.settings.rotation_interval_seconds is None:
            return PublishOutcome.ALREADY_MOUNTED
        provider_class = self._load_class(request)
        message = _build_request(request, provider_class)
        if not was_mounted:
            self._mount(target)
        try:
            self._fill(request, provider_class, message)
        except CallError as error:
            self._note(_failure_line(error, request, is_remount=was_mounted))
            if was_mounted:
                return PublishOutcome.ERROR_MASKED
            self._unmount(target)
            raise
        return PublishOutcome.REFRESHED if was_mounted else PublishOutcome.MOUNTED

    def unpublish(self, target: Path) -> None:
        """Unmount and remove the target; nothing happens when it is not there. The pod's status stays, as it does."""
        with self._lock:
            self._mounts.pop(target, None)
        if target.is_dir():
            clear_directory(target)
            target.rmdir()

    def resync_secrets(self) -> None:
        """Copy the Secrets of every status again, as the controller does every 5 minutes."""
        for status in self.cluster.statuses:
            manifest = self._find_class(status.namespace, status.class_name)
            if manifest is not None:
                self._sync(status, parse_provider_class(manifest))

    def name_owners(self) -> None:
        """Name the owners of every copied Secret, as the controller does every 5 seconds; a missing class ends it."""
        for status in self.cluster.statuses:
            manifest = self._find_class(status.namespace, status.class_name)
            if manifest is None:
                self._note(f"failed to patch secret owner ref: failed to get spc {status.class_name}")
                return
            name_owners(status, parse_provider_class(manifest), self.cluster)

    def close(self) -> None:
        """Close the connections to providers; mounted files stay."""
        self._clients.close()

    def _is_not_due(self, target: Path) -> bool:
        interval = self.settings.rotation_interval_seconds
        if interval is None:
            return False
        try:
            modified_at = target.stat().st_mtime
        except FileNotFoundError:
            return False
        return time.time() < modified_at + interval

    def _load_class(self, request: PublishRequest) -> ProviderClass:
        name = request.volume_context.get(CLASS_KEY, "")
        namespace = request.volume_context.get(POD_NAMESPACE_KEY, "")
        if not name:
            raise plain_error("secretProviderClass is not set")
        manifest = self._find_class(namespace, name)
        if manifest is None:
            raise plain_error(
                f"failed to get secretproviderclass {namespace}/{name}, error: "
                f'SecretProviderClass.secrets-store.csi.x-k8s.io "{name}" not found'
            )
        provider_class = parse_provider_class(manifest)
        if not provider_class.provider:
            raise plain_error(f"provider not set in {namespace}/{name}")
        if not provider_class.parameters:
            raise plain_error(f"parameters not set in {namespace}/{name}")
        if not request.read_only:
            raise CallError(grpc.StatusCode.INVALID_ARGUMENT, "Readonly is not true in request", is_status=True)
        return provider_class

    def _fill(self, request: PublishRequest, provider_class: ProviderClass, message: service_pb2.MountRequest) -> None:
        try:
            response = self._clients.mount(provider_class.provider, message, deadline_seconds=request.deadline_seconds)
            if response.ByteSize() > _SECRET_SIZE_LIMIT_BYTES:
                self._note(f'"proto above 1MiB, secret sync may fail" size={response.ByteSize()}')
            self._write_files(request.target_path, response)
        except CallError as error:
            raise error.wrapped(f"failed to mount secrets store objects for pod {request.pod_label}, err: ") from None
        self._put_status(request, provider_class, response)

    def _write_files(self, target: Path, response: service_pb2.MountResponse) -> None:
        """Write the answer's files; none at all means that the provider wrote them, so nothing is touched."""
        if not response.files:
            return
        files = [PayloadFile(path=file.path, mode=file.mode, contents=file.contents) for file in response.files]
        try:
            write_payload(target, files)
        except WriteError as error:
            raise plain_error(str(error)) from None

    def _put_status(
        self, request: PublishRequest, provider_class: ProviderClass, response: service_pb2.MountResponse
    ) -> None:
        context = request.volume_context
        status = PodStatus(
            pod_name=context.get(POD_NAME_KEY, ""),
            pod_uid=PodUid(context.get(POD_UID_KEY, "")),
            namespace=provider_class.namespace,
            class_name=provider_class.name,
            target_path=str(request.target_path),
            node_name=self.settings.node_name,
            versions=derive_versions(list(response.object_version)),
        )
        if len(status.name) > STATUS_NAME_LIMIT:
            raise plain_error(
                f"failed to create secret provider class pod status for pod {request.pod_label}, err: "
                f'SecretProviderClassPodStatus.secrets-store.csi.x-k8s.io "{status.name}" is invalid: metadata.name: '
                f'Invalid value: "{status.name}": must be no more than {STATUS_NAME_LIMIT} characters'
            )
        if self.cluster.put_status(status):
            self._sync(status, provider_class)

    def _sync(self, status: PodStatus, provider_class: ProviderClass) -> None:
        if self.settings.sync_secrets:
            for problem in sync_secrets(status, provider_class, self.cluster):
                self._note(f'"failed to sync secret" err="{problem}" pod="{status.namespace}/{status.pod_name}"')

    def _mount(self, target: Path) -> None:
        with self._lock:
            self._mounts[target] = target.stat().st_mtime_ns
        clear_directory(target)  # a tmpfs hides what is underneath
        os.utime(target)

    def _unmount(self, target: Path) -> None:
        clear_directory(target)
        with self._lock:
            underneath = self._mounts.pop(target)
        os.utime(target, ns=(underneath, underneath))

    def _note(self, line: str) -> None:
        with self._lock:
            self._log.append(line)


def _build_request(request: PublishRequest, provider_class: ProviderClass) -> service_pb2.MountRequest:
    """Build what goes to the provider: every volume attribute overrides the class's parameter of its name."""
    attributes = {**provider_class.parameters, **request.volume_context}
    if request.secrets and TOKENS_KEY in request.secrets:
        attributes[TOKENS_KEY] = request.secrets[TOKENS_KEY]
    return service_pb2.MountRequest(
        attributes=dump_go_json(attributes),
        secrets=dump_go_json(request.secrets),
        target_path=str(request.target_path),
        permission=_FILE_PERMISSION,
    )


def dump_go_json(value: Mapping[str, object] | None) -> str:
    """Render JSON as Go's encoding/json does: keys sorted, no blanks, `<`, `>` and `&` escaped, other text as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).translate(_GO_HTML_ESCAPES)


def _failure_line(error: CallError, request: PublishRequest, *, is_remount: bool) -> str:
    return (
        f'"failed to mount secrets store object content" err={json.dumps(error.text, ensure_ascii=False)} '
        f'pod="{request.pod_label}" isRemountRequest={str(is_remount).lower()}'
    )
