"""What the node is told and what it answers: pods, volumes, classes, mount results, files. Values only.

Manifests are read once, here; a manifest that the API server's schema would refuse is a ManifestError.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType, Protocol

import grpc

PodUid = NewType("PodUid", str)

CSI_DRIVER: Final = "secrets-store.csi.k8s.io"
CLASS_KEY: Final = "secretProviderClass"


class ManifestError(ValueError):
    """A manifest does not have the shape that the API server demands."""


class TokenSource(Protocol):
    """Where kubelet gets tokens: the API server's TokenRequest, with kubelet's cache in front."""

    def tokens(
        self, *, namespace: str, service_account: str, pod_name: str, pod_uid: str, audiences: Sequence[str]
    ) -> Mapping[str, Mapping[str, object]]:
        """Return, per audience, `token` and `expirationTimestamp` (RFC 3339)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """An inline CSI volume of a pod.

    Attributes:
        name: Unique in the pod.
        attributes: `volumeAttributes`; `secretProviderClass` names the class, all others override its parameters.
        read_only: The driver refuses a volume without.
    """

    name: str
    attributes: Mapping[str, str]
    read_only: bool = True

    @property
    def class_name(self) -> str:
        """The SecretProviderClass; empty when the author forgot it."""
        return self.attributes.get(CLASS_KEY, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod as far as kubelet's volumes go; two pods of one name differ by uid."""

    name: str
    namespace: str
    service_account: str
    volumes: tuple[Volume, ...]
    uid: PodUid = field(default_factory=lambda: PodUid(str(uuid.uuid4())))

    @property
    def label(self) -> str:
        """`namespace/name`, as the driver writes it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedData:
    """One key of a synced Secret and the mounted file it comes from."""

    object_name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedSecret:
    """One entry of a class's `secretObjects`."""

    name: str
    type: str
    data: tuple[SyncedData, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderClass:
    """A SecretProviderClass."""

    name: str
    namespace: str
    provider: str
    parameters: Mapping[str, str]
    synced: tuple[SyncedSecret, ...]


class PublishOutcome(StrEnum):
    """What the driver did behind an OK; kubelet cannot tell these apart."""

    MOUNTED = "mounted"
    REFRESHED = "refreshed"
    NOT_DUE = "not due"
    """The directory is younger than the rotation interval: the provider was not asked, and perhaps nothing is there."""
    ALREADY_MOUNTED = "already mounted"
    """Rotation is off."""
    ERROR_MASKED = "error masked"
    """A refresh failed; the files are those of before, and only the driver's log says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStarted:
    """Every volume was answered OK: the containers run. Outcomes are by volume name."""

    pod: Pod
    outcomes: Mapping[str, PublishOutcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedMount:
    """A volume was not: the pod waits.

    Attributes:
        pod: Which.
        volume: The first volume that failed.
        code: Of the driver's answer.
        event_text: Message of the pod's event, reason FailedMount.
    """

    pod: Pod
    volume: str
    code: grpc.StatusCode
    event_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedFile:
    """A file as the app sees it, without its content; version is empty when the provider gave none for the path."""

    volume: str
    path: str
    mode: int
    size_bytes: int
    version: str


def parse_volume(manifest: Mapping[str, object]) -> Volume:
    """Read an entry of a pod's `spec.volumes`.

    Raises:
        ManifestError: It is no inline volume of this driver.
    """
    csi = _mapping(manifest.get("csi"), "volume.csi")
    if csi.get("driver") != CSI_DRIVER:
        raise ManifestError(f"volume.csi.driver: {csi.get('driver')!r} is not {CSI_DRIVER!r}")
    return Volume(
        name=_text(manifest.get("name"), "volume.name"),
        attributes=_texts(csi.get("volumeAttributes"), "volume.csi.volumeAttributes"),
        read_only=csi.get("readOnly") is True,
    )


def parse_provider_class(manifest: Mapping[str, object]) -> ProviderClass:
    """Read a SecretProviderClass; as in its schema nothing in `spec` is required.

    Raises:
        ManifestError: A field has another type than the schema's.
    """
    metadata = _mapping(manifest.get("metadata"), "metadata")
    spec = _mapping(manifest.get("spec"), "spec")
    return ProviderClass(
        name=_text(metadata.get("name"), "metadata.name"),
        namespace=_text(metadata.get("namespace"), "metadata.namespace"),
        provider=_text(spec.get("provider", ""), "spec.provider"),
        parameters=_texts(spec.get("parameters"), "spec.parameters"),
        synced=tuple(
            _parse_synced(_mapping(item, f"spec.secretObjects[{index}]"), f"spec.secretObjects[{index}]")
            for index, item in enumerate(_items(spec.get("secretObjects"), "spec.secretObjects"))
        ),
    )


def _parse_synced(item: Mapping[str, object], where: str) -> SyncedSecret:
    data = tuple(_mapping(entry, f"{where}.data") for entry in _items(item.get("data"), f"{where}.data"))
    return SyncedSecret(
        name=_text(item.get("secretName", ""), f"{where}.secretName"),
        type=_text(item.get("type", ""), f"{where}.type"),
        data=tuple(
            SyncedData(
                object_name=_text(entry.get("objectName", ""), f"{where}.data.objectName"),
                key=_text(entry.get("key", ""), f"{where}.data.key"),
            )
            for entry in data
        ),
        labels=_texts(item.get("labels"), f"{where}.labels"),
        annotations=_texts(item.get("annotations"), f"{where}.annotations"),
    )


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ManifestError(f"{where}: {value!r} is not a mapping")
    return {str(key): item for key, item in value.items()}


def _items(value: object, where: str) -> Sequence[object]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise ManifestError(f"{where}: {value!r} is not a list")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ManifestError(f"{where}: {value!r} is not a string")
    return value


def _texts(value: object, where: str) -> Mapping[str, str]:
    if value is None:
        return {}
    return {key: _text(item, f"{where}.{key}") for key, item in _mapping(value, where).items()}
