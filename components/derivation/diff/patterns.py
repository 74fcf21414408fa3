"""IAM's patterns: which texts one matches, and whether one matches everything that another does.

`*` stands for any characters, `?` for exactly one. Nothing here knows what an action or a resource is.

Source: IAM user guide, policy elements (wildcards in `Action`, `Resource` and `StringLike`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_RUN = re.compile(r"[*?]{2,}")


def normalise(pattern: str) -> str:
    """Return the one spelling of a pattern: in a run of wildcards every `?` stands first and one `*` last.

    >>> normalise("a**b?*c*?")
    'a*b?*c?*'
    """
    return _RUN.sub(lambda run: "?" * run[0].count("?") + ("*" if "*" in run[0] else ""), pattern)


def has_wildcard(pattern: str) -> bool:
    """Say whether a text holds a wildcard."""
    return "*" in pattern or "?" in pattern


@lru_cache(maxsize=65_536)
def contains(wide: str, narrow: str) -> bool:
    """Say whether every text that `narrow` matches is matched by `wide` too.

    Never wrong with yes. A no may be wrong for patterns that only a full automaton tells apart; whoever asks then
    treats them as unrelated, which shows more to a reviewer, not less.

    >>> contains("secret:prod/*", "secret:prod/db-??????"), contains("db-??????", "db-*")
    (True, False)
    """
    if wide in {narrow, "*"}:
        return True
    if not has_wildcard(wide):
        return False
    head, *middle = wide.split("*")
    if not middle:
        return len(head) == len(narrow) and _fits(head, narrow, 0)
    tail = middle.pop()
    position, end = len(head), len(narrow) - len(tail)
    if end < position or not _fits(head, narrow, 0) or not _fits(tail, narrow, end):
        return False
    for part in middle:
        # The leftmost place is as good as any other: it leaves the most for the parts that follow.
        found = _find(part, narrow, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _fits(part: str, text: str, at: int) -> bool:
    """Say whether a part without `*` covers the text at a place; a `?` covers any one sign but a `*`."""
    if "?" not in part:
        return text.startswith(part, at)
    signs = text[at : at + len(part)]
    return len(signs) == len(part) and all(
        sign == other or (sign == "?" and other != "*") for sign, other in zip(part, signs, strict=True)
    )


def _find(part: str, text: str, start: int, end: int) -> int:
    if "?" not in part:
        return text.find(part, start, end)
    return next((at for at in range(start, end - len(part) + 1) if _fits(part, text, at)), -1)


_EXCEPT = " except "


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pattern:
    """A pattern and what it leaves out: `NotAction` and `NotResource` are everything but some patterns."""

    text: str
    but: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Build a plain pattern in its one spelling."""
        return cls(text=normalise(text))

    @classmethod
    def all_but(cls, texts: list[str]) -> Pattern:
        """Build the pattern of everything that none of the texts matches."""
        return cls(text="*", but=tuple(sorted({normalise(text) for text in texts})))

    @classmethod
    def told(cls, text: str) -> Pattern:
        """Return the pattern that `str(pattern)` told.

        >>> Pattern.told("* except a, b") == Pattern(text="*", but=("a", "b"))
        True
        """
        base, has_but, but = text.partition(_EXCEPT)
        return cls(text=base, but=tuple(but.split(", ")) if has_but else ())

    def matches(self, text: str) -> bool:
        """Say whether a text without wildcards is matched."""
        return contains(self.text, text) and not any(contains(but, text) for but in self.but)

    def contains(self, other: Pattern) -> bool:
        """Say whether everything that the other matches is matched by this one; see `contains`."""
        if other.is_exact:
            return self.matches(other.text)
        return contains(self.text, other.text) and set(self.but) <= set(other.but)

    @property
    def is_exact(self) -> bool:
        """Whether it matches one text only, and which one is known: a variable of a policy may be any."""
        return not self.but and not has_wildcard(self.text) and "${" not in self.text

    def __str__(self) -> str:
        return f"{self.text}{_EXCEPT}{', '.join(self.but)}" if self.but else self.text
