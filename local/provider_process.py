"""The real provider as a process of its own, pointed at the emulator, with its log in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

#: A slow machine is no error: what does not start ends, and is seen to.
_START_SECONDS = 120.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.05
_SHOWN_LOG = 2000

#: What a provider on a node does not have either: credentials and settings of the person who runs this.
_DROPPED = ("AWS_", "PULUMI_", "KUBERNETES_")


class ProviderStartError(Exception):
    """The provider did not come up; the message ends with its log."""


@dataclass(slots=True)
class ProviderProcess:
    """Start it with `start`, end it with `stop`; both are bounded.

    Attributes:
        project: Checkout, the working directory.
        socket_dir: Folder of `aws.sock`.
        endpoint: Of every AWS service.
        log_path: Receives the provider's stderr.
        flags: Further flags, such as short ages.
    """

    project: Path
    socket_dir: Path
    endpoint: str
    log_path: Path
    flags: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def command(self) -> tuple[str, ...]:
        """The command line, as a person would type it."""
        fixed = (f"--provider-volume={self.socket_dir}", "--driver-writes-secrets=true")
        return (sys.executable, "-m", "provider_runtime", *fixed, *self.flags)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def socket(self) -> Path:
        """Where the driver dials."""
        return self.socket_dir / "aws.sock"

    def start(self) -> None:
        """Start and wait until it serves the socket, which another instance, or a killed one, may have left there.

        Raises:
            ProviderStartError: It ended, or was not there in time.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
        environment = {**kept, "AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true"}
        before = _inode(self.socket)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, an argument list
                self.command, cwd=self.project, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        while _inode(self.socket) in {None, before}:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ProviderStartError(f"the provider did not start. Its log ends:\n{self.log()[-_SHOWN_LOG:]}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End it: SIGTERM, and after a bound SIGKILL. Nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it with SIGKILL, as a node that runs out of memory does: nothing is drained and the socket stays."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def log(self) -> str:
        """Return what it wrote so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""


def _inode(path: Path) -> int | None:
    """Return a file's inode, or None when there is no file. A new instance puts a socket of its own in place."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
