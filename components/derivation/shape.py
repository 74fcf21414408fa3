"""A small language for the form of a spec: one table serves the strict reader and the JSON Schema.

A shape reads a node into plain values and adds every problem it sees; a child that is wrong becomes `BROKEN`, so that
one mistake is reported once and the rest is still read. What the values mean together is not known here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, NamedTuple

from .errors import ProblemList
from .variables import SAMPLE, VARIABLES, substitute, unknown_variables
from .yaml_source import Mapping, Node, Scalar, Sequence, is_refused, kind_of


class _Broken(Enum):
    BROKEN = "broken"


#: Stands for a value that was there and wrong; its problem has been added.
BROKEN: Final = _Broken.BROKEN
Broken = Literal[_Broken.BROKEN]

JsonSchema = dict[str, object]


class Read(NamedTuple):
    """One value that was read, with its node for later messages."""

    value: ReadValue
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecord:
    """The fields of a record that stood in the file, in its order."""

    fields: dict[str, Read]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadList:
    """The items of a list, in file order, broken ones included."""

    items: tuple[Read, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMap:
    """The entries of a free mapping, in file order, broken ones included."""

    entries: tuple[tuple[Scalar, Read], ...]


ReadValue = str | int | ReadRecord | ReadList | ReadMap | Broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text in the form of `pattern` (whole text, after variables were replaced by samples).

    Attributes:
        pattern: Python and ECMA regular expression.
        rule: The form in words, for the message.
        fix: What to write instead.
        variables: Whether `${...}` may stand in it.
        limit: Characters at most.
        code: Code of a text that does not fit.
    """

    pattern: str = r"[^\x00-\x1f\x7f]+"
    rule: str = "It is one line of text"
    fix: str = "write one line of text"
    variables: bool = False
    limit: int = 2048
    code: str = "SPEC006"

    def read(self, node: Node, problems: ProblemList) -> str | Broken:
        """Return the text as written (variables unreplaced)."""
        if not isinstance(node, Scalar) or node.kind != "text":
            return _wrong_type(node, "text", problems, self.fix)
        text = node.text
        if self.variables and not _variables_exist(text, node, problems):
            return BROKEN
        sample = substitute(text, SAMPLE) if self.variables else text
        if len(sample) > self.limit or not re.fullmatch(self.pattern, sample):
            problems.add(node.at, self.code, f"{_shown(text)} does not fit", self.rule, self.fix)
            return BROKEN
        return text

    def schema(self) -> JsonSchema:
        """Return the JSON Schema. Variables cannot be expressed in a pattern, so texts that allow them have none."""
        if self.variables:
            return {"type": "string", "minLength": 1, "description": self.rule + "."}
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "maxLength": self.limit}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, node: Node, problems: ProblemList) -> str | Broken:
        """Return the word."""
        allowed = ", ".join(self.words)
        if not isinstance(node, Scalar) or node.kind != "text":
            return _wrong_type(node, f"one of {allowed}", problems, f"write {allowed}")
        if node.text not in self.words:
            close = _closest(node.text, self.words)
            fix = f"did you mean {close!r}?" if close else f"write {allowed}"
            problems.add(node.at, "SPEC006", f"{_shown(node.text)} is not allowed", f"It is {allowed}", fix)
            return BROKEN
        return node.text

    def schema(self) -> JsonSchema:
        """Return the JSON Schema."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Permission bits as four octal digits in quotes, "0000" to "0777"."""

    def read(self, node: Node, problems: ProblemList) -> str | Broken:
        """Return the four digits."""
        if is_refused(node):
            return BROKEN
        text = node.text if isinstance(node, Scalar) else kind_of(node)
        if isinstance(node, Scalar) and node.kind == "text" and re.fullmatch("0[0-7]{3}", text):
            return text
        if isinstance(node, Scalar) and node.kind == "number" and re.fullmatch("0?[0-7]{3}", text):
            what, fix = f"{text} has no quotes, and YAML reads it as a number", f'write "0{text[-3:]}"'
        else:
            what, fix = f"{_shown(text)} is not a file mode", 'write it like "0400" or "0644"'
        problems.add(node.at, "SPEC007", what, 'A mode is four octal digits in quotes, "0000" to "0777"', fix)
        return BROKEN

    def schema(self) -> JsonSchema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": "^0[0-7]{3}$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """`true` or `false`, and none of YAML's other words for them."""

    def read(self, node: Node, problems: ProblemList) -> bool | Broken:
        """Return the boolean."""
        if isinstance(node, Scalar) and node.kind == "boolean" and node.text in {"true", "false"}:
            return node.text == "true"
        return _wrong_type(node, "true or false", problems, "write true or false, without quotes")

    def schema(self) -> JsonSchema:
        """Return the JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A whole number from 1, with or without quotes."""

    def read(self, node: Node, problems: ProblemList) -> int | Broken:
        """Return the number."""
        if isinstance(node, Scalar) and re.fullmatch("[1-9][0-9]{0,8}", node.text):
            return int(node.text)
        if is_refused(node):
            return BROKEN
        shown = node.text if isinstance(node, Scalar) else kind_of(node)
        problems.add(node.at, "SPEC006", f"{_shown(shown)} is not a whole number", "It is 1 or more", "write 1, 2, 3 …")
        return BROKEN

    def schema(self) -> JsonSchema:
        """Return the JSON Schema."""
        return {"type": "integer", "minimum": 1}


