"""What follows from app specs in one environment, as values: `AppAccess` per app, `FleetAccess` for all of them.

Pulumi components place it, `lockstep render` prints it, and a diff compares two of it. Nothing here is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provider_runtime.secret_objects import SecretObject

from .environment import Environment
from .errors import Spot
from .grants import Grant
from .iam import PolicyDocument
from .packing import Headroom, PolicyKind
from .spec import AppName, Identity, Store

#: A Kubernetes manifest or a part of one: plain data in canonical order.
Manifest = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPolicy:
    """A policy of a role. An inline policy's name is unique in its role; a managed one has an ARN, a literal too."""

    name: str
    document: PolicyDocument
    kind: PolicyKind = PolicyKind.INLINE
    arn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIdentityAssociation:
    """An EKS Pod Identity association: pods of one service account get one role.

    Attributes:
        role_arn: The app's own role.
        policy: Bounds every session further (an intersection); None without. Goes with `disable_session_tags`.
        disable_session_tags: Whether EKS leaves out the tags that name cluster, namespace and service account.
        target_role_arn: A second role, whose credentials the pods get instead; "" without.
    """

    cluster: str
    namespace: str
    service_account: str
    role_arn: str
    policy: PolicyDocument | None = None
    disable_session_tags: bool = False
    target_role_arn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFile:
    """One file that the pod sees, as far as the spec tells: `keys: "*"` makes more, which only the value tells.

    Attributes:
        path: Below the mount.
        mode: Permission bits.
        store: Of the object.
        source: Name or ARN of the object.
        json_path: JMESPath of a JSON key; "" for other files.
        is_template: Whether it is made of other files.
        optional: Whether it is missing while the object is.
    """

    path: str
    mode: int
    store: Store
    source: str
    json_path: str = ""
    is_template: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One SecretProviderClass and the volume that mounts it.

    Attributes:
        name: "" for the default mount.
        path: Where the files appear in the container.
        class_name: The app's name, or `<app>-<mount>`.
        secret_provider_class: Manifest.
        volume: For the pod's `volumes`.
        volume_mount: For the container's `volumeMounts`.
        objects: What the provider will be asked for, in spec order.
        files: What the pod will see, sorted by path.
    """

    name: str
    path: str
    class_name: str
    secret_provider_class: Manifest
    volume: Manifest
    volume_mount: Manifest
    objects: tuple[SecretObject, ...]
    files: tuple[DerivedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChainAccess:
    """A second role that the app's own role assumes; it reads instead of it. Lockstep does not place it.

    Attributes:
        role_arn: The second role.
        account: Its account: names without an ARN mean secrets of this account.
        external_id: What its trust asks for; "" for nothing.
        trust: What it must carry so that exactly this app can assume it.
        permissions: What it must allow: the app's grants.
    """

    role_arn: str
    account: str
    external_id: str
    trust: PolicyDocument
    permissions: PolicyDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAccess:
    """What one app gets in one environment.

    Attributes:
        app: The spec's app.
        owner: Who answers for it; "" when the spec does not say.
        environment: The environment's name.
        namespace: Of the pods, the service account and the SecretProviderClass.
        service_account: Its name.
        identity: IRSA or Pod Identity.
        audience: Of the token that the driver must ask for.
        role_name: At most 64 characters, unique in the account ignoring case.
        role_path: IAM path.
        role_arn: Built, not looked up.
        permissions_boundary: ARN or None.
        trust: Who may assume the role.
        grants: What the policies were made of, sorted, each once. With a chain: the permissions of the second role.
        policies: Policies of the role, all inline or all managed, in order of name.
        headroom: Room that they leave.
        chain: The second role, or None.
        association: For Pod Identity, else None.
        service_account_manifest: Manifest.
        mounts: One or more, the default one first, then by name.
        needs_sync: Whether the driver must be allowed to write Kubernetes Secrets.
        refresh_interval_seconds: How old a value may get; None means the stack's setting.
        guard: For the pod's `initContainers`: it holds the pod back while files are missing. None where the environment
            has none, or every object is optional.
        renamed_from: Earlier names of the app, so that its resources are kept.
        at: Place of the app in its spec.
        part_places: Places of its parts that have one: `second role`, `failover regions`, `class <name>` of a further
            mount, `Secret <name>`. What is read has its place in `grants`.
    """

    app: AppName
    owner: str
    environment: str
    namespace: str
    service_account: str
    identity: Identity
    audience: str
    role_name: str
    role_path: str
    role_arn: str
    permissions_boundary: str | None
    trust: PolicyDocument
    grants: tuple[Grant, ...]
    policies: tuple[NamedPolicy, ...]
    headroom: Headroom
    chain: RoleChainAccess | None
    association: PodIdentityAssociation | None
    service_account_manifest: Manifest
    mounts: tuple[Mount, ...]
    needs_sync: bool
    refresh_interval_seconds: int | None
    guard: Manifest | None
    renamed_from: tuple[str, ...]
    at: Spot = field(compare=False)
    part_places: Mapping[str, Spot] = field(compare=False)

    @property
    def objects(self) -> tuple[SecretObject, ...]:
        """What the provider will be asked for, over all mounts."""
        return tuple(item for mount in self.mounts for item in mount.objects)

    @property
    def files(self) -> tuple[DerivedFile, ...]:
        """What the pod will see, over all mounts; paths are below each mount's own path."""
        return tuple(file for mount in self.mounts for file in mount.files)

    @property
    def first_name(self) -> str:
        """The app's earliest name, which its role, policies and classes keep."""
        return self.renamed_from[0] if self.renamed_from else self.app

    @property
    def reader_arn(self) -> str:
        """The role that reads: the second one of a chain, else the app's own."""
        return self.chain.role_arn if self.chain else self.role_arn


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPolicy:
    """The resource policy of one secret, written by its owner's stack.

    Attributes:
        secret: Name or ARN as the owner's spec has it, variables replaced.
        resource: The secret's ARN; ends in `-??????` where its suffix is unknown.
        replicas: The same in the regions to which AWS copies it, as far as the owner's spec tells.
        owner: Of the secret.
        app: The app whose spec asks for the policy.
        document: The policy.
        adopt: Whether a policy that is there already, and is not one of ours, may be replaced.
        at: Place of `restrict`.
    """

    secret: str
    resource: str
    owner: str
    app: AppName
    document: PolicyDocument
    adopt: bool
    replicas: tuple[str, ...] = ()
    at: Spot = field(compare=False)

    @property
    def resources(self) -> tuple[str, ...]:
        """What carries the policy: the secret itself, then its replicas."""
        return (self.resource, *self.replicas)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ForeignStatements:
    """What one object of another account must carry; this stack has no right to write it.

    Attributes:
        kind: `secret policy`, `parameter policy`, `key policy`, `role trust` or `role permissions`.
        resource: ARN of the object; a secret's ends in `-??????` where its suffix is unknown.
        document: The statements to add.
        apps: Who needs them, sorted.
    """

    kind: str
    resource: str
    document: PolicyDocument
    apps: tuple[AppName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignAccount:
    """Everything that one account must add for the apps of this stack, as one set.

    Attributes:
        account: 12 digits; this stack's own where a second role lives in it.
        statements: Sorted by kind and resource.
    """

    account: str
    statements: tuple[ForeignStatements, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAccess:
    """What all apps of one environment get, and what only all of them together show.

    Attributes:
        environment: The cluster, account and region.
        apps: Sorted by name.
        secret_policies: Resource policies that this stack writes, sorted by secret.
        foreign_accounts: What other accounts must add, sorted by account.
        deployer_policy: What the principal that runs `pulumi up` needs for these apps, in order of name.
    """

    environment: Environment
    apps: tuple[AppAccess, ...]
    secret_policies: tuple[SecretPolicy, ...] = ()
    foreign_accounts: tuple[ForeignAccount, ...] = ()
    deployer_policy: tuple[NamedPolicy, ...] = ()
