"""The driver's atomic writer: a set of files appears in a directory as one, or not at all.

Layout: `..data` is a link to `..YYYY_MM_DD_hh_mm_ss.<random>/`, which holds the files; for each first element of a path
there is a link `<name> -> ..data/<name>` at the top. A new set is written beside the old one and becomes visible by one
rename of `..data`; only then are links of files no longer listed and the old directory removed. A crash before the
rename leaves the old set as it was.

Kept on purpose, because the driver does it: a change of mode alone is not applied; a path that turns from a file into
a directory, or back, fails; a set that could not be written leaves its directory behind; so does `..data_tmp` after a
crash, and it blocks every later change. Different: paths are handled in the order given, Go's maps have none.

Source: secrets-store-csi-driver 1.6.0, `pkg/util/fileutil` (`writer.go`; `atomic_writer.go`, itself from kubelet 1.20).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

DATA_LINK: Final = "..data"
NEW_DATA_LINK: Final = "..data_tmp"
ELEMENT_LIMIT_BYTES: Final = 255
PATH_LIMIT_BYTES: Final = 4096

_TIMESTAMP_FORMAT: Final = "..%Y_%m_%d_%H_%M_%S."
_DIRECTORY_MODE: Final = 0o755
_GO_SPECIAL_BITS: Final = ((1 << 23, stat.S_ISUID), (1 << 22, stat.S_ISGID), (1 << 20, stat.S_ISVTX))
"""Bits of Go's FileMode for set-user-id, set-group-id and sticky, and the system's."""


class WriteError(Exception):
    """A set of files was refused or could not be written; the text is the driver's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFile:
    """One file of the set.

    Attributes:
        path: Relative, as the provider sent it.
        mode: The proto's int32, unchecked as in the driver.
        contents: Its bytes.
    """

    path: str
    mode: int
    contents: bytes = field(repr=False)


def write_payload(target: Path, files: Sequence[PayloadFile]) -> bool:
    """Make the directory hold exactly these files.

    Args:
        target: An existing directory, the volume.
        files: The whole set; of two with the same path the last one counts.

    Returns:
        Whether anything was written; False when all bytes are there already and no other file is.

    Raises:
        WriteError: A path breaks a rule (nothing is touched then, except by `.`), or the file system refused.
    """
    for file in files:
        check_path(file.path)
    payload = {file.path: file for file in files}
    _remove_plain_files(target, payload)
    with _go_errors("write"):
        old = _current_directory(target)
        stale = _stale_names(old, payload) if old is not None else frozenset()
        if old is not None and not stale and not _is_different(old, payload):
            return False
        _swap(target, old, payload, stale)
    return True


def check_path(path: str) -> None:
    """Apply the driver's rules for one path.

    Raises:
        WriteError: Empty, absolute, too long, with an element `..`, starting with `..`, or not in its shortest form.
    """
    if not path:
        raise WriteError('invalid path: must not be empty: ""')
    if path.startswith("/"):
        raise WriteError(f"invalid path: must be relative path: {path}")
    if len(path.encode()) > PATH_LIMIT_BYTES:
        raise WriteError(f"invalid path: must be less than or equal to {PATH_LIMIT_BYTES} characters")
    elements = path.split("/")
    if ".." in elements:
        raise WriteError(f"invalid path: must not contain '..': {path}")
    if any(len(element.encode()) > ELEMENT_LIMIT_BYTES for element in elements):
        raise WriteError(f"invalid path: filenames must be less than or equal to {ELEMENT_LIMIT_BYTES} characters")
    if path.startswith(".."):
        raise WriteError(f"invalid path: must not start with '..': {path}")
    if str(PurePosixPath(path)) != path:
        raise WriteError(f'invalid filepath: "{path}"')


def load_visible_paths(target: Path) -> Mapping[str, Path]:
    """Return the files that an app sees below the volume, each with the path to read it at; sorted.

    Names that start with `..` are the writer's own; links at the top are followed, as the app would.
    """
    found: dict[str, Path] = {}
    if not target.is_dir():
        return found
    for entry in target.iterdir():
        if entry.name.startswith(".."):
            continue
        below = entry.rglob("*") if entry.is_dir() else iter((entry,))
        found |= {str(path.relative_to(target)): path for path in below if not path.is_dir()}
    return dict(sorted(found.items()))


