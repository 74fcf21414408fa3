"""What a check found: one line, with the fix beside a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAIL = "fail"
    WARN = "warn"
    SKIPPED = "skipped"


class UnseenError(Exception):
    """What a check looks at cannot be seen from here; the text says why, and the check counts as skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One line of the report.

    Attributes:
        check: Stable name, `<part>.<noun>`.
        status: How it ended.
        text: What was found, in one sentence without its full stop. Names, never values.
        fix: What to do; with every failure and warning, else "".
        subject: App, object or node that it is about; "" for the platform.
    """

    check: str
    status: Status
    text: str
    fix: str = ""
    subject: str = ""

    def __post_init__(self) -> None:
        """Refuse a failure that leaves its reader alone, and texts of several lines."""
        needs_fix = self.status in {Status.FAIL, Status.WARN}
        if needs_fix != bool(self.fix) or "\n" in self.text + self.fix:
            raise ValueError(f"{self.check}: {self.status} with the fix {self.fix!r}")


@dataclass(frozen=True, slots=True)
class Check:
    """Makes verdicts of one check about one subject."""

    name: str
    subject: str = ""

    def ok(self, text: str) -> Verdict:
        """Say that it is as derived."""
        return Verdict(check=self.name, status=Status.OK, text=text, subject=self.subject)

    def fail(self, text: str, fix: str) -> Verdict:
        """Say what is wrong, and what to do."""
        return Verdict(check=self.name, status=Status.FAIL, text=_line(text), fix=_line(fix), subject=self.subject)

    def warn(self, text: str, fix: str) -> Verdict:
        """Say what is doubtful, and what to do."""
        return Verdict(check=self.name, status=Status.WARN, text=_line(text), fix=_line(fix), subject=self.subject)

    def skipped(self, reason: str) -> Verdict:
        """Say why it was not looked at."""
        return Verdict(check=self.name, status=Status.SKIPPED, text=_line(reason), subject=self.subject)


def _line(text: str) -> str:
    return " ".join(text.split())


def examine(check: Check, look: Callable[[Check], Iterable[Verdict]]) -> Iterator[Verdict]:
    """Yield what a check finds; what it cannot see makes it skipped, after what it saw before."""
    try:
        yield from look(check)
    except UnseenError as reason:
        yield check.skipped(str(reason))


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return names in order, the first few of many.

    >>> listed(["b", "a"])
    'a, b'
    """
    ordered = sorted(set(names))
    rest = len(ordered) - most
    return ", ".join(ordered[:most]) + (f" and {rest} more" if rest > 0 else "")
