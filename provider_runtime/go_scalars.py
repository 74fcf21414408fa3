"""Scalars as Go reads and writes them: unquoted YAML 1.1 texts, booleans, floats; and the way back to YAML.

The `objects` document was written for a Go reader (sigs.k8s.io/yaml over go-yaml v2, then encoding/json into texts), so
an unquoted `010` means "8" and `y` means "true". PyYAML disagrees on octals, dates, sexagesimals and `y`; therefore no
PyYAML resolver is used and the rules stand here.

Sources: go-yaml v2 resolve.go, sigs.k8s.io/yaml convertToJSONableObject, Go's strconv and encoding/json.
"""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal

_TRUE_WORDS = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE_WORDS = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULL_WORDS = frozenset({"", "~", "null", "Null", "NULL"})
_SPECIAL_FLOATS = {
    ".nan": "NaN",
    ".NaN": "NaN",
    ".NAN": "NaN",
    ".inf": "+Inf",
    ".Inf": "+Inf",
    ".INF": "+Inf",
    "+.inf": "+Inf",
    "+.Inf": "+Inf",
    "+.INF": "+Inf",
    "-.inf": "-Inf",
    "-.Inf": "-Inf",
    "-.INF": "-Inf",
}
_GO_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}

_DIGITS_FOR_BASE = (
    (re.compile(r"[+-]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[+-]?0[bB][01]+"), 2),
    (re.compile(r"[+-]?0[oO][0-7]+"), 8),
    (re.compile(r"[+-]?0[0-7]+"), 8),
    (re.compile(r"[+-]?(0|[1-9][0-9]*)"), 10),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-")
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1
_NUMBER_LIMIT = 400
"""Characters of a text that is still read as a number; a float64 needs fewer, a longer one stays text."""

_PLAIN = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_/+=.@:-]*[A-Za-z0-9_/+=.@-])?")
_QUOTED_AS_IT_STANDS = re.compile(r"[ !#-\[\]-~]*")
"""Printable ASCII without the two characters that a double-quoted scalar escapes."""
_WORDS_READ_AS_OTHER = frozenset(word.lower() for word in _TRUE_WORDS | _FALSE_WORDS | _NULL_WORDS)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}

FLOAT32_DIGITS = 9
"""Significant digits that tell any two float32 apart."""
_E_NOTATION_BELOW, _E_NOTATION_FROM = -4, 6  # strconv 'g' with the shortest precision
_JSON_E_NOTATION_BELOW, _JSON_E_NOTATION_FROM = 1e-6, 1e21  # encoding/json


def parse_go_bool(text: str) -> bool | None:
    """Read one of strconv.ParseBool's words; `None` for anything else (also `yes`, `TrUe`, ` true`)."""
    return _GO_BOOLS.get(text)


def resolve_plain_scalar(source: str) -> str | None:
    """Return the text that an unquoted YAML scalar becomes in a Go text field; `None` for null.

    >>> [resolve_plain_scalar(word) for word in ("3", "010", "y", "1e3", "2024-05-01", "1:30", "~")]
    ['3', '8', 'true', '1000', '2024-05-01', '1:30', None]
    """
    if source in _NULL_WORDS:
        return None
    if source in _TRUE_WORDS:
        return "true"
    if source in _FALSE_WORDS:
        return "false"
    if source in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[source]
    if not source.isascii() or source[0] not in "+-.0123456789" or len(source) > _NUMBER_LIMIT or _DATE.match(source):
        # Dates stay text, and what starts like a date without being one is no number either.
        return source
    # Only what may be an integer loses its underscores; go-yaml gives a leading dot to ParseFloat as it stands.
    plain = source if source[0] == "." else source.replace("_", "")
    integer = _parse_integer(plain)
    if integer is not None:
        return str(integer)
    number = parse_go_float(plain)
    return source if number is None else format_float32(number)


