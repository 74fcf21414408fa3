"""Command-line flags as Go's `flag` package reads them, so that an existing DaemonSet's arguments keep working.

Not done here: which flags exist and what they mean (`config`).

One or two dashes are equal; `--x=v` and `--x v` are equal; a boolean is `--x` or `--x=v` only. Parsing ends at the
first word without a dash. Every problem is collected: a wrong command line is reported once, whole.
Source: Go standard library, packages `flag`, `strconv` (ParseBool, ParseInt with base 0) and `time` (ParseDuration).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TRUE_WORDS: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE_WORDS: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_UNIT_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,  # micro sign
    "\u03bcs": 10**3,  # Greek letter mu
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)")
_INT64_MAX: Final = 2**63 - 1
_INTEGER: Final = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)"
)


class FlagKind(StrEnum):
    """What a flag's value is; the text is what the usage shows."""

    TEXT = "string"
    BOOLEAN = "bool"
    INTEGER = "int"
    DURATION = "duration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag: name without dashes, kind, default as the user would write it, one-sentence help."""

    name: str
    kind: FlagKind
    default: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagValues:
    """Outcome of reading a command line: the text of every flag, or why not.

    `texts` holds the default where nothing was given. `wants_help` is set by -h, -help, --help.
    """

    texts: Mapping[str, str]
    problems: tuple[str, ...]
    wants_help: bool


def parse_flags(arguments: Sequence[str], flags: Sequence[Flag]) -> FlagValues:
    """Read `arguments` (without the program's name) against the known `flags`; never raises."""
    known = {flag.name: flag for flag in flags}
    texts = {flag.name: flag.default for flag in flags}
    problems: list[str] = []
    wants_help = False
    words = list(arguments)
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        name, given, text = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name.startswith("-"):
            problems.append(f"bad flag syntax: {word}")
        elif name in {"h", "help"} and name not in known:
            wants_help = True
        elif name not in known:
            problems.append(f"flag provided but not defined: -{name}")
        elif not given and known[name].kind is FlagKind.BOOLEAN:
            texts[name] = "true"
        elif not given and not words:
            problems.append(f"flag needs an argument: -{name}")
        else:
            texts[name] = text if given else words.pop(0)
    if words:
        problems.append(
            f"unexpected argument: {words[0]!r}; nothing after it was read. A boolean takes its value with '=' only. "
            f"Fix: write --name={words[0]}"
        )
    return FlagValues(texts=texts, problems=tuple(problems), wants_help=wants_help)


def parse_boolean(text: str) -> bool:
    """Read a Go boolean word.

    Raises:
        ValueError: The text is none of 1 t T TRUE true True 0 f F FALSE false False.
    """
    if text in _TRUE_WORDS:
        return True
    if text in _FALSE_WORDS:
        return False
    raise ValueError("not a boolean: use true or false")


def parse_integer(text: str) -> int:
    """Read a Go integer with base prefix (`0x`, `0o`, `0b`, leading `0` = octal) and underscores.

    Raises:
        ValueError: The text is not such an integer or leaves 64 bits.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError("not an integer")
    digits = text.replace("_", "")
    sign = digits[:1] if digits[:1] in {"+", "-"} else ""
    bare = digits.removeprefix(sign) if sign else digits
    is_old_octal = len(bare) > 1 and bare[0] == "0" and bare[1].isdigit()
    number = int(bare, 8) if is_old_octal else int(bare, 0)
    number = -number if sign == "-" else number
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise ValueError("integer out of range")
    return number


def parse_duration(text: str) -> float:
    """Read a Go duration (`1m30s`, `1.5s`, `300ms`, bare `0`) as seconds.

    Raises:
        ValueError: A unit is missing or unknown, the text is malformed, or the value leaves 64-bit nanoseconds.
    """
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in {"+", "-"} else text
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError("not a duration: empty")
    nanoseconds = 0
    position = 0
    while position < len(rest):
        match = _DURATION_PART.match(rest, position)
        if match is None:
            raise ValueError("not a duration: a number needs a unit (ns, us, ms, s, m, h)")
        whole, fraction, unit = match.group(1), match.group(2) or "", match.group(3)
        if not whole and not fraction:
            raise ValueError("not a duration: a unit needs a number")
        if unit not in _UNIT_NANOSECONDS:
            raise ValueError(f"not a duration: unknown unit {unit!r} (use ns, us, ms, s, m, h)")
        size = _UNIT_NANOSECONDS[unit]
        nanoseconds += int(whole or "0") * size + int(fraction or "0") * size // 10 ** len(fraction)
        position = match.end()
    if nanoseconds > _INT64_MAX:
        raise ValueError("duration out of range")
    return sign * nanoseconds / 10**9


def render_usage(program: str, flags: Sequence[Flag]) -> str:
    """Render the flag list in Go's layout: two spaces and dash, tab-indented help, defaults in parentheses."""
    lines = [f"Usage of {program}:"]
    for flag in sorted(flags, key=lambda one: one.name):
        kind = "" if flag.kind is FlagKind.BOOLEAN else f" {flag.kind}"
        shown = f'"{flag.default}"' if flag.kind is FlagKind.TEXT else flag.default
        default = f" (default {shown})" if flag.default else ""
        lines += [f"  -{flag.name}{kind}", f"    \t{flag.help}{default}"]
    return "\n".join(lines) + "\n"
