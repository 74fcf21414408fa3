"""The least that the principal which runs `pulumi up` needs for the apps of one environment.

Roles and policies of the apps are named after cluster and region, below the environment's IAM path, so that the grants
are the patterns of those names and a new app needs no new leave. PassRole is bound to those roles and to Pod Identity.
Where the environment has a boundary, no role can be made without it. Neither the boundary nor the deployer's own role
may be named so that these patterns match them: `Environment` refuses such names.

Not done here: what the platform itself needs (driver, provider, cluster access): that goes through the Kubernetes API,
and `eks:DescribeCluster` finds it.

Sources: service authorization reference of IAM, EKS and Secrets Manager; IAM user guide (`iam:PassedToService`,
`iam:PermissionsBoundary`, `iam:PolicyARN`); the calls are those of the AWS provider of Pulumi for the resource types
that the components place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .access import AppAccess, NamedPolicy, SecretPolicy
from .arn import cluster_arn, oidc_provider_arn, policy_arn
from .environment import Environment
from .iam import Condition, PolicyDocument, Statement
from .naming import deployer_policy_name
from .packing import PolicyKind, pack_managed
from .spec import Identity

_READ_ROLE = (
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
)
_CHANGE_ROLE = (
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
)
#: Calls that IAM lets one bind to a permissions boundary.
_BOUNDED_ROLE = ("iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy")
_MANAGED = (
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListPolicyVersions",
    "iam:TagPolicy",
    "iam:UntagPolicy",
)
_OIDC = (
    "iam:AddClientIDToOpenIDConnectProvider",
    "iam:CreateOpenIDConnectProvider",
    "iam:DeleteOpenIDConnectProvider",
    "iam:GetOpenIDConnectProvider",
    "iam:RemoveClientIDFromOpenIDConnectProvider",
    "iam:TagOpenIDConnectProvider",
    "iam:UntagOpenIDConnectProvider",
    "iam:UpdateOpenIDConnectProviderThumbprint",
)
_ASSOCIATION = (
    "eks:DeletePodIdentityAssociation",
    "eks:DescribePodIdentityAssociation",
    "eks:TagResource",
    "eks:UntagResource",
    "eks:UpdatePodIdentityAssociation",
)
_SECRET_POLICY = (
    "secretsmanager:DeleteResourcePolicy",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetResourcePolicy",
    "secretsmanager:PutResourcePolicy",
)


def deployer_policy(
    apps: Sequence[AppAccess], policies: Iterable[SecretPolicy], environment: Environment
) -> tuple[NamedPolicy, ...]:
    """Return the managed policies to attach to the deployer, in order of name; () without apps."""
    if not apps:
        return ()
    statements = (*_roles(environment), *_cluster(apps, environment), *_secrets(policies))
    packing = pack_managed(PolicyDocument(statements=tuple(statements)))
    names = [
        deployer_policy_name(cluster=environment.cluster, region=environment.region, number=number)
        for number in range(1, len(packing.documents) + 1)
    ]
    place = {"partition": environment.partition, "account": environment.account, "path": environment.role_path}
    return tuple(
        NamedPolicy(name=name, document=document, kind=PolicyKind.MANAGED, arn=policy_arn(**place, name=name))
        for name, document in zip(names, packing.documents, strict=True)
    )


def _roles(environment: Environment) -> Iterator[Statement]:
    roles, managed = environment.role_patterns, environment.policy_patterns
    yield _wide("ManageRoles", (*_READ_ROLE, *_CHANGE_ROLE), roles)
    bounded: tuple[Condition, ...] = ()
    if environment.permissions_boundary:
        bounded = (Condition.of("ArnEquals", "iam:PermissionsBoundary", [environment.permissions_boundary]),)
    else:
        # Without a boundary none is taken off, so that leave is not needed; with one it must not be.
        yield _wide("RemoveBoundary", ("iam:DeleteRolePermissionsBoundary",), roles)
    yield _wide("MakeRoles", _BOUNDED_ROLE, roles, *bounded)
    only_own = Condition.of("ArnLike", "iam:PolicyARN", managed)
    yield _wide("AttachPolicies", ("iam:AttachRolePolicy", "iam:DetachRolePolicy"), roles, only_own, *bounded)
    yield _wide("ManagePolicies", _MANAGED, managed)


def _cluster(apps: Sequence[AppAccess], environment: Environment) -> Iterator[Statement]:
    place = {"partition": environment.partition, "account": environment.account}
    cluster = cluster_arn(**place, region=environment.region, cluster=environment.cluster)
    yield Statement(sid="FindCluster", actions=("eks:DescribeCluster",), resources=(cluster,))
    kinds = {app.identity for app in apps}
    if Identity.IRSA in kinds and environment.creates_oidc_provider:
        issuer = oidc_provider_arn(**place, issuer_host=environment.issuer_host)
        yield Statement(sid="ManageOidcProvider", actions=_OIDC, resources=(issuer,))
    if Identity.POD_IDENTITY in kinds:
        yield Statement(sid="MakeAssociations", actions=("eks:CreatePodIdentityAssociation",), resources=(cluster,))
        associations = cluster.replace(":cluster/", ":podidentityassociation/", 1) + "/*"
        yield _wide("ManageAssociations", _ASSOCIATION, (associations,))
        to_eks = Condition.of("StringEquals", "iam:PassedToService", ["pods.eks.amazonaws.com"])
        yield _wide("PassRoles", ("iam:PassRole",), environment.role_patterns, to_eks)


def _secrets(policies: Iterable[SecretPolicy]) -> Iterator[Statement]:
    resources = tuple(policy.resource for policy in policies)
    if resources:
        yield Statement(sid="WriteSecretPolicies", actions=_SECRET_POLICY, resources=resources)


def _wide(sid: str, actions: tuple[str, ...], resources: tuple[str, ...], *conditions: Condition) -> Statement:
    return Statement(sid=sid, actions=actions, resources=resources, conditions=conditions, may_be_wide=True)
