"""The objects of a cluster, for checks: asked of its API server, or read from files.

Files hold what `kubectl get ... -o json|yaml` saved, rendered manifests, the driver's Helm values, or the document of
`lockstep render --platform`. A kind of which the files hold nothing is unseen, never absent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

from lockstep.cluster.api_server import NOT_FOUND, ApiError, ClusterReader
from lockstep.cluster.dates import skew_of
from lockstep.doctor.verdicts import UnseenError
from lockstep.input_errors import InputError, place_of

Manifest = Mapping[str, Any]


class Kind(StrEnum):
    """What is looked at."""

    ADMISSION_BINDING = "ValidatingAdmissionPolicyBinding"
    ADMISSION_POLICY = "ValidatingAdmissionPolicy"
    CLUSTER_ROLE = "ClusterRole"
    CSI_DRIVER = "CSIDriver"
    CSI_NODE = "CSINode"
    DAEMON_SET = "DaemonSet"
    LEASE = "Lease"
    NODE = "Node"
    POD = "Pod"
    SECRET_PROVIDER_CLASS = "SecretProviderClass"  # noqa: S105 - a kind
    SERVICE_ACCOUNT = "ServiceAccount"


#: API path of each kind, and its plural. Nothing here is a Secret.
_PATHS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.ADMISSION_BINDING: ("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings"),
    Kind.ADMISSION_POLICY: ("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies"),
    Kind.CLUSTER_ROLE: ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    Kind.CSI_DRIVER: ("/apis/storage.k8s.io/v1", "csidrivers"),
    Kind.CSI_NODE: ("/apis/storage.k8s.io/v1", "csinodes"),
    Kind.DAEMON_SET: ("/apis/apps/v1", "daemonsets"),
    Kind.LEASE: ("/apis/coordination.k8s.io/v1", "leases"),
    Kind.NODE: ("/api/v1", "nodes"),
    Kind.POD: ("/api/v1", "pods"),
    Kind.SECRET_PROVIDER_CLASS: ("/apis/secrets-store.csi.x-k8s.io/v1", "secretproviderclasses"),
    Kind.SERVICE_ACCOUNT: ("/api/v1", "serviceaccounts"),
}

#: Keys that tell the driver's Helm values from any other file.
_VALUES_KEYS: Final = frozenset({"enableSecretRotation", "rotationPollInterval", "syncSecret", "tokenRequests"})
_FORBIDDEN: Final = 403


class ClusterObjects(Protocol):
    """What checks look at. Every method raises `UnseenError` for what cannot be seen."""

    @property
    def driver_values(self) -> Manifest | None:
        """Helm values of the driver, where files hold them instead of what the chart makes of them."""
        ...

    def listed(self, kind: Kind, namespace: str = "") -> tuple[Manifest, ...]:
        """Return the objects of a kind, of one namespace or of all."""
        ...

    def version(self) -> str:
        """Return the version of the API server, `v1.36.2`."""
        ...

    def issuer(self) -> str:
        """Return the issuer of its service accounts' tokens."""
        ...

    def skew_seconds(self) -> float:
        """Return by how much this machine's clock is ahead of the API server's."""
        ...

    def server_time(self) -> float:
        """Return the API server's time, in seconds since the epoch."""
        ...


class LiveObjects:
    """Asks an API server; each collection once."""

    driver_values: Manifest | None = None

    def __init__(self, reader: ClusterReader) -> None:
        self._reader = reader
        self._lists: dict[tuple[Kind, str], tuple[Manifest, ...]] = {}
        self._measured: float | None = None

    def listed(self, kind: Kind, namespace: str = "") -> tuple[Manifest, ...]:
        """See `ClusterObjects`. A kind that the server does not know has no objects."""
        if (kind, namespace) not in self._lists:
            root, plural = _PATHS[kind]
            place = f"/namespaces/{namespace}" if namespace else ""
            try:
                found = self._reader.listed(f"{root}{place}/{plural}")
            except ApiError as error:
                if error.status != NOT_FOUND:
                    raise _unseen(f"list {plural}", error) from None
                found = ()
            self._lists[kind, namespace] = found
        return self._lists[kind, namespace]

    def version(self) -> str:
        """See `ClusterObjects`."""
        return str(self._get("/version").get("gitVersion", ""))

    def issuer(self) -> str:
        """See `ClusterObjects`."""
        return str(self._get("/.well-known/openid-configuration").get("issuer", ""))

    def skew_seconds(self) -> float:
        """See `ClusterObjects`."""
        return self._skew()

    def server_time(self) -> float:
        """See `ClusterObjects`."""
        return time.time() - self._skew()

    def _skew(self) -> float:
        if self._measured is None:
            self._measured = skew_of(self._date)
            if self._measured is None:
                raise UnseenError("the server sent no Date")
        return self._measured

    def _date(self) -> str:
        try:
            return self._reader.get_with_headers("/version")[1].get("Date", "")
        except ApiError as error:
            raise _unseen("get /version", error) from None

    def _get(self, path: str) -> Manifest:
        try:
            return self._reader.get(path)
        except ApiError as error:
            raise _unseen(f"get {path}", error) from None


