"""What the driver keeps in the API server: pod statuses of its volumes, and the Secrets it copies files into.

Held in memory; with a directory, also as one JSON file per object, for the owner only, because a Secret holds values.
The garbage collector's part is played too: what belongs to a pod that is gone, goes.

Different from a cluster: a Secret's owners are kept beside it, not in its `ownerReferences`; pods have no owners of
their own, which would be the Secret's in place of their statuses.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.pods import PodUid
from provider_runtime.csi_v1alpha1.service_pb2 import ObjectVersion

STATUS_NAME_LIMIT: Final = 253
NODE_LABEL: Final = "internal.secrets-store.csi.k8s.io/node-name"

_STATUS_FOLDER: Final = "secretproviderclasspodstatuses"
_SECRET_FOLDER: Final = "secrets"  # noqa: S105  # a folder's name


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStatus:
    """A SecretProviderClassPodStatus: what one pod has mounted of one class.

    Attributes:
        pod_name: Pod.
        pod_uid: Its uid, the owner.
        namespace: Of pod and status.
        class_name: SecretProviderClass.
        target_path: The volume's directory.
        node_name: The driver's node.
        versions: Version by object id, sorted by id.
    """

    pod_name: str
    pod_uid: PodUid
    namespace: str
    class_name: str
    target_path: str
    node_name: str
    versions: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name in the namespace."""
        return f"{self.pod_name}-{self.namespace}-{self.class_name}"

    def manifest(self) -> dict[str, object]:
        """Return it as the driver writes it to the API server."""
        owner = {"apiVersion": "v1", "kind": "Pod", "name": self.pod_name, "uid": self.pod_uid}
        return {
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClassPodStatus",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {NODE_LABEL: self.node_name},
                "ownerReferences": [owner],
            },
            "status": {
                "podName": self.pod_name,
                "secretProviderClassName": self.class_name,
                "mounted": True,
                "targetPath": self.target_path,
                "objects": [{"id": key, "version": version} for key, version in self.versions.items()],
            },
        }


def derive_versions(object_versions: list[ObjectVersion]) -> Mapping[str, str]:
    """Return versions by id, sorted; of two with one id the last one counts, silently, as in the driver."""
    return dict(sorted({item.id: item.version for item in object_versions}.items()))


class ClusterObjects:
    """The objects of every node of the embedded cluster, keyed by namespace and name."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._statuses: dict[tuple[str, str], PodStatus] = {}
        self._secrets: dict[tuple[str, str], Mapping[str, object]] = {}
        self._owners: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self._lock = threading.RLock()

    @property
    def statuses(self) -> tuple[PodStatus, ...]:
        """All statuses, sorted by namespace and name."""
        with self._lock:
            return tuple(status for _, status in sorted(self._statuses.items()))

    def status(self, namespace: str, name: str) -> PodStatus | None:
        """Return one status."""
        with self._lock:
            return self._statuses.get((namespace, name))

    def secret(self, namespace: str, name: str) -> Mapping[str, object] | None:
        """Return one Secret as a manifest; its data is base64 of values: do not print it."""
        with self._lock:
            return self._secrets.get((namespace, name))

    def secret_names(self) -> tuple[tuple[str, str], ...]:
        """Return (namespace, name) of every synced Secret, sorted."""
        with self._lock:
            return tuple(sorted(self._secrets))

    def put_status(self, status: PodStatus) -> bool:
        """Create or update; return whether it changed, which is what wakes the copying of Secrets."""
        key = (status.namespace, status.name)
        with self._lock:
            if self._statuses.get(key) == status:
                return False
            self._statuses[key] = status
            self._save(_STATUS_FOLDER, key, status.manifest())
            return True

    def put_secret(self, manifest: Mapping[str, object], *, namespace: str, name: str) -> None:
        """Create, or replace as a whole: keys and labels that others added are lost, and its owners."""
        key = (namespace, name)
        with self._lock:
            self._secrets[key] = manifest
            self._owners.pop(key, None)
            self._save(_SECRET_FOLDER, key, manifest)

    def name_owner(self, *, namespace: str, name: str, owner: PodStatus) -> None:
        """Make a status one of a Secret's owners; nothing happens where there is no such Secret."""
        key = (namespace, name)
        with self._lock:
            if key in self._secrets:
                self._owners.setdefault(key, set()).add((owner.namespace, owner.name))

    def collect_pod(self, uid: PodUid) -> None:
        """Remove a pod's statuses, and Secrets whose last owner goes with them; one without owners stays.

        Nothing happens for an unknown pod.
        """
        with self._lock:
            gone = {key for key, status in self._statuses.items() if status.pod_uid == uid}
            for key in gone:
                del self._statuses[key]
                self._forget(_STATUS_FOLDER, key)
            for key, owners in list(self._owners.items()):
                owners.difference_update(gone)
                if not owners:
                    del self._owners[key]
                    del self._secrets[key]
                    self._forget(_SECRET_FOLDER, key)

    def _save(self, folder: str, key: tuple[str, str], manifest: Mapping[str, object]) -> None:
        if self._directory is None:
            return
        path = self._directory / folder / key[0] / f"{key[1]}.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            json.dump(manifest, output, indent=2, sort_keys=True)
        temporary.rename(path)

    def _forget(self, folder: str, key: tuple[str, str]) -> None:
        if self._directory is not None:
            (self._directory / folder / key[0] / f"{key[1]}.json").unlink(missing_ok=True)
