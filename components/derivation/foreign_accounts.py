"""What other accounts must add so that this stack's apps can read their secrets: emitted as one set per account.

Not done here: the identity policies of the apps' roles (grants.py), which are the third part of every such set. Second
roles belong to somebody else even in this stack's own account, so their trust and permissions are listed as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from .access import AppAccess, ForeignAccount, ForeignStatements
from .arn import account_in
from .environment import Environment
from .iam import PolicyDocument, Statement
from .resource_policies import ReaderGrant, key_policy, readers_policy
from .secret_match import is_same_secret
from .spec import AppName, Store

_KINDS = {Store.SECRETS_MANAGER: "secret policy", Store.PARAMETER_STORE: "parameter policy"}


def foreign_accounts(
    apps: Iterable[AppAccess], written_here: frozenset[str], environment: Environment
) -> tuple[ForeignAccount, ...]:
    """Return what each owning account must add.

    Args:
        apps: Of the whole environment.
        written_here: Resources of secrets whose policy this stack writes itself.
        environment: The cluster, account and region.
    """
    known = tuple(apps)
    reads = [read for app in known for read in _reads_elsewhere(app)]
    statements = [
        *_objects(reads, written_here, environment),
        *_keys(reads, environment),
        *_second_roles(known),
    ]
    by_account: defaultdict[str, list[ForeignStatements]] = defaultdict(list)
    for item in statements:
        by_account[account_in(item.resource)].append(item)
    return tuple(
        ForeignAccount(account=account, statements=tuple(sorted(found, key=lambda item: (item.kind, item.resource))))
        for account, found in sorted(by_account.items())
    )


def _reads_elsewhere(app: AppAccess) -> Iterator[ReaderGrant]:
    """Yield the few grants whose object or key another account than the reader's owns."""
    own = account_in(app.reader_arn)
    for grant in app.grants:
        if account_in(grant.resource) != own or (grant.key and account_in(grant.key) != own):
            yield ReaderGrant(app=app.app, reader=app.reader_arn, grant=grant)


def _objects(
    reads: list[ReaderGrant], written_here: frozenset[str], environment: Environment
) -> list[ForeignStatements]:
    by_object: defaultdict[tuple[Store, str], list[ReaderGrant]] = defaultdict(list)
    for read in reads:
        is_written_here = any(is_same_secret(read.grant.resource, other) for other in written_here)
        if account_in(read.grant.resource) != read.reader_account and not is_written_here:
            by_object[read.grant.store, read.grant.resource].append(read)
    return [
        ForeignStatements(
            kind=_KINDS[store],
            resource=resource,
            document=PolicyDocument(statements=readers_policy(found, environment)),
            apps=_apps(found),
        )
        for (store, resource), found in by_object.items()
    ]


def _keys(reads: list[ReaderGrant], environment: Environment) -> list[ForeignStatements]:
    by_key: defaultdict[str, list[ReaderGrant]] = defaultdict(list)
    for read in reads:
        if read.grant.key and account_in(read.grant.key) != read.reader_account:
            by_key[read.grant.key].append(read)
    return [
        ForeignStatements(kind="key policy", resource=key, document=key_policy(found, environment), apps=_apps(found))
        for key, found in by_key.items()
    ]


def _second_roles(apps: tuple[AppAccess, ...]) -> list[ForeignStatements]:
    """Return trust and permissions of every second role; apps that share one each add statements of their own."""
    by_role: defaultdict[str, list[AppAccess]] = defaultdict(list)
    for app in apps:
        if app.chain:
            by_role[app.chain.role_arn].append(app)
    found: list[ForeignStatements] = []
    for role, users in by_role.items():
        names = tuple(sorted(app.app for app in users))
        trusts = [app.chain.trust for app in users if app.chain]
        permissions = [app.chain.permissions for app in users if app.chain]
        for kind, documents in (("role trust", trusts), ("role permissions", permissions)):
            found.append(ForeignStatements(kind=kind, resource=role, document=_joined(documents), apps=names))
    return found


def _joined(documents: list[PolicyDocument]) -> PolicyDocument:
    """Put documents behind each other; a statement's id is unique in the result."""
    statements: list[Statement] = []
    for number, document in enumerate(documents, start=1):
        for statement in document.statements:
            sid = statement.sid if len(documents) == 1 else f"{statement.sid}App{number}"
            statements.append(replace(statement, sid=sid))
    return PolicyDocument(statements=tuple(statements))


def _apps(reads: Iterable[ReaderGrant]) -> tuple[AppName, ...]:
    return tuple(sorted({read.app for read in reads}))
