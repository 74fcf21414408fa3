"""Facts of one app on both sides to rows: gained, lost, widened, narrowed, changed.

Every subject whose terms differ is in at least one row, so there is no row exactly when the facts are equal. Only the
direction is judged here; risks.py adds what makes a row dangerous.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .conditions import changed_values, tests_text
from .facts import HIDDEN, About, Facts, Subject, Terms, Way
from .key_changes import bound_anew, key_rows, keys_in
from .merged_reads import merged_reads
from .patterns import contains
from .rows import Change, Row
from .trust import ANY, ASSOCIATION, OWN, PATTERN, SESSION_POLICY
from .ways import lets_through, ways_change

_NOTHING = Terms()
_NOT_SHOWN = "(not shown)"
#: Subject of the one row that introduces a new app, or takes leave of one.
WHOLE_APP = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One app on one side of a comparison."""

    facts: Facts
    files_of: Mapping[Subject, tuple[Subject, ...]]
    accounts: tuple[str, ...] = ()


def compare(before: Side, after: Side, *, environment: str, app: str) -> list[Row]:
    """Return the rows of one app, unordered and without risks."""
    rows: list[Row] = []
    for subject in sorted(before.facts.keys() | after.facts.keys()):
        old, new = before.facts.get(subject), after.facts.get(subject)
        if old == new:
            continue
        blank = Row(environment=environment, app=app, about=subject.about, change=Change.CHANGED, parts=subject.parts)
        rows += _rows(blank, old, new)
    if max(associations_in(side.facts) for side in (before, after)) <= 1:
        rows = [row for row in rows if row.about is not About.IDENTITY or row.parts[0] != ASSOCIATION]
    rows = _folded(_session_folded(_trust_folded(rows, before, after)), before, after)
    rows = list(bound_anew(merged_reads(rows, before.facts, after.facts), before.facts, after.facts))
    if any(_is_hidden(About.READ, side.facts) for side in (before, after)):
        rows = [row for row in rows if row.about not in _MATCHED]
    rows = [_doubted(row, before, after) for row in rows]
    if not before.facts or not after.facts:
        return _introduced(rows)
    return rows


def associations_in(facts: Facts) -> int:
    """Return how many associations the facts tell apart."""
    return sum(subject.about is About.IDENTITY and subject.parts[0] == ASSOCIATION for subject in facts)


def _rows(blank: Row, old: Terms | None, new: Terms | None) -> Iterator[Row]:
    if old is None or new is None:
        there = old or new or _NOTHING
        row = replace(blank, regions=_regions(there), why=there.why)
        if new is None:
            yield replace(row, change=Change.LOST, before=_terms_texts(there))
        else:
            yield replace(row, change=Change.GAINED, after=_terms_texts(there))
    elif blank.about is About.READ:
        yield from _read_rows(blank, old, new)
    elif blank.about is About.FILE:
        yield from _file_rows(blank, old, new)
    else:
        change = ways_change(old.ways, new.ways)
        yield _between(blank, old, new, change=change)


def _between(blank: Row, old: Terms, new: Terms, *, change: Change) -> Row:
    before, after = _terms_texts(old), _terms_texts(new)
    same = set(before) & set(after)
    changed: tuple[str, ...] = ()
    if len(old.ways) == len(new.ways) == 1:
        changed = changed_values(next(iter(old.ways)).tests, next(iter(new.ways)).tests)
    return replace(
        blank,
        change=change,
        regions=_regions(new),
        before=tuple(text for text in before if text not in same),
        after=tuple(text for text in after if text not in same),
        details=(*changed, *_hidden_changes(old, new)),
        why=new.why,
    )


def _hidden_changes(old: Terms, new: Terms) -> tuple[str, ...]:
    """Say that a text changes which is not shown."""
    names = [name for name in sorted(old.texts.keys() & new.texts.keys()) if name.startswith(HIDDEN)]
    return tuple(
        f"another {name.removeprefix(HIDDEN)} {_NOT_SHOWN}" for name in names if old.texts[name] != new.texts[name]
    )


# ------------------------------------------------------------------------------------------------------------ unknowns
_MOUNTED = frozenset({About.FILE, About.MODE, About.SYNC, About.MOUNT})
#: What is only looked for where everything is known.
_MATCHED = frozenset({About.MOUNT_WITHOUT_GRANT, About.GRANT_WITHOUT_MOUNT})
_RUN_AS = frozenset({About.TRUST, About.IDENTITY})


def _doubted(row: Row, before: Side, after: Side) -> Row:
    """Mark what one side cannot confirm: a loss while the new side is not known, a gain while the old one was not."""
    gains = row.change in {Change.GAINED, Change.WIDENED, Change.CHANGED}
    loses = row.change in {Change.LOST, Change.NARROWED, Change.CHANGED}
    doubt = (loses and _is_hidden(row.about, after.facts)) or (gains and _is_hidden(row.about, before.facts))
    return replace(row, is_certain=not doubt)


