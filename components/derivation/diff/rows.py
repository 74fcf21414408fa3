"""One row of an access diff, the words that it may carry, and the order of rows.

Not done here: how rows are found (compare.py, merged_reads.py, risks.py) and how they read (lockstep/access_report).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum

from .facts import About


class Change(StrEnum):
    """What happens to access."""

    GAINED = "gained"
    LOST = "lost"
    WIDENED = "widened"
    NARROWED = "narrowed"
    CHANGED = "changed"

    @property
    def mirror(self) -> Change:
        """The same change, looked at from the other side."""
        return _MIRROR[self]


_MIRROR = {
    Change.GAINED: Change.LOST,
    Change.LOST: Change.GAINED,
    Change.WIDENED: Change.NARROWED,
    Change.NARROWED: Change.WIDENED,
    Change.CHANGED: Change.CHANGED,
}


class Risk(StrEnum):
    """The words that a reviewer learns once; the list is fixed and short, the gravest first."""

    UNKNOWN = "unknown"
    WILDCARD = "wildcard"
    WRITE = "write"
    CROSS_ACCOUNT = "cross-account"
    CROSS_OWNER = "cross-owner"
    NEW_PRINCIPAL = "new-principal"
    LOOSENED = "loosened"
    UNBOUND_KEY = "unbound-key"
    COPIED = "copied"
    PROTECTED = "protected"
    FAILS = "fails"


#: What each word means, for `--help`, README and SARIF.
MEANINGS: dict[Risk, str] = {
    Risk.UNKNOWN: "it cannot be told before the deployment who may read what",
    Risk.WILDCARD: "a pattern that matches more than one named object or workload",
    Risk.WRITE: "more than reading: values or policies can be changed",
    Risk.CROSS_ACCOUNT: "the reader and what is read are in different accounts",
    Risk.CROSS_OWNER: "the secret belongs to another owner than the app",
    Risk.NEW_PRINCIPAL: "somebody reads who could read nothing before",
    Risk.LOOSENED: "a condition, a boundary or a denial went away, or a file mode was opened",
    Risk.UNBOUND_KEY: "a Decrypt that is not bound to the objects that are read",
    Risk.COPIED: "the value is copied into a Kubernetes Secret, which others may read",
    Risk.PROTECTED: "the environment is protected",
    Risk.FAILS: "a mount will fail: nothing allows what it asks for, or another account must allow it first",
}

#: The one way of a read that reads nothing; see reads.py.
_WHILE_ABSENT = "while it does not exist"
#: What takes away from access while it is there.
_FENCES = frozenset({("permissions boundary",), ("session policy",)})
#: What gives somebody access when it grows; everything else that grows is a change, and no more.
_ACCESS = frozenset(
    {
        About.READ,
        About.POWER,
        About.KEY,
        About.REGION,
        About.IDENTITY,
        About.TRUST,
        About.RESOURCE_POLICY,
        About.SYNC,
        About.MODE,
        About.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One difference.

    Attributes:
        environment: Of both sides.
        app: "" when it concerns no app (a resource policy).
        about, change: What, and in which direction.
        parts: The subject, see `Subject`.
        workloads: `namespace/serviceaccount` of the app, after the change (before it, for what is lost).
        regions: Where it holds.
        before, after: The terms as short texts, sorted; () for nothing.
        details: Further lines, such as the files of a new grant.
        owner, secret_owner: "" unknown.
        why: The statements that allow it (or did).
        spec: `file:line` of the side that has it, "" unknown.
        risks: In the order of `Risk`.
        is_certain: Whether both sides are known well enough to say so.
        spec_digest: Of the app's whole access after the change; an approval holds for exactly that.
    """

    environment: str
    app: str
    about: About
    change: Change
    parts: tuple[str, ...]
    workloads: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    owner: str = ""
    secret_owner: str = ""
    why: tuple[str, ...] = ()
    spec: str = ""
    risks: tuple[Risk, ...] = ()
    is_certain: bool = True
    spec_digest: str = ""

    @property
    def broadens(self) -> bool:
        """Whether somebody can reach more than before, or it cannot be told."""
        if self.about is About.DENIAL:
            return self.change not in {Change.GAINED, Change.WIDENED}
        if self.about is About.RESOURCE_POLICY and "Deny" in self.parts:
            return self.change not in {Change.GAINED, Change.WIDENED}
        if self.about is About.READ and set(self.before) | set(self.after) == {_WHILE_ABSENT}:
            return False  # AWS may say "not found", and nothing else
        if self.about is About.IDENTITY and self.parts in _FENCES:
            return self.change is not Change.GAINED
        if self.about is About.IDENTITY and About.DENIAL.value in self.parts[1:2]:
            return self.change not in {Change.GAINED, Change.WIDENED}
        if self.about is About.IDENTITY and self.parts == ("name",):
            return False
        return self.about in _ACCESS and self.change not in {Change.LOST, Change.NARROWED}

    @property
    def identity(self) -> str:
        """Sixteen hex digits that name exactly this difference, for approvals."""
        facts = [self.environment, self.app, self.about, self.change, self.parts, self.regions, self.before, self.after]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    @property
    def sort_key(self) -> tuple[object, ...]:
        """Environment, app, kind, subject."""
        kind, change = list(About).index(self.about), list(Change).index(self.change)
        return (
            self.environment,
            self.app,
            kind,
            self.parts,
            change,
            self.identity,
        )

    def with_risks(self, risks: set[Risk]) -> Row:
        """Return the row with exactly these risks, in order."""
        return replace(self, risks=tuple(risk for risk in Risk if risk in risks))


def question_identity(environment: str, question: str) -> str:
    """Return sixteen hex digits that name what neither side knows, for approvals."""
    return hashlib.sha256(json.dumps([environment, "undecided", question]).encode()).hexdigest()[:16]
