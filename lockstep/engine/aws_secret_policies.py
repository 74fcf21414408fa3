"""Resource policies of secrets, and the lookup of a secret that comes before them.

Source: AWS API reference of Secrets Manager (PutResourcePolicy replaces the whole policy; a read after a delete answers
without one); property names and immutability as in pulumi-aws 7.51.
"""

from __future__ import annotations

from typing import Final

from lockstep.engine.aws_resource import AwsResource, Clients, given
from lockstep.engine.resource_provider import ProviderObject
from lockstep.engine.values import Json, Properties


def _put(clients: Clients, inputs: Properties) -> ProviderObject:
    answer = clients["secretsmanager"].put_resource_policy(
        **given(
            SecretId=inputs["secretArn"],
            ResourcePolicy=inputs["policy"],
            BlockPublicPolicy=inputs.get("blockPublicPolicy"),
        )
    )
    return ProviderObject(id=str(answer["ARN"]), outputs={})


def _read(clients: Clients, object_id: str) -> ProviderObject:
    answer = clients["secretsmanager"].get_resource_policy(SecretId=object_id)
    facts: dict[str, Json] = {"secretArn": str(answer["ARN"]), "policy": str(answer.get("ResourcePolicy", ""))}
    return ProviderObject(id=object_id, outputs=facts)


def _update(clients: Clients, prior: Properties, inputs: Properties) -> None:  # noqa: ARG001 - the table's signature
    _put(clients, inputs)


def _delete(clients: Clients, prior: Properties) -> None:
    clients["secretsmanager"].delete_resource_policy(SecretId=prior["secretArn"])


SECRET_POLICY: Final = AwsResource(
    sdk_class="secretsmanager.SecretPolicy",
    inputs=frozenset({"secretArn", "policy", "blockPublicPolicy"}),
    required=frozenset({"secretArn", "policy"}),
    documents=frozenset({"policy"}),
    immutable=frozenset({"secretArn"}),
    identity=frozenset({"secretArn"}),
    defaults={},
    computed=frozenset(),
    create=_put,
    read=_read,
    update=_update,
    delete=_delete,
)


def get_secret(clients: Clients, arguments: Properties) -> Properties:
    """Answer `getSecret`: by name or ARN, with the policy as JSON text ("" without one)."""
    client, wanted = clients["secretsmanager"], arguments.get("arn") or arguments.get("name")
    secret = client.describe_secret(SecretId=wanted)
    policy = client.get_resource_policy(SecretId=secret["ARN"]).get("ResourcePolicy", "")
    return {
        "id": secret["ARN"],
        "arn": secret["ARN"],
        "name": secret["Name"],
        "description": secret.get("Description", ""),
        "kmsKeyId": secret.get("KmsKeyId", ""),
        "policy": policy,
    }