def _is_hidden(about: About, facts: Facts) -> bool:
    """Say whether something unknown on a side could hold facts of this kind."""
    places = [subject.parts[0] for subject in facts if subject.about is About.UNKNOWN]
    if about is About.UNKNOWN:
        return False
    if about in _MOUNTED:
        return any(place.startswith("class ") for place in places)
    if about in _RUN_AS:
        return any("policy" not in place for place in places)
    return any(place != "trust" for place in places)


# -------------------------------------------------------------------------------------------------------------- reads
def _read_rows(blank: Row, old: Terms, new: Terms) -> Iterator[Row]:
    """One row each for regions, for the ways in the regions that stay, and for the keys there."""
    before, after = set(_regions(old)), set(_regions(new))
    stay = _shared(before, after)
    if before != after:
        yield replace(
            blank,
            about=About.REGION,
            change=_set_change(before, after),
            regions=tuple(sorted(after)),
            before=tuple(sorted(before)),
            after=tuple(sorted(after)),
            details=keys_in(new, after - before),
            why=new.why,
        )
    old_ways, new_ways = _in_regions(old, stay), _in_regions(new, stay)
    if old_ways != new_ways:
        change = ways_change(old_ways, new_ways)
        yield _between(
            blank, replace(old, ways=old_ways, texts={}), replace(new, ways=new_ways, texts={}), change=change
        )
    yield from key_rows(
        replace(blank, regions=tuple(sorted(stay)), why=new.why), keys_in(old, stay), keys_in(new, stay)
    )


def _set_change(before: set[str], after: set[str]) -> Change:
    wider, narrower = "*" in after or before <= after, "*" in before or after <= before
    if wider is narrower:
        return Change.CHANGED
    return Change.WIDENED if wider else Change.NARROWED


def _regions(terms: Terms) -> tuple[str, ...]:
    return tuple(sorted({way.region for way in terms.ways if way.region}))


def _shared(before: set[str], after: set[str]) -> set[str]:
    """Return the regions that both sides have; where one side has all, those that the other one names."""
    if ("*" in before) is ("*" in after):
        return before & after
    return (after if "*" in before else before) - {"*"}


def _in_regions(terms: Terms, regions: set[str]) -> frozenset[Way]:
    """Return the ways in some regions; one that holds in all is one of each, unless `*` itself is asked for."""
    if "*" in regions:
        return frozenset(way for way in terms.ways if way.region in regions)
    return frozenset(
        replace(way, region=region) for way in terms.ways for region in regions if way.region in {region, "*"}
    )


# -------------------------------------------------------------------------------------------------------------- files
def _file_rows(blank: Row, old: Terms, new: Terms) -> Iterator[Row]:
    if old.texts.get("mode") != new.texts.get("mode"):
        before, after = old.texts.get("mode", ""), new.texts.get("mode", "")
        yield replace(blank, about=About.MODE, change=_mode_change(before, after), before=(before,), after=(after,))
    rest_old = replace(old, texts={name: text for name, text in old.texts.items() if name != "mode"})
    rest_new = replace(new, texts={name: text for name, text in new.texts.items() if name != "mode"})
    if rest_old != rest_new:
        yield _between(blank, rest_old, rest_new, change=Change.CHANGED)


def _mode_change(before: str, after: str) -> Change:
    old, new = (int(text, 8) if text.isdigit() else 0 for text in (before, after))
    if old & ~new and new & ~old:
        return Change.CHANGED
    return Change.WIDENED if new & ~old else Change.NARROWED


def _trust_folded(rows: list[Row], before: Side, after: Side) -> list[Row]:
    """Leave out that somebody loses a trust (or gains one) whom a wider one lets in anyway."""
    trusts = [row for row in rows if row.about is About.TRUST]
    sides = {Change.GAINED: (after, before), Change.LOST: (before, after)}
    told: list[Row] = []
    for wide in trusts:
        if wide.change not in sides:
            continue
        own, other = sides[wide.change]
        ways = own.facts[Subject(about=About.TRUST, parts=wide.parts)].ways
        for row in trusts:
            if row.change is not wide.change.mirror or not _is_among(row.parts[0], wide.parts[0], other.accounts):
                continue
            if lets_through(ways, other.facts[Subject(about=About.TRUST, parts=row.parts)].ways):
                told.append(row)
    return [row for row in rows if row not in told]


