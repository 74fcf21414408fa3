"""Where spec files are read from: the disk, or whatever else holds files (a git revision, for one).

Places are paths as a user writes them, relative or absolute; links are followed by whoever holds the files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class SpecFiles(Protocol):
    """Reads folders and files."""

    def names_in(self, folder: Path) -> Iterable[str] | None:
        """Return the names of the files directly in a folder, in any order; None when it is no folder."""

    def content(self, file: Path) -> bytes:
        """Return a file's bytes; raises `OSError`."""


class DiskFiles:
    """The files of this machine, seen from a folder.

    Args:
        root: Places are below it; empty for the working directory.
    """

    def __init__(self, root: Path = Path()) -> None:
        """Keep the folder."""
        self._root = root

    def names_in(self, folder: Path) -> Iterable[str] | None:
        """See `SpecFiles`."""
        place = self._root / folder
        return [item.name for item in place.iterdir() if item.is_file()] if place.is_dir() else None

    def content(self, file: Path) -> bytes:
        """See `SpecFiles`."""
        return (self._root / file).read_bytes()


DISK = DiskFiles()
