"""One table of exit codes for every command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means, whatever the command."""

    FINE = 0
    INVALID_INPUT = 1
    FINDINGS = 2
    NEEDS_APPROVAL = 3
    WRONG_USAGE = 64
    OUR_BUG = 70


#: The sentence of each code, for `--help` and README.
MEANINGS: dict[ExitCode, str] = {
    ExitCode.FINE: "fine",
    ExitCode.INVALID_INPUT: "invalid input: a spec, an environment value or a file",
    ExitCode.FINDINGS: "findings or differences",
    ExitCode.NEEDS_APPROVAL: "needs approval",
    ExitCode.WRONG_USAGE: "wrong usage: a flag or an argument",
    ExitCode.OUR_BUG: "a bug of ours",
}


def table() -> str:
    """Return the codes as text, one line each."""
    return "\n".join(f"{code.value:>3}  {MEANINGS[code]}" for code in ExitCode)
