"""What a chaos run looks at beside the mounts: logs as they grow, the socket's name, and what was out of order when.

Not done here: what it means (run.py, model.py).
"""

from __future__ import annotations

import base64
import json
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from tests.chaos.world import MARK

_POLL_SECONDS: Final = 0.004
_TICK_SECONDS: Final = 0.05
#: A thread that wakes up later than this was not the only one that could not run.
_STALL_SECONDS: Final = 0.5
MACHINE: Final = "machine"
"""What is out of order while nothing runs in time."""


@dataclass(slots=True)
class LogTail:
    """A log file of a process that still writes; each call gives the whole lines that came since the last one."""

    path: Path
    _offset: int = 0

    def read(self) -> str:
        """Return the new lines."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as log:
            log.seek(self._offset)
            text = log.read()
        end = text.rfind(b"\n") + 1
        self._offset += end
        return text[:end].decode("utf-8", "replace")


def parse_mounts(text: str) -> Mapping[str, list[Mapping[str, Any]]]:
    """Return the provider's lines about finished mounts, by `namespace/pod`."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in text.splitlines():
        if line.startswith("{") and '"outcome"' in line:
            entry = json.loads(line)
            if entry.get("event") in {"mount", "mount failed"}:
                found[entry["pod"]].append(entry)
    return found


def find_leak(text: str, secrets: Iterable[str]) -> str:
    """Return what kind of secret a text holds, or ""; never the secret."""
    encoded = [base64.b64encode(b"\0" * pad + MARK.encode())[4:-4].decode() for pad in range(3)]
    if MARK in text or any(part in text for part in encoded):
        return "a value"
    return "a token or credential" if any(secret in text for secret in secrets) else ""


class OutOfOrder:
    """What was out of order, and when."""

    def __init__(self) -> None:
        self._spans: dict[str, list[list[float]]] = defaultdict(list)

    def begin(self, what: str) -> None:
        """Say that something is out of order from now on."""
        self._spans[what].append([time.monotonic(), math.inf])

    def end(self, what: str) -> None:
        """Say that it is well again; nothing happens when it was."""
        if self._spans[what]:
            self._spans[what][-1][1] = min(self._spans[what][-1][1], time.monotonic())

    def note(self, what: str, began: float, ended: float) -> None:
        """Say that something was out of order from one monotonic second to another."""
        self._spans[what].append([began, ended])

    def was(self, what: str, start: float, end: float) -> bool:
        """Whether something was out of order at some moment from start to end."""
        return any(began <= end and ended >= start for began, ended in self._spans[what])

    def was_throughout(self, what: str, start: float, end: float) -> bool:
        """Whether it was out of order all the time."""
        return any(began <= start and ended >= end for began, ended in self._spans[what])

    def was_any(self, start: float, end: float) -> bool:
        """Whether anything was."""
        return any(self.was(what, start, end) for what in tuple(self._spans))


class MachineWatch:
    """Notes when the machine let a thread wait that was to run: no limit of seconds says anything then.

    A context manager.

    Args:
        disorder: Is told, as `MACHINE`.
    """

    def __init__(self, disorder: OutOfOrder) -> None:
        self._disorder = disorder
        self._due = math.inf
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="machine watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)

    def look(self) -> None:
        """Note a wake-up that is overdue; also for who judges, who may run again before the watch does."""
        due, now = self._due, time.monotonic()
        if now - due > _STALL_SECONDS:
            self._disorder.note(MACHINE, due - _TICK_SECONDS, now)

    def _watch(self) -> None:
        is_over = False
        while not is_over:
            self._due = time.monotonic() + _TICK_SECONDS
            is_over = self._over.wait(_TICK_SECONDS)
            self.look()


@dataclass(slots=True)
class SocketWatch:
    """Looks whether the public socket is there, all the time; a context manager.

    Attributes:
        path: The socket.
        on_lost: Called once for each time that it goes while it must be there.
        must_be_there: Whether an instance serves.
    """

    path: Path
    on_lost: Callable[[float], None]
    must_be_there: bool = True
    _over: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, name="socket watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)

    def _watch(self) -> None:
        lost_at = None
        while not self._over.wait(_POLL_SECONDS):
            had_to_be_there = self.must_be_there  # read before and after: it may change while this thread looks
            if os.path.lexists(self.path):
                if lost_at is not None:
                    self.on_lost(time.monotonic() - lost_at)
                lost_at = None
            elif not (had_to_be_there and self.must_be_there):
                lost_at = None
            elif lost_at is None:
                lost_at = time.monotonic()
