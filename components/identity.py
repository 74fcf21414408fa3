"""The AWS identity of one app: role, policies (inline, or managed when long) and, for Pod Identity, the association.

Not done here: what the role may do and who may assume it. Documents arrive finished, as literals; no policy is written
here and none depends on another resource.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from . import derivation


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadIdentityArgs:
    """Arguments of `WorkloadIdentity`.

    Attributes:
        access: What `derive` gave for the app.
        cluster: The cluster, if the stack makes it; an association is placed after it.
    """

    access: derivation.AppAccess
    cluster: pulumi.Resource | None = None


class WorkloadIdentity(pulumi.ComponentResource):
    """Places one app's role.

    Attributes:
        association: None for IRSA, where the service account's annotation and the trust do the same.
    """

    role: aws.iam.Role
    policies: tuple[pulumi.Resource, ...]
    association: aws.eks.PodIdentityAssociation | None

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        access = args.access
        inputs = {"identity": str(access.identity.value), "roleArn": access.role_arn}
        super().__init__("lockstep:index:WorkloadIdentity", name, inputs, opts)
        self.role = aws.iam.Role(
            name,
            name=access.role_name,
            path=access.role_path,
            permissions_boundary=access.permissions_boundary,
            assume_role_policy=access.trust.to_json(),
            description=f"Secrets of {access.namespace}/{access.service_account} ({access.app}), derived by Lockstep",
            opts=pulumi.ResourceOptions(parent=self),
        )
        # `role.name` is the literal from above, known at preview. Taken from the resource it also says that a replaced
        # role takes its policies with it, so that they are placed again.
        self.policies = tuple(
            self._managed(policy, access) if policy.arn else self._inline(name, policy) for policy in access.policies
        )
        self.association = None
        if access.association is not None:
            self.association = aws.eks.PodIdentityAssociation(
                name,
                cluster_name=access.association.cluster,
                namespace=access.association.namespace,
                service_account=access.association.service_account,
                # The literal, not the role's output: which role a pod gets is known at preview.
                role_arn=access.association.role_arn,
                policy=access.association.policy and access.association.policy.to_json(),
                disable_session_tags=access.association.disable_session_tags or None,
                target_role_arn=access.association.target_role_arn or None,
                opts=pulumi.ResourceOptions(
                    parent=self, depends_on=[self.role, *([args.cluster] if args.cluster is not None else [])]
                ),
            )
        self.register_outputs({"roleArn": access.role_arn})

    def _inline(self, name: str, policy: derivation.NamedPolicy) -> pulumi.Resource:
        inline: pulumi.Resource = aws.iam.RolePolicy(
            f"{name}-{policy.name}",
            name=policy.name,
            role=self.role.name,
            policy=policy.document.to_json(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return inline

    def _managed(self, policy: derivation.NamedPolicy, access: derivation.AppAccess) -> pulumi.Resource:
        document = aws.iam.Policy(
            policy.name,
            name=policy.name,
            path=access.role_path,
            policy=policy.document.to_json(),
            # A policy's description cannot change in place: a renamed app keeps its first name here.
            description=f"Secrets of {access.first_name}, derived by Lockstep",
            opts=pulumi.ResourceOptions(parent=self),
        )
        attachment: pulumi.Resource = aws.iam.RolePolicyAttachment(
            policy.name,
            role=self.role.name,
            # The literal, not the policy's output: what the role may do is known at preview.
            policy_arn=policy.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[document]),
        )
        return attachment

    @property
    def grants(self) -> list[pulumi.Resource]:
        """Everything that must be in place before a pod's mount can succeed."""
        association = [self.association] if self.association is not None else []
        return [self.role, *self.policies, *association]
