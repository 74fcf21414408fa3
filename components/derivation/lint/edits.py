"""Put edits into a text: whole, in place, without touching a character that no edit names.

An edit inside a nested text becomes one of the file's: character by character in a literal block, as one new quoted
scalar in JSON and quoted YAML. Not done here: deciding what to change (the rules), and writing files (the command).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

import yaml

from .part import Edit, Source


def apply_edits(source: Source, edits: Iterable[Edit]) -> str:
    """Return the text of a source with every edit in it.

    Args:
        source: A file's text, or a nested one.
        edits: Of this source and of texts nested in it. Equal ones count once; of two that overlap the first wins, and
            the other one is found again by the next run.
    """
    own: dict[tuple[int, int], str] = {}
    nested: dict[int, tuple[Source, list[Edit]]] = {}
    inserted: dict[int, list[str]] = defaultdict(list)
    for edit in edits:
        if edit.source is not source:
            nested.setdefault(id(edit.source), (edit.source, []))[1].append(edit)
        elif edit.start == edit.end and edit.text not in inserted[edit.start]:
            inserted[edit.start].append(edit.text)
        elif edit.start != edit.end:
            own.setdefault((edit.start, edit.end), edit.text)
    for inner, inner_edits in nested.values():
        for edit in _outward(inner, inner_edits, source):
            own.setdefault((edit.start, edit.end), edit.text)
    for place, texts in inserted.items():
        own[place, place] = "".join(texts)
    written = source.written or source.text
    out: list[str] = []
    position = 0
    for (start, end), text in sorted(own.items()):
        if start >= position:
            out += [written[position:start], text]
            position = end
    return "".join([*out, written[position:]])


def _outward(inner: Source, edits: list[Edit], source: Source) -> Iterable[Edit]:
    """Return the edits of the outer text that do what the inner ones do; none where the style does not allow it."""
    outer = inner.outer
    if outer is None or outer.source is not source or not isinstance(outer.node, yaml.ScalarNode):
        return
    if inner.indent is not None:
        lines = source.text.splitlines(keepends=True)
        first = outer.node.start_mark.line + 1
        starts = [0]
        for whole in lines:
            starts.append(starts[-1] + len(whole))
        for edit in edits:
            line, column = _line_and_column(inner.text, edit.start)
            start = starts[first + line] + inner.indent + column
            if "\n" not in inner.text[edit.start : edit.end]:
                indented = edit.text.replace("\n", "\n" + " " * inner.indent)
                yield Edit(source=source, start=start, end=start + edit.end - edit.start, text=indented)
    elif outer.node.style in {'"', "'"}:
        text = json.dumps(apply_edits(inner, edits), ensure_ascii=False)
        yield Edit(source=source, start=outer.node.start_mark.index, end=outer.node.end_mark.index, text=text)


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n"), index - (before.rfind("\n") + 1)
