"""A place in a file, shown: the line itself and a mark under the column."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from components.derivation.errors import Spot

_SHOWN_CHARACTERS = 120


def excerpt(spot: Spot, indent: str = "  ") -> tuple[str, ...]:
    """Return two lines: the file's line with its number, and a caret under the column.

    Nothing is returned where the file cannot be read any more or has no such line (a spec from standard input).
    """
    lines = _lines(spot.source)
    if not 0 < spot.line <= len(lines):
        return ()
    number = f"{spot.line:>4}"
    text = lines[spot.line - 1][:_SHOWN_CHARACTERS].replace("\t", " ")
    mark = " " * min(spot.column - 1, _SHOWN_CHARACTERS) + "^"
    return (f"{indent}{number} | {text}".rstrip(), f"{indent}{' ' * len(number)} | {mark}")


@lru_cache(maxsize=256)
def _lines(source: str) -> tuple[str, ...]:
    try:
        return tuple(Path(source).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeError, ValueError):
        return ()
