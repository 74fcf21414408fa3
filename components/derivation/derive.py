"""The one road from spec to access: `derive(spec, environment) -> AppAccess`.

Pure: the same spec and environment give the same bytes. What needs the environment is checked in resolve.py, IAM's
limits here; what needs all apps at once is in fleet.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from .access import AppAccess, Mount, NamedPolicy, PodIdentityAssociation
from .arn import absent_secret_arn, parameter_arn, policy_arn, secret_pattern
from .environment import Environment
from .errors import ProblemList, Spot
from .grants import Grant, policy_for, unique_grants
from .iam import Condition, PolicyDocument
from .identity import AppIdentity
from .limits import MANAGED_PER_ROLE, MANAGED_POLICY, SESSION_POLICY, TRUST_POLICY
from .manifests import service_account
from .mounts import derive_guard, derive_mounts
from .naming import managed_policy_name
from .packing import DoesNotFitError, Packing, PolicyKind, pack
from .region_reads import RegionRead, reads_of, regions_of
from .resolve import reader_account, resolve
from .spec import AppSpec, AppVariant, Identity, ObjectEntry, Store

AUDIENCES = {Identity.IRSA: "sts.amazonaws.com", Identity.POD_IDENTITY: "pods.eks.amazonaws.com"}


def derive(spec: AppSpec, environment: Environment) -> AppAccess:
    """Derive one app's access in one environment.

    Args:
        spec: As `load_specs` returns it.
        environment: The cluster, account and region.

    Returns:
        The access. Every object is granted in each region where it may be read, with its customer key; nothing else is.

    Raises:
        SpecErrors: What only shows in this environment, each problem at its line.
    """
    problems = ProblemList()
    variant = resolve(spec.for_environment(environment.name), environment, problems)
    problems.raise_if_any()
    return derive_resolved(variant, environment, problems)


def derive_resolved(variant: AppVariant, environment: Environment, problems: ProblemList) -> AppAccess:
    """Derive from a variant whose variables are replaced and checked; raises like `derive`."""
    identity = AppIdentity(variant, environment)
    grants = unique_grants(_grants(variant, environment))
    reads = _bound(policy_for(grants, environment), identity.session_conditions())
    trust, association = identity.trust(), identity.association(reads)
    _check_sizes(variant, trust, association, problems)
    mounts = derive_mounts(variant, identity.kind, identity.role_arn, environment)
    packing = _packed(variant, identity.own_policy(reads), problems)
    return AppAccess(
        app=variant.app,
        owner=variant.owner,
        environment=environment.name,
        namespace=variant.namespace,
        service_account=variant.service_account,
        identity=identity.kind,
        audience=AUDIENCES[identity.kind],
        role_name=identity.role_name,
        role_path=environment.role_path,
        role_arn=identity.role_arn,
        permissions_boundary=environment.permissions_boundary,
        trust=trust,
        grants=grants,
        policies=tuple(_named(packing, identity.role_name, environment)),
        headroom=packing.headroom,
        chain=identity.chain(reads),
        association=association,
        service_account_manifest=service_account(
            name=variant.service_account,
            namespace=variant.namespace,
            identity=identity.kind,
            role_arn=identity.role_arn,
        ),
        mounts=mounts,
        needs_sync=bool(variant.sync),
        refresh_interval_seconds=variant.refresh_interval_seconds,
        guard=derive_guard(mounts, environment),
        renamed_from=variant.renamed_from,
        at=variant.at,
        part_places=_part_places(variant, mounts),
    )


def _part_places(variant: AppVariant, mounts: Iterable[Mount]) -> dict[str, Spot]:
    """Return the places of an app's parts; see `AppAccess.part_places`."""
    second = variant.chain or (
        variant.pod_identity if variant.pod_identity and variant.pod_identity.target_role else None
    )
    by_name = {entry.name: entry.at for entry in variant.mounts}
    return {
        **({"second role": second.at} if second else {}),
        **({"failover regions": variant.failover_at} if variant.failover_regions else {}),
        **{f"class {mount.class_name}": by_name[mount.name] for mount in mounts if mount.name in by_name},
        **{f"Secret {entry.secret}": entry.at for entry in variant.sync},
    }


