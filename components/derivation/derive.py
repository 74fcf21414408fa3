"""The one road from spec to access: `derive(spec, environment) -> AppAccess`.

Pure: the same spec and environment give the same bytes. What needs the environment is checked in resolve.py, IAM's
limits here; what needs all apps at once is in fleet.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from components.derivation.access import AppAccess, NamedPolicy, PodIdentityAssociation
from components.derivation.arn import (
    Arn,
    cluster_arn,
    oidc_provider_arn,
    parameter_arn,
    policy_arn,
    role_arn,
    secret_pattern,
)
from components.derivation.environment import Environment
from components.derivation.errors import ProblemList
from components.derivation.grants import Grant, policy_for, unique_grants
from components.derivation.iam import LIMITS, PolicyDocument, irsa_trust, pod_identity_trust
from components.derivation.manifests import service_account
from components.derivation.mounts import derive_mounts
from components.derivation.naming import managed_policy_name, role_name
from components.derivation.packing import DoesNotFitError, Packing, PolicyKind, pack
from components.derivation.resolve import resolve
from components.derivation.spec import AppSpec, AppVariant, Identity, ObjectEntry, Store

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
    identity = variant.identity or environment.default_identity
    name = role_name(cluster=environment.cluster, region=environment.region, app=variant.app)
    arn = role_arn(partition=environment.partition, account=environment.account, path=environment.role_path, name=name)
    trust = _trust(variant, identity, environment)
    grants = unique_grants(_grants(variant, environment))
    packing = _packed(variant, policy_for(grants, environment), trust, problems)
    association = PodIdentityAssociation(
        cluster=environment.cluster, namespace=variant.namespace, service_account=variant.service_account, role_arn=arn
    )
    return AppAccess(
        app=variant.app,
        owner=variant.owner,
        environment=environment.name,
        namespace=variant.namespace,
        service_account=variant.service_account,
        identity=identity,
        audience=AUDIENCES[identity],
        role_name=name,
        role_path=environment.role_path,
        role_arn=arn,
        permissions_boundary=environment.permissions_boundary,
        trust=trust,
        grants=grants,
        policies=tuple(_named(packing, name, environment)),
        headroom=packing.headroom,
        chain=None,
        association=association if identity is Identity.POD_IDENTITY else None,
        service_account_manifest=service_account(
            name=variant.service_account, namespace=variant.namespace, identity=identity, role_arn=arn
        ),
        mounts=derive_mounts(variant, identity, arn, environment),
        needs_sync=bool(variant.sync),
        refresh_interval_seconds=variant.refresh_interval_seconds,
        renamed_from=(),
    )


def _packed(variant: AppVariant, document: PolicyDocument, trust: PolicyDocument, problems: ProblemList) -> Packing:
    if trust.size() > LIMITS["trust policy"]:
        what = f"the app's trust takes {trust.size():,} characters of IAM's {LIMITS['trust policy']:,}"
        problems.add(variant.at, "SPEC025", what, "A trust policy has a limit", "shorten namespace or service account")
    try:
        packing = pack(document)
    except DoesNotFitError as error:
        what = (
            f"the app's access takes {error.used:,} characters in {error.documents} policies; a role carries "
            f"{LIMITS['managed policies per role']} of {LIMITS['managed policy']:,}"
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


# ---------------------------------------------------------------------------------------------------------- derivation


def _regions(variant: AppVariant, environment: Environment) -> tuple[str, ...]:
    return (environment.region, *variant.failover_regions)


def _grants(variant: AppVariant, environment: Environment) -> Iterator[Grant]:
    for entry in variant.objects:
        for region in _regions(variant, environment):
            yield _grant(entry, region, variant.owner, environment)


def _grant(entry: ObjectEntry, region: str, owner: str, environment: Environment) -> Grant:
    place = {"partition": environment.partition, "region": region, "account": environment.account}
    pattern = secret_pattern if entry.store is Store.SECRETS_MANAGER else parameter_arn
    return Grant(
        store=entry.store,
        region=region,
        resource=pattern(entry.name, **place),
        key=_key_in(entry, region),
        source=entry.name,
        owner=entry.owner or owner,
        at=entry.at,
    )


def _key_in(entry: ObjectEntry, region: str) -> str:
    keys = {key.region: key.arn for key in entry.kms_keys}
    if region in keys:
        return keys[region]
    single = Arn.parse(keys.get(None, ""))
    # A multi-Region key keeps its id; the reader refused any other single key beside failover regions.
    return str(single.in_region(region)) if single else ""


def _trust(variant: AppVariant, identity: Identity, environment: Environment) -> PolicyDocument:
    place = {"partition": environment.partition, "account": environment.account}
    who = {"namespace": variant.namespace, "service_account": variant.service_account}
    if identity is Identity.IRSA:
        provider = oidc_provider_arn(**place, issuer_host=environment.issuer_host)
        return irsa_trust(provider_arn=provider, issuer_host=environment.issuer_host, **who)
    cluster = cluster_arn(**place, region=environment.region, cluster=environment.cluster)
    return pod_identity_trust(account=environment.account, cluster_arn=cluster, **who)
