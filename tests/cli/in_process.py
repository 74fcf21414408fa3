"""The command line without a process of its own, for tests of what it prints; how it starts is test_cli.py's."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

from lockstep.__main__ import main


def lockstep(*arguments: str | Path, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `lockstep ARGUMENTS` in a folder and return what a process would have."""
    words = [str(argument) for argument in arguments]
    printed, complained = io.StringIO(), io.StringIO()
    given = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
            code = main(words)
    finally:
        sys.stdin = given
    return subprocess.CompletedProcess(words, code, printed.getvalue(), complained.getvalue())
