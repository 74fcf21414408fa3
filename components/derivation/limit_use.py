"""How much of AWS's and the driver's limits one app uses, for reports. Holding the limits is not done here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .access import AppAccess, SecretPolicy
from .limits import (
    MANAGED_PER_ROLE,
    MANAGED_POLICY,
    ROLE_INLINE,
    SECRET_POLICY,
    SESSION_POLICY,
    TRUST_POLICY,
    Limit,
)
from .packing import PolicyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """How much of one limit is used, both in the limit's unit.

    Attributes:
        limit: With its subject, unit and source.
        used: As AWS counts it.
        of: What there is in all: the limit's amount, or several times that.
    """

    limit: Limit
    used: int
    of: int

    @property
    def share(self) -> float:
        """Used share, 0 to 1."""
        return self.used / self.of

    def __str__(self) -> str:
        return f"{self.used:,} of {self.of:,} {self.limit.unit} ({self.share:.0%})"


def limits_of(app: AppAccess) -> tuple[LimitUse, ...]:
    """Return what an app uses: of its role's policies, its trust, and its association's policy where there is one."""
    return tuple(_uses(app))


def limit_of(policy: SecretPolicy) -> LimitUse:
    """Return what a secret's resource policy uses."""
    return LimitUse(limit=SECRET_POLICY, used=len(policy.document.to_json()), of=SECRET_POLICY.amount)


def _uses(app: AppAccess) -> Iterator[LimitUse]:
    room = app.headroom
    yield LimitUse(
        limit=ROLE_INLINE if room.kind is PolicyKind.INLINE else MANAGED_POLICY, used=room.used, of=room.limit
    )
    if room.kind is PolicyKind.MANAGED:
        yield LimitUse(limit=MANAGED_PER_ROLE, used=len(app.policies), of=MANAGED_PER_ROLE.amount)
    yield LimitUse(limit=TRUST_POLICY, used=app.trust.size(), of=TRUST_POLICY.amount)
    if app.association and app.association.policy:
        used = len(app.association.policy.to_json())
        yield LimitUse(limit=SESSION_POLICY, used=used, of=SESSION_POLICY.amount)
