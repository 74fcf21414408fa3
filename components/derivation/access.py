"""`AppAccess`: everything that follows from one app spec in one environment, as values.

Pulumi components place it, `lockstep render` prints it, and a diff compares two of it. Nothing here is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

from components.derivation.iam import PolicyDocument
from components.derivation.packing import Headroom, PolicyKind
from components.derivation.spec import AppName, Identity, Store
from provider_runtime.secret_objects import SecretObject

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
    """An EKS Pod Identity association: pods of one service account get one role."""

    cluster: str
    namespace: str
    service_account: str
    role_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFile:
    """One file that the pod sees. `path` is below the mount, `mode` permission bits, `json_path` "" for the whole."""

    path: str
    mode: int
    store: Store
    source: str
    json_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAccess:
    """What one app gets in one environment.

    Attributes:
        app: The spec's app.
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
        policies: Policies of the role, all inline or all managed, in order of name.
        headroom: Room that they leave.
        association: For Pod Identity, else None.
        secret_provider_class: Manifest.
        service_account_manifest: Manifest.
        volume: For the pod's `volumes`.
        volume_mount: For the container's `volumeMounts`.
        mount_path: Where the files appear.
        objects: What the provider will be asked for, in spec order.
        files: What the pod will see, sorted by path.
        needs_sync: Whether the driver must be allowed to write Kubernetes Secrets.
    """

    app: AppName
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
    policies: tuple[NamedPolicy, ...]
    headroom: Headroom
    association: PodIdentityAssociation | None
    secret_provider_class: Manifest
    service_account_manifest: Manifest
    volume: Manifest
    volume_mount: Manifest
    mount_path: str
    objects: tuple[SecretObject, ...]
    files: tuple[DerivedFile, ...]
    needs_sync: bool
