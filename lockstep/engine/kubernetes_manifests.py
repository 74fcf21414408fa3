"""The `kubernetes` package of the embedded engine: objects are kept as YAML manifests in a folder.

Not done here: a cluster. There is no API server behind it, so nothing is defaulted, admitted or awaited; what is
checked is what a manifest must have to be applied at all. A Helm release is kept as the release that was asked for
(chart, version, values), not as the objects that the chart would render.

Layout: `<folder>/<namespace or _cluster>/<Kind>-<name>.yaml`, written atomically.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from lockstep.engine.resource_provider import InputProblem, ProviderError, ProviderObject, ResourceDiff
from lockstep.engine.values import UNKNOWN, Json, Properties, diff_properties

_CLUSTER_FOLDER = "_cluster"
_RELEASE_TYPE = "kubernetes:helm.sh/v3:Release"


class ObjectKey(NamedTuple):
    """What identifies an object in a cluster. `namespace` is empty for cluster-wide objects."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One type that can be kept."""

    api_version: str
    kind: str
    namespaced: bool = True


_ADMISSION: Final = "admissionregistration.k8s.io/v1"
_MONITORING: Final = "monitoring.coreos.com/v1"
_RBAC: Final = "rbac.authorization.k8s.io/v1"

_KINDS: Final[Mapping[str, _Kind]] = {
    f"kubernetes:{_ADMISSION}:ValidatingAdmissionPolicy": _Kind(
        api_version=_ADMISSION, kind="ValidatingAdmissionPolicy", namespaced=False
    ),
    f"kubernetes:{_ADMISSION}:ValidatingAdmissionPolicyBinding": _Kind(
        api_version=_ADMISSION, kind="ValidatingAdmissionPolicyBinding", namespaced=False
    ),
    f"kubernetes:{_MONITORING}:PodMonitor": _Kind(api_version=_MONITORING, kind="PodMonitor"),
    f"kubernetes:{_MONITORING}:PrometheusRule": _Kind(api_version=_MONITORING, kind="PrometheusRule"),
    f"kubernetes:{_RBAC}:ClusterRole": _Kind(api_version=_RBAC, kind="ClusterRole", namespaced=False),
    f"kubernetes:{_RBAC}:ClusterRoleBinding": _Kind(api_version=_RBAC, kind="ClusterRoleBinding", namespaced=False),
    "kubernetes:apps/v1:DaemonSet": _Kind(api_version="apps/v1", kind="DaemonSet"),
    "kubernetes:core/v1:ConfigMap": _Kind(api_version="v1", kind="ConfigMap"),
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _Kind(api_version="networking.k8s.io/v1", kind="NetworkPolicy"),
    "kubernetes:storage.k8s.io/v1:CSIDriverPatch": _Kind(
        api_version="storage.k8s.io/v1", kind="CSIDriver", namespaced=False
    ),
    "kubernetes:core/v1:Namespace": _Kind(api_version="v1", kind="Namespace", namespaced=False),
    "kubernetes:core/v1:ServiceAccount": _Kind(api_version="v1", kind="ServiceAccount"),
    "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass": _Kind(
        api_version="secrets-store.csi.x-k8s.io/v1", kind="SecretProviderClass"
    ),
    _RELEASE_TYPE: _Kind(api_version="helm.sh/v3", kind="Release"),
}

#: Inputs of a release that say how Helm works, not what is installed; they are kept beside the chart.
_RELEASE_REQUIRED = ("chart", "name", "namespace", "repositoryOpts", "version")

#: Paths below an input that no API server lets change; the object is replaced.
_IMMUTABLE_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes:apps/v1:DaemonSet": ("spec.selector",),
    _RELEASE_TYPE: ("name", "namespace"),
}


