"""The node's machine: a root, a process table and disks of its own. It can lose its power and boot again.

Losing power ends every process in it at once, and its mounts and /run are gone; its disks and its root's writable layer
stay. That is what a node sees whose virtual machine is restarted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.toolbox import PROJECT
from tests.e2e_node.machine_init import DISKS, READY_FILE

_BOOT_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.02
_COMMAND_SECONDS: Final = 60.0


class MachineError(Exception):
    """The machine did not boot, or a command in it failed; the message holds what it said."""


@dataclass(slots=True, kw_only=True)
class Machine:
    """One machine.

    Attributes:
        folder: Its disks; on a file system that overlayfs can use.
    """

    folder: Path
    _init: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _pid: int = field(default=0, init=False)

    @property
    def root(self) -> Path:
        """Its file system, as this process can read and write it."""
        return Path(f"/proc/{self._pid}/root")

    def boot(self) -> None:
        """Start it.

        Raises:
            MachineError: It did not come up.
        """
        for name in ("root", "upper", "work", *(f"disks/{disk}" for disk in DISKS)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        ready, log_path = self.folder / READY_FILE, self.folder / "init.log"
        ready.unlink(missing_ok=True)
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
        with log_path.open("ab") as log:
            self._init = subprocess.Popen(  # noqa: S603
                [*command, sys.executable, "-m", "tests.e2e_node.machine_init", str(self.folder)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _BOOT_SECONDS
        while not ready.exists():
            if self._init.poll() is not None or time.monotonic() > deadline:
                raise MachineError(f"the machine did not boot: {log_path.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(_POLL_SECONDS)
        self._pid = int(ready.read_text(encoding="ascii"))

    def lose_power(self) -> None:
        """End every process in it at once; nothing happens when it does not run."""
        (init, pid), (self._init, self._pid) = (self._init, self._pid), (None, 0)
        if init is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # Where it never came up there is no process of its own yet, and 0 would be everybody in this group.
            os.kill(pid or init.pid, signal.SIGKILL)
        init.wait(_BOOT_SECONDS)

    def command(self, *words: str) -> list[str]:
        """Return a command line that runs in the machine."""
        return ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--", *words]

    def run(self, *words: str) -> str:
        """Run a command in the machine and return what it printed.

        Raises:
            MachineError: It ended with another code than 0.
        """
        done = subprocess.run(  # noqa: S603 - argument lists of ours
            self.command(*words), capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
        )
        if done.returncode:
            raise MachineError(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def mount_points(self) -> frozenset[str]:
        """Return every mount point of the machine, as paths in it."""
        lines = Path(f"/proc/{self._pid}/mounts").read_text(encoding="utf-8").splitlines()
        return frozenset(line.split(" ")[1].encode().decode("unicode_escape") for line in lines)
