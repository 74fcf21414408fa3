"""README says what is true: its examples are files of the project, its tables are the program's."""

from __future__ import annotations

import re
from pathlib import Path

from lockstep.exit_codes import MEANINGS, ExitCode

_EXAMPLE = re.compile(r"(<!-- from: (\S+) -->\n```\w+\n)(.*?)(```\n)", re.DOTALL)


def test_every_example_is_the_file_that_it_names(project: Path, *, rewrite_golden: bool) -> None:
    readme = project / "README.md"
    text = readme.read_text(encoding="utf-8")
    filled = _EXAMPLE.sub(lambda match: match[1] + (project / match[2]).read_text(encoding="utf-8") + match[4], text)
    if rewrite_golden:
        readme.write_text(filled, encoding="utf-8")
    assert readme.read_text(encoding="utf-8") == filled
    assert len(_EXAMPLE.findall(text)) >= 5


def test_the_table_of_exit_codes_is_the_program_s(project: Path) -> None:
    text = (project / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [(str(code.value), MEANINGS[code]) for code in ExitCode]


def test_every_command_and_every_key_of_the_spec_is_in_the_readme(project: Path) -> None:
    from components.derivation.spec_shape import APP, PARAMETER, SYNC  # noqa: PLC0415
    from lockstep.cli import app  # noqa: PLC0415

    text = (project / "README.md").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        assert f"`lockstep {name} " in text or f"`lockstep {name}`" in text
    for record in (APP, PARAMETER, SYNC):
        for name in record.names:
            assert f"`{name}`" in text or f"`{name}[]`" in text or f"`{name}:" in text, name
