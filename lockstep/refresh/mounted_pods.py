"""The pods of an app that mount its classes, and the versions that the driver says they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from components.derivation import AppAccess
from components.placement import DRIVER_NAME
from lockstep.cluster.api_server import ClusterReader

_STATUSES: Final = "/apis/secrets-store.csi.x-k8s.io/v1/namespaces/{namespace}/secretproviderclasspodstatuses"
_ENDED: Final = frozenset({"Succeeded", "Failed"})

#: File to version, as a SecretProviderClassPodStatus has them.
Versions = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class MountedClass:
    """One class that one pod mounts.

    Attributes:
        pod: Its name.
        uid: Of the pod: another pod of that name is another one.
    """

    namespace: str
    pod: str
    uid: str
    class_name: str

    @property
    def status_name(self) -> str:
        """Name of the driver's object about it."""
        return f"{self.pod}-{self.namespace}-{self.class_name}"

    @property
    def pod_path(self) -> str:
        """Path of the pod in the API."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}"


def find_mounts(app: AppAccess, cluster: ClusterReader) -> tuple[MountedClass, ...]:
    """Return what the app's pods mount, sorted; pods that have ended or are going are left out.

    Raises:
        ApiError: The pods may not be listed.
    """
    pods = cluster.listed(f"/api/v1/namespaces/{app.namespace}/pods")
    return tuple(sorted(mount for pod in pods if _is_running(pod, app) for mount in _mounts(pod, app)))


def fetch_versions(mounts: tuple[MountedClass, ...], cluster: ClusterReader) -> dict[MountedClass, Versions]:
    """Return the versions of each mount; empty while the driver has not written any.

    Raises:
        ApiError: The statuses may not be listed.
    """
    statuses = {
        (item["metadata"].get("namespace"), item["metadata"]["name"]): item
        for namespace in sorted({mount.namespace for mount in mounts})
        for item in cluster.listed(_STATUSES.format(namespace=namespace))
    }
    return {mount: _versions(statuses.get((mount.namespace, mount.status_name), {})) for mount in mounts}


def _is_running(pod: Mapping[str, Any], app: AppAccess) -> bool:
    is_going = "deletionTimestamp" in pod["metadata"] or (pod.get("status") or {}).get("phase") in _ENDED
    return not is_going and (pod.get("spec") or {}).get("serviceAccountName") == app.service_account


def _mounts(pod: Mapping[str, Any], app: AppAccess) -> Iterator[MountedClass]:
    classes = {mount.class_name for mount in app.mounts}
    metadata = pod["metadata"]
    for volume in pod["spec"].get("volumes") or ():
        csi = volume.get("csi") or {}
        name = (csi.get("volumeAttributes") or {}).get("secretProviderClass")
        if csi.get("driver") == DRIVER_NAME and name in classes:
            yield MountedClass(
                namespace=str(metadata["namespace"]),
                pod=str(metadata["name"]),
                uid=str(metadata.get("uid", "")),
                class_name=str(name),
            )


def _versions(status: Mapping[str, Any]) -> Versions:
    objects = (status.get("status") or {}).get("objects") or ()
    return {str(item["id"]): str(item["version"]) for item in objects}
