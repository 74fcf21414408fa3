"""Findings as lines of text, each with the line of the file that it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import typer

from components.derivation.lint import Finding, Rule, Severity

_COLOURS = {
    Severity.ERROR: typer.colors.RED,
    Severity.WARNING: typer.colors.YELLOW,
    Severity.NOTE: typer.colors.BLUE,
}
_SHOWN_COLUMNS = 110


def text_report(findings: Sequence[Finding], texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the report: open findings, suppressed ones, the sum. Styled; `typer.echo` strips colours."""
    for finding in findings:
        if not finding.reason:
            yield _line(finding)
            yield from excerpt(finding, texts)
    suppressed = [finding for finding in findings if finding.reason]
    for finding in suppressed:
        yield f"{finding.spot}: suppressed: {finding.what}. Reason: {finding.reason} [{finding.code}]"
    yield sum_of(findings)


def _line(finding: Finding) -> str:
    word = typer.style(str(finding.severity), fg=_COLOURS[finding.severity], bold=True)
    return str(finding).replace(f": {finding.severity}: ", f": {word}: ", 1)


def excerpt(finding: Finding, texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the line of the file, with its number, and a mark below the place."""
    lines = texts.get(finding.spot.source, "").splitlines()
    if finding.spot.line <= len(lines):
        line = lines[finding.spot.line - 1].replace("\t", " ")
        number = f"{finding.spot.line:>6} | "
        cut = line if len(line) <= _SHOWN_COLUMNS else f"{line[:_SHOWN_COLUMNS]}…"
        yield f"{number}{cut}"
        if finding.spot.column <= len(cut):
            yield f"{' ' * (len(number) - 2)}| {' ' * (finding.spot.column - 1)}^"


def sum_of(findings: Iterable[Finding]) -> str:
    """Return one line that counts."""
    listed = list(findings)
    counts = Counter(finding.severity for finding in listed if not finding.reason)
    words = [f"{counts[item]} {item}{'' if counts[item] == 1 else 's'}" for item in Severity if counts[item]]
    suppressed = sum(bool(finding.reason) for finding in listed)
    if suppressed:
        words.append(f"{suppressed} suppressed")
    return ", ".join(words) or "no findings"


def rule_text(rule: Rule) -> Iterator[str]:
    """Yield the lines that explain a rule: words first, then its two examples."""
    yield f"{rule.code} ({rule.severity}): {rule.title}"
    yield ""
    yield rule.why
    yield ""
    yield f"Fix: {rule.fix}." + (" `lockstep lint --fix` can do it." if rule.mends else "")
    for title, example in (("Found", rule.bad), ("Fine", rule.good)):
        for kind, text in (
            ("spec", example.spec),
            ("manifests", example.manifests),
            ("policy", example.policy),
            ("trust", example.trust),
        ):
            if text:
                yield ""
                yield f"{title} ({kind}):"
                yield from (f"    {line}" for line in _shortened(text))


def _shortened(text: str) -> list[str]:
    lines, limit = text.rstrip("\n").splitlines(), 40
    return lines if len(lines) <= limit else [*lines[:limit], f"… ({len(lines) - limit} more lines)"]
