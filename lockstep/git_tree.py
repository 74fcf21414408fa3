"""Files of a git revision, laid out in a folder without a checkout.

Objects are read by name (`ls-tree`, `cat-file`): no hook, filter or attribute of the repository takes part, so that a
change cannot hide a file from its own review (`export-ignore` would). Symbolic links are laid out only when they stay
inside the tree. The working copy is not touched.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

#: One file of a project is text that people wrote; more is not read.
_FILE_LIMIT_BYTES = 4 * 1024 * 1024
_LINK_HOPS = 8


class GitTreeError(Exception):
    """A revision or a file of it that cannot be read; the text says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    mode: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitTree:
    """The files of one revision below the project's folder.

    Attributes:
        revision: As it was asked for.
        commit: Full name.
        repository: Folder inside the repository; git runs there.
    """

    revision: str
    commit: str
    repository: Path
    entries: dict[str, _Entry] = field(repr=False)

    @classmethod
    def open(cls, revision: str, folder: Path) -> GitTree:
        """Find a revision in the repository of a folder.

        Raises:
            GitTreeError: There is no repository or no such revision.
        """
        arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
        commit = _git(folder, arguments, problem=f"{revision}: it is no file, no folder and no git revision")
        prefix = _git(folder, ["rev-parse", "--show-prefix"], problem=f"{folder}: it is in no git repository")
        where = f"{commit.strip().decode()}:{prefix.decode().rstrip(chr(10))}"
        listed = _git(
            folder, ["ls-tree", "-r", "-z", "--full-tree", where], problem=f"{revision}: its files are unknown"
        )
        entries: dict[str, _Entry] = {}
        for line in filter(None, listed.split(b"\0")):
            told, _, name = line.partition(b"\t")
            mode, _, digest = told.decode().split(" ")
            entries[name.decode("utf-8", "surrogateescape")] = _Entry(mode=mode, digest=digest)
        return cls(revision=revision, commit=commit.strip().decode(), repository=folder, entries=entries)

    def write(self, target: Path, places: Iterable[str]) -> None:
        """Lay out the files at or below the given places (relative, `/` between parts) in `target`.

        Raises:
            GitTreeError: A link leaves the tree, or a file is larger than 4 MiB.
        """
        wanted = {self._resolved(place) for place in places} | {posixpath.normpath(place) for place in places}
        names = sorted(name for name in self.entries if any(_is_at(name, place) for place in wanted))
        contents = dict(zip(names, self._contents([self.entries[name] for name in names]), strict=True))
        for name, content in contents.items():
            path = target / PurePosixPath(name)
            if self.entries[name].mode == "120000":
                self._write_link(target, name)
            elif self.entries[name].mode.startswith("100") and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    def read(self, name: str) -> str:
        """Return one text file.

        Raises:
            GitTreeError: It does not exist, or is no UTF-8 text.
        """
        place = self._resolved(posixpath.normpath(name))
        if place not in self.entries:
            raise GitTreeError(f"{self.revision}:{name}: there is no such file. Fix: correct the path")
        (content,) = self._contents([self.entries[place]])
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise GitTreeError(f"{self.revision}:{name}: it is not UTF-8 text. Fix: correct it") from None

    # ------------------------------------------------------------------------------------------------------- links
    def _resolved(self, place: str) -> str:
        """Follow links of the tree to the place that they mean."""
        for _ in range(_LINK_HOPS):
            parts = PurePosixPath(posixpath.normpath(place)).parts
            for end in range(1, len(parts) + 1):
                head = "/".join(parts[:end])
                entry = self.entries.get(head)
                if entry is not None and entry.mode == "120000":
                    place = posixpath.normpath("/".join([self._target_of(head), *parts[end:]]))
                    break
            else:
                return "/".join(parts)
        raise GitTreeError(f"{self.revision}:{place}: its links do not end. Fix: mend them")

    def _target_of(self, link: str) -> str:
        (content,) = self._contents([self.entries[link]])
        told = content.decode("utf-8", "surrogateescape")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(link), told))
        if told.startswith("/") or target.startswith(".."):
            raise GitTreeError(
                f"{self.revision}:{link}: it is a link out of the project. A comparison reads the revision and nothing "
                "else. Fix: put a file there"
            )
        return target

    def _write_link(self, target: Path, name: str) -> None:
        """Put what a link means in its place: files, never a link."""
        meant = self._resolved(name)
        path = target / PurePosixPath(name)
        if meant in self.entries:
            (content,) = self._contents([self.entries[meant]])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            return
        for inner in [inner for inner in self.entries if inner.startswith(f"{meant}/")]:
            copy = target / PurePosixPath(name) / PurePosixPath(inner).relative_to(meant)
            if self.entries[inner].mode.startswith("100"):
                (content,) = self._contents([self.entries[inner]])
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)

    # ----------------------------------------------------------------------------------------------------- contents
    def _contents(self, entries: Sequence[_Entry]) -> list[bytes]:
        blobs = [entry for entry in entries if entry.mode != "160000"]
        if not blobs:
            return [b"" for _ in entries]
        asked = "".join(f"{entry.digest}\n" for entry in blobs).encode()
        answer = _git(self.repository, ["cat-file", "--batch"], given=asked, problem=f"{self.revision}: unreadable")
        contents: dict[str, bytes] = {}
        position = 0
        for entry in blobs:
            end = answer.index(b"\n", position)
            size = int(answer[position:end].split(b" ")[-1])
            if size > _FILE_LIMIT_BYTES:
                raise GitTreeError(
                    f"{self.revision}: a file has {size} bytes. The limit is 4 MiB. Fix: make it smaller"
                )
            contents[entry.digest] = answer[end + 1 : end + 1 + size]
            position = end + 1 + size + 1
        return [contents.get(entry.digest, b"") for entry in entries]


def _is_at(name: str, place: str) -> bool:
    return place in {".", name} or name.startswith(f"{place}/")


def _git(folder: Path, arguments: Sequence[str], *, problem: str, given: bytes = b"") -> bytes:
    """Run git without the user's configuration having a say in what objects mean."""
    command = ["git", "--no-replace-objects", "-c", "core.quotePath=false", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    try:
        ended = subprocess.run(  # noqa: S603 - git with an argument list; what came from the user stands behind --end-of-options
            command, cwd=folder, input=given, capture_output=True, env=environment, check=False
        )
    except FileNotFoundError:
        raise GitTreeError(f"{folder}: git could not be run there. Fix: install git, or name a folder") from None
    if ended.returncode != 0:
        raise GitTreeError(f"{problem}. Fix: correct the argument, or fetch the revision")
    return ended.stdout