_DURATION = re.compile(r"(?:(?P<hours>[0-9]{1,5})h)?(?:(?P<minutes>[0-9]{1,5})m)?(?:(?P<seconds>[0-9]{1,6})s)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Hours, minutes and seconds in whole numbers, `90s`, `5m` or `1h30m`, within bounds in seconds.

    The bounds: kubelet republishes a pod every 60 to 90 s, so less than 30 s makes nothing fresher; a revoked right
    bites at the next refresh, so a day is the longest (the provider refuses more).
    """

    shortest: int = 30
    longest: int = 24 * 3600

    def read(self, node: Node, problems: ProblemList) -> int | Broken:
        """Return seconds."""
        if is_refused(node):
            return BROKEN
        text = node.text if isinstance(node, Scalar) else kind_of(node)
        found = _DURATION.fullmatch(text) if isinstance(node, Scalar) else None
        parts = {name: int(part) for name, part in (found.groupdict() if found else {}).items() if part}
        seconds = parts.get("hours", 0) * 3600 + parts.get("minutes", 0) * 60 + parts.get("seconds", 0)
        if parts and self.shortest <= seconds <= self.longest:
            return seconds
        what = f"{_shown(text)} is {'out of range' if parts else 'not a duration'}"
        rule = f"It is hours, minutes and seconds in whole numbers, {self.shortest}s to {self.longest // 3600}h"
        problems.add(node.at, "SPEC006", what, rule, "write it like 90s or 5m")
        return BROKEN

    def schema(self) -> JsonSchema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": "^(?=[0-9])(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?$"}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one shape."""

    item: Shape
    min_items: int = 0

    def read(self, node: Node, problems: ProblemList) -> ReadList | Broken:
        """Return the items, broken ones included."""
        if not isinstance(node, Sequence):
            return _wrong_type(node, "a list", problems, "put each entry on a line that begins with '- '")
        if len(node.items) < self.min_items:
            problems.add(node.at, "SPEC006", "the list is empty", "It has an entry or is left out", "remove the key")
            return BROKEN
        return ReadList(items=tuple(Read(value=self.item.read(item, problems), node=item) for item in node.items))

    def schema(self) -> JsonSchema:
        """Return the JSON Schema."""
        return {
            "type": "array",
            "items": self.item.schema(),
            **({"minItems": self.min_items} if self.min_items else {}),
        }


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping whose keys the author chooses."""

    key: Text
    value: Shape

    def read(self, node: Node, problems: ProblemList) -> ReadMap | Broken:
        """Return the entries, broken ones included; an entry whose key is wrong is left out."""
        if not isinstance(node, Mapping):
            return _wrong_type(node, "a mapping", problems, "write 'key: value' lines")
        if not node.items:
            problems.add(node.at, "SPEC006", "the mapping is empty", "It has an entry or is left out", "remove the key")
            return BROKEN
        entries: list[tuple[Scalar, Read]] = []
        for key, value in node.items:
            read_key = self.key.read(key, problems)
            read_value = self.value.read(value, problems)
            entries.append((key, Read(value=BROKEN if read_key is BROKEN else read_value, node=value)))
        return ReadMap(entries=tuple(entries))

    def schema(self) -> JsonSchema:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": self.value.schema(), "minProperties": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """Text in a simple case, a fuller shape otherwise."""

    short: Text
    full: Record | MapOf

    def read(self, node: Node, problems: ProblemList) -> ReadValue:
        """Read by the node's form."""
        shape: Shape = self.full if isinstance(node, Mapping) else self.short
        return shape.read(node, problems)

    def schema(self) -> JsonSchema:
        """Return the JSON Schema."""
        return {"oneOf": [self.short.schema(), self.full.schema()]}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a record; `doc` is what an editor shows."""

    name: str
    shape: Shape
    doc: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A mapping with known keys."""

    title: str
    fields: tuple[Field, ...]
    names: tuple[str, ...] = field(init=False)
    _by_name: dict[str, Field] = field(init=False, repr=False, compare=False)
    _required: tuple[Field, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(item.name for item in self.fields))
        object.__setattr__(self, "_by_name", {item.name: item for item in self.fields})
        object.__setattr__(self, "_required", tuple(item for item in self.fields if item.required))

    def read(self, node: Node, problems: ProblemList, known: ReadRecord | None = None) -> ReadRecord | Broken:
        """Return the fields that stand in the file; a missing required one makes the record broken.

        `known` holds fields of the same shape that were read before: one that is the same node is not read again.
        """
        if not isinstance(node, Mapping):
            return _wrong_type(node, f"a mapping ({self.title})", problems, f"write keys such as {self.names[0]!r}")
        fields: dict[str, Read] = {}
        for key, child in node.items:
            item = self._by_name.get(key.text)
            if item is None:
                self._report_unknown(key, problems)
                continue
            before = known.fields.get(item.name) if known else None
            is_known = before is not None and before.node is child
            fields[item.name] = before if before and is_known else Read(item.shape.read(child, problems), child)
        missing = [item for item in self._required if item.name not in fields]
        for item in missing:
            what = f"the key {item.name!r} is missing"
            problems.add(node.at, "SPEC005", what, f"{self.title} needs it", f"add {item.name!r}: {item.doc}")
        return BROKEN if missing else ReadRecord(fields=fields)

    def _report_unknown(self, key: Scalar, problems: ProblemList) -> None:
        close = _closest(key.text, self.names)
        fix = f"did you mean {close!r}?" if close else "remove it, or look it up with `lockstep schema`"
        rule = f"{self.title} has the keys {', '.join(self.names)}"
        problems.add(key.at, "SPEC003", f"the key {_shown(key.text)} is unknown", rule, fix)

    def schema(self) -> JsonSchema:
        """Return the JSON Schema, closed: an editor marks unknown keys."""
        required = [item.name for item in self.fields if item.required]
        return {
            "type": "object",
            "title": self.title,
            "additionalProperties": False,
            "properties": {item.name: {"description": item.doc, **item.shape.schema()} for item in self.fields},
            **({"required": required} if required else {}),
        }


Shape = Text | Choice | Mode | Flag | Count | Duration | ListOf | MapOf | Either | Record


def _wrong_type(node: Node, wanted: str, problems: ProblemList, fix: str) -> Broken:
    if is_refused(node):
        return BROKEN
    if isinstance(node, Scalar) and wanted == "text":
        what = f"{_shown(node.text)} is read by YAML as {_kind_in_words(node)}"
        fix = f'put it in quotes: "{node.text}"' if node.text else "write a value"
    elif isinstance(node, Scalar):
        what = f"{_shown(node.text)} stands where {wanted} belongs"
    else:
        what = f"{kind_of(node)} stands where {wanted} belongs"
    problems.add(node.at, "SPEC004", what, f"It is {wanted}", fix)
    return BROKEN


def _kind_in_words(node: Scalar) -> str:
    return {"number": "a number", "boolean": "a boolean", "nothing": "nothing", "date": "a date"}.get(
        node.kind, f"something else ({node.kind})"
    )


def _variables_exist(text: str, node: Scalar, problems: ProblemList) -> bool:
    unknown = tuple(unknown_variables(text))
    for name in unknown:
        close = _closest(name, VARIABLES)
        fix = f"did you mean ${{{close}}}?" if close else "write the value out"
        allowed = ", ".join(f"${{{known}}}" for known in VARIABLES)
        problems.add(
            node.at,
            "SPEC008",
            f"{_shown(text)} uses the variable ${{{name}}}",
            f"The variables are {allowed}",
            fix,
        )
    return not unknown


def _closest(word: str, words: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(word.lower(), {item.lower(): None for item in words}, n=1, cutoff=0.6)
    return next((item for item in words if item.lower() == close[0]), None) if close else None


def _shown(text: str) -> str:
    limit = 80
    return repr(text if len(text) <= limit else text[:limit] + "…")
