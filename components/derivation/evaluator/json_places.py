"""Where the values of a JSON text stand: path → line and column.

`json` finds syntax errors and makes values, but forgets the places; this walks over a text that `json` accepted and
remembers them, so that a message about a hand-written policy can point at its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

#: Line and column, both counted from 1.
Place = tuple[int, int]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def json_places(text: str) -> Mapping[str, Place]:
    """Return the place of every value: `""` for the document, then such as `Statement[0].Action[1]`.

    Args:
        text: Valid JSON.

    Returns:
        A key with a dot in it is written as it stands; a value's place is where its first character stands.
    """
    places: dict[str, Place] = {}
    stack: list[tuple[str, int | str]] = []  # the path of each open container, and its next index or pending key
    tokens = list(_TOKEN.finditer(text))
    lines = _LineCounter(text)
    for number, token in enumerate(tokens):
        word = token.group()
        if word in "}]":
            stack.pop()
            continue
        if word in ":,":
            continue
        is_key = number + 1 < len(tokens) and tokens[number + 1].group() == ":"
        if is_key and stack:
            stack[-1] = (stack[-1][0], str(json.loads(word)))
            continue
        path = _path(stack)
        places.setdefault(path, lines.place(token.start()))
        if stack and isinstance(stack[-1][1], int):
            stack[-1] = (stack[-1][0], stack[-1][1] + 1)
        if word in "{[":
            stack.append((path, 0 if word == "[" else ""))
    return places


def _path(stack: list[tuple[str, int | str]]) -> str:
    if not stack:
        return ""
    outer, step = stack[-1]
    if isinstance(step, int):
        return f"{outer}[{step}]"
    return f"{outer}.{step}" if outer else step


class _LineCounter:
    """Counts lines up to positions that only grow."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line, self._start, self._seen = 1, 0, 0

    def place(self, position: int) -> Place:
        self._line += self._text.count("\n", self._seen, position)
        self._start = self._text.rfind("\n", 0, position) + 1
        self._seen = position
        return self._line, position - self._start + 1
