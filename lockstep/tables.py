"""Rows of text in columns, for terminals and pipes alike."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> tuple[str, ...]:
    """Return one line per row; every column but the last is padded to its widest cell, two spaces apart."""
    if not rows:
        return ()
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return tuple(f"{indent}{line}".rstrip() for line in padded)


def counted(count: int, noun: str) -> str:
    """Return `1 app`, `2 apps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
