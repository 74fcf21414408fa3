"""Kubelet, driver and provider behind the API stand-in, with a clock of their own: what a touched pod sets off.

The provider's rule is the real one (`VolumeAges` of `provider_runtime.cache`); the driver's is that of 1.6.0: nothing
is passed on while a mount's last change is younger than its interval.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from provider_runtime.cache import AgeLimits, VolumeAges, VolumeKey
from tests.fakes.kubernetes import FakeApiServer, Object

PODS: Final = "/api/v1/pods"
STATUSES: Final = "/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasspodstatuses"
LIMITS: Final = AgeLimits(first_mount_max_age_seconds=10, refresh_interval_seconds=120, max_stale_seconds=3600)


@dataclass(slots=True)
class NodeModel:
    """One app's pods on a node.

    Attributes:
        server: Keeps pods and statuses; its patches come here.
        version: What AWS has now.
        now: Seconds; `sleep` moves it.
        interval_seconds: Of the driver.
        is_frozen: Whether the provider cannot read any more.
        rings: When pods were touched.
    """

    server: FakeApiServer
    version: str = "v1"
    now: float = 1000.0
    interval_seconds: float = 0.1
    is_frozen: bool = False
    rings: list[float] = field(default_factory=list)
    _ages: VolumeAges = field(default_factory=lambda: VolumeAges(LIMITS))
    _read: tuple[float, str] = (0.0, "v1")
    _changed_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server.patched = self._touched

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def rotate(self, version: str, *, last_read_seconds_ago: float) -> None:
        """Give the secret a new version; the provider read the old one so long ago."""
        self._read = (self.now - last_read_seconds_ago, self.version)
        self.version = version

    def published(self, pod: str, *, seconds_ago: float) -> None:
        """Say when kubelet last published the pod's volume by itself."""
        self._ages.note_mounted(VolumeKey((pod,)), self.now - seconds_ago)
        self._changed_at[pod] = self.now - seconds_ago

    def _touched(self, path: str, item: Object) -> None:
        assert item["metadata"]["annotations"]["lockstep/refresh-requested-at"]
        pod = path.rsplit("/", 1)[1]
        self.rings.append(self.now)
        if self.now - self._changed_at.get(pod, 0.0) < self.interval_seconds:
            return
        key = VolumeKey((pod,))
        accepted = self._ages.accepted_age(key, self.now)
        if self.now - self._read[0] > accepted and not self.is_frozen:
            self._read = (self.now, self.version)
        self._ages.note_mounted(key, self.now)
        for status in self.server.collections[STATUSES]:
            if status["status"]["podName"] == pod:
                self._write(pod, status)

    def _write(self, pod: str, status: Object) -> None:
        objects = [{**each, "version": self._read[1]} for each in status["status"]["objects"]]
        if objects != status["status"]["objects"]:
            status["status"]["objects"] = objects
            self._changed_at[pod] = self.now


def pod(name: str, account: str, *classes: str, phase: str = "Running", **metadata: Any) -> Object:  # noqa: ANN401 - JSON
    """Return a pod that mounts classes."""
    volumes = [
        {"name": each, "csi": {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": each}}}
        for each in classes
    ]
    return {
        "metadata": {"name": name, "namespace": "payments", "uid": f"uid-{name}", **metadata},
        "spec": {"serviceAccountName": account, "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes]},
        "status": {"phase": phase},
    }


def status(pod_name: str, class_name: str, *files: str, version: str = "v1") -> Object:
    """Return what the driver says of a mount."""
    return {
        "metadata": {"name": f"{pod_name}-payments-{class_name}", "namespace": "payments"},
        "status": {"podName": pod_name, "objects": [{"id": file, "version": version} for file in files]},
    }
