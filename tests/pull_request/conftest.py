"""The commands that make reports, for the tests of what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockstep.__main__ import main as lockstep
from tests.pull_request.reports import Write


@pytest.fixture
def write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Write:
    """Return `write(folder, arguments...)`: runs a command and keeps its JSON as a report in the folder."""

    def run(folder: str, *arguments: str) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        capsys.readouterr()
        lockstep([*arguments, "--format", "json"])
        path = tmp_path / folder / "report.json"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        return path

    return run
