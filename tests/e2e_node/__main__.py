"""`python -m tests.e2e_node`: the tests of this folder, in a network, a process table and a mount table of their own.

Whatever they start ends with them, whatever they mount is unmounted with them, and no address of theirs is one of the
machine's. Two things of a kernel belong to no namespace and are put back here: what kubelet sets below /proc/sys, and
the control group that holds the pods. On a machine that cannot run a node the tests say why, and are skipped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from tests.e2e import toolbox
from tests.e2e_node.enclosure import CONTROL_GROUP_VARIABLE, groups_named

#: What kubelet sets at its start. Source: kubelet 1.36, pkg/kubelet/cm, setupKernelTunables.
_KERNEL_SETTINGS: Final = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
#: Processes of a killed namespace are gone within this time.
_ENDING_SECONDS: Final = 20.0


def main(arguments: list[str]) -> int:
    """Run pytest on this folder; return its exit code."""
    tests = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(Path(__file__).parent), *arguments]
    if toolbox.missing_node_requirements():
        return subprocess.call(tests)  # noqa: S603 - an argument list of ours
    group = f"lockstep-node-{os.getpid()}"
    enclosed = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", *tests]
    signal.signal(signal.SIGTERM, _leave)  # put back what belongs to the machine, as after Ctrl-C
    with _group_removed(group), _kernel_settings_kept():
        return subprocess.call(enclosed, env={**os.environ, CONTROL_GROUP_VARIABLE: group})  # noqa: S603


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    sys.exit(128 + number)


@contextlib.contextmanager
def _kernel_settings_kept() -> Iterator[None]:
    paths = [Path("/proc/sys") / name for name in _KERNEL_SETTINGS]
    before = {path: path.read_text(encoding="ascii") for path in paths if path.exists()}
    try:
        yield
    finally:
        for path, value in before.items():
            if path.read_text(encoding="ascii") != value:
                path.write_text(value, encoding="ascii")


@contextlib.contextmanager
def _group_removed(name: str) -> Iterator[None]:
    try:
        yield
    finally:
        deadline = time.monotonic() + _ENDING_SECONDS
        for group in groups_named(name):
            for folder, _, _ in os.walk(group, topdown=False):
                _remove_group(Path(folder), deadline)


def _remove_group(folder: Path, deadline: float) -> None:
    """Remove one group; the kernel takes a moment to forget the processes that were in it."""
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
