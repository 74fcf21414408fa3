"""What a person sees while the embedded stack works: steps with their time, tables, proofs. Never a value.

On a terminal the step that runs is shown with a spinner; elsewhere each step is one line. Everything that is printed is
also kept, so that the stage can search it for values at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofResult:
    """One claim and what was seen.

    Attributes:
        claim: One sentence, in the present tense.
        held: Whether everything that was expected was seen.
        seen: Lines that show it, in order.
    """

    claim: str
    held: bool
    seen: tuple[str, ...]


class Report:
    """Prints to standard output; `plain` turns colour, spinner and table lines off."""

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain or not sys.stdout.isatty()
        self._console = Console(
            file=sys.stdout, no_color=self._plain, highlight=False, soft_wrap=self._plain, emoji=False, markup=False
        )
        self._kept: list[str] = []

    @property
    def printed(self) -> str:
        """Everything printed so far, as text."""
        return "\n".join(self._kept)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show a step while its block runs, then how long it took."""
        started = time.monotonic()
        if self._plain:
            yield
        else:
            with self._console.status(title):
                yield
        self.line(f"  {title} ({time.monotonic() - started:.1f} s)")

    def heading(self, text: str) -> None:
        """Print a heading after an empty line."""
        self.line("")
        self.line(text, style="bold")

    def line(self, text: str, *, style: str = "") -> None:
        """Print one line as it is."""
        self._kept.append(text)
        self._console.print(Text(text, style=style))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows under columns; plain output has columns of spaces, so that it can be read and cut."""
        self._kept += [" ".join(row) for row in rows]
        if self._plain:
            widths = [max(len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
            for row in (columns, *rows):
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self._console.print(Text(f"  {'  '.join(cells)}".rstrip()))
            return
        table = Table(*columns, box=None, padding=(0, 2, 0, 2))
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)

    def proof(self, number: int, result: ProofResult) -> None:
        """Print one proof and its evidence."""
        verdict, style = ("held", "bold green") if result.held else ("FAILED", "bold red")
        self.line("")
        self.line(f"Proof {number}: {result.claim}: {verdict}", style=style)
        for line in result.seen:
            self.line(f"  {line}")
