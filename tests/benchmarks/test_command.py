"""`python -m benchmarks` end to end, as small as it goes. Its figures mean nothing here and are not looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.patience import PATIENCE_SECONDS

REPOSITORY = Path(__file__).resolve().parents[2]


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "benchmarks", *arguments]
    clean = {name: value for name, value in os.environ.items() if name != "ASCP_BINARY"}
    return subprocess.run(  # noqa: S603  # our own module
        words,
        cwd=REPOSITORY,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_run_prints_table_and_goals_and_writes_every_figure(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    done = _run("--tiny", "--only", "first", "--only", "warm", "--latency-ms", "1", "--output", str(output))
    assert done.returncode == 0, done.stderr
    document = json.loads(output.read_text(encoding="utf-8"))
    by_key = {(sample["scenario"], sample["contender"]): sample for sample in document["samples"]}
    first, second = by_key["first mount", "lockstep"], by_key["second pod", "lockstep"]
    assert first["calls"] == {"AssumeRoleWithWebIdentity": 2, "GetParameters": 4, "GetSecretValue": 20}
    assert second["calls"] == {}
    assert not any(sample["failures"] for sample in document["samples"])
    assert ("republish from memory, no latency", "bare-grpc") in by_key
    for goal in document["goals"]:
        assert goal["name"] in done.stdout


@pytest.mark.parametrize("arguments", [("--only", "nothing"), ("--latency-ms", "slow"), ("extra",)])
def test_wrong_usage_exits_64(arguments: tuple[str, ...]) -> None:
    assert _run(*arguments).returncode == 64


@pytest.mark.parametrize("name", ["", "none"])
def test_a_binary_that_is_none_is_said_so_before_anything_starts(tmp_path: Path, name: str) -> None:
    done = _run("--tiny", ASCP_BINARY=str(tmp_path / name))
    assert done.returncode == 1
    assert "not an executable file" in done.stderr
