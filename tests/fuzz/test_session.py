"""The round of fuzzing tells what it did and fails when something was found, with a fuzzer that is told what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fakes.daemons import REPOSITORY
from tests.fuzz import session, targets

FUZZERS_PYTHON = REPOSITORY / ".venv-fuzz" / "bin" / "python"


def _fuzzer(folder: Path, script: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_it_runs_every_target_that_there_is() -> None:
    assert set(session.TARGETS) == set(targets.TARGETS)


def test_a_quiet_round_counts_what_it_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remark = 'echo "Test unit written to /x/slow-unit-1"; '  # of a machine that had other things to do
    python = _fuzzer(tmp_path, remark + 'echo "#9 DONE cov: 120 ft: 3"; echo "stat::number_of_executed_units: 4711"')
    assert session.main(["--seconds=3", f"--work={tmp_path}", f"--python={python}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(session.TARGETS)
    assert all("4711 executions" in line and "120 edges" in line for line in lines)


def test_a_finding_fails_the_round_and_names_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = _fuzzer(
        tmp_path, 'echo "Test unit written to /x/jmespath-crash-1"; echo "stat::number_of_executed_units: 5"; exit 77'
    )
    assert session.main(["--seconds=3", f"--work={tmp_path}", f"--python={python}"]) == 1
    assert "an input broke a law: /x/jmespath-crash-1" in capsys.readouterr().err


def test_a_target_that_there_is_not_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        session.main(["yaml"])
    assert caught.value.code == 2
    assert "no target: yaml. There are attributes, objects, jmespath" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["exit 1", "exit 0"], ids=["fails", "runs nothing"])
def test_a_fuzzer_that_did_not_run_is_no_success(tmp_path: Path, script: str) -> None:
    assert session.main(["--seconds=3", f"--work={tmp_path}", f"--python={_fuzzer(tmp_path, script)}"]) == 2


@pytest.mark.skipif(not FUZZERS_PYTHON.exists(), reason="`make fuzz` has not built its environment here")
def test_the_real_fuzzer_finds_a_broken_law(tmp_path: Path) -> None:
    """A copy of the tree whose target refuses what a mutation of a seed soon holds: the round must notice."""
    for part in ("tests/fuzz", "provider_runtime"):
        shutil.copytree(REPOSITORY / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "tests" / "fuzz" / "targets.py"
    law = '"""Broken."""\n    assert data.count(b"[") < 30'
    text, count = re.subn('"""Check an expression on a value: .*?"""', law, target.read_text("utf-8"), flags=re.DOTALL)
    assert count == 1
    target.write_text(text)
    done = subprocess.run(  # noqa: S603  # our own words
        [str(FUZZERS_PYTHON), "-m", "tests.fuzz.session", "--seconds=10", "jmespath"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "fuzz jmespath: an input broke a law" in done.stderr
