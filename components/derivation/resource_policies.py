"""Statements that a secret, a parameter or a key must carry so that roles of another account can use it.

The reader's account is the principal and `aws:PrincipalArn` names the roles: a role as principal must exist before and
is lost when it is made again. A conditional read stays conditional on this side too.

Sources: Secrets Manager user guide, access from another account (identity policy, resource policy and key policy);
KMS developer guide, key policies for other accounts; Systems Manager user guide, sharing (advanced parameters, asked
for by their whole ARN).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .arn import Arn, account_root
from .environment import Environment
from .grants import (
    DECRYPT,
    DESCRIBE_SECRET,
    GET_PARAMETERS,
    GET_SECRET_VALUE,
    Grant,
    decrypt_conditions,
)
from .iam import Condition, PolicyDocument, Statement
from .spec import AppName, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderGrant:
    """A grant and who reads by it."""

    app: AppName
    reader: str
    grant: Grant

    @property
    def reader_account(self) -> str:
        """The account of the role that reads."""
        arn = Arn.parse(self.reader)
        return arn.account if arn else ""


def readers_policy(reads: Iterable[ReaderGrant], environment: Environment) -> tuple[Statement, ...]:
    """Return the statements of one secret or parameter for its readers, per account of theirs."""
    known = tuple(reads)
    statements: list[Statement] = []
    for account in sorted({read.reader_account for read in known}):
        own = [read for read in known if read.reader_account == account]
        statements += _account_statements(own, account, environment)
    return tuple(statements)


def _account_statements(reads: list[ReaderGrant], account: str, environment: Environment) -> Iterator[Statement]:
    principal = ("AWS", account_root(partition=environment.partition, account=account))
    if reads[0].grant.store is Store.PARAMETER_STORE:
        resource = reads[0].grant.resource
        conditions = (_by_roles(read.reader for read in reads),)
        yield Statement(
            sid=f"LockstepReaders{account}",
            principal=principal,
            actions=(GET_PARAMETERS,),
            resources=(resource,),
            conditions=conditions,
        )
        return
    plain = sorted({read.reader for read in reads if not read.grant.is_conditional})
    if plain:
        yield Statement(
            sid=f"LockstepReaders{account}",
            principal=principal,
            actions=(DESCRIBE_SECRET, GET_SECRET_VALUE),
            resources=("*",),
            conditions=(_by_roles(plain),),
        )
    pinned = [read for read in reads if read.reader not in plain]
    versions = sorted({(read.grant.stages, read.grant.version_id) for read in pinned})
    for number, (stages, version_id) in enumerate(versions, start=1):
        roles = [r.reader for r in pinned if (r.grant.stages, r.grant.version_id) == (stages, version_id)]
        key, values = ("VersionStage", stages) if stages else ("VersionId", (version_id,))
        yield Statement(
            sid=f"LockstepReaders{account}Version{number}",
            principal=principal,
            actions=(GET_SECRET_VALUE,),
            resources=("*",),
            conditions=(_by_roles(roles), Condition.of("StringEquals", f"secretsmanager:{key}", values)),
        )
    if pinned:
        yield Statement(
            sid=f"LockstepReaders{account}Describe",
            principal=principal,
            actions=(DESCRIBE_SECRET,),
            resources=("*",),
            conditions=(_by_roles(read.reader for read in pinned),),
        )


def key_policy(reads: Iterable[ReaderGrant], environment: Environment) -> PolicyDocument:
    """Return the statements of one key for roles of other accounts, one for each set of objects that roles decrypt."""
    by_reader: dict[tuple[str, Store, str], tuple[str, set[str]]] = {}
    for read in reads:
        place = (read.reader, read.grant.store, read.grant.region)
        by_reader.setdefault(place, (read.reader_account, set()))[1].add(read.grant.extent)
    by_objects: dict[tuple[str, Store, str, tuple[str, ...]], list[str]] = {}
    for (reader, store, region), (account, objects) in by_reader.items():
        by_objects.setdefault((account, store, region, tuple(sorted(objects))), []).append(reader)
    statements = [
        Statement(
            sid=f"LockstepDecrypt{number}",
            principal=("AWS", account_root(partition=environment.partition, account=account)),
            actions=(DECRYPT,),
            resources=("*",),
            conditions=(_by_roles(readers), *decrypt_conditions(store, region, objects, environment)),
        )
        for number, ((account, store, region, objects), readers) in enumerate(sorted(by_objects.items()), start=1)
    ]
    return PolicyDocument(statements=tuple(statements))


def _by_roles(roles: Iterable[str]) -> Condition:
    return Condition.of("ArnEquals", "aws:PrincipalArn", roles)
