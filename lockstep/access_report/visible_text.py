"""Texts of others as a terminal, a log or a page may show them: none hides, rewrites a line or passes for another."""

from __future__ import annotations

import unicodedata

#: Scripts with letters that look like Latin ones, and Latin letters of other kinds.
_LOOKALIKES = (
    "CYRILLIC",
    "GREEK",
    "ARMENIAN",
    "CHEROKEE",
    "COPTIC",
    "LISU",
    "FULLWIDTH",
    "MATHEMATICAL",
    "SMALL CAPITAL",
)


def visible(text: str) -> str:
    """Make visible what deceives: control and direction characters, and letters that pass for Latin ones beside such.

    They could hide or rewrite a line on a terminal, or let one name look like another.
    """
    if text.isascii() and text.isprintable():
        return text
    is_latin = any(char.isascii() and char.isalpha() for char in text)
    return "".join(
        _shown(char) if not char.isprintable() or (is_latin and _passes_for_latin(char)) else char for char in text
    )


def _shown(char: str) -> str:
    return f"\\u{ord(char):04x}"


def _passes_for_latin(char: str) -> bool:
    return not char.isascii() and unicodedata.name(char, "").startswith(_LOOKALIKES)
