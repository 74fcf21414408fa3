"""A program of the cluster as a process: started with its log in a file, waited for, and ended by its id."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

#: No law of anybody's: only a start that hangs takes longer.
_READY_SECONDS: Final = 240.0
_STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_SHOWN_LOG: Final = 3000

#: Settings of whoever runs the tests, which no part of a cluster has.
_DROPPED: Final = ("AWS_", "KUBE", "PULUMI_")


class ProcessDiedError(Exception):
    """A process ended early or was not ready in time; the message ends with its log."""


@dataclass(slots=True, kw_only=True)
class ChildProcess:
    """One process.

    Attributes:
        name: For messages.
        command: Program and arguments.
        log_path: Receives what it prints.
        is_ready: Asked until it says yes.
        environment: Added to the cleaned environment.
    """

    name: str
    command: Sequence[str]
    log_path: Path
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """Process id.

        Raises:
            ProcessDiedError: It does not run.
        """
        if self._process is None:
            raise ProcessDiedError(f"{self.name} does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            ProcessDiedError: It ended, or was not ready in time.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_DROPPED) and not name.upper().endswith("_PROXY")
        }
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - an argument list of ours
                list(self.command), env={**kept, **self.environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ProcessDiedError(f"{self.name} did not start. Its log ends:\n{self.log()[-_SHOWN_LOG:]}")
            time.sleep(_POLL_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, with SIGKILL after a bound; nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log(self) -> str:
        """Return what it printed so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
