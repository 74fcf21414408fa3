"""The real Secrets Store CSI driver as a process, behind the same methods as the stand-in of `local/driver.py`.

So the kubelet of `local/node.py`, and the tests of the stand-in, run against either. What kubelet cannot see, which of
its five ways the driver took to an OK, is read here from mount table and metrics.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc

from local.cluster_objects import PodStatus
from local.driver import (
    DEADLINE_TEXT,
    POD_NAME_KEY,
    POD_NAMESPACE_KEY,
    POD_UID_KEY,
    TOKENS_KEY,
    DriverSettings,
    PublishRequest,
)
from local.pods import CLASS_KEY, PodUid, PublishOutcome
from local.provider_client import CallError
from tests.e2e import toolbox
from tests.e2e.child_process import ChildProcess
from tests.e2e.control_plane import ControlPlane, free_port
from tests.e2e.kubernetes_api import KubernetesApi, object_path

_STATUSES: Final = "/apis/secrets-store.csi.x-k8s.io/v1"
_SINGLE_NODE_WRITER: Final = 1
_UNPUBLISH_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 10.0
_METRIC: Final = re.compile(r"^(?P<name>[a-z0-9_]+)\{[^}]*\} (?P<value>[0-9.e+]+)$", re.MULTILINE)

_KLOG: Final = re.compile(r"^(?P<severity>[IWEF])\d{4} [^]]*\] (?P<text>.*)$", re.MULTILINE)
_LARGE: Final = "proto above 1MiB"  # the driver tells it as progress

messages, services = grpc.protos_and_services("tests/e2e/csi_node.proto")


@dataclass(slots=True, kw_only=True)
class PodObjects:
    """What the driver keeps in the API server, read back from there."""

    api: KubernetesApi

    @property
    def statuses(self) -> tuple[PodStatus, ...]:
        """All statuses, sorted by namespace and name."""
        items = self.api.call("GET", f"{_STATUSES}/secretproviderclasspodstatuses")["items"]
        found = [_status(item) for item in items]
        return tuple(sorted(found, key=lambda status: (status.namespace, status.name)))

    def status(self, namespace: str, name: str) -> PodStatus | None:
        """Return one status."""
        item = self.api.find(f"{_STATUSES}/namespaces/{namespace}/secretproviderclasspodstatuses/{name}")
        return _status(item) if item else None

    def forget(self, status: PodStatus) -> None:
        """Delete a status, as the garbage collector does when its pod is gone."""
        self.api.delete(f"{_STATUSES}/namespaces/{status.namespace}/secretproviderclasspodstatuses/{status.name}")

    def secret(self, namespace: str, name: str) -> Mapping[str, object] | None:
        """Return one Secret; its data is base64 of values: do not print it."""
        found: Mapping[str, object] | None = self.api.find(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        return found

    def collect_pod(self, uid: PodUid) -> None:
        """Delete the pod; its statuses and Secrets are left to the real garbage collector."""
        for pod in self.api.call("GET", "/api/v1/pods")["items"]:
            if pod["metadata"]["uid"] == uid:
                self.api.delete(f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}")


@dataclass(slots=True, kw_only=True)
class RealDriver:
    """One driver process; see `local.driver.Driver` for the methods.

    Attributes:
        control_plane: Where its classes and statuses are.
        settings: Its flags; the retry's backoff is its own.
        folder: Socket and log; its path is short, because of the socket.
        tool: Which version.
        counts_outcomes: Whether to tell a refresh from a masked error by the driver's counters, which needs that
            nothing else is mounted at the same time; without, a mount again is always a refresh.
        environment: Of its process, beside the cleaned one.
        wrapper: Stands before its command line, and becomes it (exec).
    """

    control_plane: ControlPlane
    settings: DriverSettings
    folder: Path
    tool: toolbox.Tool = toolbox.DRIVER
    counts_outcomes: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    wrapper: Sequence[str] = ()
    cluster: PodObjects = field(init=False)
    _process: ChildProcess = field(init=False)
    _channel: grpc.Channel = field(init=False)
    _metrics_port: int = field(init=False, default_factory=free_port)

    def __post_init__(self) -> None:
        """Prepare; nothing runs yet."""
        self.cluster = PodObjects(api=self.control_plane.admin)
        socket = self.folder / "csi.sock"
        rotation = self.settings.rotation_interval_seconds
        first, *others = reversed(self.settings.socket_directories)
        self._process = ChildProcess(
            name=self.tool.name,
            command=[
                *self.wrapper,
                str(self.tool.path),
                f"--endpoint=unix://{socket}",
                f"--nodeid={self.settings.node_name}",
                f"--kubeconfig={self.control_plane.driver_kubeconfig}",
                f"--provider-volume={first}",
                f"--additional-provider-volume-paths={','.join(str(path) for path in reversed(others))}",
                f"--metrics-addr=127.0.0.1:{self._metrics_port}",
                f"--max-call-recv-msg-size={self.settings.max_receive_bytes}",
                f"--enable-secret-rotation={str(rotation is not None).lower()}",
                *([] if rotation is None else [f"--rotation-poll-interval={round(rotation * 1000)}ms"]),
                "-v=0",
            ],
            log_path=self.folder / "driver.log",
            is_ready=lambda: socket.exists() and self._answers(),
            environment=self.environment,
        )
        self._channel = grpc.insecure_channel(f"unix:{socket}", options=(("grpc.use_local_subchannel_pool", 1),))

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def log(self) -> tuple[str, ...]:
        """Its errors and warnings, without klog's header, as the stand-in keeps them; progress is left out."""
        lines = _KLOG.finditer(self._process.log())
        return tuple(line["text"] for line in lines if line["severity"] in "EW" or _LARGE in line["text"])

    @property
    def whole_log(self) -> str:
        """Everything that it logged."""
        return self._process.log()

    def start(self) -> None:
        """Start the process."""
        self._process.start()

    def restart(self) -> None:
        """End the process and start another one, as a rolling update does."""
        self._process.stop()
        self._process.start()

    def close(self) -> None:
        """End the process; mounts stay."""
        self._channel.close()
        self._process.stop()

    def is_mounted(self, target: Path) -> bool:
        """Say whether the target is a mount point."""
        return str(target) in mount_points()

    def publish(self, request: PublishRequest) -> PublishOutcome:
        """Answer one publish or republish.

        Raises:
            CallError: The driver's status.
        """
        was_mounted = self.is_mounted(request.target_path)
        before = self.counts() if was_mounted and self.counts_outcomes else {}
        context = request.volume_context
        message = messages.NodePublishVolumeRequest(
            volume_id=volume_id(context[POD_UID_KEY], request.target_path),
            target_path=str(request.target_path),
            readonly=request.read_only,
            secrets=dict(request.secrets or {}),
            volume_context=dict(context),
        )
        message.volume_capability.mount.SetInParent()
        message.volume_capability.access_mode.mode = _SINGLE_NODE_WRITER
        answer = self._node_publish(message, request.deadline_seconds)
        if answer is not None:
            raise answer
        if not was_mounted:
            return PublishOutcome.MOUNTED if self.is_mounted(request.target_path) else PublishOutcome.NOT_DUE
        return self._remount_outcome(before) if self.counts_outcomes else PublishOutcome.REFRESHED

    def _node_publish(self, message: Any, seconds: float) -> CallError | None:  # noqa: ANN401 - a generated message
        """Call the driver, and return the error that kubelet sees; None for OK.

        The deadline is the driver's too. On a busy machine it can be the first to see it, and answers with a masked
        error, a reset stream or CANCELLED; kubelet has stopped listening by then, so that none of these counts.
        """
        ends_at = time.monotonic() + seconds
        answer = None
        try:
            services.NodeStub(self._channel).NodePublishVolume(message, timeout=seconds)
        except grpc.RpcError as error:
            answer = CallError(error.code(), error.details() or "", is_status=True)
        if time.monotonic() >= ends_at:
            return CallError(grpc.StatusCode.DEADLINE_EXCEEDED, DEADLINE_TEXT, is_status=True)
        return answer

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended."""
        return self._process.is_running

    def wait_for_classes(self) -> None:
        """Wait until the driver's own watch of classes has every change that the API server has now.

        A watch tells changes in their order, so a class that is made now comes after all of them, and goes again.
        """
        api, name = self.control_plane.admin, f"mark-{uuid.uuid4().hex}"
        mark = {
            "apiVersion": _STATUSES.removeprefix("/apis/"),
            "kind": "SecretProviderClass",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"provider": "none", "parameters": {"mark": name}},
        }
        api.create(mark)
        try:
            wait_for(lambda: self._finds_class("default", name), what=f"{self.tool.name} to see the classes")
        finally:
            api.delete(object_path(mark))

    def _finds_class(self, namespace: str, name: str) -> bool:
        """Ask for a volume that can be written to: that is refused once the class is found, before any mount."""
        with tempfile.TemporaryDirectory(prefix="lse-probe-") as folder:
            target = Path(folder) / "pods" / "probe" / "volumes" / "kubernetes.io~csi" / "probe" / "mount"
            target.parent.mkdir(parents=True)
            message = messages.NodePublishVolumeRequest(
                volume_id=volume_id("probe", target),
                target_path=str(target),
                readonly=False,
                volume_context={
                    CLASS_KEY: name,
                    POD_NAMESPACE_KEY: namespace,
                    POD_NAME_KEY: "probe",
                    POD_UID_KEY: "probe",
                    "csi.storage.k8s.io/ephemeral": "true",
                    TOKENS_KEY: "{}",  # before 1.6 the driver looks for tokens before it refuses
                },
            )
            message.volume_capability.mount.SetInParent()
            message.volume_capability.access_mode.mode = _SINGLE_NODE_WRITER
            try:
                services.NodeStub(self._channel).NodePublishVolume(message, timeout=_PROBE_SECONDS)
            except grpc.RpcError as error:
                return error.code() is grpc.StatusCode.INVALID_ARGUMENT and "Readonly" in (error.details() or "")
            raise AssertionError("the driver mounted a volume that can be written to")

    def unpublish(self, target: Path) -> None:
        """Unmount and remove the target."""
        pod_uid = target.parents[3].name
        message = messages.NodeUnpublishVolumeRequest(volume_id=volume_id(pod_uid, target), target_path=str(target))
        services.NodeStub(self._channel).NodeUnpublishVolume(message, timeout=_UNPUBLISH_SECONDS)

    def _remount_outcome(self, before: Mapping[str, float]) -> PublishOutcome:
        after = self.counts()
        if after.get("rotation_reconcile_error_total", 0) > before.get("rotation_reconcile_error_total", 0):
            return PublishOutcome.ERROR_MASKED
        if after.get("rotation_reconcile_total", 0) > before.get("rotation_reconcile_total", 0):
            return PublishOutcome.REFRESHED
        rotates = self.settings.rotation_interval_seconds is not None
        return PublishOutcome.NOT_DUE if rotates else PublishOutcome.ALREADY_MOUNTED

    def counts(self) -> dict[str, float]:
        """Return its counters, each summed over its labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self._metrics_port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        counts: dict[str, float] = {}
        for found in _METRIC.finditer(text):
            counts[found["name"]] = counts.get(found["name"], 0.0) + float(found["value"])
        return counts

    def _answers(self) -> bool:
        try:
            services.IdentityStub(self._channel).Probe(messages.ProbeRequest(), timeout=1)
        except grpc.RpcError:
            return False
        return True