def parse_go_float(text: str) -> float | None:
    """Read a decimal float; `None` when it is none or does not fit a float64 (Go: ErrRange)."""
    if not _FLOAT.fullmatch(text):
        return None
    number = float(text)
    return None if math.isinf(number) else number


def format_float32(number: float) -> str:
    """Format as strconv.FormatFloat(number, 'g', -1, 32): the shortest digits that keep the float32.

    >>> [format_float32(number) for number in (1000.0, 1e6, 0.1, 1.5, 1e39)]
    ['1000', '1e+06', '0.1', '1.5', '+Inf']
    """
    packed = _pack_float32(number)
    if packed is None:
        return "+Inf" if number > 0 else "-Inf"
    sign, digits, exponent = _shortest_float32(packed)
    if _E_NOTATION_BELOW <= exponent < _E_NOTATION_FROM:
        return sign + _plain_notation(digits, exponent)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def format_json_number(number: float) -> str:
    """Format as encoding/json formats a float64: no exponent from 1e-6 up to 1e21, `1e-7` not `1e-07`.

    >>> [format_json_number(number) for number in (5432.0, 0.1, 1e21, 1e-7, -0.0)]
    ['5432', '0.1', '1e+21', '1e-7', '-0']

    Raises:
        ValueError: NaN or an infinity, which JSON cannot hold (Go fails there too).
    """
    if not math.isfinite(number):
        raise ValueError("not a JSON number")
    if number == 0 or _JSON_E_NOTATION_BELOW <= abs(number) < _JSON_E_NOTATION_FROM:
        text = format(Decimal(repr(number)), "f")
        return text.removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    if not exponent:  # repr keeps plain digits below 1e-4 only; the range above was handled
        mantissa, _, exponent = f"{Decimal(repr(number)).normalize():e}".partition("e")
    power = int(exponent)
    return f"{mantissa.removesuffix('.0')}e{'-' if power < 0 else '+'}{abs(power)}"


def dump_yaml_text(text: str) -> str:
    r"""Write a text as a YAML scalar that every YAML 1.1 and 1.2 reader takes for this text.

    Plain when it is a word that no reader resolves to another type, else double-quoted, ASCII only.

    >>> [dump_yaml_text(text) for text in ("prod/db", "no", "0600", 'a"b', "é")]
    ['prod/db', '"no"', '"0600"', '"a\\"b"', '"\\xe9"']
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_READ_AS_OTHER:
        return text
    if _QUOTED_AS_IT_STANDS.fullmatch(text):
        return f'"{text}"'
    return f'"{"".join(_escape(char) for char in text)}"'


def _parse_integer(plain: str) -> int | None:
    for pattern, base in _DIGITS_FOR_BASE:
        if pattern.fullmatch(plain):
            digits = re.sub(r"0[xXbBoO]", "", plain, count=1) if base != 10 else plain  # noqa: PLR2004 - ten is ten
            number = int(digits, base)
            return number if _INT64_MIN <= number <= _UINT64_MAX else None
    return None


def _pack_float32(number: float) -> bytes | None:
    try:
        return struct.pack("<f", number)
    except OverflowError:
        return None


def _shortest_float32(packed: bytes) -> tuple[str, str, int]:
    """Return sign, significant digits and decimal exponent of the shortest text that reads back as this float32."""
    (single,) = struct.unpack("<f", packed)
    for precision in range(FLOAT32_DIGITS):
        text = f"{single:.{precision}e}"
        if _pack_float32(float(text)) == packed:
            mantissa, _, exponent = text.partition("e")
            sign = "-" if mantissa.startswith("-") else ""
            digits = mantissa.lstrip("-").replace(".", "").rstrip("0") or "0"
            return sign, digits, int(exponent)
    raise AssertionError("nine digits tell any two float32 apart")


def _plain_notation(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{whole}.{fraction}" if fraction else whole


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if " " <= char <= "~":
        return char
    code = ord(char)
    if code <= 0xFF:  # noqa: PLR2004 - the widths of YAML's escapes
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004
