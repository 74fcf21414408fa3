"""Which Pulumi the tests run on: the one on PATH where it is, else the CLI of the toolbox.

The CLI and the language host are looked for one by one. Without a real language host, `language_plugin.py` stands in,
which needs the start script of the toolbox. The providers are the tests' own in any case: what the two engines do is
compared, with the same providers behind both.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import toolbox


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledParts:
    """What was found.

    Attributes:
        cli: The `pulumi` program.
        language_host: Pulumi's own `pulumi-language-python`; None where the tests' stands in.
    """

    cli: Path
    language_host: Path | None


@dataclass(frozen=True, slots=True)
class MissingParts:
    """Why there is no Pulumi. `is_buildable`: `make e2e-pulumi` would build it here."""

    reason: str
    is_buildable: bool


def find_parts() -> InstalledParts | MissingParts:
    """Look on PATH, then in the toolbox."""
    host = _on_path("pulumi-language-python")
    cli = _on_path("pulumi")
    if cli and host:
        return InstalledParts(cli=cli, language_host=host)
    no_go = toolbox.missing_go()
    if no_go:
        lacking = "pulumi-language-python" if cli else "pulumi"
        return MissingParts(f"{lacking} is not on PATH, and {no_go[0]}", is_buildable=False)
    if toolbox.missing_tools((toolbox.PULUMI,)) or not toolbox.PULUMI_START_SCRIPT.exists():
        return MissingParts("the Pulumi CLI is not built", is_buildable=True)
    return InstalledParts(cli=cli or toolbox.PULUMI.path, language_host=host)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found).resolve() if found else None
