"""`make local` as a user runs it: in a process of its own, judged by exit code, text and what it leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.seed import MARKER
from lockstep.exit_codes import ExitCode

COMMAND = (sys.executable, "-m", "local")
BOUND_SECONDS = 300


def descendants(pid: int) -> set[int]:
    """Return the ids of all processes below one, read from /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found: set[int] = set()
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def runs(project: Path) -> set[Path]:
    return set((project / ".local").glob("run-*"))


def test_every_proof_holds_and_nothing_is_left_and_no_value_is_shown(project: Path) -> None:
    before = runs(project)
    result = subprocess.run(  # noqa: S603 - our own command
        COMMAND, cwd=project, capture_output=True, text=True, timeout=BOUND_SECONDS, check=False
    )
    assert result.returncode == ExitCode.FINE, result.stdout + result.stderr
    assert "4 of 4 proofs held" in result.stdout
    for app in ("mailer", "payments", "reports"):
        assert f"\n  {app} " in result.stdout
    assert "FailedMount: MountVolume.SetUp failed for volume" in result.stdout
    assert "--first-mount-max-age 1s (default 10s), --refresh-interval 2s (default 120s)" in result.stdout
    assert MARKER not in result.stdout + result.stderr
    assert "\x1b[" not in result.stdout, "colour is for terminals"
    assert runs(project) == before


def test_a_wrong_flag_is_wrong_usage(project: Path) -> None:
    result = subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, "--kep"], cwd=project, capture_output=True, text=True, timeout=BOUND_SECONDS, check=False
    )
    assert result.returncode == ExitCode.WRONG_USAGE
    assert "usage: python -m local" in result.stderr
    assert "--kep" in result.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_what_it_started(how: signal.Signals, project: Path) -> None:
    before = runs(project)
    # A shell without job control has its background jobs ignore SIGINT, and they would pass that on.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own command
            COMMAND, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, heard)
    started: set[int] = set()
    try:
        deadline = time.monotonic() + BOUND_SECONDS
        while time.monotonic() < deadline and not (started := descendants(process.pid)):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        time.sleep(1.0)
        started |= descendants(process.pid)
        process.send_signal(how)
        _, errors = process.communicate(timeout=BOUND_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == ExitCode.INVALID_INPUT
    assert "interrupted; everything that was started has been ended" in errors
    assert {pid for pid in started if Path(f"/proc/{pid}").exists()} == set()
    assert runs(project) == before


def test_kept_running_it_says_how_to_look_around_and_how_to_stop(project: Path) -> None:
    before = runs(project)
    result = subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, "--keep", "--plain"], cwd=project, capture_output=True, text=True, timeout=BOUND_SECONDS, check=False
    )
    assert result.returncode == ExitCode.FINE, result.stdout + result.stderr
    stop = next(line for line in result.stdout.splitlines() if line.strip().startswith("stop"))
    command = stop.split(None, 1)[1]
    pids = [int(word) for word in command.split("&&", maxsplit=1)[0].split()[1:]]
    try:
        assert len(pids) == 2
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        (folder,) = runs(project) - before
        assert (folder / "kubelet/pods").is_dir()
        assert list((folder / "manifests").glob("*/SecretProviderClass-*.yaml"))
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        subprocess.run(["sh", "-c", command], cwd=project, check=True, timeout=BOUND_SECONDS)  # noqa: S603, S607
    deadline = time.monotonic() + BOUND_SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
        for pid in pids:  # they are children of a process that is gone; where init does not reap, look at their state
            if Path(f"/proc/{pid}").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text():
                pids.remove(pid)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert runs(project) == before