def load_contents(path: Path) -> bytes:
    """Read a mounted file as root would: a mode without a read bit does not keep this process out.

    The driver runs as root. Here an unreadable file of our own gets a read bit for the time of the read.
    """
    try:
        return path.read_bytes()
    except PermissionError:
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IRUSR)
        try:
            return path.read_bytes()
        finally:
            path.chmod(mode)


def make_directories(path: Path, mode: int) -> None:
    """Make a directory and what is missing above it, all with one mode whatever the umask."""
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        directory.chmod(mode)


def clear_directory(directory: Path) -> None:
    """Remove everything in a directory, and nothing that a link in it points to."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def system_mode(go_mode: int) -> int:
    """Return the permission bits that Go's chmod sets for an unchecked int32 taken as its FileMode."""
    bits = go_mode & 0xFFFFFFFF
    return bits & 0o777 | sum(system for go, system in _GO_SPECIAL_BITS if bits & go)


def _remove_plain_files(target: Path, payload: Mapping[str, PayloadFile]) -> None:
    """Remove files of the same names that the provider wrote itself, before it left the writing to the driver."""
    for path in payload:
        top = target / path.split("/")[0]
        if top == target:
            # `.`: Go removes the content first and then fails on the mount point itself.
            clear_directory(target)
            raise WriteError(f"cleanup failure: unlinkat {target}: device or resource busy")
        if top.is_symlink() or not top.exists():
            continue
        with _go_errors("unlinkat", prefix="cleanup failure: "):
            shutil.rmtree(top) if top.is_dir() else top.unlink()


def _current_directory(target: Path) -> Path | None:
    try:
        return target / (target / DATA_LINK).readlink()
    except FileNotFoundError:
        return None


def _stale_names(old: Path, payload: Mapping[str, PayloadFile]) -> frozenset[str]:
    """Return every path of the old set, directories too, that the new one does not have."""
    kept = {str(part) for path in payload for part in (PurePosixPath(path), *PurePosixPath(path).parents)}
    return frozenset(str(path.relative_to(old)) for path in old.rglob("*")) - kept


def _is_different(old: Path, payload: Mapping[str, PayloadFile]) -> bool:
    """Compare bytes only; a path of another kind than before raises OSError, as in the driver."""
    for path, file in payload.items():
        try:
            os.lstat(old / path)
        except FileNotFoundError:
            return True
        if load_contents(old / path) != file.contents:
            return True
    return False


def _swap(target: Path, old: Path | None, payload: Mapping[str, PayloadFile], stale: frozenset[str]) -> None:
    new = Path(tempfile.mkdtemp(prefix=datetime.now(tz=UTC).strftime(_TIMESTAMP_FORMAT), dir=target))
    new.chmod(_DIRECTORY_MODE)
    for path, file in payload.items():
        _write_file(new, path, file)
    for name in dict.fromkeys(path.split("/")[0] for path in payload):
        if not os.path.lexists(target / name):
            (target / name).symlink_to(f"{DATA_LINK}/{name}")
    with _removed_on_error(lambda: shutil.rmtree(new)):
        (target / NEW_DATA_LINK).symlink_to(new.name)
        with _removed_on_error((target / NEW_DATA_LINK).unlink):
            (target / NEW_DATA_LINK).rename(target / DATA_LINK)
    for name in sorted(stale):
        if "/" not in name:
            (target / name).unlink()
    if old is not None:
        shutil.rmtree(old)


def _write_file(directory: Path, path: str, file: PayloadFile) -> None:
    full = directory / path
    make_directories(full.parent, _DIRECTORY_MODE)
    descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(file.contents)
        os.fchmod(output.fileno(), system_mode(file.mode))


@contextlib.contextmanager
def _removed_on_error(remove: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    except OSError:
        remove()
        raise


@contextlib.contextmanager
def _go_errors(operation: str, *, prefix: str = "") -> Iterator[None]:
    """Turn an OSError into the text that Go gives it: operation, path, reason in small letters."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "input/output error").lower()
        raise WriteError(f"{prefix}{operation} {error.filename}: {reason}") from None
    except ValueError:  # Python's refusal of a NUL byte, before the system could give EINVAL
        raise WriteError(f"{prefix}{operation}: invalid argument") from None
