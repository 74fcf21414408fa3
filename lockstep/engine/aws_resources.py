"""The AWS resource types that the embedded engine can place, one handler each.

Not done here: sessions, errors and the choice of a handler (aws_provider.py). A handler knows which inputs it places,
which of them cannot change in place, and the calls for create, read, update and delete. A type or an input that no
handler places is refused by the provider, so nothing is ever reported as done that was not done.

Source: AWS API reference of IAM and EKS; property names and immutability as in pulumi-aws 7.51.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lockstep.engine.aws_managed_policies import POLICY, ROLE_POLICY_ATTACHMENT
from lockstep.engine.aws_resource import AwsCall, AwsResource, Clients, given, tag_changes, tag_list
from lockstep.engine.aws_secret_policies import SECRET_POLICY
from lockstep.engine.resource_provider import ProviderError, ProviderObject
from lockstep.engine.values import Json, Properties


# --------------------------------------------------------------------------------------------------------- aws.iam.Role
def _create_role(clients: Clients, inputs: Properties) -> ProviderObject:
    answer = clients["iam"].create_role(
        **given(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Path=inputs.get("path"),
            Description=inputs.get("description"),
            MaxSessionDuration=inputs.get("maxSessionDuration"),
            PermissionsBoundary=inputs.get("permissionsBoundary"),
            Tags=tag_list(inputs.get("tags")),
        )
    )
    return ProviderObject(id=str(inputs["name"]), outputs=_role_facts(answer["Role"]))


def _role_facts(role: AwsCall) -> dict[str, Json]:
    return {"arn": role["Arn"], "uniqueId": role["RoleId"], "createDate": role["CreateDate"].isoformat()}


def _read_role(clients: Clients, object_id: str) -> ProviderObject:
    role = clients["iam"].get_role(RoleName=object_id)["Role"]
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    facts = _role_facts(role) | given(name=object_id, path=role["Path"], permissionsBoundary=boundary)
    return ProviderObject(id=object_id, outputs=facts)


def _update_role(clients: Clients, prior: Properties, inputs: Properties) -> None:
    iam, name = clients["iam"], inputs["name"]
    if prior.get("assumeRolePolicy") != inputs["assumeRolePolicy"]:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=inputs["assumeRolePolicy"])
    if any(prior.get(key) != inputs.get(key) for key in ("description", "maxSessionDuration")):
        duration = inputs["maxSessionDuration"]
        iam.update_role(RoleName=name, Description=inputs.get("description") or "", MaxSessionDuration=duration)
    boundary = inputs.get("permissionsBoundary")
    if boundary and boundary != prior.get("permissionsBoundary"):
        iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    elif not boundary and prior.get("permissionsBoundary"):
        iam.delete_role_permissions_boundary(RoleName=name)
    gone, put = tag_changes(prior, inputs)
    if gone:
        iam.untag_role(RoleName=name, TagKeys=gone)
    if put:
        iam.tag_role(RoleName=name, Tags=put)


def _delete_role(clients: Clients, prior: Properties) -> None:
    clients["iam"].delete_role(RoleName=prior["name"])


ROLE: Final = AwsResource(
    sdk_class="iam.Role",
    inputs=frozenset(
        {"name", "assumeRolePolicy", "path", "description", "maxSessionDuration", "permissionsBoundary", "tags"}
    ),
    required=frozenset({"name", "assumeRolePolicy"}),
    documents=frozenset({"assumeRolePolicy"}),
    immutable=frozenset({"name", "path"}),
    identity=frozenset({"name"}),
    defaults={"path": "/", "maxSessionDuration": 3600},
    computed=frozenset({"arn", "uniqueId", "createDate"}),
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
)


# --------------------------------------------------------------------------------------------------- aws.iam.RolePolicy
def _put_role_policy(clients: Clients, inputs: Properties) -> ProviderObject:
    clients["iam"].put_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"])
    return ProviderObject(id=f"{inputs['role']}:{inputs['name']}", outputs={})


def _read_role_policy(clients: Clients, object_id: str) -> ProviderObject:
    role, _, name = object_id.partition(":")
    clients["iam"].get_role_policy(RoleName=role, PolicyName=name)
    return ProviderObject(id=object_id, outputs={"role": role, "name": name})


def _update_role_policy(clients: Clients, prior: Properties, inputs: Properties) -> None:  # noqa: ARG001 - the table's signature
    _put_role_policy(clients, inputs)


def _delete_role_policy(clients: Clients, prior: Properties) -> None:
    clients["iam"].delete_role_policy(RoleName=prior["role"], PolicyName=prior["name"])


ROLE_POLICY: Final = AwsResource(
    sdk_class="iam.RolePolicy",
    inputs=frozenset({"name", "role", "policy"}),
    required=frozenset({"name", "role", "policy"}),
    documents=frozenset({"policy"}),
    immutable=frozenset({"name", "role"}),
    identity=frozenset({"name", "role"}),
    defaults={},
    computed=frozenset(),
    create=_put_role_policy,
    read=_read_role_policy,
    update=_update_role_policy,
    delete=_delete_role_policy,
)


# ---------------------------------------------------------------------------------------- aws.iam.OpenIdConnectProvider
def _create_oidc(clients: Clients, inputs: Properties) -> ProviderObject:
    answer = clients["iam"].create_open_id_connect_provider(
        **given(
            Url=inputs["url"],
            ClientIDList=inputs["clientIdLists"],
            ThumbprintList=inputs.get("thumbprintLists"),
            Tags=tag_list(inputs.get("tags")),
        )
    )
    arn = answer["OpenIDConnectProviderArn"]
    return ProviderObject(id=arn, outputs={"arn": arn})


def _read_oidc(clients: Clients, object_id: str) -> ProviderObject:
    answer = clients["iam"].get_open_id_connect_provider(OpenIDConnectProviderArn=object_id)
    facts: dict[str, Json] = {"arn": object_id, "url": answer["Url"], "clientIdLists": answer["ClientIDList"]}
    return ProviderObject(id=object_id, outputs=facts)


def _update_oidc(clients: Clients, prior: Properties, inputs: Properties) -> None:
    iam, arn = clients["iam"], prior["arn"]
    before, after = _texts(prior.get("clientIdLists")), _texts(inputs.get("clientIdLists"))
    for client_id in sorted(after - before):
        iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=client_id)
    for client_id in sorted(before - after):
        iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=client_id)
    thumbprints = inputs.get("thumbprintLists")
    if thumbprints and thumbprints != prior.get("thumbprintLists"):
        iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=thumbprints)
    gone, put = tag_changes(prior, inputs)
    if gone:
        iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=gone)
    if put:
        iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=put)


def _texts(value: Json) -> set[str]:
    return {str(item) for item in value} if isinstance(value, list) else set()


def _delete_oidc(clients: Clients, prior: Properties) -> None:
    clients["iam"].delete_open_id_connect_provider(OpenIDConnectProviderArn=prior["arn"])


OPEN_ID_CONNECT_PROVIDER: Final = AwsResource(
    sdk_class="iam.OpenIdConnectProvider",
    inputs=frozenset({"url", "clientIdLists", "thumbprintLists", "tags"}),
    required=frozenset({"url", "clientIdLists"}),
    immutable=frozenset({"url"}),
    identity=frozenset({"url"}),
    defaults={},
    computed=frozenset({"arn"}),
    create=_create_oidc,
    read=_read_oidc,
    update=_update_oidc,
    delete=_delete_oidc,
)


# --------------------------------------------------------------------------------------- aws.eks.PodIdentityAssociation
def _create_association(clients: Clients, inputs: Properties) -> ProviderObject:
    answer = clients["eks"].create_pod_identity_association(
        **given(
            clusterName=inputs["clusterName"],
            namespace=inputs["namespace"],
            serviceAccount=inputs["serviceAccount"],
            roleArn=inputs["roleArn"],
            policy=inputs.get("policy"),
            disableSessionTags=inputs.get("disableSessionTags"),
            targetRoleArn=inputs.get("targetRoleArn"),
            tags=inputs.get("tags"),
        )
    )
    return _association_object(answer["association"])


def _association_object(association: AwsCall) -> ProviderObject:
    facts: dict[str, Json] = {
        "associationArn": association["associationArn"],
        "associationId": association["associationId"],
        "externalId": association.get("externalId", ""),
    }
    return ProviderObject(id=association["associationId"], outputs=facts)


def _read_association(clients: Clients, object_id: str) -> ProviderObject:
    cluster, _, association_id = object_id.partition(",")
    if not association_id:
        raise ProviderError(f"{object_id!r} is not `<cluster>,<association id>`. Fix: write it so")
    answer = clients["eks"].describe_pod_identity_association(clusterName=cluster, associationId=association_id)
    found = answer["association"]
    named = {key: found[key] for key in ("clusterName", "namespace", "serviceAccount", "roleArn")}
    return ProviderObject(id=association_id, outputs={**named, **_association_object(found).outputs})


def _update_association(clients: Clients, prior: Properties, inputs: Properties) -> None:
    eks = clients["eks"]
    settings: dict[str, Json] = {"roleArn": "", "policy": "", "disableSessionTags": False, "targetRoleArn": ""}
    # What is left out stays as it is, so a setting that is taken away is sent empty.
    wanted = {key: inputs.get(key) or empty for key, empty in settings.items()}
    changed = {key: value for key, value in wanted.items() if (prior.get(key) or settings[key]) != value}
    if changed:
        eks.update_pod_identity_association(
            clusterName=inputs["clusterName"], associationId=prior["associationId"], **changed
        )
    gone, put = tag_changes(prior, inputs)
    if gone:
        eks.untag_resource(resourceArn=prior["associationArn"], tagKeys=gone)
    if put:
        eks.tag_resource(resourceArn=prior["associationArn"], tags={item["Key"]: item["Value"] for item in put})


def _delete_association(clients: Clients, prior: Properties) -> None:
    clients["eks"].delete_pod_identity_association(
        clusterName=prior["clusterName"], associationId=prior["associationId"]
    )


POD_IDENTITY_ASSOCIATION: Final = AwsResource(
    sdk_class="eks.PodIdentityAssociation",
    inputs=frozenset(
        {
            "clusterName",
            "namespace",
            "serviceAccount",
            "roleArn",
            "policy",
            "disableSessionTags",
            "targetRoleArn",
            "tags",
        }
    ),
    documents=frozenset({"policy"}),
    required=frozenset({"clusterName", "namespace", "serviceAccount", "roleArn"}),
    immutable=frozenset({"clusterName", "namespace", "serviceAccount"}),
    identity=frozenset({"clusterName", "namespace", "serviceAccount"}),
    defaults={},
    computed=frozenset({"associationArn", "associationId", "externalId"}),
    create=_create_association,
    read=_read_association,
    update=_update_association,
    delete=_delete_association,
)

#: Every type that can be placed, by Pulumi's token.
RESOURCES: Final[Mapping[str, AwsResource]] = {
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": POD_IDENTITY_ASSOCIATION,
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": OPEN_ID_CONNECT_PROVIDER,
    "aws:iam/policy:Policy": POLICY,
    "aws:iam/role:Role": ROLE,
    "aws:iam/rolePolicy:RolePolicy": ROLE_POLICY,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ROLE_POLICY_ATTACHMENT,
    "aws:secretsmanager/secretPolicy:SecretPolicy": SECRET_POLICY,
}
