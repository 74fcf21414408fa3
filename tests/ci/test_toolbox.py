"""The builder of the real parts: what it says where they cannot run, and that nothing is built twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import toolbox

ROOT = Path(__file__).resolve().parent.parent.parent

#: Plays Go: tells its version, and builds by writing what it was asked for.
PLAYED_GO = """#!/bin/sh
if [ "$1" = env ]; then cat "{folder}/version"; exit; fi
if [ "$1" = list ]; then cat "{folder}/refusal" >&2 2>/dev/null && exit 1; exit 0; fi
if [ -e "{folder}/broken" ]; then echo "undefined: net.Dial" >&2; exit 1; fi
while [ "$1" != -o ]; do shift; done
echo "$3" | tee -a "{folder}/built" > "$2"
"""


def run_without_go(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": "/nonexistent"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own module


def test_without_go_it_says_so_and_builds_nothing() -> None:
    asked = run_without_go("tests.e2e.toolbox", "--can-run")
    assert (asked.returncode, "go is not on PATH" in asked.stdout) == (1, True)
    built = run_without_go("tests.e2e.toolbox")
    assert (built.returncode, "not built: go is not on PATH" in built.stdout) == (0, True)


def test_without_go_every_case_is_skipped_with_the_reason_and_counted() -> None:
    done = run_without_go("pytest", "-p", "no:cacheprovider", "-q", "-rs", "tests/e2e/test_stand_in_parity.py")
    assert done.returncode == 0, done.stdout
    assert "go is not on PATH" in done.stdout
    assert re.match(r"\d{2} skipped in ", done.stdout.splitlines()[-1])


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a played Go on PATH, with its version and what it has built in this folder."""
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    program.write_text(PLAYED_GO.format(folder=tmp_path), encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "version").write_text("go1.26.1\n", encoding="utf-8")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(toolbox, "FOLDER", tmp_path / "parts")
    return tmp_path


def _builds(go: Path) -> int:
    built = go / "built"
    return len(built.read_text(encoding="utf-8").splitlines()) if built.exists() else 0


def test_a_part_is_built_once_and_again_only_when_the_toolchain_changed(go: Path) -> None:
    assert toolbox.missing_tools((toolbox.ETCD,)) == ("etcd",)
    assert toolbox.build(toolbox.ETCD) is not None
    assert toolbox.build(toolbox.ETCD) is None
    assert (_builds(go), toolbox.missing_tools((toolbox.ETCD,))) == (1, ())
    (go / "version").write_text("go1.26.2\n", encoding="utf-8")
    assert toolbox.build(toolbox.ETCD) is not None
    assert _builds(go) == 2


def test_a_part_that_cannot_be_built_is_an_error_with_what_go_said(go: Path) -> None:
    (go / "broken").touch()
    with pytest.raises(toolbox.ToolboxError, match="undefined") as raised:
        toolbox.build(toolbox.ETCD)
    assert not isinstance(raised.value, toolbox.ModulesUnavailableError)
    assert toolbox.missing_tools((toolbox.ETCD,)) == ("etcd",)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("x@v1.0.0: reading https://proxy.example/x/@v/v1.0.0.zip: 403 Forbidden", True),
        ("x@v1.0.0: reading https://proxy.example/x/@v/v1.0.0.mod: 502 Bad Gateway", True),
        ('x@v1.0.0: Get "https://proxy.example/x/@v/v1.0.0.zip": dial tcp: lookup proxy.example: no such host', True),
        ("go: download go1.27.0 for linux/amd64: toolchain not available", True),
        ("verifying x@v1.0.0: checksum mismatch\n downloaded: h1:a\n go.sum: h1:b\nSECURITY ERROR", False),
        ("verifying x@v1.0.0: checksum mismatch\n then https://proxy.example: 403 Forbidden", False),
        (
            "verifying x@v1.0.0: checksum mismatch\n" + "y@v1.0.0: reading https://p.example/y: 403 Forbidden\n" * 80,
            False,
        ),
        ("main.go:4:2: missing go.sum entry for module providing package x", False),
        ("filters/timeout.go:31:2: missing go.sum entry for module providing package x", False),
        ("x.go:1:2: package example.com/timeout is not in std", False),
        ("x.go:1:2: no required module provides package example.com/timeout", False),
        ("package x/cmd is not in std", False),
    ],
)
def test_modules_that_are_not_served_are_told_from_modules_that_are_wrong(
    go: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: object
) -> None:
    """The first are a reason to leave the parts out of CI, the second fail it."""
    (go / "refusal").write_text(said, encoding="utf-8")
    monkeypatch.setattr(toolbox, "missing_requirements", lambda: ())
    with pytest.raises(toolbox.ToolboxError, match="failed") as raised:
        toolbox.build(toolbox.ETCD)
    assert isinstance(raised.value, toolbox.ModulesUnavailableError) is expected
    assert toolbox.main([]) == (toolbox.UNAVAILABLE if expected else 1)
    assert _builds(go) == 0, "nothing is compiled of half its modules"
