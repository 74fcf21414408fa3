"""The report of an examination: text of one line per check, or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from lockstep.doctor.verdicts import Status, Verdict


def text_report(stack: str, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield one line per verdict in the order of the examination, and a last line with the counts."""
    names = [_name(verdict) for verdict in verdicts]
    status_width = max((len(verdict.status.value) for verdict in verdicts), default=0)
    name_width = max((len(name) for name in names), default=0)
    for verdict, name in zip(verdicts, names, strict=True):
        fix = f". Fix: {verdict.fix}" if verdict.fix else ""
        yield f"{verdict.status.value:<{status_width}}  {name:<{name_width}}  {verdict.text}{fix}."
    counts = Counter(verdict.status for verdict in verdicts)
    yield f"{stack}: " + ", ".join(f"{counts[status]} {status.value}" for status in Status)


def json_report(stack: str, verdicts: Sequence[Verdict]) -> dict[str, object]:
    """Return the report for programs.

    Shape: {"stack": …, "counts": {"ok": …, "fail": …, "warn": …, "skipped": …}, "checks": [{"check": …, "subject": …,
    "status": …, "text": …, "fix": …}]}, checks in the order of the examination.
    """
    counts = Counter(verdict.status for verdict in verdicts)
    return {
        "stack": stack,
        "counts": {status.value: counts[status] for status in Status},
        "checks": [
            {
                "check": verdict.check,
                "subject": verdict.subject,
                "status": verdict.status.value,
                "text": verdict.text,
                "fix": verdict.fix,
            }
            for verdict in verdicts
        ],
    }


def _name(verdict: Verdict) -> str:
    return f"{verdict.check} {verdict.subject}".rstrip()
