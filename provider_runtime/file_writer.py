"""Provider-writes mode: the files of one volume, written by this process into the driver's target directory.

Not done here: anything in driver-writes mode (the default), where the driver swaps all files at once.

Each file is replaced atomically (temporary file in the same directory, chmod, write, fsync, rename), the set of files
is not: that is the nature of this mode. As upstream does it, no sub-directory is made. Unlike upstream, files that a
class no longer lists are removed, as far as this process wrote them or the driver says that it knew them; a file whose
bytes and mode are already right is not rewritten, and the temporary name does not grow with the file's. The directory's
modification time moves with every mount, because drivers before and after 1.6 take it for the time of the last one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.redaction import SecretBytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_runtime.payload import MountFile

_TEMPORARY_PREFIX: Final = ".lockstep-"
_VOLUME_LIMIT: Final = 10_000
"""Volumes remembered; a node has some hundred."""
_PERMISSION_BITS: Final = 0o777
_READ_LIMIT_BYTES: Final = 1024 * 1024


class VolumeWriter:
    """`write_files` that remembers what it wrote, because drivers from 1.6 on do not say what a volume holds.

    Bounded; what an instance before this one wrote is not known. Called from several threads.
    """

    def __init__(self) -> None:
        self._written: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, target_path: str, files: Sequence[MountFile], known: Sequence[str], where: str) -> None:
        """Write as `write_files` does; a volume's target path is its own, so it names the volume."""
        with self._lock:
            before = self._written.get(target_path, frozenset())
            # Noted first: a write that fails half way leaves files of either kind behind.
            self._written[target_path] = before | {file.path for file in files}
            self._written.move_to_end(target_path)
            if len(self._written) > _VOLUME_LIMIT:
                self._written.popitem(last=False)
        write_files(target_path, files, (*known, *before), where)
        with self._lock:
            self._written[target_path] = frozenset(file.path for file in files)


def write_files(target_path: str, files: Sequence[MountFile], known: Sequence[str], where: str) -> None:
    """Write every file and remove those that went from the class; blocking, so call it in a thread.

    Args:
        target_path: An existing directory, the driver's mount.
        files: All files of the volume; checked as a whole before the first is written.
        known: Names that earlier mounts of this volume delivered.
        where: Start of error texts.

    Raises:
        MountError(WRITE_FAILED): A name has a directory part, or the node refused; files written before stay.
    """
    for file in files:
        if "/" in file.path:
            raise _error(
                where,
                f"{shown(file.path)}: contains path separator",
                fix="use pathTranslation, or an objectAlias without '/', or --driver-writes-secrets=true",
            )
    try:
        # Names are resolved against the opened directory: a path swapped underneath cannot redirect a write.
        directory = os.open(target_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _error(
            where,
            f"target directory {shown(target_path)}: {error.strerror}",
            fix="mount the kubelet's pods directory into the provider at the same path (HostToContainer)",
        ) from None
    try:
        for file in files:
            if not _is_current(directory, file):
                _write_file(directory, file)
        for name in set(known) - {file.path for file in files}:
            _remove_file(directory, name)
        os.utime(directory)
    except OSError as error:
        raise _error(
            where, f"target directory {shown(target_path)}: {error.strerror}", fix="see the node's disk and mounts"
        ) from None
    finally:
        os.close(directory)


def read_mounted_file(target_path: str, name: str) -> SecretBytes | None:
    """Read one file of a volume; blocking. None: there is none, it is no regular file of the volume, or too large.

    Behind the driver's own writer a file is a link to its current directory inside the volume; a link that leads out
    of it is not followed.
    """
    try:
        directory = os.path.realpath(target_path, strict=True)
        path = os.path.realpath(os.path.join(directory, name), strict=True)  # noqa: PTH118  # bytes of the name count
        if os.path.commonpath((directory, path)) != directory:
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as current:
            if not stat.S_ISREG(os.fstat(current.fileno()).st_mode):
                return None
            contents = current.read(_READ_LIMIT_BYTES + 1)
    except (OSError, ValueError):
        return None
    return SecretBytes(contents) if len(contents) <= _READ_LIMIT_BYTES else None


def _is_current(directory: int, file: MountFile) -> bool:
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as current:
        contents = file.contents.reveal()
        is_same_mode = os.fstat(current.fileno()).st_mode & _PERMISSION_BITS == file.mode
        return is_same_mode and current.read(len(contents) + 1) == contents


def _write_file(directory: int, file: MountFile) -> None:
    temporary = f"{_TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory
    )
    try:
        with os.fdopen(descriptor, "wb") as output:
            os.fchmod(output.fileno(), file.mode)
            output.write(file.contents.reveal())
            output.flush()
            os.fsync(output.fileno())
        os.rename(temporary, file.path, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def _remove_file(directory: int, name: str) -> None:
    """Remove a file of this volume; a name with a directory part, or of something else than a file, is left alone."""
    if "/" in name or name in {"", ".", ".."}:
        return
    with contextlib.suppress(OSError, ValueError):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            os.unlink(name, dir_fd=directory)


def _error(where: str, what: str, *, fix: str) -> MountError:
    return MountError(ErrorCode.WRITE_FAILED, where=where, what=what, fix=fix)
