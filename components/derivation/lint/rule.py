"""What a rule of the linter is: a code for ever, a severity, words for people, two examples, and a pure check.

The examples stand beside the rule as data: every run of the tests shows that the first one has exactly this finding and
the second one none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ..errors import Spot
from ..spec import Suppression
from .part import Edit, Part

if TYPE_CHECKING:
    from .material import Material


class Severity(StrEnum):
    """How bad it is."""

    #: It does not work as written, or it lets somebody in whom nobody meant.
    ERROR = "error"
    #: It is wider than the mounts need, or it will break later.
    WARNING = "warning"
    #: It works; a reviewer should know it.
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Texts that are linted together. An empty one is not given.

    Attributes:
        spec: App specs.
        manifests: Kubernetes documents.
        policy: Identity policies of the role (or a secret's resource policy).
        trust: The role's trust policy.
    """

    spec: str = ""
    manifests: str = ""
    policy: str = ""
    trust: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One place that breaks a rule.

    Attributes:
        spot: Where.
        what: What is wrong, with the value (what is linted holds no secret values).
        fix: What to do here; "" means the rule's own fix.
        edits: What `--fix` does; () when it is not mechanical.
        suppressions: Of the spec, in force at this place.
    """

    spot: Spot
    what: str
    fix: str = ""
    edits: tuple[Edit, ...] = field(default=(), compare=False)
    suppressions: tuple[Suppression, ...] = field(default=(), compare=False)

    @classmethod
    def on(cls, part: Part, what: str, *, fix: str = "", edits: tuple[Edit | None, ...] = ()) -> Hit:
        """Make a hit at a part; it can be mended if every one of the edits is there."""
        whole = tuple(edit for edit in edits if edit is not None)
        return cls(spot=part.spot, what=what, fix=fix, edits=whole if len(whole) == len(edits) else ())


Check = Callable[["Material"], Iterator[Hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        code: `LSnnn`, never reused. The hundreds are topics: 0 reading, 1 secrets and policies, 2 parameters, 3 keys,
            4 trust, 5 classes, 6 pods and the driver, 7 grants beside mounts, 8 specs.
        severity: How bad it is.
        title: What is wrong, in a few words.
        why: Why it matters: what happens, with the outside source of the rule.
        fix: What to do.
        bad: An example with exactly this finding.
        good: The same, mended: no finding.
        check: Finds the places.
        mends: Whether `--fix` can mend (some of) the places.
        needs_stacks: Whether it looks at what specs become in all stacks of a project.
    """

    code: str
    severity: Severity
    title: str
    why: str
    fix: str
    bad: Example
    good: Example
    check: Check
    mends: bool = False
    needs_stacks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One place that breaks one rule, ready to be shown.

    Attributes:
        spot: Where.
        code: The rule's.
        severity: The rule's.
        what: What is wrong there.
        title: The rule's.
        fix: What to do there.
        reason: Why it is suppressed, as the spec says; "" when it is not.
        edits: What `--fix` does.
    """

    spot: Spot
    code: str
    severity: Severity
    what: str
    title: str
    fix: str
    reason: str = ""
    edits: tuple[Edit, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        end = "" if self.fix.endswith(("?", ".")) else "."
        return f"{self.spot}: {self.severity}: {self.what}. {self.title}. Fix: {self.fix}{end} [{self.code}]"
