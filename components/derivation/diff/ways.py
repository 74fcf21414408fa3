"""Ways in which something is allowed, on both sides: which let more through.

Not done here: what a way is (facts.py), and how conditions compare (conditions.py).
"""

from __future__ import annotations

from .conditions import is_weaker_or_equal
from .facts import Way
from .rows import Change


def ways_change(old: frozenset[Way], new: frozenset[Way]) -> Change:
    """Say in which direction the ways go; what is neither wider nor narrower is a change."""
    wider, narrower = lets_through(new, old), lets_through(old, new)
    if wider and not narrower:
        return Change.WIDENED
    return Change.NARROWED if narrower and not wider else Change.CHANGED


def lets_through(wide: frozenset[Way], narrow: frozenset[Way]) -> bool:
    """Say whether each of the narrow ways is one of the wide ones, or one of them with more conditions."""
    return all(any(_covers(way, other) for way in wide) for other in narrow)


def _covers(wide: Way, narrow: Way) -> bool:
    same = wide.action == narrow.action and wide.region in {narrow.region, "*"}
    return same and is_weaker_or_equal(wide.tests, narrow.tests)
