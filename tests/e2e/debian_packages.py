"""Programs of a node that this machine lacks, out of Debian's packages, unpacked beside the built parts.

Nothing is installed: the package lists, the packages and what is in them lie in the git-ignored toolbox, and the node's
machine lays them over its root. apt takes what this machine's release has, with the libraries that are missing too, and
checks every package against the signed lists.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

#: Program of a node → the Debian package that brings it. Looked up on PATH, an absolute path as it stands.
NODE_PROGRAMS: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/lib/cni/host-local": "containernetworking-plugins",
    "/usr/lib/cni/loopback": "containernetworking-plugins",
    "/bin/busybox": "busybox-static",
}
#: What the tests themselves run, and who brings it: these must be there before.
OUTER_PROGRAMS: Final = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "pivot_root": "util-linux",
    "unshare": "util-linux",
}
_APT: Final = ("apt-get", "dpkg-deb")
_TIMEOUT_SECONDS = 600.0


class PackagesUnavailableError(Exception):
    """The packages cannot be had here; the message ends with the last of what apt said."""


def root(folder: Path) -> Path:
    """Return where packages are unpacked below a toolbox; it is there once something was missing."""
    return folder / "debian" / "root"


def find(program: str, folder: Path) -> Path | None:
    """Return where a program is: on this machine, else in the toolbox; None for nowhere."""
    found = shutil.which(program)
    if found is not None:
        return Path(found)
    if not program.startswith("/"):
        places = [f"usr/bin/{program}", f"usr/sbin/{program}"]
    else:
        places = [program[1:] if program.startswith("/usr/") else f"usr{program}"]  # see _merge_usr
    return next((root(folder) / place for place in places if os.access(root(folder) / place, os.X_OK)), None)


def absent(programs: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return those of some programs that are nowhere, each with its package."""
    return {program: package for program, package in programs.items() if find(program, folder) is None}


def can_bring() -> bool:
    """Say whether this machine has Debian's tools."""
    return all(shutil.which(program) for program in _APT)


def bring(packages: Iterable[str], folder: Path) -> float | None:
    """Fetch and unpack packages.

    Returns:
        The seconds that it took, or None when there was nothing to do.

    Raises:
        PackagesUnavailableError: No network, or the release has no such package.
    """
    names = sorted(set(packages))
    if not names:
        return None
    started = time.monotonic()
    place = folder / "debian"
    shutil.rmtree(place / "cache", ignore_errors=True)  # what is in it may be of another release
    for name in ("lists/partial", "cache/archives/partial"):
        (place / name).mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::State::lists={place / 'lists'}", "-o", f"Dir::Cache={place / 'cache'}"]
    # The user that apt falls back to for downloads cannot read a private folder.
    options += ["-o", "APT::Sandbox::User=root"]
    _run("apt-get", "-qq", *options, "update")
    _run("apt-get", "-qq", "-y", *options, "--download-only", "--no-install-recommends", "install", *names)
    partial = place / "root.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for archive in sorted((place / "cache" / "archives").glob("*.deb")):
        _run("dpkg-deb", "--extract", str(archive), str(partial))
    _merge_usr(partial)
    shutil.rmtree(root(folder), ignore_errors=True)
    partial.rename(root(folder))
    return time.monotonic() - started


def _merge_usr(tree: Path) -> None:
    """Move what a package has in /bin, /sbin or /lib below /usr: there these are links, which a folder would hide."""
    for name in ("bin", "sbin", "lib"):
        old = tree / name
        if old.is_dir() and not old.is_symlink():
            shutil.copytree(old, tree / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(old)


def _run(*words: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - argument lists of ours
            words, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise PackagesUnavailableError(
            f"`{words[0]} ... {words[-1]}` did not end in {_TIMEOUT_SECONDS:.0f} s"
        ) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise PackagesUnavailableError(f"`{words[0]} ... {words[-1]}` failed: {said}")
