"""`await-files`: what holds a pod back, for how long, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provider_runtime.file_guard import find_missing, main


class _Clock:
    """A clock that moves when somebody pauses; files come when their time has come."""

    def __init__(self, appears: Path | None = None, at: float = 0.0) -> None:
        self.seconds = 0.0
        self._appears, self._at = appears, at

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        if self._appears is not None and self.seconds >= self._at:
            self._appears.touch()


def test_files_that_are_there_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    clock = _Clock()
    assert find_missing([str(tmp_path / "a")], 5, now=clock.now, pause=clock.pause) == ()
    assert clock.seconds == 0


def test_a_file_that_comes_in_time_is_waited_for(tmp_path: Path) -> None:
    clock = _Clock(tmp_path / "a", at=3)
    assert find_missing([str(tmp_path / "a")], 5, now=clock.now, pause=clock.pause) == ()
    assert 3 <= clock.seconds < 4


def test_what_never_comes_is_named_in_order_when_the_time_is_over(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    paths = [str(tmp_path / name) for name in ("c", "b", "a")]
    clock = _Clock()
    assert find_missing(paths, 5, now=clock.now, pause=clock.pause) == (paths[0], paths[2])
    assert 5 <= clock.seconds < 6


def test_a_link_that_leads_nowhere_is_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "..data" / "a")
    assert find_missing([str(tmp_path / "a")], 0) == (str(tmp_path / "a"),)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_that_only_the_app_may_read_is_found_by_a_user_without_rights(tmp_path: Path, project: Path) -> None:
    """Needs sight of the directory only, as in the driver's 0755 one."""
    file = tmp_path / "a"
    file.touch()
    file.chmod(0o400)
    script = f"import os, sys; os.setuid(65532); sys.exit(0 if os.path.exists({str(file)!r}) else 1)"
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder not in (Path("/"), Path("/tmp")):  # noqa: S108 - named to be left alone
            folder.chmod(0o755)
    assert subprocess.run([sys.executable, "-c", script], cwd=project, check=False).returncode == 0  # noqa: S603


def test_a_missing_file_is_named_with_the_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").touch()
    assert main(["--timeout=1ms", str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/b: the file is missing." in said
    assert "Fix: " in said
    assert f"{tmp_path}/a" not in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "no file is named"),
        (["--timeout=soon", "/a"], 'invalid value "soon" for flag -timeout'),
        (["a"], "'a' is not an absolute path"),
        (["--tmeout=1s", "/a"], "-tmeout"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_the_usage(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert text in said
    assert "Usage of provider_runtime await-files" in said


def test_the_command_does_not_load_the_rest_of_the_provider(project: Path, tmp_path: Path) -> None:
    """It runs in every guarded pod; the SDK of AWS alone is ten times its size."""
    (tmp_path / "a").touch()
    command = [sys.executable, "-X", "importtime", "-m", "provider_runtime", "await-files", str(tmp_path / "a")]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ended.returncode == 0, ended.stderr
    assert "botocore" not in ended.stderr
    assert "grpc" not in ended.stderr
