"""Who may assume a role: trust policies of the app's own role, and of the second role of a chain.

Sources: EKS user guide, IAM roles for service accounts (`sub` and `aud` with StringEquals); Pod Identity (service
principal `pods.eks.amazonaws.com`, confused deputy, session tags; target roles: `aws:RequestTag` of the tags, or
`sts:ExternalId` = region/account/cluster/namespace/service account where the tags are off). IAM user guide, external
ids, and global condition keys (`aws:PrincipalArn` is the role's ARN, whatever the session).
"""

from __future__ import annotations

from .iam import Condition, PolicyDocument, Statement

ASSUME_ROLE, TAG_SESSION = "sts:AssumeRole", "sts:TagSession"


def irsa_trust(*, provider_arn: str, issuer_host: str, namespace: str, service_account: str) -> PolicyDocument:
    """Return the trust of a role for service accounts: exactly one subject, exactly one audience."""
    subject = f"system:serviceaccount:{namespace}:{service_account}"
    statement = Statement(
        sid="AssumeByServiceAccount",
        principal=("Federated", provider_arn),
        actions=("sts:AssumeRoleWithWebIdentity",),
        conditions=(
            Condition.of("StringEquals", f"{issuer_host}:aud", ["sts.amazonaws.com"]),
            Condition.of("StringEquals", f"{issuer_host}:sub", [subject]),
        ),
    )
    return PolicyDocument(statements=(statement,))


def pod_identity_trust(
    *, account: str, cluster_arn: str, namespace: str, service_account: str, session_tags: bool = True
) -> PolicyDocument:
    """Return the trust of a role for EKS Pod Identity, bound to one cluster and one service account.

    The association names the service account as well; the tags hold even when somebody associates the role elsewhere.
    Without session tags EKS sends nothing that names it, so the trust then binds the cluster only.
    """
    tags = {"kubernetes-namespace": namespace, "kubernetes-service-account": service_account} if session_tags else {}
    statement = Statement(
        sid="AssumeByPodIdentity",
        principal=("Service", "pods.eks.amazonaws.com"),
        # The EKS user guide asks for both on every role for Pod Identity, session tags or not.
        actions=(ASSUME_ROLE, TAG_SESSION),
        conditions=(
            Condition.of("StringEquals", "aws:SourceAccount", [account]),
            Condition.of("StringEquals", "aws:SourceArn", [cluster_arn]),
            *_tag_conditions("aws:RequestTag", tags),
        ),
    )
    return PolicyDocument(statements=(statement,))


def second_role_trust(
    *, source_role: str, source_account_root: str, external_id: str, with_tags: bool, request_tags: dict[str, str]
) -> PolicyDocument:
    """Return what the second role of a chain must carry so that exactly one role can assume it.

    The account is the principal and `aws:PrincipalArn` names the role: a role as principal must exist before, and is
    lost when it is made again.

    Args:
        source_role: ARN of the app's own role.
        source_account_root: Principal of its account.
        external_id: "" for none.
        with_tags: Whether the session carries tags, which the second role must admit.
        request_tags: Tags that the call itself must carry, name to value.
    """
    principal = ("AWS", source_account_root)
    by_role = (Condition.of("ArnEquals", "aws:PrincipalArn", [source_role]),)
    tags = _tag_conditions("aws:RequestTag", request_tags)
    if not external_id:
        actions = (ASSUME_ROLE, TAG_SESSION) if with_tags else (ASSUME_ROLE,)
        both = Statement(sid="AssumeByRole", principal=principal, actions=actions, conditions=(*by_role, *tags))
        return PolicyDocument(statements=(both,))
    with_id = (Condition.of("StringEquals", "sts:ExternalId", [external_id]),)
    assume = Statement(
        sid="AssumeByRole", principal=principal, actions=(ASSUME_ROLE,), conditions=(*by_role, *with_id, *tags)
    )
    # Only AssumeRole carries the external id.
    tag = Statement(sid="TagByRole", principal=principal, actions=(TAG_SESSION,), conditions=by_role)
    return PolicyDocument(statements=(assume, tag) if with_tags else (assume,))


def principal_tag_conditions(*, cluster_arn: str, namespace: str, service_account: str) -> tuple[Condition, ...]:
    """Return what binds a statement to the tags of one service account's Pod Identity sessions."""
    tags = {
        "eks-cluster-arn": cluster_arn,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": service_account,
    }
    return _tag_conditions("aws:PrincipalTag", tags)


def _tag_conditions(key: str, tags: dict[str, str]) -> tuple[Condition, ...]:
    return tuple(Condition.of("StringEquals", f"{key}/{name}", [value]) for name, value in sorted(tags.items()))
