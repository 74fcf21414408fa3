"""A report for a pull request: sentences first, the access table folded, the resource plan last, in bounded pages.

Everything that came from an input is data: names stand in code, where Markdown and mentions have no effect. A page
never exceeds its limit. When there is too much, the plan goes first, then the columns of detail; the rows of the access
table are never cut, they go on in further pages.

Source: GitHub, comments have at most 65,536 characters; CommonMark, nothing is interpreted inside a code span.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Sequence

from components.derivation.diff import Row
from lockstep.access_report.approvals import APPROVED, NEEDED
from lockstep.access_report.report import Report, StackReport
from lockstep.access_report.sentences import Name, Sentence, symbol
from lockstep.access_report.visible_text import visible

#: Characters of one page; the forges' limits leave room above.
PAGE_LIMIT = 60_000
#: How every marker begins.
MARKER_START = "<!-- lockstep:access:"
#: Sentences before the table; the others are in the table.
_SENTENCES_SHOWN = 40
_QUESTIONS_SHOWN = 20
_SAFE_CODE = re.compile(r"[A-Za-z0-9 _./:@=+*?,;()\[\]-]+")
_SAFE_MARKER = re.compile(r"[A-Za-z0-9._/-]+")
#: Characters of one name. The longest that AWS knows, an ARN of a secret, has fewer; the JSON has every name whole.
_NAME_LIMIT = 700
_FULL = ("", "app", "runs as", "what", "where", "owner", "terms", "why allowed", "spec", "risk", "row")
_SHORT = ("", "app", "what", "risk", "row")


def marker(project: str, stack: str, page: int = 1) -> str:
    """Return the hidden line by which a comment is found again; nothing in it can end the comment early."""
    key = f"{project}/{stack}"
    if not _SAFE_MARKER.fullmatch(key):
        key = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{MARKER_START}{key}:{page} -->"


def marker_prefix(project: str) -> str | None:
    """Return how the markers of all stacks of a project begin; None when its markers are digests."""
    safe = _SAFE_MARKER.fullmatch(f"{project}/") and "/" not in project
    return f"{MARKER_START}{project}/" if safe else None


def render_markdown(
    report: Report, stack: StackReport, *, plan: Sequence[str] = (), first: Sequence[str] = (), limit: int = PAGE_LIMIT
) -> tuple[str, ...]:
    """Return one stack of a report as pages, each with its marker and at most `limit` characters.

    Args:
        report: The whole, for approvals.
        stack: One of its stacks.
        plan: Finished Markdown lines about resources, for the end.
        first: Finished Markdown lines for the top, such as the diagnostics of a preview that failed.
        limit: Characters of a page, at least 20,000.
    """
    head = [*_bounded(first, limit // 3), *_head(report, stack)]
    rows = stack.difference.rows
    for columns, lines in ((_FULL, list(plan)), (_FULL, _cut(plan)), (_SHORT, _cut(plan))):
        page = "\n".join([marker(report.project, stack.stack), *head, *_table(report, rows, columns), *lines, ""])
        if len(page) <= limit:
            return (page,)
    return _pages(report, stack, head, limit)


def _cut(plan: Sequence[str]) -> list[str]:
    return ["", f"The plan of the resources is left out: it has {len(plan)} lines."] if plan else []


def _pages(report: Report, stack: StackReport, head: Sequence[str], limit: int) -> tuple[str, ...]:
    """Lay the table out over as many pages as it needs."""
    rows = list(stack.difference.rows)
    pages: list[str] = []
    top = list(_bounded(head, limit // 2))
    while rows or not pages:
        count = len(rows)
        first = [marker(report.project, stack.stack, len(pages) + 1), *top]
        while True:
            page = "\n".join([*first, *_table(report, rows[:count], _SHORT), ""])
            if len(page) <= limit or count <= 1:
                break
            count = max(1, min(count - 1, count * limit // len(page)))
        pages.append(page)
        rows = rows[count:]
        top = [f"### Access of {code(stack.stack)}, continued"]
    return tuple(pages)


def _bounded(lines: Sequence[str], limit: int) -> Iterable[str]:
    used = 0
    for index, line in enumerate(lines):
        used += len(line) + 1
        if used > limit:
            yield f"… {len(lines) - index} more lines are left out."
            return
        yield line


# ----------------------------------------------------------------------------------------------------------- the parts
def _head(report: Report, stack: StackReport) -> list[str]:
    difference = stack.difference
    open_rows = [row for row in difference.rows if report.is_open(row)]
    others = [row for row in difference.rows if not report.is_open(row)]
    questions = difference.undecided
    count = len(open_rows) + sum(
        report.question_judgement(difference.environment, item).startswith(NEEDED) for item in questions
    )
    needs = f", {count} need{'s' if count == 1 else ''} approval" if count else ""
    lines = [f"### Access of {code(stack.stack)}: {stack.totals}{needs}", ""]
    shown = [*open_rows, *others][:_SENTENCES_SHOWN]
    lines += [_bullet(report, row) for row in shown]
    if len(difference.rows) > len(shown):
        lines.append(f"- and {len(difference.rows) - len(shown)} more in the table")
    lines += [_question(report, difference.environment, item) for item in questions[:_QUESTIONS_SHOWN]]
    if len(questions) > _QUESTIONS_SHOWN:
        lines.append(f"- **?** and {len(questions) - _QUESTIONS_SHOWN} more that were not compared: the JSON has them")
    if difference.reformatted:
        apps = ", ".join(code(report.redaction.apply(app)) for app in difference.reformatted[:20])
        lines.append(f"- **=** written otherwise, no effective change: {apps}")
    lines += [f"- note: {words((Name(note),))}" for note in report.notes]
    return lines


def _question(report: Report, environment: str, question: str) -> str:
    judgement = report.question_judgement(environment, question)
    told = f" (`{report.question_identity(environment, question)}`: {words((Name(judgement),))})" if judgement else ""
    return f"- **?** not compared, because neither side is known: {code(report.redaction.apply(question))}{told}"


def _bullet(report: Report, row: Row) -> str:
    risks = "".join(f" **{risk.value}**" for risk in row.risks)
    judgement = report.judgement(row)
    told = f" ({words((Name(judgement),))})" if judgement == APPROVED or ": " in judgement else ""
    return f"- **{symbol(row)}** {words(report.shown(row).sentence)}{risks}{told}"


def _table(report: Report, rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    if not rows:
        return []
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        cells = _cells(report, row)
        lines.append(f"| {' | '.join(cells[column] for column in columns)} |")
    count = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    return ["", f"<details><summary>Access table, {count}</summary>", "", *lines, "", "</details>"]


def _cells(report: Report, row: Row) -> dict[str, str]:
    told = report.shown(row)
    facts = told.facts
    terms = [*(f"before: {text}" for text in facts.before), *(f"after: {text}" for text in facts.after), *facts.details]
    owner = facts.owner
    if facts.secret_owner not in {"", owner}:
        owner = f"{owner or '?'} / secret: {facts.secret_owner}"
    return {
        "": symbol(row),
        "app": code(facts.app),
        "runs as": _codes(facts.workloads),
        "what": words(told.what),
        "where": ", ".join(filter(None, (code(row.environment), _codes(facts.regions)))),
        "owner": code(owner),
        "terms": _codes(terms),
        "why allowed": _codes(facts.why),
        "spec": code(facts.spec),
        "risk": ", ".join(risk.value for risk in row.risks),
        "row": f"`{facts.identity}`" + (f" {code(row.spec_digest)}" if report.is_open(row) and row.spec_digest else ""),
    }


def _codes(texts: Iterable[str]) -> str:
    return "<br>".join(code(text) for text in texts)


def words(text: Sentence) -> str:
    """Return a sentence with its names as code."""
    return " ".join(code(word) if isinstance(word, Name) else word for word in text).replace(" ,", ",")


def code(text: str) -> str:
    """Return a text from an input as code that no markup, mention or table can break out of; "" stays empty."""
    if not text:
        return ""
    if len(text) > _NAME_LIMIT:
        text = f"{text[:_NAME_LIMIT]} (and {len(text) - _NAME_LIMIT} more characters)"
    text = visible(text)
    if _SAFE_CODE.fullmatch(text) and text == text.strip():
        return f"`{text}`"
    return f"<code>{''.join(_entity(char) for char in text)}</code>"


def _entity(char: str) -> str:
    """Return a character as Markdown shows it: a numeric entity is text, whatever it would mean."""
    if char.isalnum() or char in " -./:":
        return char
    return html.escape(char) if char in '<>&"' else f"&#{ord(char)};"
