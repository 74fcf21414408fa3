"""Files of a git revision, read without a checkout.

Objects are read by name (`ls-tree`, `cat-file`): no hook, filter or attribute of the repository takes part, so that a
change cannot hide a file from its own review (`export-ignore` would). Symbolic links are followed only inside the tree.
The working copy is not touched.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath

#: One file of a project is text that people wrote; more is not read.
_FILE_LIMIT_BYTES = 4 * 1024 * 1024
_LINK_HOPS = 8
_LINK, _SUBMODULE = "120000", "160000"


class GitTreeError(Exception):
    """A revision or a file of it that cannot be read; the text says which and what to do."""


def folder_in_repository(folder: Path) -> str:
    """Return where a folder is inside its git repository, as `shop/infra`; "" for its top and where there is none."""
    try:
        prefix = _git(folder, ["rev-parse", "--show-prefix"], problem="")
    except (GitTreeError, OSError):
        return ""
    return prefix.decode("utf-8", "surrogateescape").strip().rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    mode: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitTree:
    """The files of one revision below the project's folder, a `SpecFiles`; places are relative.

    Attributes:
        revision: As it was asked for.
        commit: Full name.
        repository: Folder inside the repository; git runs there.
    """

    revision: str
    commit: str
    repository: Path
    entries: dict[str, _Entry] = field(repr=False)
    _folders: dict[str, list[str]] = field(repr=False)
    _contents: dict[str, bytes] = field(repr=False)

    @classmethod
    def open(cls, revision: str, folder: Path, known: dict[str, bytes] | None = None) -> GitTree:
        """Find a revision in the repository of a folder.

        Args:
            revision: Anything that git takes for a commit.
            folder: The project's, inside the repository.
            known: Contents by digest, shared with other trees of the repository; what is read is added.

        Raises:
            GitTreeError: There is no repository or no such revision.
        """
        if not folder.is_dir():
            raise GitTreeError(f"{folder}: there is no such folder. Fix: correct --project")
        arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
        prefix = _git(folder, ["rev-parse", "--show-prefix"], problem=f"{folder}: it is in no git repository")
        commit = _git(folder, arguments, problem=f"{revision}: it is no file, no folder and no git revision")
        inside = prefix.decode("utf-8", "surrogateescape").rstrip("\n")
        where = f"{commit.strip().decode()}:{inside}"
        listing = ["ls-tree", "-r", "-z", "--full-tree", where]
        if inside:
            fix = "name the project's folder with --project, or another revision"
            listed = _git(folder, listing, problem=f"{revision}: it has no folder {inside}", fix=fix)
        else:
            listed = _git(folder, listing, problem=f"{revision}: its files are unknown")
        entries: dict[str, _Entry] = {}
        folders: dict[str, list[str]] = {}
        for line in filter(None, listed.split(b"\0")):
            told, _, raw = line.partition(b"\t")
            mode, _, digest = told.decode().split(" ")
            name = raw.decode("utf-8", "surrogateescape")
            entries[name] = _Entry(mode=mode, digest=digest)
            folders.setdefault(posixpath.dirname(name) or ".", []).append(name)
        return cls(
            revision=revision,
            commit=commit.strip().decode(),
            repository=folder,
            entries=entries,
            _folders=folders,
            _contents={} if known is None else known,
        )

    # --------------------------------------------------------------------------------------------------- as SpecFiles
    def names_in(self, folder: PurePath) -> list[str] | None:
        """Return the names of the files directly in a folder, links to files among them; None when it is no folder.

        The contents of all of them are read ahead, in one go.

        Raises:
            GitTreeError: A link leaves the tree, or a file is larger than 4 MiB.
        """
        place = self._resolved(str(folder))
        if place not in self._folders and not any(name.startswith(f"{place}/") for name in self._folders):
            return None
        meant = {name: self._resolved(name) for name in self._folders.get(place, ())}
        files = [name for name, target in meant.items() if self._is_file(target)]
        self._read_ahead(meant[name] for name in files)
        return [posixpath.basename(name) for name in files]

    def content(self, file: PurePath) -> bytes:
        """Return a file's bytes, links followed.

        Raises:
            FileNotFoundError: There is no such file (a submodule's files are none of this revision).
            GitTreeError: See `names_in`.
        """
        place = self._resolved(str(file))
        if not self._is_file(place):
            raise FileNotFoundError(2, f"no such file in {self.revision}", str(file))
        self._read_ahead([place])
        return self._contents[self.entries[place].digest]

    def _is_file(self, place: str) -> bool:
        entry = self.entries.get(place)
        return entry is not None and entry.mode not in {_LINK, _SUBMODULE}

    # ------------------------------------------------------------------------------------------------ in other ways
    def read(self, name: str) -> str:
        """Return one text file.

        Raises:
            GitTreeError: It does not exist, or is no UTF-8 text.
        """
        try:
            return self.content(PurePosixPath(name)).decode("utf-8")
        except FileNotFoundError:
            raise GitTreeError(f"{self.revision}:{name}: there is no such file. Fix: correct the path") from None
        except UnicodeDecodeError:
            raise GitTreeError(f"{self.revision}:{name}: it is not UTF-8 text. Fix: correct it") from None

    def write(self, target: Path, places: Iterable[str]) -> None:
        """Lay out files, and the files directly in folders, in `target` at the places where they are asked for.

        What a link means is written in its place: files, never a link. What does not exist is left out.

        Raises:
            GitTreeError: See `names_in`.
        """
        for place in places:
            names = self.names_in(PurePosixPath(place))
            for name in [place] if names is None else [f"{place}/{name}" for name in names]:
                try:
                    content = self.content(PurePosixPath(name))
                except FileNotFoundError:
                    continue
                path = target / PurePosixPath(posixpath.normpath(name))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    # ------------------------------------------------------------------------------------------------------- links
    def _resolved(self, place: str) -> str:
        """Follow links of the tree to the place that they mean; "." is the project's folder."""
        self._refuse_outside(place, place)
        for _ in range(_LINK_HOPS):
            parts = PurePosixPath(posixpath.normpath(place)).parts
            for end in range(1, len(parts) + 1):
                head = "/".join(parts[:end])
                entry = self.entries.get(head)
                if entry is not None and entry.mode == _LINK:
                    place = posixpath.normpath("/".join([self._target_of(head), *parts[end:]]))
                    break
            else:
                return "/".join(parts) or "."
        raise GitTreeError(f"{self.revision}:{place}: its links do not end. Fix: mend them")

    def _target_of(self, link: str) -> str:
        self._read_ahead([link])
        told = self._contents[self.entries[link].digest].decode("utf-8", "surrogateescape")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(link), told))
        self._refuse_outside(told if told.startswith("/") else target, link)
        return target

    def _refuse_outside(self, target: str, place: str) -> None:
        normal = posixpath.normpath(target)
        if normal == ".." or normal.startswith(("/", "../")):
            what = "it is a link out of the project" if target != place else "it is outside of the project"
            raise GitTreeError(
                f"{self.revision}:{place}: {what}. A comparison reads the revision and nothing else. "
                "Fix: put a file there"
            )

    # ----------------------------------------------------------------------------------------------------- contents
    def _read_ahead(self, places: Iterable[str]) -> None:
        """Read what is not known yet, after a look at the sizes."""
        wanted = {self.entries[place].digest: place for place in places}
        digests = [digest for digest in wanted if digest not in self._contents]
        if not digests:
            return
        asked = "".join(f"{digest}\n" for digest in digests).encode()
        problem = f"{self.revision}: its files cannot be read"
        told = _git(self.repository, ["cat-file", "--batch-check"], given=asked, problem=problem)
        sizes = [self._size(line, wanted[digest]) for line, digest in zip(told.splitlines(), digests, strict=True)]
        answer = _git(self.repository, ["cat-file", "--batch"], given=asked, problem=problem)
        position = 0
        for digest, size in zip(digests, sizes, strict=True):
            start = answer.index(b"\n", position) + 1
            self._contents[digest] = answer[start : start + size]
            position = start + size + 1

    def _size(self, line: bytes, place: str) -> int:
        """Read one answer of `--batch-check`: name, kind and size, or name and `missing`."""
        parts = line.split(b" ")
        if not parts[-1].isdigit():
            raise GitTreeError(
                f"{self.revision}:{place}: this clone does not hold it. A comparison fetches nothing. "
                "Fix: fetch the whole revision (no partial clone)"
            )
        size = int(parts[-1])
        if size > _FILE_LIMIT_BYTES:
            raise GitTreeError(
                f"{self.revision}:{place}: it has {size:,} bytes. A file has at most 4 MiB. Fix: make it smaller"
            )
        return size


def _git(
    folder: Path,
    arguments: Sequence[str],
    *,
    problem: str,
    given: bytes = b"",
    fix: str = "correct the argument, or fetch the revision",
) -> bytes:
    """Run git without the user's configuration having a say in what objects mean."""
    command = ["git", "--no-replace-objects", "-c", "core.quotePath=false", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    try:
        ended = subprocess.run(  # noqa: S603 - git with an argument list; what came from the user stands behind --end-of-options
            command, cwd=folder, input=given, capture_output=True, env=environment, check=False
        )
    except FileNotFoundError:
        raise GitTreeError(f"{folder}: git could not be run there. Fix: install git, or name a folder") from None
    except ValueError:
        raise GitTreeError(f"{problem}. Fix: correct the argument") from None  # a null character
    if ended.returncode != 0:
        # `safe.directory`, for one, is a refusal that only git's own words explain.
        said = ended.stderr.decode("utf-8", "replace").strip().partition("\n")[0].removeprefix("fatal: ")
        raise GitTreeError(f"{problem}{f' ({said})' if said else ''}. Fix: {fix}")
    return ended.stdout
