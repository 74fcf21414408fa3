"""The app spec as values: what was written, per environment, with the places for later messages.

No file, no YAML and no rule here; spec_reader.py makes these values and only makes valid ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from components.derivation.errors import Spot

AppName = NewType("AppName", str)

DEFAULT_MODE = "0644"
DEFAULT_MOUNT_PATH = "/mnt/secrets"


class Identity(StrEnum):
    """How a pod gets its role."""

    IRSA = "irsa"
    POD_IDENTITY = "podIdentity"


class Store(StrEnum):
    """Where an object lives. The word is the provider's `objectType`."""

    SECRETS_MANAGER = "secretsmanager"
    PARAMETER_STORE = "ssmparameter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """Leave to break one rule of the linter, with the reason. Changes no access, so it takes no part in equality."""

    rule: str
    reason: str
    at: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonKeyEntry:
    """One JSON key as a file of its own; `mode` None means the object's."""

    path: str
    file: str
    mode: str | None
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """A customer key: one ARN for the primary region (`region` None) or for a named one. Variables unreplaced."""

    region: str | None
    arn: str
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEntry:
    """One secret or parameter that the app reads. Variables unreplaced.

    Attributes:
        store: Secrets Manager or Parameter Store.
        name: Friendly name or ARN.
        file: Path below the mount; None means the name as the provider translates it.
        mode: Four octal digits.
        mount: Name of the mount that holds its files; "" for the default one.
        owner: Who owns the secret; "" when the spec does not say.
        keys: JSON keys, in file order.
        kms_keys: Customer keys; () means the AWS managed key.
        version: Parameter version.
        label: Parameter label.
        at: Place of the entry's name.
        suppress: Findings of the linter that this entry answers for.
    """

    store: Store
    name: str
    file: str | None
    mode: str
    mount: str
    owner: str
    keys: tuple[JsonKeyEntry, ...]
    kms_keys: tuple[KeyEntry, ...]
    version: int | None
    label: str | None
    at: Spot = field(compare=False)
    file_at: Spot = field(compare=False)
    mount_at: Spot = field(compare=False)
    suppress: tuple[Suppression, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncEntry:
    """One Kubernetes Secret filled from files of one mount; `data` in file order."""

    secret: str
    mount: str
    type: str
    data: tuple[SyncItem, ...]
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncItem:
    """One key of a synced Secret and the mounted file that it copies."""

    key: str
    file: str
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountEntry:
    """A further mount: files under a path of its own, from a class of its own."""

    name: str
    path: str
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppVariant:
    """An app as it is in one environment: the base with the environment's overlay laid over it.

    Attributes:
        owner: Team or person who answers for the app; "" when the spec does not say.
        mount_path: Of the default mount.
        mounts: The others, sorted by name; each holds an object.
        refresh_interval_seconds: How old a value may get; None means the stack's setting.
        suppress: Findings of the linter that the whole app answers for.
    """

    app: AppName
    owner: str
    namespace: str
    service_account: str
    identity: Identity | None
    mount_path: str
    mounts: tuple[MountEntry, ...]
    refresh_interval_seconds: int | None
    failover_regions: tuple[str, ...]
    objects: tuple[ObjectEntry, ...]
    sync: tuple[SyncEntry, ...]
    at: Spot = field(compare=False)
    failover_at: Spot = field(compare=False)
    suppress: tuple[Suppression, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """One app in every environment.

    Attributes:
        app: Unique among the specs of one run.
        base: For an environment that has no overlay.
        overlays: Environment → the whole variant there.
        at: Place of the app's name.
    """

    app: AppName
    base: AppVariant
    overlays: Mapping[str, AppVariant]
    at: Spot = field(compare=False)

    def for_environment(self, environment: str) -> AppVariant:
        """Return the variant of an environment; the base where the spec names no difference."""
        return self.overlays.get(environment, self.base)
