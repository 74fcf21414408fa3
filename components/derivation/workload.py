"""The role of one workload: of an app, as it was derived, or of anything else that runs as a service account.

Not done here: what an app may read (derive.py). A platform's own controllers need roles too; they get the same exact
trust and the same names, and their statements are written by hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .access import AppAccess, NamedPolicy, PodIdentityAssociation
from .arn import cluster_arn, oidc_provider_arn, role_arn
from .derive import AUDIENCES
from .environment import Environment
from .iam import PolicyDocument, Statement
from .naming import role_name
from .spec import Identity
from .trust import irsa_trust, pod_identity_trust

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_NAME_RULE = "It is a DNS label: a-z, 0-9 and -"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRole:
    """What a workload's identity is made of. Everything is a literal, known at preview.

    Attributes:
        identity: IRSA or Pod Identity.
        audience: Of the token that goes with it.
        name: Of the role, at most 64 characters.
        path: IAM path.
        arn: Built, not looked up.
        permissions_boundary: ARN or None.
        description: Of the role.
        policies: All inline or all managed.
        policy_description: Of managed policies; it cannot change in place.
        association: For Pod Identity, else None.
    """

    identity: Identity
    audience: str
    name: str
    path: str
    arn: str
    permissions_boundary: str | None
    description: str
    trust: PolicyDocument
    policies: tuple[NamedPolicy, ...]
    policy_description: str
    association: PodIdentityAssociation | None


def role_of(access: AppAccess) -> WorkloadRole:
    """Return an app's role as it was derived."""
    return WorkloadRole(
        identity=access.identity,
        audience=access.audience,
        name=access.role_name,
        path=access.role_path,
        arn=access.role_arn,
        permissions_boundary=access.permissions_boundary,
        description=f"Secrets of {access.namespace}/{access.service_account} ({access.app}), derived by Lockstep",
        trust=access.trust,
        policies=access.policies,
        # A renamed app keeps its first name here.
        policy_description=f"Secrets of {access.first_name}, derived by Lockstep",
        association=access.association,
    )


def derive_role(
    environment: Environment,
    *,
    name: str,
    namespace: str,
    service_account: str,
    statements: tuple[Statement, ...],
    identity: Identity | None = None,
) -> WorkloadRole:
    """Derive the role of a workload that is no app of a spec, such as a controller of the platform.

    Args:
        environment: The cluster, account and region, path and boundary of roles.
        name: Of the workload; part of the role's name, so it must be no app's.
        namespace: Of its pods.
        service_account: That they run as.
        statements: What it may do; at least one.
        identity: None for the environment's default.

    Raises:
        ValueError: All that is wrong, a line each.
    """
    names = {"name": name, "namespace": namespace, "service_account": service_account}
    problems = [
        f"derive_role.{argument}: {value!r} does not fit. {_NAME_RULE}. Fix: correct it"
        for argument, value in names.items()
        if not _LABEL.fullmatch(value)
    ]
    if not statements:
        problems.append("derive_role.statements: there is none. A role without rights helps nobody. Fix: write one")
    if problems:
        raise ValueError("\n".join(problems))
    kind = identity or environment.default_identity
    role = role_name(cluster=environment.cluster, region=environment.region, app=name)
    place = {"partition": environment.partition, "account": environment.account}
    arn = role_arn(**place, path=environment.role_path, name=role)
    return WorkloadRole(
        identity=kind,
        audience=AUDIENCES[kind],
        name=role,
        path=environment.role_path,
        arn=arn,
        permissions_boundary=environment.permissions_boundary,
        description=f"{namespace}/{service_account} ({name}), made by Lockstep",
        trust=_trust(environment, kind, namespace, service_account),
        policies=(NamedPolicy(name=name, document=PolicyDocument(statements=statements)),),
        policy_description=f"{name}, made by Lockstep",
        association=PodIdentityAssociation(
            cluster=environment.cluster, namespace=namespace, service_account=service_account, role_arn=arn
        )
        if kind is Identity.POD_IDENTITY
        else None,
    )


def _trust(environment: Environment, kind: Identity, namespace: str, service_account: str) -> PolicyDocument:
    place = {"partition": environment.partition, "account": environment.account}
    if kind is Identity.IRSA:
        host = environment.issuer_host
        return irsa_trust(
            provider_arn=oidc_provider_arn(**place, issuer_host=host),
            issuer_host=host,
            namespace=namespace,
            service_account=service_account,
        )
    arn = cluster_arn(**place, region=environment.region, cluster=environment.cluster)
    return pod_identity_trust(
        account=environment.account, cluster_arn=arn, namespace=namespace, service_account=service_account
    )
