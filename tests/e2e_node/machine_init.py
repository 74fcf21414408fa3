"""The first process of the node's machine: makes its root, and takes in orphans until it is killed.

`python -m tests.e2e_node.machine_init FOLDER`, in mount and process namespaces of its own. The root is this machine's,
with a writable layer on top that holds the packages it lacks, so that everything of a node is at its usual place
(/var/lib/kubelet, /run, /etc/cni).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.e2e import debian_packages
from tests.e2e.toolbox import FOLDER

#: Written when the root is there: this process's id as whoever started it sees it.
READY_FILE: Final = "ready"
#: Folders that need a plain file system under them: containers' layers, and volumes.
DISKS: Final = ("var/lib/containerd", "var/lib/kubelet")


def main(folder: Path) -> None:
    """Never returns."""
    pid = str(Path("/proc/self").readlink())  # of the outer process table: the new /proc is not mounted yet
    root = folder / "root"
    _lay_packages(folder / "upper")
    layers = f"lowerdir=/,upperdir={folder / 'upper'},workdir={folder / 'work'}"
    _run("mount", "-t", "overlay", "overlay", "-o", layers, str(root))
    for disk in DISKS:
        (root / disk).mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", str(folder / "disks" / disk), str(root / disk))
    _run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(root / "run"))
    _run("mount", "-t", "proc", "proc", str(root / "proc"))
    for tree in ("sys", "dev"):
        _run("mount", "--rbind", f"/{tree}", str(root / tree))
    ready = os.open(folder, os.O_DIRECTORY)
    (root / ".outside").mkdir(exist_ok=True)
    os.chdir(root)
    _run("pivot_root", ".", ".outside")
    os.chdir("/")
    _run("umount", "-l", "/.outside")
    _run("mount", "--make-rshared", "/")  # as systemd does; the driver's mounts must reach the containers
    _write(ready, READY_FILE, pid)
    _wait_for_orphans()


def _lay_packages(layer: Path) -> None:
    """Copy what the machine lacks into its writable layer, at its first boot: lower layers may not overlap."""
    packages, done = debian_packages.root(FOLDER), layer.parent / "packages-are-there"
    if packages.is_dir() and not done.exists():
        shutil.copytree(packages, layer, symlinks=True, dirs_exist_ok=True)
        done.touch()


def _run(*words: str) -> None:
    subprocess.run(words, check=True)  # noqa: S603 - argument lists of ours


def _write(folder: int, name: str, text: str) -> None:
    descriptor = os.open(f"{name}.partial", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=folder)
    os.write(descriptor, text.encode())
    os.close(descriptor)
    os.rename(f"{name}.partial", name, src_dir_fd=folder, dst_dir_fd=folder)


def _wait_for_orphans() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigtimedwait({signal.SIGCHLD}, 1.0)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            continue


if __name__ == "__main__":
    main(Path(sys.argv[1]))