# -------------------------------------------------------------------------------------------------------------- grants
def _grants(variant: AppVariant, environment: Environment) -> Iterator[Grant]:
    account = reader_account(variant, environment)
    regions = regions_of(variant, environment)
    for entry in variant.objects:
        for read in reads_of(entry, regions):
            yield _grant(entry, read, account, variant.owner, environment.partition)
    # The app's own SDK knows nothing of the provider's failover, so a path is read in the cluster's region only.
    place = {"partition": environment.partition, "region": environment.region, "account": account}
    for path in variant.paths:
        yield Grant(
            store=Store.PARAMETER_STORE,
            region=environment.region,
            resource=parameter_arn(path.path, **place),
            key=path.kms_key,
            is_path=True,
            source=path.path,
            owner=path.owner or variant.owner,
            at=path.at,
        )


def _grant(entry: ObjectEntry, read: RegionRead, account: str, owner: str, partition: str) -> Grant:
    is_secret = entry.store is Store.SECRETS_MANAGER
    arn_of = secret_pattern if is_secret else parameter_arn
    resource = arn_of(read.name, partition=partition, region=read.region, account=account)
    selector = read.selector
    return Grant(
        store=entry.store,
        region=read.region,
        resource=resource,
        key=read.key,
        stages=(selector.stage,) if selector.stage else (),
        version_id=selector.version_id,
        absent_as=absent_secret_arn(resource) if entry.optional and is_secret else "",
        source=read.name,
        owner=entry.owner or owner,
        at=entry.at,
    )


def _bound(document: PolicyDocument, conditions: tuple[Condition, ...]) -> PolicyDocument:
    if not conditions:
        return document
    statements = tuple(
        replace(statement, conditions=(*statement.conditions, *conditions)) for statement in document.statements
    )
    return PolicyDocument(statements=statements)


# -------------------------------------------------------------------------------------------------------------- limits
def _check_sizes(
    variant: AppVariant, trust: PolicyDocument, association: PodIdentityAssociation | None, problems: ProblemList
) -> None:
    if trust.size() > TRUST_POLICY.amount:
        what = f"the app's trust takes {trust.size():,} characters of IAM's {TRUST_POLICY.amount:,}"
        problems.add(variant.at, "SPEC025", what, "A trust policy has a limit", "shorten namespace or service account")
    policy = association.policy if association else None
    used = len(policy.to_json()) if policy else 0
    if variant.pod_identity and used > SESSION_POLICY.amount:
        what = f"the association's policy takes {used:,} characters of {SESSION_POLICY.amount:,}"
        fix = "write 'scope: role' or 'scope: sessionTags', or split the app into two"
        problems.add(variant.pod_identity.at, "SPEC025", what, "A session policy has a limit", fix)


def _packed(variant: AppVariant, document: PolicyDocument, problems: ProblemList) -> Packing:
    try:
        packing = pack(document)
    except DoesNotFitError as error:
        what = (
            f"the app's access takes {error.used:,} characters in {error.documents} policies; a role carries "
            f"{MANAGED_PER_ROLE.amount} of {MANAGED_POLICY.amount:,}"
        )
        problems.add(variant.at, "SPEC025", what, "A role's policies have a limit", "split the app into two")
        problems.raise_all()
    problems.raise_if_any()
    return packing


def _named(packing: Packing, role: str, environment: Environment) -> Iterator[NamedPolicy]:
    place = {"partition": environment.partition, "account": environment.account, "path": environment.role_path}
    for number, document in enumerate(packing.documents, start=1):
        if packing.kind is PolicyKind.INLINE:
            yield NamedPolicy(name="secrets", document=document)
        else:
            name = managed_policy_name(role, number)
            yield NamedPolicy(name=name, document=document, kind=packing.kind, arn=policy_arn(**place, name=name))
