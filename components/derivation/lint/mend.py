"""Mend what is mechanical: run the rules, put their edits into the texts, and again, until nothing is left to mend.

The whole of it happens in memory. A caller writes the result or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .edits import apply_edits
from .material import Material
from .part import Edit, Source
from .registry import RULES
from .rule import Finding, Rule
from .run import lint

#: A mended place may show the next mistake; texts settle after two or three rounds.
_ROUND_LIMIT = 10

Read = Callable[[Mapping[str, str]], Material]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What came of it.

    Attributes:
        texts: Name → text, of the texts that changed.
        mended: What was mended, in the order of the rounds.
        findings: What is left.
    """

    texts: Mapping[str, str]
    mended: tuple[Finding, ...]
    findings: tuple[Finding, ...]


def mend(texts: Mapping[str, str], read: Read, rules: Iterable[Rule] = RULES) -> Mended:
    """Mend texts.

    Args:
        texts: Name → text; names as in the places of findings.
        read: Makes material of such texts.
        rules: Those that count.

    Returns:
        Texts in which no finding is left that could be mended; mending them again changes nothing.

    Raises:
        SpecErrors: A text cannot be read.
    """
    chosen = tuple(rules)
    current = dict(texts)
    mended: list[Finding] = []
    findings = lint(read(current), chosen)
    for _ in range(_ROUND_LIMIT):
        changed = _edited(current, findings)
        if not changed:
            break
        mended += [finding for finding in findings if finding.edits and not finding.reason]
        current |= changed
        findings = lint(read(current), chosen)
    new = {name: text for name, text in current.items() if text != texts[name]}
    return Mended(texts=new, mended=tuple(dict.fromkeys(mended)), findings=findings)


def _edited(texts: Mapping[str, str], findings: Iterable[Finding]) -> dict[str, str]:
    """Return the texts that the edits of unsuppressed findings change."""
    by_source: dict[int, tuple[Source, list[Edit]]] = {}
    for finding in findings:
        for edit in finding.edits if not finding.reason else ():
            outermost = edit.source
            while outermost.outer is not None:
                outermost = outermost.outer.source
            by_source.setdefault(id(outermost), (outermost, []))[1].append(edit)
    changed: dict[str, str] = {}
    for source, edits in by_source.values():
        text = apply_edits(source, edits)
        if text != texts[source.name]:
            changed[source.name] = text
    return changed
