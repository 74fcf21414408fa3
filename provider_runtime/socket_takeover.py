"""Own the name `<directory>/<provider>.sock` without ever losing it to, or taking it from, a neighbour by accident.

Not done here: serving (`grpc_server`), deciding when to publish or withdraw (`daemon`).

gRPC binds over a live socket without a word and, when the older server stops, unlinks the path that it had bound: the
name of the newer one. So a server binds a private name that nobody else uses, and this module moves the public name:

* publish: chmod 0600, hard-link the private name, rename the link over the public name. Atomic: a client finds the old
  server or the new one, never nothing.
* tend, once a second: if the public name is gone, link it again. If it is another instance's, leave it alone.
* withdraw: remove the public name only while it is still this instance's inode.
* sever: close the connections that are left, so that no call meets a server that is stopping.

Instances of ours agree on each step through a lock on the directory, so that a check and the act after it are one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o1775
PATH_LIMIT_BYTES: Final = 107
"""Length of `sun_path` on Linux less its closing zero (unix(7))."""
_LOCK_ATTEMPTS: Final = 100
_LOCK_PAUSE_SECONDS: Final = 0.01
_LITTER_AGE_SECONDS: Final = 10.0


class SocketDirectoryError(Exception):
    """The socket's directory cannot be used, or the socket lost its last name; the text says what to do."""


