"""The objects of an app to IAM statements: exact resources, and Decrypt bound to service and object.

Sources: Secrets Manager and Systems Manager in the service authorization reference (GetSecretValue, DescribeSecret and
GetParameters are authorised per secret and per parameter); KMS developer guide, `kms:ViaService` and
`kms:EncryptionContext:` (Secrets Manager encrypts with the context SecretARN, Parameter Store with PARAMETER_ARN).
The managed keys aws/secretsmanager and aws/ssm need no grant inside their account.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from components.derivation.arn import parameter_arn, secret_pattern
from components.derivation.environment import Environment
from components.derivation.iam import Condition, PolicyDocument, Statement
from components.derivation.spec import Store

_CONTEXT_KEY = {Store.SECRETS_MANAGER: "SecretARN", Store.PARAMETER_STORE: "PARAMETER_ARN"}
_SERVICE = {Store.SECRETS_MANAGER: "secretsmanager", Store.PARAMETER_STORE: "ssm"}
_ACTIONS = {
    Store.SECRETS_MANAGER: ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"),
    Store.PARAMETER_STORE: ("ssm:GetParameters",),
}
_READ_SID = {Store.SECRETS_MANAGER: "ReadSecrets", Store.PARAMETER_STORE: "ReadParameters"}
_DECRYPT_SID = {Store.SECRETS_MANAGER: "DecryptSecrets", Store.PARAMETER_STORE: "DecryptParameters"}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Grant:
    """Leave to read one object in one region; `key` is the customer key that decrypts it there, or "" for AWS's own.

    Attributes:
        store: Where it lives.
        region: Of the read.
        resource: IAM resource; ends in `-??????` where a secret's suffix is unknown.
        key: ARN or "".
    """

    store: Store
    region: str
    resource: str
    key: str = ""


def grant_for(name: str, store: Store, region: str, key: str, environment: Environment) -> Grant:
    """Return the grant for one object in one region; the name's variables are replaced."""
    place = {"partition": environment.partition, "region": region, "account": environment.account}
    resource = secret_pattern(name, **place) if store is Store.SECRETS_MANAGER else parameter_arn(name, **place)
    return Grant(store=store, region=region, resource=resource, key=key)


def policy_for(grants: Iterable[Grant], environment: Environment) -> PolicyDocument:
    """Return one document that allows exactly the given grants; equal sets of grants give equal documents."""
    unique = sorted(set(grants))
    statements: list[Statement] = []
    for store in Store:
        resources = tuple(grant.resource for grant in unique if grant.store is store)
        if resources:
            statements.append(Statement(sid=_READ_SID[store], actions=_ACTIONS[store], resources=resources))
    for store in Store:
        keys = sorted({(grant.region, grant.key) for grant in unique if grant.store is store and grant.key})
        for number, (region, key) in enumerate(keys, start=1):
            sid = f"{_DECRYPT_SID[store]}{number}"
            contexts = [g.resource for g in unique if (g.store, g.region, g.key) == (store, region, key)]
            statements.append(_decrypt(sid, store, region, key, contexts, environment))
    return PolicyDocument(statements=tuple(statements))


def _decrypt(sid: str, store: Store, region: str, key: str, contexts: list[str], environment: Environment) -> Statement:
    # Only StringLike reads the `?` of an unknown suffix; a known ARN is compared as it stands.
    operator = "StringLike" if any("?" in context for context in contexts) else "StringEquals"
    return Statement(
        sid=sid,
        actions=("kms:Decrypt",),
        resources=(key,),
        conditions=(
            Condition.of("StringEquals", "kms:ViaService", [f"{_SERVICE[store]}.{region}.{environment.dns_suffix}"]),
            Condition.of(operator, f"kms:EncryptionContext:{_CONTEXT_KEY[store]}", contexts),
        ),
    )
