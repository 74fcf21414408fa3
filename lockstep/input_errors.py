"""Input that is neither a spec nor a setting and does not fit: one text that people read, one exit code."""

from __future__ import annotations


class InputError(Exception):
    """The text is `<where>: <what>. <rule>. Fix: <action>. [CODE]`; the command ends with `ExitCode.INVALID_INPUT`."""
