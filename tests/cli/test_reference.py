"""`docs/commands.md` is what `--help` prints, every verb has examples that parse, and help costs no heavy import.

Nothing here names a verb: whoever registers one gets these tests, and its section with `make golden`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.core
import typer.main

from lockstep.cli import app
from tests.fakes.patience import PATIENCE_SECONDS

PAGE = "docs/commands.md"
_WIDTH = 100
_INTRODUCTION = """# Commands

What every command prints for `--help`. This page is written by `make golden` and compared by the tests.
Exit codes mean the same in every command; `lockstep --help` has their table.
"""

#: Modules that `lockstep --help` and completion must not wait for.
HEAVY = {"boto3", "botocore", "components", "grpc", "jmespath", "jsonschema", "pulumi", "pydantic", "rich", "yaml"}


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Yield every verb with its whole name, sorted; a group's own verbs after it."""
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    yield from _below("lockstep", root)


def _below(name: str, group: typer.core.TyperGroup) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    for verb, command in sorted(group.commands.items()):
        if isinstance(command, typer.core.TyperGroup):
            yield from _below(f"{name} {verb}", command)
        else:
            assert isinstance(command, typer.core.TyperCommand)
            yield f"{name} {verb}", command


VERBS = dict(commands())


def help_of(name: str, command: typer.core.TyperCommand | typer.core.TyperGroup) -> str:
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=_WIDTH)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def test_the_reference_page_is_what_help_prints(project: Path, *, rewrite_golden: bool) -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    sections = [("lockstep", help_of("lockstep", root)), *((name, help_of(name, VERBS[name])) for name in VERBS)]
    text = "\n".join([_INTRODUCTION, *(f"## {name}\n\n```text\n{text}\n```\n" for name, text in sections)])
    if rewrite_golden:
        (project / PAGE).write_text(text, encoding="utf-8")
    assert (project / PAGE).read_text(encoding="utf-8") == text, f"{PAGE} is not what --help prints. Fix: make golden"


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_summary_and_examples_that_parse(name: str) -> None:
    command = VERBS[name]
    text = help_of(name, command)
    assert command.help, f"{name} has no summary"
    examples = list(_examples(text))
    assert examples, f"{name} has no example"
    for words in examples:
        assert words[: len(name.split())] == name.split(), f"an example of {name} is one of another verb: {words}"
        arguments = words[len(name.split()) :]
        command.make_context(name, arguments)  # raises for a wrong flag or a missing argument


def _examples(text: str) -> Iterator[list[str]]:
    """Yield the words of each `lockstep …` of the examples, without what a shell does around it."""
    _, found, examples = text.partition("\n  Example")
    joined = examples.replace("\\\n", " ") if found else ""
    for line in joined.splitlines():
        for part in re.split(r"\s\|\s", line):
            words = re.split(r"\s(?:>|<|#)\s", part.strip())[0]
            if words.startswith("lockstep"):
                yield shlex.split(words)


def test_help_imports_nothing_heavy(project: Path) -> None:
    code = (
        "import sys\n"
        "from lockstep.__main__ import main\n"
        "main(['--help'])\n"
        "print('\\0' + ' '.join(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    result = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    )
    text, _, modules = result.stdout.partition("\0")
    assert "Exit codes of every command" in text
    assert HEAVY & set(modules.split()) == set()
