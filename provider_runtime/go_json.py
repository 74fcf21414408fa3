"""JSON as Go's encoding/json reads and writes it, where Python's json differs.

Numbers are float64; NaN, Infinity and numbers beyond float64 are errors; invalid UTF-8 and lone surrogates become
U+FFFD. Errors never hold the document: a JSONDecodeError keeps it, so it is not chained.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn, Self, TypeAlias

JsonValue: TypeAlias = "bool | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_SURROGATES = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
REPLACEMENT = "\ufffd"


class WrittenNumber(float):
    """A float64, as Go reads it, that remembers how it was written: `1.50`, or an integer beyond 2**53.

    Everything computes with the float; only rendering looks at the text.
    """

    __slots__ = ("source",)
    source: str

    def __new__(cls, source: str) -> Self:
        """Read a JSON number; the caller made sure that it is one."""
        self = super().__new__(cls, source)
        self.source = source
        return self


WrittenNumber.__name__ = "float"  # jmespath.py tells types apart by their name


class NotJsonError(ValueError):
    """A text is not JSON. The message says what and where, never the text itself."""


def parse_json(text: str | bytes) -> JsonValue:
    """Read one JSON document; numbers remember how they were written.

    Raises:
        NotJsonError: Syntax, a number beyond float64, or nesting beyond the reader's depth (Python's recursion limit;
            Go's is 10,000).
    """
    characters = decode_utf8(text) if isinstance(text, bytes) else text
    cause = ""
    try:
        document: JsonValue = json.loads(
            characters, parse_int=_parse_number, parse_float=_parse_number, parse_constant=_refuse_constant
        )
        return _replace_surrogates(document) if _holds_surrogates(characters) else document
    except json.JSONDecodeError as error:
        cause = f"{error.msg} at character {error.pos}"
    except RecursionError:
        cause = "nested too deeply"
    except ValueError as error:
        cause = str(error)
    # Raised out here so that no exception with the document in it becomes the context.
    raise NotJsonError(cause)


def decode_utf8(data: bytes) -> str:
    """Decode as Go does: every byte that is not part of valid UTF-8 becomes one U+FFFD."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    return replace_lone_surrogates(data.decode("utf-8", "surrogateescape"))


def replace_lone_surrogates(text: str) -> str:
    """Replace each surrogate by U+FFFD; Python pairs up proper ones itself, so those that are left stand alone."""
    return _SURROGATES.sub(REPLACEMENT, text)


def _replace_surrogates(document: JsonValue) -> JsonValue:
    if isinstance(document, str):
        return replace_lone_surrogates(document)
    if isinstance(document, list):
        return [_replace_surrogates(element) for element in document]
    if isinstance(document, dict):
        return {replace_lone_surrogates(key): _replace_surrogates(member) for key, member in document.items()}
    return document


def _holds_surrogates(characters: str) -> bool:
    return "\\ud" in characters or "\\uD" in characters or _SURROGATES.search(characters) is not None


def _parse_number(text: str) -> float:
    number = WrittenNumber(text)
    if math.isinf(number):
        raise ValueError("a number does not fit a 64-bit float")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def dump_json_text(text: str) -> str:
    """Write a text as encoding/json does: `<`, `>`, `&` and the two Unicode line ends escaped, other text as it is."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _SHORT_ESCAPES.get(char) or f"\\u{ord(char):04x}"
