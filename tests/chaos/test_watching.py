"""What a chaos run watches itself with: the machine's pauses, and the socket's name."""

from __future__ import annotations

import time
from pathlib import Path

from tests.chaos.watching import MACHINE, MachineWatch, OutOfOrder, SocketWatch


def test_a_wake_up_that_is_overdue_is_noted_in_its_span_and_nowhere_else() -> None:
    disorder = OutOfOrder()
    watch = MachineWatch(disorder)
    watch.look()
    assert not disorder.was_any(0.0, time.monotonic()), "a watch that does not run says nothing"
    now = time.monotonic()
    watch._due = now - 2.0
    watch.look()
    assert disorder.was(MACHINE, now - 1.0, now - 0.5)
    assert not disorder.was(MACHINE, now - 9.0, now - 3.0)
    assert not disorder.was(MACHINE, time.monotonic(), time.monotonic() + 1.0)


def test_a_socket_that_goes_counts_only_while_it_must_be_there(tmp_path: Path) -> None:
    socket, lost = tmp_path / "aws.sock", list[float]()
    socket.touch()
    with SocketWatch(socket, lost.append) as watch:
        watch.must_be_there = False
        socket.unlink()
        time.sleep(0.1)
        socket.touch()
        watch.must_be_there = True
        time.sleep(0.1)
        assert lost == []
        socket.unlink()
        time.sleep(0.2)
        socket.touch()
        deadline = time.monotonic() + 60
        while not lost and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(lost) == 1
