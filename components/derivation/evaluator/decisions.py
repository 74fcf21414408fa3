"""Allowed, explicitly denied or not allowed, and which statements decide it.

The order, as IAM documents it: a matching Deny in any policy decides. Then the principal's own side must allow (an
identity policy, and the boundary and every session policy as well), or the resource's policy must, or both:

- one account: either side suffices. A resource statement for the role itself is still limited by boundary and session
  policies, one for the role's session is not, one for the account only hands the decision to the identity policies;
- two accounts: both sides must allow;
- a key or a role (`needs_resource_policy`): its own policy must allow, in one account as in two;
- a service or an identity provider has no policies: the resource's policy alone decides.

Source: IAM user guide, "Policy evaluation logic", "Permissions boundaries", "Cross-account policy evaluation logic";
KMS developer guide, "Key policies" (no access without the key policy).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from .conditions import Asked
from .policy_source import PolicySource, StatementId
from .requests import PrincipalKind, Request
from .statements import Naming, applies, naming
from .verdicts import Unclear, Verdict, all_of, any_of


class Outcome(StrEnum):
    """What IAM answers."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicit deny"
    IMPLICIT_DENY = "implicit deny"


class Layer(StrEnum):
    """What must allow."""

    IDENTITY = "identity policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """The policies that bear on a request.

    Attributes:
        identity: Of the principal; all of them together are one layer.
        boundary: None when it has none.
        session: Each is a layer of its own.
        resource: The resource's policy (a role's trust policy too), or None.
        needs_resource_policy: Nothing is allowed without the resource's policy: keys and roles.
    """

    identity: tuple[PolicySource, ...] = ()
    boundary: PolicySource | None = None
    session: tuple[PolicySource, ...] = ()
    resource: PolicySource | None = None
    needs_resource_policy: bool = False

    def all_policies(self) -> tuple[PolicySource, ...]:
        """Return every policy, the principal's first."""
        others = (self.boundary, *self.session, self.resource)
        return (*self.identity, *(source for source in others if source is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer.

    Attributes:
        outcome: What IAM answers. Where nothing allows, it is an implicit deny even if a Deny might match as well.
        statements: For an allowance those that allow, one per layer that had to; for an explicit deny those that deny.
        missing: For an implicit deny the layers in which nothing allows.
    """

    outcome: Outcome
    statements: tuple[StatementId, ...] = ()
    missing: tuple[Layer, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """Whether the request passes."""
        return self.outcome is Outcome.ALLOWED


class UnanswerableError(Exception):
    """The answer hangs on something that is not known; the text says on what."""


@dataclass(frozen=True, slots=True)
class _Side:
    """What one layer says: its verdict and the statement that allows."""

    layer: Layer
    verdict: Verdict
    statement: StatementId | None = None


def evaluate(request: Request, policies: PolicySet) -> Decision:
    """Answer one question.

    Raises:
        UnanswerableError: An operator, a value or a key on which the answer hangs is not known.
    """
    asked = request.asked()
    denials = tuple(_matching(policies.all_policies(), request, asked, deny=True))
    certain = tuple(statement for statement, verdict in denials if verdict is True)
    if certain:
        return Decision(outcome=Outcome.EXPLICIT_DENY, statements=certain)
    no_denial: Verdict = denials[0][1] if denials else True
    sides = tuple(_sides(request, policies, asked))
    verdict = all_of((no_denial, *(side.verdict for side in sides)))
    if isinstance(verdict, Unclear):
        raise UnanswerableError(verdict.reason)
    if verdict:
        return Decision(outcome=Outcome.ALLOWED, statements=tuple(side.statement for side in sides if side.statement))
    return Decision(outcome=Outcome.IMPLICIT_DENY, missing=tuple(side.layer for side in sides if side.verdict is False))


def _sides(request: Request, policies: PolicySet, asked: Asked) -> Iterator[_Side]:
    """Yield the layers that must all allow."""
    resource = _resource_side(request, policies, asked)
    if request.principal.kind is not PrincipalKind.AWS:
        yield resource
        return
    own = [_layer(Layer.IDENTITY, policies.identity, request, asked), *_limits(request, policies, asked)]
    if request.principal.account != request.resource_account:
        yield from (*own, resource)
        return
    direct = _direct(request, policies, asked, own[1:])
    if direct.verdict is True:
        yield direct
    elif policies.needs_resource_policy:
        yield from _unless_unclear(direct, (*own, resource))
    else:
        yield from _unless_unclear(direct, own)


def _unless_unclear(direct: _Side, sides: Iterable[_Side]) -> Iterator[_Side]:
    """Yield the sides, unless they fail and the direct grant, which would do instead, is unclear."""
    sides = tuple(sides)
    if isinstance(direct.verdict, Unclear) and all_of(side.verdict for side in sides) is not True:
        yield direct
    else:
        yield from sides


def _limits(request: Request, policies: PolicySet, asked: Asked) -> Iterator[_Side]:
    if policies.boundary:
        yield _layer(Layer.BOUNDARY, (policies.boundary,), request, asked)
    for session in policies.session:
        yield _layer(Layer.SESSION, (session,), request, asked)


def _resource_side(request: Request, policies: PolicySet, asked: Asked) -> _Side:
    if policies.resource is None:
        return _Side(Layer.RESOURCE, verdict=False)
    return _layer(Layer.RESOURCE, (policies.resource,), request, asked)


def _direct(request: Request, policies: PolicySet, asked: Asked, limits: Iterable[_Side]) -> _Side:
    """What a resource policy of the same account grants to the principal itself, past its identity policies."""
    if policies.resource is None:
        return _Side(Layer.RESOURCE, verdict=False)
    within_limits = all_of(side.verdict for side in limits)
    verdicts: list[Verdict] = []
    granting: StatementId | None = None
    for statement in policies.resource.statements:
        if statement.is_deny or statement.principals is None:
            continue
        ways = naming(statement.principals, request.principal) - {Naming.ACCOUNT}
        if not ways:
            continue
        matches = applies(statement, policies.resource, request, asked)
        verdict = all_of((matches, _past_limits(ways, within_limits)))
        verdicts.append(verdict)
        if verdict is True and granting is None:
            granting = policies.resource.identify(statement)
    return _Side(Layer.RESOURCE, any_of(verdicts), granting)


def _past_limits(ways: frozenset[Naming], within_limits: Verdict) -> Verdict:
    if Naming.SESSION in ways or within_limits is True:
        return True
    if Naming.IDENTITY in ways:
        return within_limits
    return Unclear("a resource policy allows everyone, and IAM does not say whether a boundary limits that")


def _layer(layer: Layer, sources: Iterable[PolicySource], request: Request, asked: Asked) -> _Side:
    found = tuple(_matching(sources, request, asked, deny=False))
    certain = next((statement for statement, verdict in found if verdict is True), None)
    return _Side(layer, any_of(verdict for _, verdict in found), certain)


def _matching(
    sources: Iterable[PolicySource], request: Request, asked: Asked, *, deny: bool
) -> Iterator[tuple[StatementId, Verdict]]:
    """Yield the statements of one effect that apply, or of which that is unclear."""
    for source in sources:
        for statement in source.statements:
            if statement.is_deny is deny:
                verdict = applies(statement, source, request, asked)
                if verdict is not False:
                    yield source.identify(statement), verdict
