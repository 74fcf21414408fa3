"""The identity of one app: its role's name and trust, its association, and the second role of a chain.

Not done here: what may be read (grants.py). With a second role the app's own role may only assume it; reading is the
second role's, which Lockstep does not place, so that its trust and permissions are derived for whoever does.
"""

from __future__ import annotations

from .access import PodIdentityAssociation, RoleChainAccess
from .arn import account_root, cluster_arn, oidc_provider_arn, role_arn
from .environment import Environment
from .iam import Condition, PolicyDocument, Statement
from .naming import role_name
from .resolve import reader_account, second_role
from .spec import AppVariant, Identity, PodIdentityScope
from .trust import (
    ASSUME_ROLE,
    TAG_SESSION,
    irsa_trust,
    pod_identity_trust,
    principal_tag_conditions,
    second_role_trust,
)


class AppIdentity:
    """What follows from an app's identity settings.

    Args:
        variant: Variables replaced and checked.
        environment: The cluster, account and region.
    """

    def __init__(self, variant: AppVariant, environment: Environment) -> None:
        self._variant = variant
        self._environment = environment
        self.kind = variant.identity or environment.default_identity
        # A renamed app keeps the role that it has: a role cannot be renamed, only made again.
        first_name = (variant.renamed_from or (variant.app,))[0]
        self.role_name = role_name(cluster=environment.cluster, region=environment.region, app=first_name)
        self.role_arn = role_arn(
            partition=environment.partition,
            account=environment.account,
            path=environment.role_path,
            name=self.role_name,
        )
        self.second_role = second_role(variant)
        settings = variant.pod_identity if self.kind is Identity.POD_IDENTITY else None
        self._scope = settings.scope if settings else PodIdentityScope.ROLE
        self._is_assumed_by_eks = bool(settings and settings.target_role)
        self.has_session_tags = (
            self.kind is Identity.POD_IDENTITY and self._scope is not PodIdentityScope.SESSION_POLICY
        )

    @property
    def _cluster_arn(self) -> str:
        environment = self._environment
        return cluster_arn(
            partition=environment.partition,
            region=environment.region,
            account=environment.account,
            cluster=environment.cluster,
        )

    def trust(self) -> PolicyDocument:
        """Return who may assume the app's own role."""
        variant, environment = self._variant, self._environment
        if self.kind is Identity.IRSA:
            provider = oidc_provider_arn(
                partition=environment.partition, account=environment.account, issuer_host=environment.issuer_host
            )
            return irsa_trust(
                provider_arn=provider,
                issuer_host=environment.issuer_host,
                namespace=variant.namespace,
                service_account=variant.service_account,
            )
        return pod_identity_trust(
            account=environment.account,
            cluster_arn=self._cluster_arn,
            namespace=variant.namespace,
            service_account=variant.service_account,
            session_tags=self.has_session_tags,
        )

    def session_conditions(self) -> tuple[Condition, ...]:
        """Return what every statement is bound to beside its own conditions: the session's tags, where asked for."""
        if self.kind is not Identity.POD_IDENTITY or self._scope is not PodIdentityScope.SESSION_TAGS:
            return ()
        return principal_tag_conditions(
            cluster_arn=self._cluster_arn,
            namespace=self._variant.namespace,
            service_account=self._variant.service_account,
        )

    def own_policy(self, reads: PolicyDocument) -> PolicyDocument:
        """Return what the app's own role may do: read, or assume the second role and nothing else."""
        if not self.second_role:
            return reads
        actions = (ASSUME_ROLE, TAG_SESSION) if self.has_session_tags else (ASSUME_ROLE,)
        statement = Statement(sid="AssumeSecondRole", actions=actions, resources=(self.second_role,))
        return PolicyDocument(statements=(statement,))

    def chain(self, reads: PolicyDocument) -> RoleChainAccess | None:
        """Return the second role with the trust and the permissions that it needs; None without one."""
        if not self.second_role:
            return None
        variant, environment = self._variant, self._environment
        external_id = variant.chain.external_id if variant.chain else ""
        request_tags: dict[str, str] = {}
        if self._is_assumed_by_eks and self.has_session_tags:
            request_tags = {
                "eks-cluster-arn": self._cluster_arn,
                "kubernetes-namespace": variant.namespace,
                "kubernetes-service-account": variant.service_account,
            }
        elif self._is_assumed_by_eks:
            place = (environment.region, environment.account, environment.cluster)
            external_id = "/".join((*place, variant.namespace, variant.service_account))
        trust = second_role_trust(
            source_role=self.role_arn,
            source_account_root=account_root(partition=environment.partition, account=environment.account),
            external_id=external_id,
            with_tags=self.has_session_tags,
            request_tags=request_tags,
        )
        return RoleChainAccess(
            role_arn=self.second_role,
            account=reader_account(variant, environment),
            external_id=external_id,
            trust=trust,
            permissions=reads,
        )

    def association(self, reads: PolicyDocument) -> PodIdentityAssociation | None:
        """Return the association of Pod Identity; None for IRSA."""
        if self.kind is not Identity.POD_IDENTITY:
            return None
        is_bounded = self._scope is PodIdentityScope.SESSION_POLICY
        # EKS applies the policy to the credentials that the pod gets: those of the target role where there is one.
        # A role that the provider assumes afterwards is outside of it, so there the policy bounds the assuming.
        policy = reads if self._is_assumed_by_eks else self.own_policy(reads)
        return PodIdentityAssociation(
            cluster=self._environment.cluster,
            namespace=self._variant.namespace,
            service_account=self._variant.service_account,
            role_arn=self.role_arn,
            policy=policy if is_bounded else None,
            disable_session_tags=is_bounded,
            target_role_arn=self.second_role if self._is_assumed_by_eks else "",
        )
