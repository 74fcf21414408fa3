"""The app spec as values: what was written, per environment, with the places for later messages.

No file, no YAML and no rule here; spec_reader.py makes these values and only makes valid ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from .errors import Spot

AppName = NewType("AppName", str)

DEFAULT_MODE = "0644"
DEFAULT_MOUNT_PATH = "/mnt/secrets"
#: What stands for AWS's own key where a spec names keys.
OWN_KEY = "aws"


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


class PodIdentityScope(StrEnum):
    """What holds a Pod Identity session to its app, beside the app's own role."""

    ROLE = "role"
    SESSION_POLICY = "sessionPolicy"
    SESSION_TAGS = "sessionTags"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonKeyEntry:
    """One JSON key as a file of its own; `mode` None means the object's, `non_text` "" too."""

    path: str
    file: str
    mode: str | None
    encoding: str = ""
    non_text: str = ""
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateEntry:
    """One more file of an object, whose text quotes files of its mount as `${file}`; `mode` None means the object's."""

    file: str
    text: str
    mode: str | None
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which version is read; at most one field is set.

    Attributes:
        version: Of a parameter.
        label: Of a parameter.
        stage: Of a secret.
        version_id: Of a secret.
    """

    version: int | None = None
    label: str = ""
    stage: str = ""
    version_id: str = ""

    @property
    def kind(self) -> str:
        """The spec key that is set; "" for none."""
        names = {"version": self.version, "label": self.label, "stage": self.stage, "versionId": self.version_id}
        return next((name for name, value in names.items() if value), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverEntry:
    """What differs in one failover region; `name` None means the same name, or the replica of an ARN."""

    region: str
    name: str | None = None
    selector: Selector = Selector()
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictEntry:
    """A wish for a secret's resource policy that refuses everybody else. Variables unreplaced.

    Attributes:
        break_glass: Roles that may read in an emergency; at least one.
        rotation_role: Role that rotates the secret; None without.
        readers: Roles outside of these specs that may read.
        adopt: Whether a policy that is there already may be replaced.
    """

    break_glass: tuple[str, ...]
    rotation_role: str | None
    readers: tuple[str, ...]
    adopt: bool
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """The key in the primary region (`region` None) or a named one: ARN, or "" for AWS's own. Variables unreplaced."""

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
        kms_keys: Keys by region; () means AWS's own everywhere.
        selector: Which version is read.
        failover: What differs in failover regions, in file order.
        optional: Whether it may be missing.
        encoding: "" or base64.
        non_text: "", render or refuse.
        all_keys: Whether every key of the JSON object becomes a file.
        template: One more file, made of others.
        full_arn: Whether the author says that an ARN ends in the random suffix, where it looks like a word.
        restrict: For secrets: the resource policy that the owner asks for.
        suppress: Findings that the author accepts.
        at: Place of the entry's name.
    """

    store: Store
    name: str
    file: str | None
    mode: str
    mount: str
    owner: str
    keys: tuple[JsonKeyEntry, ...]
    kms_keys: tuple[KeyEntry, ...]
    selector: Selector = Selector()
    failover: tuple[FailoverEntry, ...] = ()
    optional: bool = False
    encoding: str = ""
    non_text: str = ""
    all_keys: bool = False
    template: TemplateEntry | None = None
    full_arn: bool = False
    restrict: RestrictEntry | None = None
    suppress: tuple[Suppression, ...] = field(default=(), compare=False)
    at: Spot = field(compare=False)
    file_at: Spot = field(compare=False)
    mount_at: Spot = field(compare=False)

    def names(self) -> tuple[tuple[str, Spot], ...]:
        """Return every name that it is read by, with its place: of the first region, then of failover regions."""
        return ((self.name, self.at), *((item.name, item.at) for item in self.failover if item.name))

    def resolved(
        self,
        *,
        name: str,
        file: str,
        kms_keys: tuple[KeyEntry, ...],
        failover: tuple[FailoverEntry, ...],
        restrict: RestrictEntry | None,
    ) -> ObjectEntry:
        """Return the entry with its variables replaced; the rest stays.

        `dataclasses.replace` for the objects of a fleet, which looks every field up and takes four times as long.
        """
        return ObjectEntry(
            store=self.store,
            name=name,
            file=file,
            mode=self.mode,
            mount=self.mount,
            owner=self.owner,
            keys=self.keys,
            kms_keys=kms_keys,
            selector=self.selector,
            failover=failover,
            optional=self.optional,
            encoding=self.encoding,
            non_text=self.non_text,
            all_keys=self.all_keys,
            template=self.template,
            full_arn=self.full_arn,
            restrict=restrict,
            suppress=self.suppress,
            at=self.at,
            file_at=self.file_at,
            mount_at=self.mount_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PathEntry:
    """Leave to read every parameter below a path with the app's own SDK; no mount does. Variables unreplaced.

    Attributes:
        path: Begins with a slash, ends with none.
        reason: Why the parameters cannot be named one by one; reviewers see it.
        kms_key: ARN of the customer key of the parameters below, in the environment's region; "" for AWS's own.
        owner: Who owns the parameters; "" when the spec does not say.
        suppress: Findings that the author accepts.
        at: Place of the path.
        key_at: Place of the key; of the path without one.
    """

    path: str
    reason: str = field(compare=False)
    kms_key: str = ""
    owner: str = ""
    suppress: tuple[Suppression, ...] = field(default=(), compare=False)
    at: Spot = field(compare=False)
    key_at: Spot = field(compare=False)


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
class ChainEntry:
    """A second role that the provider assumes with the app's own. Variables unreplaced; `external_id` "" for none."""

    role: str
    external_id: str
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIdentityEntry:
    """Settings of Pod Identity.

    Attributes:
        scope: What holds a session to its app.
        target_role: A second role that EKS assumes; None without. Variables unreplaced.
        share_across_pods: Whether the provider may share what it read between pods of the app.
        address_type: Which address of the agent is asked: "" (any), ipv4 or ipv6.
    """

    scope: PodIdentityScope
    target_role: str | None
    share_across_pods: bool
    address_type: str
    at: Spot = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppVariant:
    """An app as it is in one environment: the base with the environment's overlay laid over it.

    Attributes:
        owner: Team or person who answers for the app; "" when the spec does not say.
        mount_path: Of the default mount.
        mounts: The others, sorted by name; each holds an object.
        refresh_interval_seconds: How old a value may get; None means the stack's setting.
        paths: What the app reads by path with its own SDK, in file order.
        chain: The second role that reads, if any.
        pod_identity: Settings of Pod Identity, if any.
        pod_labels: Labels of the app's pods, as far as they decide where pods run; sorted.
        renamed_from: Earlier names of the app, the first one first.
        suppress: Findings that the author accepts.
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
    paths: tuple[PathEntry, ...] = ()
    chain: ChainEntry | None = None
    pod_identity: PodIdentityEntry | None = None
    pod_labels: tuple[tuple[str, str], ...] = ()
    renamed_from: tuple[str, ...] = ()
    suppress: tuple[Suppression, ...] = field(default=(), compare=False)
    at: Spot = field(compare=False)
    failover_at: Spot = field(compare=False)


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
