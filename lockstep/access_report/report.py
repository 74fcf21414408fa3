"""The report of a comparison: one difference per stack, what of it is approved, and the exit code that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.derivation.diff import Change, Difference, Risk, Row, question_identity
from lockstep.access_report.approvals import NEEDED, Approvals, no_approvals
from lockstep.access_report.redaction import Redaction
from lockstep.access_report.shown_rows import ShownRow, shown_facts, shown_row
from lockstep.exit_codes import ExitCode

#: Words of `--fail-on` besides the risk words.
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
        return NEVER not in self.words and bool(self.words & {BROADENING, ANY, Risk.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReport:
    """One stack of a report.

    Attributes:
        cut_short: Whether the preview that it was read from failed: what is not in it may change all the same.
    """

    stack: str
    difference: Difference
    cut_short: bool = False

    @property
    def totals(self) -> str:
        """The number of rows by change, `2 gained, 1 lost`; what a failed preview has not reached is not known."""
        told = totals(self.difference.rows)
        if not self.cut_short:
            return told
        return f"{told} until it failed" if self.difference.rows else "not known, because the preview failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a format prints.

    Attributes:
        project: Name of the project, "" unknown.
        stacks: Sorted by name.
        notes: Sentences about the comparison itself, such as what it could not see.
        folder: Where the project is inside its repository, "" for its top: places of rows are relative to the project.
        redaction: Takes the values of previews out of the texts of the inputs; every format shows them through it.
        judged: Identity and `spec` of a row or question → judgement, of a report that was judged elsewhere; None judges
            here. An approval holds for both, so two stacks may judge one row differently.
    """

    project: str
    stacks: tuple[StackReport, ...]
    fail_on: FailOn = field(default_factory=FailOn)
    approvals: Approvals = field(default_factory=no_approvals)
    notes: tuple[str, ...] = ()
    folder: str = ""
    redaction: Redaction = field(default_factory=Redaction)
    judged: Mapping[tuple[str, str], str] | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, in order."""
        return tuple(row for stack in self.stacks for row in stack.difference.rows)

    def identity(self, row: Row) -> str:
        """Return what an approval of a row names: the identity of what is shown of it."""
        return shown_facts(row, self.redaction).identity

    def question_identity(self, environment: str, question: str) -> str:
        """Return what an approval of a question names."""
        return question_identity(environment, self.redaction.apply(question))

    def shown(self, row: Row) -> ShownRow:
        """Return what may be shown of a row."""
        return shown_row(row, self.redaction)

    @property
    def cut_short(self) -> bool:
        """Whether a preview failed: then nothing can be said of the whole, whatever its rows are."""
        return any(stack.cut_short for stack in self.stacks)

    def judgement(self, row: Row) -> str:
        """Return "" (no approval is asked for), `approved`, `needed`, or `needed: why an approval does not count`."""
        return self._judgement(self.identity(row), row.spec_digest, is_asked=self.fail_on.asks(row))

    def is_open(self, row: Row) -> bool:
        """Say whether a row needs an approval and has none."""
        return self.judgement(row).startswith(NEEDED)

    def question_judgement(self, environment: str, question: str) -> str:
        """Return the judgement of what neither side knows; it is approved as a row is, with an empty `spec`."""
        identity = self.question_identity(environment, question)
        return self._judgement(identity, "", is_asked=self.fail_on.asks_for_undecided)

    def _judgement(self, identity: str, spec: str, *, is_asked: bool) -> str:
        if self.judged is not None:
            return self.judged.get((identity, spec), NEEDED)
        return self.approvals.judgement(identity, spec) if is_asked else ""

    @property
    def open_questions(self) -> tuple[tuple[str, str], ...]:
        """Environment and text of what neither side knows and nobody has approved, in order."""
        return tuple(
            (stack.difference.environment, question)
            for stack in self.stacks
            for question in stack.difference.undecided
            if self.question_judgement(stack.difference.environment, question).startswith(NEEDED)
        )

    @property
    def exit_code(self) -> ExitCode:
        """What the whole report means."""
        if self.cut_short:
            return ExitCode.INVALID_INPUT
        if any(self.is_open(row) for row in self.rows) or self.open_questions:
            return ExitCode.NEEDS_APPROVAL
        is_equal = all(stack.difference.is_empty for stack in self.stacks)
        return ExitCode.FINE if is_equal else ExitCode.FINDINGS

    @property
    def verdict(self) -> str:
        """The exit code in words."""
        return {
            ExitCode.INVALID_INPUT: "the preview failed",
            ExitCode.FINE: "no change of access",
            ExitCode.FINDINGS: "access changes",
            ExitCode.NEEDS_APPROVAL: "needs approval",
        }[self.exit_code]


def totals(rows: tuple[Row, ...]) -> str:
    """Return the number of rows by change: `2 gained, 1 lost`."""
    counts = Counter(row.change for row in rows)
    return ", ".join(f"{counts[change]} {change.value}" for change in Change if counts[change]) or "no change"
