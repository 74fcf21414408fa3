"""The resource policy of a secret whose owner wants it: everybody but the readers of these specs is refused its value.

One Deny, of GetSecretValue only, by `aws:PrincipalArn`, so that nobody is locked out of the policy itself: the deployer
may always replace and delete it, and so may the account's administrators. AWS's own services are exempt. Readers of
other accounts are allowed in the same document, because a secret has one policy. Secrets Manager copies the policy to
replicas: in the failover regions of the restricting app the secret of the same name is one, and who reads it there is a
reader, whatever it reads here.

Not done here: whether a policy is there already. The Pulumi component looks at the secret at preview, and refuses a
policy with a statement that is not ours (`is_ours`) unless the spec says `adopt: true`.

Sources: Secrets Manager user guide, resource-based policies; IAM user guide, global condition keys
(`aws:PrincipalArn`, `aws:PrincipalIsAWSService`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from .access import AppAccess, SecretPolicy
from .arn import Arn, secret_pattern
from .environment import Environment
from .errors import ProblemList
from .grants import GET_SECRET_VALUE, Grant
from .iam import Condition, Effect, PolicyDocument, Statement
from .limits import SECRET_POLICY
from .region_reads import reads_of, regions_of
from .resource_policies import ReaderGrant, readers_policy
from .secret_match import is_same_secret, without_suffix
from .spec import AppName, AppVariant, ObjectEntry, RestrictEntry, Store

#: Every statement that Lockstep writes into a secret's policy has an id that begins so.
SID_PREFIX = "Lockstep"
_RULE = "A secret's resource policy is written by its owner's stack, once"


def is_ours(policy: str) -> bool:
    """Say whether every statement of a policy's JSON text is one of Lockstep's; an empty text is."""
    if not policy.strip():
        return True
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    listed = statements if isinstance(statements, list) else [statements]
    return all(isinstance(item, dict) and str(item.get("Sid", "")).startswith(SID_PREFIX) for item in listed)


def secret_policies(
    apps: Sequence[AppAccess],
    variants: Mapping[AppName, AppVariant],
    environment: Environment,
    problems: ProblemList,
) -> tuple[SecretPolicy, ...]:
    """Return the policies that the specs ask for, sorted by secret.

    Args:
        apps: Of the whole environment: all of them that read a secret stay readers of it.
        variants: By app, variables replaced.
        environment: The cluster, account and region.
        problems: SPEC031 where a policy cannot be written.
    """
    found: dict[str, SecretPolicy] = {}
    readers = _Readers(apps)
    for app in apps:
        for entry in variants[app.app].objects:
            if entry.restrict is None:
                continue
            before = len(problems)
            resource = _resource(entry.name, environment.region, environment)
            replicas = _replicas(resource, entry, variants[app.app], environment)
            reads = [read for copy in (resource, *replicas) for read in readers.of(copy)]
            _check_owner(entry, entry.restrict, app, reads, problems)
            _check(entry, entry.restrict, app, environment, problems)
            if any(is_same_secret(resource, other) for other in found):
                problems.add(entry.restrict.at, "SPEC031", f"{entry.name!r} is restricted twice", _RULE, "remove one")
            if len(problems) == before:
                document = _document(resource, entry.restrict, reads, environment)
                _check_size(entry, document, problems)
                found[resource] = SecretPolicy(
                    secret=entry.name,
                    resource=resource,
                    replicas=replicas,
                    owner=entry.owner or app.owner,
                    app=app.app,
                    document=document,
                    adopt=entry.restrict.adopt,
                    at=entry.restrict.at,
                )
    return tuple(found[resource] for resource in sorted(found))


class _Readers:
    """Who reads which secret, by its name: a fleet has many grants, and each restricted secret few readers."""

    def __init__(self, apps: Iterable[AppAccess]) -> None:
        self._by_name: defaultdict[str, list[ReaderGrant]] = defaultdict(list)
        for app in apps:
            for grant in app.grants:
                if grant.store is Store.SECRETS_MANAGER:
                    read = ReaderGrant(app=app.app, reader=app.reader_arn, grant=grant)
                    self._by_name[without_suffix(grant.resource)].append(read)

    def of(self, resource: str) -> list[ReaderGrant]:
        """Return the reads of one secret, by its name or whole ARN, in order of apps."""
        named = self._by_name.get(without_suffix(resource), [])
        return [read for read in named if is_same_secret(read.grant.resource, resource)]


def _check_owner(
    entry: ObjectEntry, restrict: RestrictEntry, app: AppAccess, reads: Iterable[ReaderGrant], problems: ProblemList
) -> None:
    at = restrict.at
    if not app.owner:
        problems.add(at, "SPEC031", f"the app {app.app!r} has no owner", _RULE, "write 'owner:' in the app")
    elif entry.owner and entry.owner != app.owner:
        what = f"{entry.name!r} belongs to {entry.owner!r}, the app to {app.owner!r}"
        problems.add(at, "SPEC031", what, _RULE, f"write 'restrict:' in a spec of {entry.owner!r}")
    else:
        others: dict[str, AppName] = {}
        for read in reads:
            if read.grant.owner not in {"", app.owner}:
                others.setdefault(read.grant.owner, read.app)
        for owner, other in sorted(others.items()):
            what = f"{entry.name!r} belongs to {app.owner!r} here, and to {owner!r} in the app {other!r}"
            fix = f"write 'restrict:' in a spec of {owner!r}, or 'owner: {app.owner}' in the entry of {other!r}"
            problems.add(at, "SPEC031", what, _RULE, fix)


def _check(
    entry: ObjectEntry, restrict: RestrictEntry, app: AppAccess, environment: Environment, problems: ProblemList
) -> None:
    at = restrict.at
    if environment.deployer_role is None:
        what = f"the environment {environment.name} names no deployer"
        rule = "Whoever deploys must never be refused, so the policy names that role"
        problems.add(at, "SPEC031", what, rule, "set lockstep:deployerRole to the role that runs `pulumi up`")
    arn = Arn.parse(entry.name)
    if arn is not None and arn.account != environment.account:
        what = f"{entry.name!r} belongs to the account {arn.account}"
        problems.add(at, "SPEC031", what, _RULE, "write 'restrict:' in a stack of that account")
    if entry.optional:
        rule = "A policy can only be put on a secret that exists"
        problems.add(at, "SPEC031", f"{entry.name!r} is optional", rule, "make it required, or remove 'restrict:'")
    if app.chain and arn is None and app.chain.account != environment.account:
        what = f"{entry.name!r} belongs to the account {app.chain.account} of the second role"
        problems.add(at, "SPEC031", what, _RULE, "write 'restrict:' in a stack of that account")


def _resource(name: str, region: str, environment: Environment) -> str:
    return secret_pattern(name, partition=environment.partition, region=region, account=environment.account)


def _replicas(resource: str, entry: ObjectEntry, variant: AppVariant, environment: Environment) -> tuple[str, ...]:
    """Return the secret in the failover regions, where the spec names no other one instead."""
    arn = Arn.parse(resource)
    reads = reads_of(entry, regions_of(variant, environment))[1:]
    replicas = [(read, str(arn.in_region(read.region))) for read in reads if arn]
    return tuple(
        replica for read, replica in replicas if is_same_secret(_resource(read.name, read.region, environment), replica)
    )


def _document(
    resource: str, restrict: RestrictEntry, reads: Sequence[ReaderGrant], environment: Environment
) -> PolicyDocument:
    outside = [
        ReaderGrant(app=AppName(""), reader=role, grant=_plain(resource, environment)) for role in restrict.readers
    ]
    foreign = [read for read in (*reads, *outside) if read.reader_account != environment.account]
    exempt = {read.reader for read in (*reads, *outside)} | {*restrict.break_glass, environment.deployer_role or ""}
    exempt |= {restrict.rotation_role} if restrict.rotation_role else set()
    deny = Statement(
        sid=f"{SID_PREFIX}DenyOthers",
        effect=Effect.DENY,
        principal=("AWS", "*"),
        actions=(GET_SECRET_VALUE,),
        resources=("*",),
        conditions=(
            Condition.of("ArnNotEquals", "aws:PrincipalArn", exempt),
            Condition.of("Bool", "aws:PrincipalIsAWSService", ["false"]),
        ),
    )
    return PolicyDocument(statements=(deny, *readers_policy(foreign, environment)))


def _plain(resource: str, environment: Environment) -> Grant:
    return Grant(store=Store.SECRETS_MANAGER, region=environment.region, resource=resource)


def _check_size(entry: ObjectEntry, document: PolicyDocument, problems: ProblemList) -> None:
    used = len(document.to_json())
    if entry.restrict and used > SECRET_POLICY.amount:
        what = f"the policy of {entry.name!r} takes {used:,} characters of {SECRET_POLICY.amount:,}"
        fix = "let fewer apps read this secret, or split it"
        problems.add(entry.restrict.at, "SPEC031", what, "A secret's resource policy has a limit", fix)
