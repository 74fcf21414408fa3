"""Rows as a report may show them: their facts without the values of previews, and the words around them untouched.

A value is taken out of the facts, before a sentence is built around them: what somebody makes a value of ("gains read
access to", `"exitCode": 3`) hides no part of a report. Risks, and whether a row broadens access, are those of the row
as it is; its identity is that of what is shown, so that whoever reads the report finds the same one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from components.derivation.diff import About, Row
from lockstep.access_report.redaction import Redaction
from lockstep.access_report.sentences import Name, Sentence, sentence, what

#: Never redacted: what a judgement or a comment is found by. They are no values, whatever they look like.
_KEPT = frozenset({"environment", "spec_digest"})
#: Parts of a subject that are words of ours, by kind: their places.
_OUR_PARTS = {About.POWER: (0,), About.IDENTITY: (0,), About.OTHER_ACCOUNT: (1,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """What may be shown of a row.

    Attributes:
        facts: Its texts, for display only: a value that is a word of ours may have taken that out.
    """

    sentence: Sentence
    what: Sentence
    facts: Row


def shown_row(row: Row, redaction: Redaction) -> ShownRow:
    """Return what may be shown of a row."""
    ours = _ours(row)

    def shown(told: Sentence) -> Sentence:
        return tuple(
            Name(redaction.apply(word)) if isinstance(word, Name) and word not in ours else word for word in told
        )

    return ShownRow(sentence=shown(sentence(row)), what=shown(what(row)), facts=shown_facts(row, redaction))


def shown_facts(row: Row, redaction: Redaction) -> Row:
    """Return a row's facts without values; its identity is the one that every report tells, and approvals name."""
    if redaction.is_empty:
        return row
    facts = redaction.data(row, kept=_KEPT)
    ours = _ours(row)
    parts = tuple(old if old in ours else new for old, new in zip(row.parts, facts.parts, strict=True))
    return replace(facts, parts=parts)


def _ours(row: Row) -> set[str]:
    return {row.parts[place] for place in _OUR_PARTS.get(row.about, ()) if place < len(row.parts)}