class FileObjects:
    """Objects that files hold.

    Args:
        paths: Of YAML or JSON files, several documents or Lists in each.

    Raises:
        InputError: DOC001, a file is neither.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._objects: list[Manifest] = []
        self.driver_values: Manifest | None = None
        for path in paths:
            for document in _documents(path):
                self._take(document)

    def listed(self, kind: Kind, namespace: str = "") -> tuple[Manifest, ...]:
        """See `ClusterObjects`."""
        every = [item for item in self._objects if item.get("kind") == kind.value]
        if not every:
            _, plural = _PATHS[kind]
            raise UnseenError(f"the files hold no {kind.value}: add `kubectl get {plural} -A -o json`")
        return tuple(item for item in every if namespace in {"", (item.get("metadata") or {}).get("namespace")})

    def version(self) -> str:
        """See `ClusterObjects`: the oldest kubelet's, which is never newer than the server."""
        nodes = self.listed(Kind.NODE)
        versions = [str(node["status"]["nodeInfo"]["kubeletVersion"]) for node in nodes if node.get("status")]
        if not versions:
            raise UnseenError("the files hold no node with a version")
        return min(versions, key=_numbers)

    def issuer(self) -> str:
        """See `ClusterObjects`."""
        raise UnseenError("files do not tell the issuer of a cluster's tokens")

    def skew_seconds(self) -> float:
        """See `ClusterObjects`."""
        raise UnseenError("files have no clock")

    def server_time(self) -> float:
        """See `ClusterObjects`."""
        raise UnseenError("files have no clock")

    def _take(self, document: Manifest) -> None:
        if str(document.get("kind", "")).endswith("List") and "items" in document:
            for item in document["items"] or ():
                self._take({**_kind_of_list(document), **item})
        elif document.get("kind") == "Release":
            self.driver_values = dict(document.get("spec", {}).get("values") or {})
        elif "kind" in document:
            self._objects.append(document)
        elif "manifests" in document and "chart" in document:
            self.driver_values = dict(document["chart"].get("values") or {})
            self._objects += document["manifests"]
        elif _VALUES_KEYS & document.keys():
            self.driver_values = document


def _unseen(what: str, error: ApiError) -> UnseenError:
    if error.status == _FORBIDDEN:
        return UnseenError(f"the kubeconfig's user may not {what}")
    return UnseenError(f"could not {what}: {error.reason}")


def _documents(path: Path) -> Iterator[Manifest]:
    try:
        text = path.read_text(encoding="utf-8")
        documents: Iterable[Any] = [json.loads(text)] if text.lstrip().startswith("{") else yaml.safe_load_all(text)
        for document in documents:
            if document is None:
                continue
            if not isinstance(document, Mapping):
                raise InputError(f"{path}: a document is no mapping. Fix: give manifests or Helm values. [DOC001]")
            yield document
    except (yaml.YAMLError, ValueError) as error:
        # What people save of a cluster may hold Secrets: only the place is told.
        why = f"from {place_of(error)} on" if isinstance(error, yaml.YAMLError) else " ".join(str(error).split())
        raise InputError(f"{path}: it is neither YAML nor JSON ({why}). Fix: save it again. [DOC001]") from None


def _kind_of_list(document: Manifest) -> Manifest:
    """Return the kind of the items of a typed list, which `kubectl get --raw` leaves out of them."""
    kind = str(document["kind"]).removesuffix("List")
    return {"apiVersion": document.get("apiVersion", ""), "kind": kind} if kind else {}


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.removeprefix("v").split("-", maxsplit=1)[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())
