"""The report of a comparison: one difference per stack, what of it is approved, and the exit code that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.derivation.diff import Change, Difference, Risk, Row
from lockstep.access_report.approvals import Approvals, no_approvals
from lockstep.exit_codes import ExitCode

#: Words of `--fail-on` besides the risk words.
#: Judgements of a row.
APPROVED, NEEDED = "approved", "needed"
BROADENING, ANY, NEVER = "broadening", "any", "never"


class FailOnError(ValueError):
    """A word that `--fail-on` does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailOn:
    """Which rows need an approval."""

    words: frozenset[str] = frozenset({BROADENING})

    @classmethod
    def parse(cls, text: str) -> FailOn:
        """Read comma-separated words.

        Raises:
            FailOnError: A word is unknown.
        """
        words = frozenset(word.strip() for word in text.split(",") if word.strip())
        known = {BROADENING, ANY, NEVER, *Risk}
        unknown = sorted(words - known)
        if unknown or not words:
            raise FailOnError(f"{', '.join(unknown) or 'nothing'} is not one of {', '.join(sorted(known))}")
        return cls(words=words)

    def asks(self, row: Row) -> bool:
        """Say whether a row needs an approval."""
        if NEVER in self.words:
            return False
        if ANY in self.words or (BROADENING in self.words and row.broadens):
            return True
        return bool(self.words & set(row.risks))

    @property
    def asks_for_undecided(self) -> bool:
        """Whether what cannot be compared needs an approval: nobody could tell what it allows."""
        return bool(self.words & {BROADENING, ANY, Risk.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReport:
    """One stack of a report."""

    stack: str
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a format prints.

    Attributes:
        project: Name of the project, "" unknown.
        stacks: Sorted by name.
        notes: Sentences about the comparison itself, such as what it could not see.
        judged: Row identity → judgement, of a report that was judged elsewhere; None judges here.
    """

    project: str
    stacks: tuple[StackReport, ...]
    fail_on: FailOn = field(default_factory=FailOn)
    approvals: Approvals = field(default_factory=no_approvals)
    notes: tuple[str, ...] = ()
    judged: Mapping[str, str] | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, in order."""
        return tuple(row for stack in self.stacks for row in stack.difference.rows)

    def judgement(self, row: Row) -> str:
        """Return "" (no approval is asked for), `approved`, `needed`, or `needed: why an approval does not count`."""
        if self.judged is not None:
            return self.judged.get(row.identity, NEEDED)
        if not self.fail_on.asks(row):
            return ""
        if self.approvals.covers(row):
            return APPROVED
        refusal = self.approvals.refusal(row)
        return f"{NEEDED}: {refusal}" if refusal else NEEDED

    def is_open(self, row: Row) -> bool:
        """Say whether a row needs an approval and has none."""
        return self.judgement(row).startswith(NEEDED)

    @property
    def exit_code(self) -> ExitCode:
        """What the whole report means."""
        undecided = any(stack.difference.undecided for stack in self.stacks)
        if any(self.is_open(row) for row in self.rows) or (undecided and self.fail_on.asks_for_undecided):
            return ExitCode.NEEDS_APPROVAL
        return ExitCode.FINDINGS if self.rows or undecided else ExitCode.FINE

    @property
    def verdict(self) -> str:
        """The exit code in words."""
        return {
            ExitCode.FINE: "no change of access",
            ExitCode.FINDINGS: "access changes",
            ExitCode.NEEDS_APPROVAL: "needs approval",
        }[self.exit_code]


def totals(rows: tuple[Row, ...]) -> str:
    """Return the number of rows by change: `2 gained, 1 lost`."""
    counts = Counter(row.change for row in rows)
    return ", ".join(f"{counts[change]} {change.value}" for change in Change if counts[change]) or "no change"
