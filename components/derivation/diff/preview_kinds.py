"""The kinds of resources of a preview that give access, by their Pulumi types, and the properties that say to whom.

Not done here: what such a resource means (preview_documents.py).

Source: property names of pulumi-aws 7 and pulumi-kubernetes 4.
"""

from __future__ import annotations

ROLE, POLICY = "aws:iam/role:Role", "aws:iam/policy:Policy"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
SERVICE_ACCOUNT = "kubernetes:core/v1:ServiceAccount"
CLASS_KIND = ":SecretProviderClass"
COMPONENT = ":AppAccess"
#: Inline policies: type → the property that names the holder, and what a holder is called.
INLINE = {
    "aws:iam/rolePolicy:RolePolicy": ("role", "role"),
    "aws:iam/userPolicy:UserPolicy": ("user", "user"),
    "aws:iam/groupPolicy:GroupPolicy": ("group", "group"),
}
ATTACHED = {
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("role", "role"),
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": ("user", "user"),
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": ("group", "group"),
}
#: Lists of a holder that leave nothing else in place: type → the property that names the holder, its kind, the list.
ONLY_ATTACHED = {
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": ("roleName", "role", "policyArns"),
    "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive": ("userName", "user", "policyArns"),
    "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive": ("groupName", "group", "policyArns"),
}
ONLY_INLINE = {
    "aws:iam/rolePoliciesExclusive:RolePoliciesExclusive": ("roleName", "role", "policyNames"),
    "aws:iam/userPoliciesExclusive:UserPoliciesExclusive": ("userName", "user", "policyNames"),
    "aws:iam/groupPoliciesExclusive:GroupPoliciesExclusive": ("groupName", "group", "policyNames"),
}
#: One policy to many holders: property → what a holder is called.
ATTACHMENT = "aws:iam/policyAttachment:PolicyAttachment"
ATTACHED_TO = {"roles": "role", "users": "user", "groups": "group"}
#: Resource policies: type → property of what it hangs on, property of the policy.
RESOURCE_POLICIES = {
    "aws:secretsmanager/secretPolicy:SecretPolicy": ("secretArn", "policy"),
    "aws:secretsmanager/secret:Secret": ("arn", "policy"),
    "aws:kms/key:Key": ("arn", "policy"),
    "aws:kms/keyPolicy:KeyPolicy": ("keyId", "policy"),
    "aws:kms/replicaKey:ReplicaKey": ("arn", "policy"),
}
#: IAM types that give nobody access by themselves.
_HARMLESS = frozenset(
    {
        "aws:iam/accountAlias:AccountAlias",
        "aws:iam/accountPasswordPolicy:AccountPasswordPolicy",
        "aws:iam/group:Group",
        "aws:iam/instanceProfile:InstanceProfile",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "aws:iam/serviceLinkedRole:ServiceLinkedRole",
        "aws:iam/user:User",
    }
)
_JUDGED_FAMILIES = (
    "aws:iam/",
    "aws:kms/grant:",
    "aws:ssm/resourcePolicy:",
    "aws-native:eks:PodIdentityAssociation",
    "aws-native:iam:",
    "aws-native:kms:",
    "aws-native:secretsmanager:ResourcePolicy",
)


def is_unread(kind: str) -> bool:
    """Say whether a type may give access in a way that nobody here reads."""
    known = {ROLE, POLICY, ATTACHMENT, *INLINE, *ATTACHED, *ONLY_INLINE, *ONLY_ATTACHED, *RESOURCE_POLICIES}
    return kind not in known | _HARMLESS and kind.startswith(_JUDGED_FAMILIES)
