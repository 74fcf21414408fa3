"""Input that is neither a spec nor a setting and does not fit: one text that people read, one exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml


class InputError(Exception):
    """The text is `<where>: <what>. <rule>. Fix: <action>. [CODE]`; the command ends with `ExitCode.INVALID_INPUT`."""


def place_of(error: yaml.YAMLError) -> str:
    """Return where a text stops being YAML: `line 4, column 23`, or `some place` where the parser does not say.

    For files that may hold credentials: what PyYAML itself says quotes the line, and names what it stumbled over.
    """
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "some place"
