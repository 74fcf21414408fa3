"""The keys that a read is decrypted with: which of them come and go, and in which direction that goes.

A key is a text `key REGION: ARN`, with its further conditions after ` if `. A read without any is one that AWS's own
key is enough for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..arn import Arn
from .actions import Power
from .conditions import Test
from .facts import About, Facts, Terms
from .patterns import contains
from .rows import Change, Row

_IF = " if "


def keys_in(terms: Terms, regions: set[str]) -> tuple[str, ...]:
    """Return the keys of some regions, one text each, sorted."""
    found: set[str] = set()
    for name, text in terms.texts.items():
        place, condition, tests = name.partition(_IF)
        if place.removeprefix("key ") in regions:
            found |= {f"{place}: {key}{condition}{tests}" for key in text.split(", ")}
    return tuple(sorted(found))


def key_rows(blank: Row, old: Terms, new: Terms, regions: set[str]) -> Iterator[Row]:
    """Yield the row of the keys in the regions that both sides have; none when they are the same."""
    before, after = keys_in(old, regions), keys_in(new, regions)
    if before == after:
        return
    yield replace(
        blank,
        about=About.KEY,
        change=_change(set(before), set(after)),
        regions=tuple(sorted(regions)),
        before=tuple(key for key in before if key not in after),
        after=tuple(key for key in after if key not in before),
        why=new.why,
    )


def _change(before: set[str], after: set[str]) -> Change:
    if not before or not after:
        return Change.GAINED if after else Change.LOST
    wider, narrower = _covers(after, before), _covers(before, after)
    if wider is narrower:
        return Change.CHANGED
    return Change.WIDENED if wider else Change.NARROWED


def _covers(wide: set[str], narrow: set[str]) -> bool:
    """Say whether each of some keys is among others, or is one of them under conditions."""
    return all(key in wide or key.partition(_IF)[0] in wide or f"{_region(key)}: *" in wide for key in narrow)


def _region(key: str) -> str:
    return key.partition(": ")[0]


# ------------------------------------------------------------------------------------------ bound now, or bound before
def bound_anew(rows: Iterable[Row], before: Facts, after: Facts) -> Iterator[Row]:
    """Yield the rows; a key that an unbound Decrypt lets an app use anyway is only bound by its row, or set loose."""
    for row in rows:
        if row.about is About.KEY and row.change is Change.GAINED and _is_unbound(row, row.after, before):
            yield replace(row, change=Change.NARROWED)
        elif row.about is About.KEY and row.change is Change.LOST and _is_unbound(row, row.before, after):
            yield replace(row, change=Change.WIDENED)
        else:
            yield row


def _is_unbound(row: Row, keys: tuple[str, ...], facts: Facts) -> bool:
    """Say whether a side may use all of some keys for the row's object, and for others too."""
    arn = Arn.parse(row.parts[0])
    service = arn.service if arn else ""
    powers = [
        (subject.parts[2], way.tests)
        for subject, terms in facts.items()
        if subject.about is About.POWER and subject.parts[0] == Power.DECRYPT
        for way in terms.ways
    ]
    return all(
        any(
            contains(resource, key.partition(": ")[2].partition(_IF)[0])
            and all(_lets_through(test, f"{service}.{_region(key).removeprefix('key ')}.") for test in tests)
            for resource, tests in powers
        )
        for key in keys
    )


def _lets_through(test: Test, endpoint: str) -> bool:
    """Say whether a condition is one on the service that asks, and lets an endpoint through."""
    is_via = test.key == "kms:ViaService" and test.operator in {"StringEquals", "StringLike"}
    return is_via and any(value.startswith(endpoint) for value in test.values)
