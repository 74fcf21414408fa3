"""The scalar keys of an `objects` entry that only this provider knows: optional, encoding, nonText, keys.

The Go provider ignores them. A value that we do not know is refused: whoever wrote it expects something of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.go_scalars import parse_go_bool
from provider_runtime.object_values import Encoding, NonText

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL_KEYS = "*"
"""The only value of `keys`: every top-level key of the JSON object."""
_ENCODINGS = frozenset(encoding.value for encoding in Encoding)
_NON_TEXTS = frozenset(choice.value for choice in NonText)


def is_optional(text: str) -> bool:
    """Read `optional` after `check_optional`; an unquoted `yes` or `on` is `true` for a YAML 1.1 reader already."""
    return parse_go_bool(text) or False


def encoding_of(text: str) -> Encoding:
    """Read `encoding` after `check_encoding`."""
    return Encoding(text)


def non_text_of(text: str) -> NonText:
    """Read `nonText` after `check_non_text`."""
    return NonText(text)


def check_optional(text: str, *, where: str) -> Iterator[MountError]:
    """Check `optional`: a boolean word of YAML 1.1 (unquoted) or of Go."""
    if text and parse_go_bool(text) is None:
        yield MountError(
            ErrorCode.OPTIONAL_INVALID,
            where=f"{where}.optional",
            what=f"'{shown(text)}' is neither true nor false",
            rule="1, t, T, TRUE, true, True, 0, f, F, FALSE, false or False; unquoted also yes, no, on and off",
            fix="write optional: true, or remove it",
        )


def check_encoding(text: str, *, where: str) -> Iterator[MountError]:
    """Check `encoding`: base64, or not there."""
    if text not in _ENCODINGS:
        yield MountError(
            ErrorCode.ENCODING_INVALID,
            where=f"{where}.encoding",
            what=f"'{shown(text)}' is no known encoding",
            rule="base64 (standard or URL-safe alphabet), in lower case",
            fix="write encoding: base64, or remove it",
        )


def check_non_text(text: str, *, where: str) -> Iterator[MountError]:
    """Check `nonText`: render, refuse, or not there."""
    if text not in _NON_TEXTS:
        yield MountError(
            ErrorCode.NON_TEXT_INVALID,
            where=f"{where}.nonText",
            what=f"'{shown(text)}' is no way to treat results that are no text",
            rule="render (numbers, booleans and JSON as text) or refuse",
            fix="write nonText: render, or remove it",
        )


def check_keys(text: str, *, where: str) -> Iterator[MountError]:
    """Check `keys`: a star, or not there."""
    if text not in {"", ALL_KEYS}:
        yield MountError(
            ErrorCode.KEYS_INVALID,
            where=f"{where}.keys",
            what=f"'{shown(text)}' is no choice of keys",
            rule='keys takes "*" only: every top-level key becomes a file',
            fix='write keys: "*" in quotes, or list single keys in jmesPath',
        )
