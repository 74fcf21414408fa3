"""The keys that a read is decrypted with: which of them come and go, and in which direction that goes.

A key is the name of a text of the read: `key REGION: RESOURCE`, with its further conditions after ` if `. A read
without any is one that AWS's own key is enough for. The resource may be a pattern, or everything but some keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..arn import Arn
from .conditions import Test, Tests, tests_text
from .facts import About, Facts, Terms
from .patterns import Pattern, contains
from .rows import Change, Row

#: The action that reads a value under a key, as statements have it (in lower case).
DECRYPT = "kms:decrypt"
_PREFIX, _IF = "key ", " if "
#: Of the endpoints of AWS's services.
DOMAINS = ("amazonaws.com", "amazonaws.com.cn")
_IF_EXISTS = "IfExists"


def key_text(region: str, resource: Pattern, others: Tests) -> str:
    """Return a key as the name of a text; `others` are the conditions that do not bind it to what is read."""
    return f"{_PREFIX}{region}: {resource}" + (f"{_IF}{tests_text(others)}" if others else "")


def keys_in(terms: Terms, regions: set[str]) -> tuple[str, ...]:
    """Return the keys of some regions, sorted; a key of all regions is one of each, unless `*` itself is asked for."""
    found: set[str] = set()
    for name in terms.texts:
        if name.startswith(_PREFIX):
            region, _, rest = name.removeprefix(_PREFIX).partition(": ")
            places = regions if region == "*" and "*" not in regions else {region} & regions
            found |= {f"{_PREFIX}{place}: {rest}" for place in places}
    return tuple(sorted(found))


def keys_among(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the keys among the texts of a row, sorted."""
    return tuple(sorted(text for text in texts if text.startswith(_PREFIX)))


def key_rows(blank: Row, before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[Row]:
    """Yield the row of the keys of one read; none when they are the same."""
    if before == after:
        return
    yield replace(
        blank,
        about=About.KEY,
        change=_change(before, after),
        before=tuple(key for key in before if key not in after),
        after=tuple(key for key in after if key not in before),
        details=(),
    )


def _change(before: tuple[str, ...], after: tuple[str, ...]) -> Change:
    if not before or not after:
        return Change.GAINED if after else Change.LOST
    wider, narrower = _covers(after, before), _covers(before, after)
    if wider is narrower:
        return Change.CHANGED
    return Change.WIDENED if wider else Change.NARROWED


def _covers(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    wider = [_Key.of(text) for text in wide]
    return all(any(key.covers(_Key.of(text)) for key in wider) for text in narrow)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """One of these texts, taken apart again."""

    region: str
    resource: Pattern
    condition: str

    @classmethod
    def of(cls, text: str) -> _Key:
        told, _, condition = text.removeprefix(_PREFIX).partition(_IF)
        region, _, resource = told.partition(": ")
        return cls(region=region, resource=Pattern.told(resource), condition=condition)

    def covers(self, other: _Key) -> bool:
        """Say whether the other one is this one or a part of it, for certain."""
        same = self.region == other.region and self.condition in {"", other.condition}
        return same and self.resource.contains(other.resource)


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
    """Say whether a side may decrypt with all of some keys for the row's object, and for others too."""
    arn = Arn.parse(row.parts[0])
    service = arn.service if arn else ""
    powers = [
        (Pattern.told(subject.parts[2]), way.tests)
        for subject, terms in facts.items()
        if subject.about is About.POWER and Pattern.told(subject.parts[1].lower()).matches(DECRYPT)
        for way in terms.ways
    ]
    return all(
        any(
            resource.contains(key.resource) and all(_lets_through(test, service, key.region) for test in tests)
            for resource, tests in powers
        )
        for key in map(_Key.of, keys)
    )


def _lets_through(test: Test, service: str, region: str) -> bool:
    """Say whether a condition is one on the service that asks, and lets that service through."""
    base = test.operator.removesuffix(_IF_EXISTS)
    if test.key != "kms:ViaService" or base not in {"StringEquals", "StringLike"}:
        return False
    endpoints = [f"{service}.{region}.{domain}" for domain in DOMAINS]
    if base == "StringEquals":
        return region != "*" and any(endpoint in test.values for endpoint in endpoints)
    return any(contains(value, endpoint) for value in test.values for endpoint in endpoints)
