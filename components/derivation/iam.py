"""IAM policy documents as values with one canonical text.

A document is built from statements, never from dict literals: actions, resources and condition values are sorted and
unique, so that equal access has equal bytes. An Allow on a bare `*`, or a Deny that is not bound to principals, cannot
be built.

Source: IAM JSON policy reference. Limits: limits.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import orjson

from .limits import MANAGED_PER_ROLE, MANAGED_POLICY, ROLE_INLINE, TRUST_POLICY

PolicyJson = dict[str, object]

_VERSION = "2012-10-17"

#: IAM quotas: characters without white space (inline policies count together), and policies that a role may have.
LIMITS = {limit.subject: limit.amount for limit in (ROLE_INLINE, MANAGED_POLICY, MANAGED_PER_ROLE, TRUST_POLICY)}


class Effect(StrEnum):
    """What a statement does."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Condition:
    """One test: `operator` on `key` against sorted, unique `values`."""

    operator: str
    key: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, operator: str, key: str, values: Iterable[str]) -> Condition:
        """Build a condition in canonical order."""
        return cls(operator=operator, key=key, values=tuple(sorted(set(values))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of an identity policy (resources), a trust policy (principal) or a resource policy (both).

    Attributes:
        sid: Stable, letters and digits.
        actions: Sorted, unique, no wildcard.
        resources: Sorted, unique; `?` may stand for the unknown suffix of a secret. `*` alone is a resource policy's
            own object; `*` at the end of a prefix needs `may_be_wide`.
        principal: Kind and name, such as ("Federated", ARN).
        conditions: Sorted by operator and key.
        effect: Deny is for resource policies, and bound by conditions.
        may_be_wide: Admits prefixes and, where AWS has no resource for an action, `*`: for the deployer only.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    principal: tuple[str, str] | None = None
    conditions: tuple[Condition, ...] = ()
    effect: Effect = Effect.ALLOW
    may_be_wide: bool = False

    def __post_init__(self) -> None:
        """Put everything in order and refuse what no derivation may produce.

        Raises:
            ValueError: A wildcard action or resource, or neither resource nor principal. A bug of ours, not of a spec.
        """
        for name in ("actions", "resources"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        object.__setattr__(self, "conditions", tuple(sorted(self.conditions, key=lambda c: (c.operator, c.key))))
        if not self.actions or any("*" in action for action in self.actions):
            raise ValueError(f"statement {self.sid}: no action, or a wildcard")
        if not self.resources and not self.principal:
            raise ValueError(f"statement {self.sid}: neither resources nor a principal")
        is_own_object = self.principal is not None and self.resources == ("*",)
        if not self.may_be_wide and not is_own_object and any("*" in resource for resource in self.resources):
            raise ValueError(f"statement {self.sid}: a wildcard")
        is_open = self.effect is Effect.DENY or (self.principal is not None and self.principal[1] == "*")
        if is_open and not (self.principal and self.resources and self.conditions):
            raise ValueError(f"statement {self.sid}: a Deny, or everybody, without a bound")

    def to_dict(self) -> PolicyJson:
        """Return the statement with IAM's keys in IAM's customary order."""
        out: PolicyJson = {"Sid": self.sid, "Effect": self.effect.value}
        if self.principal:
            out["Principal"] = {self.principal[0]: self.principal[1]}
        out["Action"] = list(self.actions)
        if self.resources:
            out["Resource"] = list(self.resources)
        if self.conditions:
            tests: dict[str, dict[str, str | list[str]]] = {}
            for test in self.conditions:
                value = test.values[0] if len(test.values) == 1 else list(test.values)
                tests.setdefault(test.operator, {})[test.key] = value
            out["Condition"] = tests
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """Statements in a fixed order."""

    statements: tuple[Statement, ...]

    def to_dict(self) -> PolicyJson:
        """Return the document as plain data."""
        return {"Version": _VERSION, "Statement": [statement.to_dict() for statement in self.statements]}

    def to_json(self) -> str:
        """Return the canonical compact text; equal documents have equal bytes."""
        return orjson.dumps(self.to_dict()).decode()

    def size(self) -> int:
        """Return the characters that IAM counts: all but white space."""
        return len("".join(self.to_json().split()))
