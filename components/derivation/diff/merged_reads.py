"""Reads that replace each other: one row for a read that is replaced by a wider, or by narrower ones.

A reviewer is told "narrowed" only where the read before held all of the new one: a name that is narrower says nothing
about where, by which action and under which conditions it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .facts import About, Facts, Subject, Terms, Way
from .key_changes import key_rows, keys_among
from .patterns import contains
from .reads import WHILE_ABSENT
from .rows import Change, Row
from .ways import lets_through


def merged_reads(rows: list[Row], before: Facts, after: Facts) -> list[Row]:
    """Make one row of a read that is replaced by a wider (or by narrower) ones.

    Wider is what also holds in every region, by every action and under every condition of the other. Whatever reaches
    furthest goes first, gained or lost, so that the way back makes the same rows.
    """
    ways = {id(row): _ways_of(row, after if row.change is Change.GAINED else before) for row in rows}
    gained = [row for row in rows if row.about is About.READ and row.change is Change.GAINED]
    lost = [row for row in rows if row.about is About.READ and row.change is Change.LOST]
    inside_of = {
        id(wide): [
            row
            for row in others
            if contains(wide.parts[0], row.parts[0]) and lets_through(ways[id(wide)], ways[id(row)])
        ]
        for wides, others in ((gained, lost), (lost, gained))
        for wide in wides
    }
    gone: set[int] = set()
    merged: list[Row] = []
    for wide in sorted((*gained, *lost), key=lambda row: (-len(inside_of[id(row)]), row.parts)):
        inside = [row for row in inside_of[id(wide)] if id(row) not in gone]
        if id(wide) in gone or not inside:
            continue
        gone |= {id(wide), *map(id, inside)}
        merged += _merge(Change.WIDENED if wide.change is Change.GAINED else Change.NARROWED, wide, inside)
    named = {text for row in merged for text in (*row.before, *row.after)}
    return [row for row in rows if id(row) not in gone and not _is_told(row, named)] + merged


def _ways_of(row: Row, facts: Facts) -> frozenset[Way]:
    """Return the ways of a read that reads something."""
    terms = facts.get(Subject(about=row.about, parts=row.parts), Terms())
    return frozenset(way for way in terms.ways if way.action != WHILE_ABSENT)


def _is_told(row: Row, named: set[str]) -> bool:
    """Say whether a merged row tells the same: that the wider grant is as unused as the one it replaces."""
    return row.about is About.GRANT_WITHOUT_MOUNT and row.parts[0] in named


def _merge(change: Change, wide: Row, inside: list[Row]) -> Iterator[Row]:
    """Yield the one row, and that of the keys: what is read may shrink while a key comes to it."""
    narrow = tuple(sorted(text for row in inside for text in (row.parts[0], *row.before, *row.after)))
    broad = (wide.parts[0], *wide.before, *wide.after)
    widened = change is Change.WIDENED
    newer = [wide] if widened else inside
    row = replace(
        wide,
        change=change,
        before=narrow if widened else broad,
        after=broad if widened else narrow,
        regions=tuple(sorted({region for row in newer for region in row.regions})),
        details=tuple(sorted({line for row in newer for line in row.details})),
        why=tuple(sorted({reason for row in newer for reason in row.why})),
    )
    yield row
    yield from key_rows(row, keys_among(row.before), keys_among(row.after))
