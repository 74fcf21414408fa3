"""Does one statement apply to a request: its principal, its action, its resource and its conditions.

Source: IAM user guide, "Principal" (an account or its root stands for everyone whom that account lets; a role stands
for its sessions), "NotPrincipal", "Action" (case does not matter), "Resource".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from .conditions import Asked, holds, without_value
from .patterns import Extent, expand
from .policy_source import Choice, ParsedStatement, PolicySource, Principals
from .requests import Principal, PrincipalKind, Request
from .verdicts import Unclear, Verdict, all_of, any_of, negation

_ROOT = re.compile(r"arn:[^:]+:iam::(?P<account>[0-9]{12}):root")


class Naming(StrEnum):
    """How a statement's principal names whoever asks; more exact ones first."""

    SESSION = "the role's session"
    IDENTITY = "the role or user itself"
    EVERYONE = "everyone"
    ACCOUNT = "the whole account"


def applies(statement: ParsedStatement, source: PolicySource, request: Request, asked: Asked) -> Verdict:
    """Say whether a statement applies to a request."""
    return all_of(_parts(statement, source, request, asked))


def _parts(statement: ParsedStatement, source: PolicySource, request: Request, asked: Asked) -> Iterator[Verdict]:
    """Yield the verdict of each element, cheap ones first; nothing is asked after a no."""
    actions = _action(statement.actions, request.action)
    yield actions
    if actions is False:
        return
    if statement.resources is not None:
        resources = _resource(statement.resources, source, request, asked)
        yield resources
        if resources is False:
            return
    if statement.principals is not None:
        yield _principal(statement.principals, request.principal)
    for test in statement.tests:
        yield holds(test, asked, variables=source.variables)


def naming(principals: Principals, principal: Principal) -> frozenset[Naming]:
    """Return every way in which the element names whoever asks; empty when it does not."""
    names = principals.names.get(principal.kind.value, ())
    found: set[Naming] = set()
    if principals.everyone:
        found.add(Naming.EVERYONE)
    if principal.name in names:
        found.add(Naming.IDENTITY)
    if principal.kind is PrincipalKind.AWS:
        if principal.session and principal.session in names:
            found.add(Naming.SESSION)
        if any(_account_of(name) == principal.account for name in names):
            found.add(Naming.ACCOUNT)
    return frozenset(found)


def _account_of(name: str) -> str:
    root = _ROOT.fullmatch(name)
    return root["account"] if root else name


def _action(choice: Choice, action: str) -> Verdict:
    matches = any(_matches_action(value, action) for value in choice.values)
    return matches is not choice.is_negated


def _matches_action(value: str, action: str) -> bool:
    pattern = expand(value, {}, variables=False)
    assert not isinstance(pattern, Unclear)  # noqa: S101 - without variables every text is a pattern
    return pattern is not None and pattern.matches(action, ignore_case=True)


def _resource(choice: Choice, source: PolicySource, request: Request, asked: Asked) -> Verdict:
    verdict = any_of(_matches_resource(value, source, request, asked) for value in choice.values)
    return negation(verdict) if choice.is_negated else verdict


def _matches_resource(value: str, source: PolicySource, request: Request, asked: Asked) -> Verdict:
    if value == "*":
        return True
    pattern = expand(value, asked.context, variables=source.variables)
    if pattern is None:
        return without_value(value, asked)
    return pattern if isinstance(pattern, Unclear) else pattern.matches(request.resource, Extent.RESOURCE)


def _principal(principals: Principals, principal: Principal) -> Verdict:
    named = naming(principals, principal)
    if not principals.is_negated:
        return bool(named)
    if not named:
        return True
    # To spare a role, IAM wants the account, the role and the session named; it does not promise what fewer do.
    needed = {Naming.ACCOUNT, Naming.IDENTITY} | ({Naming.SESSION} if principal.session else set())
    if Naming.EVERYONE in named or principal.kind is not PrincipalKind.AWS or needed <= named:
        return False
    missing = ", ".join(sorted(needed - named))
    return Unclear(f"NotPrincipal names {principal.name} without {missing}, and IAM does not say what that spares")
