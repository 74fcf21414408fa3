"""Completion, as the shells ask for it: verbs, flags, and the words of a flag; and the script that a shell loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_reference import VERBS
from tests.fakes.patience import PATIENCE_SECONDS


def completed(project: Path, *words: str) -> set[str]:
    """Return what bash is offered behind these words; the last one is being written."""
    line = " ".join(("lockstep", *words))
    asked = {"_LOCKSTEP_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    program = "from lockstep.cli import app; app(prog_name='lockstep')"
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=project,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


def test_every_verb_is_offered(project: Path) -> None:
    assert completed(project, "") >= {name.removeprefix("lockstep ") for name in VERBS}
    assert completed(project, "wh") == {"what", "who", "why"}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("can", "--spe"), {"--specs"}),
        (("lint", "--format", "s"), {"sarif"}),
        (("can", "payments", "r"), {"read"}),
        (("map", "--format", ""), {"mermaid", "dot", "html", "json"}),
    ],
)
def test_flags_and_their_words_are_offered(words: tuple[str, ...], offered: set[str], project: Path) -> None:
    assert completed(project, *words) == offered
