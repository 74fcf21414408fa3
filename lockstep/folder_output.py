"""Write a folder of rendered files whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

#: Marks a folder as ours, so that the next run may replace it and nobody's own files are lost.
MARKER = ".lockstep-render"


class FolderOccupiedError(Exception):
    """The folder holds files that an earlier run did not write."""


def replace_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Make `folder` hold exactly `files` (relative path → text).

    Everything is written beside it first; then two renames swap the folders. Files of apps that are gone go too.

    Raises:
        FolderOccupiedError: The folder is not empty and has no marker of ours.
        OSError: The place cannot be written; the folder is as it was.
    """
    if folder.exists() and not folder.is_dir():
        raise FolderOccupiedError(f"{folder}: it is a file. --output names a folder. Fix: name another one.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise FolderOccupiedError(
            f"{folder}: it holds files that `lockstep render` did not write. The folder is replaced as a whole. "
            "Fix: name a new or empty folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        new = staging / "new"
        for name, text in {**files, MARKER: "written by `lockstep render`; replaced by the next run\n"}.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rename(staging / "old")
        try:
            new.rename(folder)
        except OSError:
            if (staging / "old").exists():
                (staging / "old").rename(folder)
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
