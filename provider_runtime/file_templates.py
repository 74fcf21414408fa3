"""The text of a `template`: `${file}` stands for the contents of a file, `$${` for a plain `${`. Nothing else.

No logic, no nesting, no defaults: a template is an untrusted parameter of a process that holds every pod's secrets
(architecture decision 17), and what was put in is not looked at again. The size of the result is known before it is
built. A `$` that is not followed by `{` is itself, so shell variables without braces pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from provider_runtime.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RESULT_LIMIT_BYTES = 1024 * 1024
"""UTF-8 bytes of one rendered file."""
REFERENCE_LIMIT = 10_000
"""References in one template."""

_MARK = re.compile(r"\$\$\{|\$\{")
_NAME = re.compile(r"([^}\r\n]+)\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A place for the contents of the file of this name (the path below the mount point)."""

    file: str


Part: TypeAlias = str | Reference


class TemplateError(Exception):
    """A template cannot be read or filled in; the message never holds a value."""


def parse_template(text: str) -> tuple[Part, ...]:
    r"""Cut a template into texts and references.

    >>> parse_template("user=${name}\nliteral=$${name} $HOME")
    ('user=', Reference(file='name'), '\nliteral=', '${', 'name} $HOME')

    Raises:
        TemplateError: A `${` that is not closed on its line or names nothing, or too many references.
    """
    parts: list[Part] = []
    position = references = 0
    while mark := _MARK.search(text, position):
        if mark.start() > position:
            parts.append(text[position : mark.start()])
        if mark[0] == "$${":
            parts.append("${")
            position = mark.end()
            continue
        name = _NAME.match(text, mark.end())
        if name is None:
            at = f"at character {mark.start() + 1}"
            raise TemplateError(f"the '${{' {at} names no file or is not closed on its line")
        references += 1
        if references > REFERENCE_LIMIT:
            raise TemplateError(f"more than {REFERENCE_LIMIT} references")
        parts.append(Reference(name[1]))
        position = name.end()
    if position < len(text):
        parts.append(text[position:])
    return tuple(parts)


def referenced_files(parts: Iterable[Part]) -> tuple[str, ...]:
    """Return the names that a template refers to, each once, in order of first use."""
    return tuple(dict.fromkeys(part.file for part in parts if isinstance(part, Reference)))


def fill_template(parts: Iterable[Part], contents: Callable[[str], bytes]) -> bytes:
    """Put the contents of files where their names stand.

    Args:
        parts: Of parse_template.
        contents: Gives the bytes of a file by its name; asked once for each name.

    Raises:
        TemplateError: A file is not UTF-8 text, or the result would be larger than RESULT_LIMIT_BYTES.
    """
    known: dict[str, bytes] = {}
    pieces: list[bytes] = []
    size_bytes = 0
    for part in parts:
        if isinstance(part, str):
            piece = part.encode()
        elif part.file in known:
            piece = known[part.file]
        else:
            piece = known[part.file] = contents(part.file)
            if not _is_utf8(piece):
                raise TemplateError(f"file '{shown(part.file)}' is not UTF-8 text")
        size_bytes += len(piece)
        if size_bytes > RESULT_LIMIT_BYTES:
            raise TemplateError(f"the result has more than {RESULT_LIMIT_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
