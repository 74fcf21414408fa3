"""A report for a terminal: one sentence per row, then where, why and whence."""

from __future__ import annotations

from collections.abc import Iterator

from components.derivation.diff import Row
from lockstep.access_report.report import Report, StackReport, totals
from lockstep.access_report.sentences import plain, symbol
from lockstep.access_report.visible_text import visible

#: What an approval names as the state of what has none: an app that is gone, or what nobody knows.
NO_SPEC = '""'


def render_text(report: Report) -> str:
    """Return the report; ends in a newline."""
    lines: list[str] = []
    for stack in report.stacks:
        lines += [*_stack(report, stack), ""]
    lines += [f"note: {visible(note)}" for note in report.notes]
    lines.append(_last(report))
    return "\n".join(lines) + "\n"


def _last(report: Report) -> str:
    """Return what the whole report means; how many ask for an approval, which the number of all rows does not say."""
    told = totals(report.rows)
    if report.cut_short:
        return f"{report.verdict}: {f'{told} so far' if report.rows else 'access is not known'}"
    count = sum(report.is_open(row) for row in report.rows) + len(report.open_questions)
    if not count:
        return f"{report.verdict}: {told}"
    questions = sum(len(stack.difference.undecided) for stack in report.stacks)
    parts = [*([told] if report.rows else []), *([f"{questions} not compared"] if questions else [])]
    return f"{count} row{' needs' if count == 1 else 's need'} approval ({', '.join(parts)})"


def _stack(report: Report, stack: StackReport) -> Iterator[str]:
    difference = stack.difference
    yield f"{visible(stack.stack)}: {stack.totals}"
    for row in difference.rows:
        yield from _row(report, row)
    for item in difference.undecided:
        yield from _question(report, difference.environment, item)
    for app in difference.reformatted:
        yield f"= app {visible(report.redaction.apply(app))} is written otherwise: no effective change"


def _row(report: Report, row: Row) -> Iterator[str]:
    risks = f"  [{', '.join(row.risks)}]" if row.risks else ""
    told = report.shown(row)
    yield f"{symbol(row)} {plain(told.sentence)}{risks}"
    facts = [
        ("runs as", ", ".join(told.facts.workloads)),
        ("where", ", ".join(told.facts.regions)),
        ("owner", _owners(told.facts)),
        ("before", "; ".join(told.facts.before)),
        ("after", "; ".join(told.facts.after)),
        ("with", "; ".join(told.facts.details)),
        ("why", "; ".join(told.facts.why)),
        ("spec", told.facts.spec),
        ("row", told.facts.identity + (f" spec {row.spec_digest or NO_SPEC}" if report.is_open(row) else "")),
        ("approval", report.judgement(row)),
    ]
    for name, text in facts:
        if text:
            yield f"    {name:<8} {visible(text)}"


def _question(report: Report, environment: str, question: str) -> Iterator[str]:
    yield f"? not compared, because neither side is known: {visible(report.redaction.apply(question))}"
    judgement = report.question_judgement(environment, question)
    if judgement:
        yield f"    row      {report.question_identity(environment, question)} spec {NO_SPEC}"
        yield f"    approval {visible(judgement)}"


def _owners(row: Row) -> str:
    if row.secret_owner and row.secret_owner != row.owner:
        return f"{row.owner or 'unknown'}, of the secret: {row.secret_owner}"
    return row.owner
