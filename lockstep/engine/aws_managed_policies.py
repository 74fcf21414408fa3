"""Customer managed policies and their attachment to roles: for apps whose access is too long for inline policies.

Source: AWS API reference of IAM (a policy has at most five versions; only versions that are not the default can be
deleted); property names and immutability as in pulumi-aws 7.51.
"""

from __future__ import annotations

from typing import Final

from lockstep.engine.aws_resource import AwsCall, AwsResource, Clients, given, tag_changes, tag_list
from lockstep.engine.resource_provider import ProviderError, ProviderObject
from lockstep.engine.values import Json, Properties


# ------------------------------------------------------------------------------------------------------- aws.iam.Policy
def _create_policy(clients: Clients, inputs: Properties) -> ProviderObject:
    answer = clients["iam"].create_policy(
        **given(
            PolicyName=inputs["name"],
            PolicyDocument=inputs["policy"],
            Path=inputs.get("path"),
            Description=inputs.get("description"),
            Tags=tag_list(inputs.get("tags")),
        )
    )
    return ProviderObject(id=answer["Policy"]["Arn"], outputs=_policy_facts(answer["Policy"]))


def _policy_facts(policy: AwsCall) -> dict[str, Json]:
    return {"arn": policy["Arn"], "policyId": policy["PolicyId"]}


def _read_policy(clients: Clients, object_id: str) -> ProviderObject:
    policy = clients["iam"].get_policy(PolicyArn=object_id)["Policy"]
    named = {"name": policy["PolicyName"], "path": policy["Path"]}
    return ProviderObject(id=object_id, outputs={**named, **_policy_facts(policy)})


def _update_policy(clients: Clients, prior: Properties, inputs: Properties) -> None:
    iam, arn = clients["iam"], prior["arn"]
    if prior.get("policy") != inputs["policy"]:
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=inputs["policy"], SetAsDefault=True)
        _delete_other_versions(clients, str(arn))
    gone, put = tag_changes(prior, inputs)
    if gone:
        iam.untag_policy(PolicyArn=arn, TagKeys=gone)
    if put:
        iam.tag_policy(PolicyArn=arn, Tags=put)


def _delete_other_versions(clients: Clients, arn: str) -> None:
    """Keep the default version only: the sixth would be refused, and an old one still allows what it allowed."""
    for version in clients["iam"].list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            clients["iam"].delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])


def _delete_policy(clients: Clients, prior: Properties) -> None:
    _delete_other_versions(clients, str(prior["arn"]))
    clients["iam"].delete_policy(PolicyArn=prior["arn"])


POLICY: Final = AwsResource(
    sdk_class="iam.Policy",
    inputs=frozenset({"name", "policy", "path", "description", "tags"}),
    required=frozenset({"name", "policy"}),
    documents=frozenset({"policy"}),
    immutable=frozenset({"name", "path", "description"}),
    identity=frozenset({"name"}),
    defaults={"path": "/"},
    computed=frozenset({"arn", "policyId"}),
    create=_create_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
)


# ----------------------------------------------------------------------------------------- aws.iam.RolePolicyAttachment
def _attach(clients: Clients, inputs: Properties) -> ProviderObject:
    clients["iam"].attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
    return ProviderObject(id=f"{inputs['role']}/{inputs['policyArn']}", outputs={})


def _read_attachment(clients: Clients, object_id: str) -> ProviderObject:
    role, _, arn = object_id.partition("/")
    attached = clients["iam"].list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    if arn not in {policy["PolicyArn"] for policy in attached}:
        raise ProviderError(f"the role {role!r} has no policy {arn!r} attached. Fix: attach it, or correct the id")
    return ProviderObject(id=object_id, outputs={"role": role, "policyArn": arn})


def _update_attachment(clients: Clients, prior: Properties, inputs: Properties) -> None:
    """Nothing can change in place: role and policy are its identity."""


def _detach(clients: Clients, prior: Properties) -> None:
    clients["iam"].detach_role_policy(RoleName=prior["role"], PolicyArn=prior["policyArn"])


ROLE_POLICY_ATTACHMENT: Final = AwsResource(
    sdk_class="iam.RolePolicyAttachment",
    inputs=frozenset({"role", "policyArn"}),
    required=frozenset({"role", "policyArn"}),
    immutable=frozenset({"role", "policyArn"}),
    identity=frozenset({"role", "policyArn"}),
    defaults={},
    computed=frozenset(),
    create=_attach,
    read=_read_attachment,
    update=_update_attachment,
    delete=_detach,
)
