"""The socket's name: overlapping instances in both stop orders, killed ones, and what others do to the directory."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from provider_runtime.socket_takeover import (
    SocketDirectoryError,
    SocketTakeover,
    is_answered,
    prepare_socket_directory,
)
from tests.fakes.aws import FakeAws
from tests.fakes.daemons import DaemonProcess, ThreadedDaemon, socket_directory
from tests.fakes.driver import DriverClient
from tests.fakes.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "http://127.0.0.1:9"


@pytest.fixture
def directory() -> Iterator[Path]:
    with socket_directory() as path:
        yield path


def _answers(path: Path) -> bool:
    with DriverClient(path) as driver:
        return driver.version().version == "v1alpha1"


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # numbers, not paths


def _listen(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def test_the_public_socket_is_for_its_owner_only(directory: Path) -> None:
    with ThreadedDaemon(directory, url=URL) as daemon:
        assert stat.S_IMODE(daemon.path.stat().st_mode) == 0o600
        assert _answers(daemon.path)
    assert not list(directory.iterdir()), "a stopped instance leaves nothing"


def test_the_newer_instance_is_reached_and_survives_the_older_ones_stop(directory: Path) -> None:
    with ThreadedDaemon(directory, url=URL) as older:
        before = older.path.stat().st_ino
        with ThreadedDaemon(directory, url=URL) as newer:
            assert newer.path.stat().st_ino != before
            older.ask_to_stop()
            older.join()
            assert _answers(newer.path)
    assert not list(directory.iterdir())


def test_the_older_instance_takes_the_name_back_when_the_newer_one_stops_first(directory: Path) -> None:
    with ThreadedDaemon(directory, url=URL) as older:
        before = older.path.stat().st_ino
        with ThreadedDaemon(directory, url=URL):
            pass
        wait_until(older.path.exists, "the older instance has its name", seconds=10)
        assert older.path.stat().st_ino == before
        assert _answers(older.path)


def test_the_name_is_never_gone_while_one_instance_replaces_another(directory: Path) -> None:
    with ThreadedDaemon(directory, url=URL) as first:
        seen_missing = 0
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(ThreadedDaemon(directory, url=URL))
                seen_missing += not first.path.exists()
        assert seen_missing == 0


def test_a_removed_name_comes_back_within_a_second_or_two(directory: Path) -> None:
    with ThreadedDaemon(directory, url=URL) as daemon:
        daemon.path.unlink()
        wait_until(daemon.path.exists, "the name is there again", seconds=10)
        assert _answers(daemon.path)


def test_an_emptied_directory_ends_the_process_so_that_it_is_started_anew(directory: Path) -> None:
    with ThreadedDaemon(directory, url=URL) as daemon:
        for path in directory.iterdir():
            path.unlink()
        daemon.join()
        assert daemon.exit_code == 1


def test_a_name_that_is_another_instances_is_left_alone(directory: Path) -> None:
    takeover = SocketTakeover(str(directory), "aws.sock")
    with _listen(takeover.prepare()):
        takeover.publish()
        assert takeover.is_public()
        (directory / "aws.sock").unlink()
        with _listen(directory / "aws.sock"):
            assert takeover.tend() is False
            assert takeover.withdraw() is False
            assert is_answered(directory / "aws.sock")


def test_severing_closes_the_connections_of_this_instance_only_and_leaks_nothing(directory: Path) -> None:
    takeover, other = SocketTakeover(str(directory), "aws.sock"), SocketTakeover(str(directory), "aws.sock")
    with (
        _listen(takeover.prepare()) as listener,
        _listen(other.prepare()) as neighbour,
        contextlib.ExitStack() as stack,
    ):
        ends = []
        for server in (listener, neighbour):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(server.getsockname())
            client.settimeout(0.05)
            ends.append((client, stack.enter_context(server.accept()[0])))
        before = _open_files()
        assert takeover.sever() == 1
        assert _open_files() == before
        assert ends[0][0].recv(1) == b"", "closed"
        with pytest.raises(TimeoutError):
            ends[1][0].recv(1)
        with socket.socket(socket.AF_UNIX) as late:
            late.connect(listener.getsockname())  # the listener itself is the server's to close


def test_publishing_twice_leaves_no_second_link(directory: Path) -> None:
    takeover = SocketTakeover(str(directory), "aws.sock")
    private = takeover.prepare()
    with _listen(private):
        takeover.publish()
        takeover.publish()
        assert {path.name for path in directory.iterdir()} == {"aws.sock", private.name}


def test_litter_of_killed_instances_is_swept_but_a_young_socket_is_not(directory: Path) -> None:
    for name in (".aws.dead.sock", ".aws.young.sock"):
        _listen(directory / name).close()
    os.utime(directory / ".aws.dead.sock", (0, 0))
    (directory / ".aws.note.sock").write_text("no socket")
    with ThreadedDaemon(directory, url=URL):
        names = {path.name for path in directory.iterdir()}
    assert ".aws.dead.sock" not in names
    assert {".aws.young.sock", ".aws.note.sock"} <= names


def test_two_providers_with_different_names_live_side_by_side(directory: Path) -> None:
    with ThreadedDaemon(directory, url=URL), ThreadedDaemon(directory, "--provider-name=lockstep", url=URL):
        assert _answers(directory / "aws.sock")
        assert _answers(directory / "lockstep.sock")


@pytest.mark.parametrize(
    ("name", "fragment"),
    [("missing", "does not exist"), ("file", "is not a directory"), ("x" * 120, "longer than the 107 bytes")],
)
def test_a_directory_that_cannot_hold_the_socket_is_refused_with_the_reason(
    directory: Path, name: str, fragment: str
) -> None:
    (directory / "file").touch()
    (directory / ("x" * 120)).mkdir()
    with pytest.raises(SocketDirectoryError, match=fragment):
        SocketTakeover(str(directory / name), "aws.sock").prepare()


def test_prepare_makes_the_directory_ours_and_removes_only_what_nobody_answers_on(directory: Path) -> None:
    dead, live = directory / "aws.sock", directory / "other.sock"
    _listen(dead).close()
    with _listen(live):
        done = prepare_socket_directory(str(directory), "aws.sock", os.getegid())
        prepare_socket_directory(str(directory), "other.sock", os.getegid())
        assert live.exists()
    assert not dead.exists()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o1775
    assert directory.stat().st_gid == os.getegid()
    assert any("nobody answered" in sentence for sentence in done)


def test_prepare_refuses_a_missing_directory(directory: Path) -> None:
    with pytest.raises(SocketDirectoryError, match="does not exist"):
        prepare_socket_directory(str(directory / "missing"), "aws.sock", 0)


def test_killing_the_older_instance_does_not_touch_the_newer_ones_name(directory: Path) -> None:
    with DaemonProcess(directory, url=URL) as older:
        older.wait_for("serving on")
        with ThreadedDaemon(directory, url=URL) as newer:
            older.signal(signal.SIGKILL)
            older.wait()
            assert _answers(newer.path)


def test_a_mount_on_an_open_connection_ends_well_while_instances_change(directory: Path) -> None:
    """A rollout with overlap: the driver keeps its connection to the older one, new connections reach the newer."""
    with FakeAws() as aws, ThreadedDaemon(directory, url=aws.url) as older, DriverClient(older.path) as connected:
        connected.version()
        with ThreadedDaemon(directory, url=aws.url) as newer:
            connected.version()
            older.ask_to_stop()
            older.join()
            connected.version()  # the driver reconnects to the name, which is the newer instance
            assert newer.path.exists()
