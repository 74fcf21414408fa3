"""The last part of CI: what is left out with a reason, and what fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

#: Plays the environment's Python: what it is asked decides which of the three commands it is.
PLAYED = """#!/bin/sh
case "$*" in
  *--can-run*) {can_run} ;;
  *pytest*) {tests} ;;
  *) {build} ;;
esac
"""


def run_real_parts(
    folder: Path, *, can_run: str = "echo they can", build: str = "echo built", tests: str = "echo 2 passed"
) -> subprocess.CompletedProcess[str]:
    """Run the script beside a played Python; each part is a line of sh, and one that sleeps gets a second."""
    for name in (".ci/real-parts", ".venv/bin/python"):
        (folder / name).parent.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "real-parts", folder / ".ci")
    python = folder / ".venv" / "bin" / "python"
    python.write_text(PLAYED.format(can_run=can_run, build=build, tests=tests), encoding="utf-8")
    python.chmod(0o755)
    bounds = {name: "1s" if "sleep" in part else "60s" for name, part in (("BUILD", build), ("TEST", tests))}
    environment = {**os.environ, **{f"E2E_{name}_TIME": bound for name, bound in bounds.items()}}
    command = [str(folder / ".ci" / "real-parts")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own script


def test_built_parts_are_tested_and_the_tests_say_the_last_line(tmp_path: Path) -> None:
    done = run_real_parts(tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["built", "2 passed"])


def test_where_they_cannot_run_one_line_says_why_and_nothing_is_built(tmp_path: Path) -> None:
    done = run_real_parts(tmp_path, can_run="echo the driver mounts, which needs root; exit 1")
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["real parts left out: the driver mounts, which needs root"]


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        ("sleep 60", "they were not built within 1s"),
        ("echo no proxy >&2; exit 69", "their modules cannot be had here, see above"),
    ],
)
def test_parts_that_are_not_built_are_left_out_with_the_reason(tmp_path: Path, build: str, reason: str) -> None:
    started = time.monotonic()
    done = run_real_parts(tmp_path, build=build)
    assert time.monotonic() - started < 30
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"real parts left out: {reason}")


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"tests": "exit 1"}, 1),
        ({"tests": "exit 5"}, 5),
        ({"tests": "sleep 60"}, 124),
        ({"can_run": "exit 1"}, 1),
        ({"build": "exit 1"}, 1),
    ],
    ids=["failed", "none collected", "too slow", "crashed when asked", "does not compile"],
)
def test_what_is_no_reason_fails(tmp_path: Path, broken: dict[str, str], code: int) -> None:
    done = run_real_parts(tmp_path, **broken)
    assert done.returncode == code
    assert "left out" not in done.stdout


CONFTEST = """
from tests.e2e import toolbox
from tests.e2e.strict_skips import pytest_make_collect_report, pytest_runtest_makereport

toolbox.missing_requirements = lambda: {reasons!r}
"""
CASES = """
import pytest

@pytest.fixture
def fixture():
    pytest.skip("later")

def test_in_a_case():
    pytest.skip("later")

@pytest.mark.skip
def test_by_a_mark():
    pass

def test_by_a_fixture(fixture):
    pass
"""
WHOLE_FILE = "import pytest\n\npytest.skip('later', allow_module_level=True)\n"


@pytest.mark.parametrize(
    ("reasons", "code", "summary"),
    [((), 1, "1 failed, 3 errors"), (("no go",), 0, "4 skipped")],
    ids=["can run", "cannot run"],
)
def test_what_is_skipped_fails_exactly_where_the_parts_can_run(
    tmp_path: Path, reasons: tuple[str, ...], code: int, summary: str
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.format(reasons=reasons), encoding="utf-8")
    (tmp_path / "test_cases.py").write_text(CASES, encoding="utf-8")
    (tmp_path / "test_file.py").write_text(WHOLE_FILE, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--rootdir", str(tmp_path)]
    done = subprocess.run(  # noqa: S603 - an argument list of ours
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]) == (code, summary), done.stdout
    assert ("skipped, though the real parts can run" in done.stdout) == (not reasons)
