"""The objects of an app to IAM statements: exact resources, and Decrypt bound to service and object.

Sources: Secrets Manager and Systems Manager in the service authorization reference (GetSecretValue, DescribeSecret and
GetParameters are authorised per secret and per parameter; the condition keys VersionStage and VersionId exist for
GetSecretValue only); Systems Manager user guide, how Parameter Store authorizes retrieval (GetParametersByPath: the
path as the request spells it, not the parameters that it returns); KMS developer guide, `kms:ViaService` and
`kms:EncryptionContext:` (Secrets Manager encrypts with the context SecretARN, Parameter Store with PARAMETER_ARN). The
managed keys aws/secretsmanager and aws/ssm need no grant inside their account.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from .arn import below, path_arns
from .environment import Environment
from .errors import Spot
from .iam import Condition, PolicyDocument, Statement
from .spec import Store

_CONTEXT_KEY = {Store.SECRETS_MANAGER: "SecretARN", Store.PARAMETER_STORE: "PARAMETER_ARN"}
SERVICES = {Store.SECRETS_MANAGER: "secretsmanager", Store.PARAMETER_STORE: "ssm"}
DESCRIBE_SECRET, GET_SECRET_VALUE = "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"
GET_PARAMETERS, GET_BY_PATH = "ssm:GetParameters", "ssm:GetParametersByPath"
DECRYPT = "kms:Decrypt"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Grant:
    """Leave to read one object in one region; `key` is the customer key that decrypts it there, or "" for AWS's own.

    Attributes:
        store: Where it lives.
        region: Of the read.
        resource: IAM resource; ends in `-??????` where a secret's suffix is unknown.
        key: ARN or "".
        stages: Values of the condition `secretsmanager:VersionStage`; () for none.
        version_id: Value of the condition `secretsmanager:VersionId`; "" for none. Never together with a stage.
        absent_as: The ARN that AWS asks about while no such secret exists, for an optional object; "" otherwise. Only
            with leave for it does AWS answer NotFound instead of a denial.
        is_path: Whether the app itself reads everything below the resource by path, and no mount reads it.
        source: Name, ARN or path as the spec asks for it in this region, variables replaced.
        owner: Who owns the object; "" unknown.
        at: Place in the spec.
    """

    store: Store
    region: str
    resource: str
    key: str = ""
    stages: tuple[str, ...] = ()
    version_id: str = ""
    absent_as: str = ""
    is_path: bool = False
    source: str = ""
    owner: str = ""
    at: Spot | None = field(default=None, compare=False)

    @property
    def extent(self) -> str:
        """IAM pattern of what may be read: the resource, or everything below a path."""
        return below(self.resource) if self.is_path else self.resource

    @property
    def is_conditional(self) -> bool:
        """Whether only one version may be read."""
        return bool(self.stages or self.version_id)


#: The order of grants, as a key: comparing them one by one builds both tuples at every comparison.
_IN_ORDER = attrgetter(*(item.name for item in fields(Grant) if item.compare))


def unique_grants(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Return equal grants once, sorted; of equal ones the first in the given order keeps its place in the spec."""
    found: dict[tuple[Any, ...], Grant] = {}
    for grant in grants:
        found.setdefault(_IN_ORDER(grant), grant)
    return tuple(found[key] for key in sorted(found))


def policy_for(grants: tuple[Grant, ...], environment: Environment) -> PolicyDocument:
    """Return one document that allows exactly the given grants, which are as `unique_grants` returns them."""
    reads = (*_read_secrets(grants), *_read_parameters(grants))
    return PolicyDocument(statements=(*reads, *decrypt_statements(grants, environment)))


def _read_secrets(grants: tuple[Grant, ...]) -> Iterator[Statement]:
    """Yield the plain reads, then the reads of one stage or version, then what may be described beside those.

    A conditional read of what may be read anyway adds nothing and is left out.
    """
    secrets = [grant for grant in grants if grant.store is Store.SECRETS_MANAGER]
    plain = {grant.resource for grant in secrets if not grant.is_conditional}
    pinned = [grant for grant in secrets if grant.resource not in plain]
    plain |= {grant.absent_as for grant in secrets if grant.absent_as}
    if plain:
        actions = (DESCRIBE_SECRET, GET_SECRET_VALUE)
        yield Statement(sid="ReadSecrets", actions=actions, resources=tuple(plain))
    yield from _read_versions("Stage", "VersionStage", ((g.resource, g.stages) for g in pinned))
    yield from _read_versions("Version", "VersionId", ((g.resource, (g.version_id,)) for g in pinned if g.version_id))
    if pinned:
        resources = tuple(grant.resource for grant in pinned)
        yield Statement(sid="DescribeSecretVersions", actions=(DESCRIBE_SECRET,), resources=resources)


def _read_versions(name: str, key: str, reads: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[Statement]:
    """Yield one statement for each set of values that some secrets are bound to: exact, and as few as can be."""
    by_secret: dict[str, set[str]] = {}
    for resource, values in reads:
        if values:
            by_secret.setdefault(resource, set()).update(values)
    by_values: dict[tuple[str, ...], list[str]] = {}
    for resource, found in by_secret.items():
        by_values.setdefault(tuple(sorted(found)), []).append(resource)
    for number, (values, resources) in enumerate(sorted(by_values.items()), start=1):
        yield Statement(
            sid=f"ReadSecret{name}{number}",
            actions=(GET_SECRET_VALUE,),
            resources=tuple(resources),
            conditions=(Condition.of("StringEquals", f"secretsmanager:{key}", values),),
        )


def _read_parameters(grants: tuple[Grant, ...]) -> Iterator[Statement]:
    parameters = [grant for grant in grants if grant.store is Store.PARAMETER_STORE]
    resources = tuple(grant.resource for grant in parameters if not grant.is_path)
    if resources:
        yield Statement(sid="ReadParameters", actions=(GET_PARAMETERS,), resources=resources)
    paths = tuple(form for grant in parameters if grant.is_path for form in path_arns(grant.resource))
    if paths:
        yield Statement(sid="ReadParameterPaths", actions=(GET_BY_PATH,), resources=paths)


def decrypt_statements(grants: tuple[Grant, ...], environment: Environment) -> Iterator[Statement]:
    """Yield one statement per store, region and customer key."""
    for store, name in ((Store.SECRETS_MANAGER, "DecryptSecrets"), (Store.PARAMETER_STORE, "DecryptParameters")):
        keys = sorted({(grant.region, grant.key) for grant in grants if grant.store is store and grant.key})
        for number, (region, key) in enumerate(keys, start=1):
            contexts = [g.extent for g in grants if (g.store, g.region, g.key) == (store, region, key)]
            yield Statement(
                sid=f"{name}{number}",
                actions=(DECRYPT,),
                resources=(key,),
                conditions=decrypt_conditions(store, region, contexts, environment),
            )


def decrypt_conditions(
    store: Store, region: str, contexts: Iterable[str], environment: Environment
) -> tuple[Condition, ...]:
    """Return what binds a Decrypt to a service in a region and to objects."""
    values = tuple(contexts)
    # Only StringLike reads the `?` of an unknown suffix and the `*` below a path; a known ARN is compared as it stands.
    operator = "StringLike" if any("?" in context or "*" in context for context in values) else "StringEquals"
    return (
        Condition.of("StringEquals", "kms:ViaService", [f"{SERVICES[store]}.{region}.{environment.dns_suffix}"]),
        Condition.of(operator, f"kms:EncryptionContext:{_CONTEXT_KEY[store]}", values),
    )