class KubernetesManifests:
    """Keeps Kubernetes objects in a folder. See `ResourceProvider` for the methods."""

    def __init__(self, directory: Path) -> None:
        """Take over a folder; manifests that it already has are read back."""
        self._directory = directory
        self._lock = threading.Lock()
        self._cluster: Json = None
        self._objects: dict[ObjectKey, dict[str, Json]] = {}
        for path in sorted(directory.glob("*/*.yaml")):
            manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
            self._objects[_key_of(manifest)] = manifest

    @property
    def objects(self) -> dict[ObjectKey, dict[str, Json]]:
        """The manifests that exist now, sorted by key; a copy of the map."""
        with self._lock:
            return dict(sorted(self._objects.items()))

    def path_of(self, key: ObjectKey) -> Path:
        """Return the file of an object."""
        return self._directory / (key.namespace or _CLUSTER_FOLDER) / f"{key.kind}-{key.name}.yaml"

    # ---------------------------------------------------------------------------------------------------- provider
    def configure(self, settings: Properties) -> None:
        """Refuse a second cluster: the folder holds the objects of one."""
        identifier = settings.get("clusterIdentifier")
        with self._lock:
            if self._cluster is not None and identifier != self._cluster:
                raise ProviderError(
                    f"this run keeps the objects of {self._cluster!r} and was asked for {identifier!r} too. "
                    "Fix: one Kubernetes provider per run"
                )
            self._cluster = identifier

    def check(self, resource_type: str, inputs: Properties) -> tuple[InputProblem, ...]:
        """Refuse unknown types, another apiVersion or kind than the type's, and objects without a name."""
        kind = _kind(resource_type)
        if resource_type == _RELEASE_TYPE:
            missing = [key for key in _RELEASE_REQUIRED if not inputs.get(key)]
            return tuple(InputProblem(property=key, reason="is missing. Fix: pin it") for key in missing)
        problems = [
            InputProblem(property=key, reason=f"is {inputs.get(key)!r}, the type means {wanted!r}. Fix: use {wanted!r}")
            for key, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind))
            if inputs.get(key) != wanted
        ]
        metadata = _mapping(inputs.get("metadata"))
        for key in ("name", "namespace") if kind.namespaced else ("name",):
            if not metadata.get(key):
                reason = "is missing. The engine makes up no names. Fix: give it a value"
                problems.append(InputProblem(property=f"metadata.{key}", reason=reason))
        return tuple(problems)

    def diff(self, resource_type: str, old_inputs: Properties, new_inputs: Properties) -> ResourceDiff:
        """Compare manifests field by field; another name, namespace or selector is another object."""
        kind = _kind(resource_type)
        changes = diff_properties(old_inputs, new_inputs)
        fixed = ("metadata.name", "metadata.namespace", *_IMMUTABLE_PATHS.get(resource_type, ()))
        replacing = {change.root for change in changes if any(_is_under(change.path, path) for path in fixed)}
        replacing |= {"metadata"} & {change.path for change in changes}
        same_object = _key(kind, old_inputs) == _key(kind, new_inputs)
        return ResourceDiff(changes=changes, replace_keys=tuple(sorted(replacing)), delete_before_replace=same_object)

    def plan(self, resource_type: str, inputs: Properties, prior: Properties) -> Properties:
        """Return the manifest; a release's status is unknown until it is installed."""
        _kind(resource_type)
        if resource_type != _RELEASE_TYPE:
            return inputs
        return {**inputs, "status": UNKNOWN if not prior else prior.get("status", UNKNOWN)}

    def create(self, resource_type: str, inputs: Properties) -> ProviderObject:
        """Keep a new manifest.

        Raises:
            ProviderError: There is an object of that name already, as an API server says.
        """
        kind = _kind(resource_type)
        key = _key(kind, inputs)
        with self._lock:
            if key in self._objects:
                raise ProviderError(
                    f"{kind.kind} {_id(key)} exists already and is not in the state. "
                    "Fix: remove the object, or bring back the state that made it"
                )
            self._write(key, _manifest(kind, inputs))
        return ProviderObject(id=_id(key), outputs=_outputs(resource_type, inputs))

    def read(self, resource_type: str, object_id: str) -> ProviderObject | None:
        """Return a kept manifest; the id is `<namespace>/<name>`."""
        kind = _kind(resource_type)
        namespace, _, name = object_id.rpartition("/")
        with self._lock:
            manifest = self._objects.get(ObjectKey(kind.api_version, kind.kind, namespace, name))
        return None if manifest is None else ProviderObject(id=object_id, outputs=manifest)

    def update(self, resource_type: str, prior: ProviderObject, inputs: Properties) -> ProviderObject:
        """Write the manifest anew."""
        kind = _kind(resource_type)
        key = _key(kind, inputs)
        with self._lock:
            self._write(key, _manifest(kind, inputs))
        return ProviderObject(id=prior.id, outputs=_outputs(resource_type, inputs))

    def delete(self, resource_type: str, prior: ProviderObject) -> None:
        """Remove the manifest; one that is gone is fine."""
        key = _key(_kind(resource_type), prior.outputs)
        with self._lock:
            self._objects.pop(key, None)
            self.path_of(key).unlink(missing_ok=True)

    def invoke(self, token: str, arguments: Properties) -> Properties:  # noqa: ARG002 - the protocol's signature
        """Refuse: no function of this package makes sense without a cluster."""
        raise ProviderError(f"the embedded engine does not answer {token}: there is no cluster behind it")

    def _write(self, key: ObjectKey, manifest: dict[str, Json]) -> None:
        path = self.path_of(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            yaml.safe_dump(manifest, stream, sort_keys=False, allow_unicode=True, width=1_000_000)
        Path(temporary).replace(path)
        self._objects[key] = manifest


def render_manifest(resource_type: str, inputs: Properties) -> dict[str, Json]:
    """Return a resource's inputs as the object that they make; see `KubernetesManifests` for a Helm release.

    Raises:
        ProviderError: The type cannot be kept.
    """
    return _manifest(_kind(resource_type), inputs)


def _kind(resource_type: str) -> _Kind:
    kind = _KINDS.get(resource_type)
    if kind is None:
        known = ", ".join(sorted(_KINDS))
        raise ProviderError(
            f"the embedded engine cannot keep {resource_type}. It keeps: {known}. "
            "Fix: correct the type, or run the program with the Pulumi CLI"
        )
    return kind


def _key(kind: _Kind, inputs: Properties) -> ObjectKey:
    """Return the key of an object's inputs; a release has its name at the top."""
    named = inputs if kind.kind == "Release" else _mapping(inputs.get("metadata"))
    namespace = str(named.get("namespace", "")) if kind.namespaced else ""
    return ObjectKey(kind.api_version, kind.kind, namespace, str(named.get("name", "")))


def _key_of(manifest: Mapping[str, Json]) -> ObjectKey:
    metadata = _mapping(manifest.get("metadata"))
    return ObjectKey(
        str(manifest.get("apiVersion")),
        str(manifest.get("kind")),
        str(metadata.get("namespace", "")),
        str(metadata.get("name", "")),
    )


def _manifest(kind: _Kind, inputs: Properties) -> dict[str, Json]:
    """Return the object in the order people write it: apiVersion, kind, metadata, the rest sorted."""
    if kind.kind != "Release":
        head = {key: inputs[key] for key in ("apiVersion", "kind", "metadata") if key in inputs}
        return head | {key: inputs[key] for key in sorted(inputs) if key not in head}
    metadata: dict[str, Json] = {"name": inputs["name"], "namespace": inputs["namespace"]}
    spec: dict[str, Json] = {key: inputs[key] for key in sorted(inputs) if key not in metadata}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


def _outputs(resource_type: str, inputs: Properties) -> dict[str, Json]:
    if resource_type != _RELEASE_TYPE:
        return dict(inputs)
    status: dict[str, Json] = {
        "name": inputs["name"],
        "namespace": inputs["namespace"],
        "chart": inputs["chart"],
        "version": inputs["version"],
        "status": "deployed",
    }
    return {**inputs, "status": status}


def _id(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}" if key.namespace else key.name


def _is_under(path: str, root: str) -> bool:
    return path == root or path.startswith((f"{root}.", f"{root}["))


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