def _is_among(who: str, wide: str, accounts: tuple[str, ...]) -> bool:
    """Say whether a trusted one is among those that a wider trust of the same mechanism names."""
    mechanism, name = _mechanism_of(who)
    other_mechanism, pattern = _mechanism_of(wide)
    if mechanism != other_mechanism or name == pattern:
        return False
    if pattern == ANY:
        return True
    names = accounts if name == OWN else (name.removesuffix(PATTERN),)
    return pattern.endswith(PATTERN) and all(contains(pattern.removesuffix(PATTERN), item) for item in names)


def _mechanism_of(who: str) -> tuple[str, str]:
    mechanism, _, name = who.rpartition(": ")
    return mechanism, name


def _session_folded(rows: list[Row]) -> list[Row]:
    """Put what a new session policy lets through (or an old one did) into its row; leave out what another row says.

    A policy that comes or goes is one change, however much it names. One that stays and follows the role's own policy
    says nothing new.
    """
    inside = [row for row in rows if row.about is About.IDENTITY and row.parts[0] == SESSION_POLICY and row.parts[1:]]
    if not inside:
        return rows
    rest = [row for row in rows if row not in inside]
    whole = next((row for row in rest if row.about is About.IDENTITY and row.parts == (SESSION_POLICY,)), None)
    if whole is not None:
        lines = tuple(sorted(f"lets through {' '.join(row.parts[1:])}" for row in inside))
        return [replace(row, details=lines) if row is whole else row for row in rest]
    told = {(row.parts, row.change) for row in rest if row.about in {About.READ, About.REGION, About.POWER, About.KEY}}
    return [*rest, *(row for row in inside if (row.parts[2:], row.change) not in told)]


def _folded(rows: list[Row], before: Side, after: Side) -> list[Row]:
    """Put the files of a gained (or lost) read into its row instead of rows of their own."""
    by_place = {(row.about, row.parts, row.change): row for row in rows}
    folded: set[tuple[object, ...]] = set()
    kept: list[Row] = []
    for row in rows:
        side = {Change.GAINED: after, Change.LOST: before}.get(row.change)
        if row.about is not About.READ or side is None:
            continue
        files = side.files_of.get(Subject(about=About.READ, parts=row.parts), ())
        places = [(About.FILE, file.parts, row.change) for file in files]
        lines = [_file_line(by_place[place]) for place in places if place in by_place]
        folded.update(places)
        kept.append(replace(row, details=(*row.details, *sorted(set(lines)))))
    named = {(row.about, row.parts, row.change) for row in kept}
    rest = [row for row in rows if (row.about, row.parts, row.change) not in folded | named]
    return [*kept, *rest]


def _file_line(row: Row) -> str:
    texts = row.after or row.before
    mode = next((text.removeprefix("mode ") for text in texts if text.startswith("mode ")), "")
    return f"file {row.parts[1]} {mode}".rstrip()


def _introduced(rows: list[Row]) -> list[Row]:
    """Say of a new app (or one that is gone) in one row what it is: that it runs as somebody is no change by itself."""
    own = [row for row in rows if _is_introduction(row)]
    if not own:
        return rows
    # Where pods mount a class only specs show: said beside it, so that the row is the one of a preview too.
    told = [(row.parts[1:] == ("path",), f"{_label(row)}: {text}") for row in own for text in row.after or row.before]
    texts = tuple(sorted(text for is_path, text in told if not is_path))
    whole = replace(
        own[0],
        about=About.IDENTITY,
        parts=(WHOLE_APP,),
        before=texts if own[0].change is Change.LOST else (),
        after=texts if own[0].change is Change.GAINED else (),
        details=tuple(sorted(text for is_path, text in told if is_path)),
        why=tuple(sorted({reason for row in own for reason in row.why})),
    )
    return [whole, *(row for row in rows if not _is_introduction(row))]


def _is_introduction(row: Row) -> bool:
    own_trust = row.about is About.TRUST and row.parts[0].endswith(OWN)
    return own_trust or row.about in {About.IDENTITY, About.MOUNT}


def _label(row: Row) -> str:
    if row.parts[0] == ASSOCIATION:
        return " ".join(row.parts)
    return f"class {' '.join(row.parts)}" if row.about is About.MOUNT else row.parts[0]


# -------------------------------------------------------------------------------------------------------------- texts
def _terms_texts(terms: Terms) -> tuple[str, ...]:
    """Return the terms as short texts, sorted. What must not be shown is only said to be there."""
    texts = {_text(name, text) for name, text in terms.texts.items()}
    conditions = {(way.action, tests_text(way.tests)) for way in terms.ways}
    texts |= {f"{action} if {tests}".strip() if tests else action for action, tests in conditions}
    return tuple(sorted(text for text in texts if text))


def _text(name: str, text: str) -> str:
    if name.startswith(HIDDEN):
        return f"{name.removeprefix(HIDDEN)} {_NOT_SHOWN}"
    return text if name == "value" else f"{name} {text}".rstrip()
