"""The AWS identity of one workload: role, policies (inline, or managed when long), association of Pod Identity.

Not done here: what the role may do and who may assume it. Documents arrive finished, as literals (`role_of` an app's
access, `derive_role` for anything else); no policy is written here and none depends on another resource.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from . import derivation
from .arguments import CheckedArguments


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadIdentityArgs(CheckedArguments):
    """Arguments of `WorkloadIdentity`.

    Attributes:
        role: What `role_of` or `derive_role` gave.
        cluster: The cluster, if the stack makes it; an association is placed after it.
    """

    role: derivation.WorkloadRole
    cluster: pulumi.Resource | None = None


def name_inside(component: str, name: str) -> str:
    """Return the logical name of a child that has a name of its own, unique among all components of a type.

    A parent's name is no part of a URN. No name of IAM or Kubernetes has a slash, so no two pairs read the same.

    >>> name_inside("eu-shop", "shop-db")
    'eu-shop/shop-db'
    """
    return f"{component}/{name}"


class WorkloadIdentity(pulumi.ComponentResource):
    """Places one workload's role.

    Attributes:
        association: None for IRSA, where the service account's annotation and the trust do the same.
        grants: Everything that must be in place before a pod can use the role.
    """

    role: aws.iam.Role
    policies: tuple[pulumi.Resource, ...]
    association: aws.eks.PodIdentityAssociation | None
    grants: list[pulumi.Resource]

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        wanted = args.role
        inputs = {"identity": str(wanted.identity.value), "roleArn": wanted.arn}
        super().__init__("lockstep:index:WorkloadIdentity", name, inputs, opts)
        self.role = aws.iam.Role(
            name,
            name=wanted.name,
            path=wanted.path,
            permissions_boundary=wanted.permissions_boundary,
            assume_role_policy=wanted.trust.to_json(),
            description=wanted.description,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # `role.name` is the literal from above, known at preview. Taken from the resource it also says that a replaced
        # role takes its policies with it, so that they are placed again.
        self.policies = tuple(
            self._managed(name, policy, wanted) if policy.arn else self._inline(name, policy)
            for policy in wanted.policies
        )
        self.association = self._associate(name, wanted.association, args.cluster) if wanted.association else None
        self.grants = [self.role, *self.policies, *([self.association] if self.association is not None else [])]
        self.register_outputs({"roleArn": wanted.arn})

    def _associate(
        self, name: str, wanted: derivation.PodIdentityAssociation, cluster: pulumi.Resource | None
    ) -> aws.eks.PodIdentityAssociation:
        return aws.eks.PodIdentityAssociation(
            name,
            cluster_name=wanted.cluster,
            namespace=wanted.namespace,
            service_account=wanted.service_account,
            # The literal, not the role's output: which role a pod gets is known at preview.
            role_arn=wanted.role_arn,
            policy=wanted.policy and wanted.policy.to_json(),
            disable_session_tags=wanted.disable_session_tags or None,
            target_role_arn=wanted.target_role_arn or None,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self.role, *([cluster] if cluster is not None else [])]
            ),
        )

    def _inline(self, name: str, policy: derivation.NamedPolicy) -> pulumi.Resource:
        inline: pulumi.Resource = aws.iam.RolePolicy(
            f"{name}-{policy.name}",
            name=policy.name,
            role=self.role.name,
            policy=policy.document.to_json(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return inline

    def _managed(self, name: str, policy: derivation.NamedPolicy, wanted: derivation.WorkloadRole) -> pulumi.Resource:
        # The policy's own name alone was the logical one: what exists under it is kept.
        known = pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(name=policy.name)])
        document = aws.iam.Policy(
            name_inside(name, policy.name),
            name=policy.name,
            path=wanted.path,
            policy=policy.document.to_json(),
            description=wanted.policy_description,
            opts=known,
        )
        attachment: pulumi.Resource = aws.iam.RolePolicyAttachment(
            name_inside(name, policy.name),
            role=self.role.name,
            # The literal, not the policy's output: what the role may do is known at preview.
            policy_arn=policy.arn,
            opts=pulumi.ResourceOptions.merge(known, pulumi.ResourceOptions(depends_on=[document])),
        )
        return attachment