def mount_points() -> frozenset[str]:
    """Return every mount point of this process's mount namespace."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return frozenset(line.split(" ")[1].encode().decode("unicode_escape") for line in lines)


def wait_for(condition: Any, *, seconds: float = 60.0, what: str) -> Any:  # noqa: ANN401 - whatever it returns
    """Ask until the answer is truthy, and return it; fail with `what` after a bound."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def volume_id(pod_uid: str, target: Path) -> str:
    """Return the id that kubelet gives an inline volume."""
    # kubelet: the digest of pod uid and volume name; a target is .../kubernetes.io~csi/<volume>/mount.
    return "csi-" + hashlib.sha256(f"{pod_uid}{target.parent.name}".encode()).hexdigest()


def _status(item: Mapping[str, Any]) -> PodStatus:
    metadata, status = item["metadata"], item["status"]
    return PodStatus(
        pod_name=status["podName"],
        pod_uid=PodUid(metadata["ownerReferences"][0]["uid"]),
        namespace=metadata["namespace"],
        class_name=status["secretProviderClassName"],
        target_path=status["targetPath"],
        node_name=metadata["labels"]["internal.secrets-store.csi.k8s.io/node-name"],
        versions={entry["id"]: entry["version"] for entry in status.get("objects", [])},
    )


__all__ = ["POD_NAMESPACE_KEY", "POD_NAME_KEY", "PodObjects", "RealDriver", "mount_points", "wait_for"]