class SocketTakeover:
    """One instance's claim on the public socket name. All methods are quick and are called from one thread."""

    def __init__(self, directory: str, socket_name: str) -> None:
        self._directory = Path(directory)
        self._public = self._directory / socket_name
        self._prefix = f".{socket_name.removesuffix('.sock')}."
        self._private = self._directory / f"{self._prefix}{secrets.token_hex(4)}.sock"

    @property
    def public_path(self) -> Path:
        """The name that the driver dials."""
        return self._public

    def prepare(self) -> Path:
        """Check the directory and return the private path that the server shall bind.

        Raises:
            SocketDirectoryError: The directory is missing, no directory, not writable, or its path too long.
        """
        where = f"socket directory {self._directory}"
        if not self._directory.exists():
            raise SocketDirectoryError(
                f"{where}: does not exist. It is a hostPath that the driver reads. "
                "Fix: mount it, or name the right one with --provider-volume."
            )
        if not self._directory.is_dir():
            raise SocketDirectoryError(f"{where}: is not a directory. Fix: name one with --provider-volume.")
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise SocketDirectoryError(
                f"{where}: not writable for uid {os.geteuid()}. "
                "Fix: run `python -m provider_runtime prepare-socket-dir` as root first (the init container does)."
            )
        if len(os.fsencode(self._private)) > PATH_LIMIT_BYTES:
            raise SocketDirectoryError(
                f"{where}: {self._private} is longer than the {PATH_LIMIT_BYTES} bytes of a socket path. "
                "Fix: use a shorter --provider-volume."
            )
        return self._private

    def publish(self) -> None:
        """Make the bound private socket the public one, in one step.

        Raises:
            SocketDirectoryError: The public name belongs to another user (sticky directory) or the move failed.
        """
        self._private.chmod(SOCKET_MODE)
        link = self._private.with_suffix(".link")
        with self._locked():
            try:
                os.link(self._private, link)
                link.rename(self._public)
            except OSError as error:
                with contextlib.suppress(FileNotFoundError):
                    link.unlink()
                raise SocketDirectoryError(
                    f"socket {self._public}: cannot be taken over: {error.strerror}. In a sticky directory only the "
                    "owner of a file may replace it. Fix: stop the other provider that serves this name, or choose "
                    "another with --provider-name; `prepare-socket-dir` removes a socket that nobody serves."
                ) from error
            # The rename consumed the link unless both were one file already; then POSIX keeps it.
            with contextlib.suppress(FileNotFoundError):
                link.unlink()
            sweep_dead_sockets(self._directory, self._prefix, least_age_seconds=_LITTER_AGE_SECONDS)

    def tend(self) -> bool:
        """Put the public name back if it is gone; return whether that was needed.

        Raises:
            SocketDirectoryError: The private name is gone too: the socket cannot be reached any more.
        """
        if os.path.lexists(self._public):
            return False
        with self._locked():
            try:
                os.link(self._private, self._public)
            except FileExistsError:
                return False
            except OSError as error:
                raise SocketDirectoryError(
                    f"socket {self._public}: its names were removed and cannot be put back: {error.strerror}. "
                    "Fix: nothing may clean the directory while the provider runs; a restart binds anew."
                ) from error
        return True

    def is_public(self) -> bool:
        """Whether the public name is this instance's socket."""
        try:
            return self._public.samefile(self._private)
        except FileNotFoundError:
            return False

    def withdraw(self) -> bool:
        """Remove the public name if it is still this instance's; return whether it was. Call `tend` no more."""
        with self._locked():
            is_own = self.is_public()
            if is_own:
                self._public.unlink()
            return is_own

    def is_succeeded(self) -> bool:
        """Whether another instance has the public name, and connections to this one can be severed."""
        return self._public.exists() and not self.is_public() and bool(_open_sockets())

    def sever(self) -> int:
        """Close every connection that was made to this instance; return how many. Call `withdraw` first.

        For the moment before the server stops, when every mount has its answer. A call that arrives just then would be
        cancelled by gRPC, and CANCELLED makes the driver start a pod with an empty directory. A closed connection is
        UNAVAILABLE instead, which the driver calls again about by itself: at the next instance.
        """
        severed = 0
        for descriptor in _open_sockets():
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
                is_ours = connection.family == socket.AF_UNIX and connection.getsockname() == str(self._private)
                if is_ours and not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    connection.shutdown(socket.SHUT_RDWR)
                    severed += 1
        return severed

    def remove_private(self) -> None:
        """Remove the private name after the server has stopped (gRPC usually has already)."""
        with contextlib.suppress(FileNotFoundError):
            self._private.unlink()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the directory's lock; go on without it after a second, for a frozen neighbour must not stop us."""
        try:
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SocketDirectoryError(f"socket directory {self._directory}: {error.strerror}.") from error
        try:
            for _ in range(_LOCK_ATTEMPTS):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(_LOCK_PAUSE_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _open_sockets() -> tuple[int, ...]:
    """Return the descriptors of this process that are sockets; none where /proc cannot be read."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # numbers, not paths
            with contextlib.suppress(OSError):  # closed meanwhile, such as the listing's own
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    found.append(int(name))
    return tuple(found)


def is_answered(path: Path) -> bool:
    """Whether somebody accepts connections on the socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError as error:
            # Refused or gone: nobody listens. Anything else (a full backlog, no permission) means that somebody may.
            return error.errno not in {errno.ECONNREFUSED, errno.ENOENT}
    return True


def sweep_dead_sockets(directory: Path, prefix: str, *, least_age_seconds: float) -> tuple[Path, ...]:
    """Remove private sockets of killed instances; return what was removed.

    Args:
        directory: The socket directory.
        prefix: How the private names start.
        least_age_seconds: Younger ones are left: between bind and listen a live server refuses too.
    """
    removed = []
    for path in sorted(directory.glob(f"{prefix}*")):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if not stat.S_ISSOCK(status.st_mode) or time.time() - status.st_mtime < least_age_seconds:
                continue
            if not is_answered(path):
                path.unlink()
                removed.append(path)
    return tuple(removed)


def prepare_socket_directory(directory: str, socket_name: str, group_id: int) -> tuple[str, ...]:
    """Make the directory usable for a provider without root; run as root by an init container.

    The directory becomes root:<group_id> 1775, and a socket that nobody answers on is removed: in a sticky directory
    a process without root can create names but not replace those of others.

    Returns:
        What was done, one sentence each.

    Raises:
        SocketDirectoryError: The directory is missing or may not be changed.
    """
    path = Path(directory)
    if not path.is_dir():
        raise SocketDirectoryError(
            f"socket directory {directory}: does not exist. Fix: mount it as a hostPath of type DirectoryOrCreate."
        )
    try:
        os.chown(path, os.geteuid(), group_id)
        path.chmod(DIRECTORY_MODE)
        done = [f"{directory} is uid {os.geteuid()} gid {group_id} mode {DIRECTORY_MODE:o}"]
        public = path / socket_name
        if public.is_socket() and not is_answered(public):
            public.unlink()
            done.append(f"removed {public}: nobody answered on it")
    except OSError as error:
        raise SocketDirectoryError(
            f"socket directory {directory}: {error.strerror} ({error.filename}). "
            "Fix: run as uid 0 with the capabilities CHOWN, FOWNER and DAC_OVERRIDE."
        ) from error
    prefix = f".{socket_name.removesuffix('.sock')}."
    done += [
        f"removed {gone}: left by a killed instance" for gone in sweep_dead_sockets(path, prefix, least_age_seconds=0)
    ]
    return tuple(done)
