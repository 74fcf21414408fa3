"""YAML text to a tree of nodes that know their place.

Not done here: what a spec may contain (spec_shape.py) and what it means (spec_reader.py). Done here: syntax, duplicate
keys, and refusal of what specs do not use (anchors, merge keys, tags), because a reviewer must be able to read a grant
where it stands.

Source of the scalar rules: YAML 1.1 as PyYAML resolves it. Text stays text; the tag says what a plain scalar would be.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import yaml

from .errors import ProblemList, Spot
from .yaml_depth import nests_too_deeply

#: A spec is a page of text. The limit keeps a wrong file (a log, a dump) from costing minutes.
LIMIT_BYTES = 1024 * 1024

_ALIAS = "alias"
_TAG_NAMES = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "nothing",
    "tag:yaml.org,2002:timestamp": "date",
}


class _Mark(Protocol):
    line: int
    column: int


class Scalar(NamedTuple):
    """A leaf. `kind` is one of text, number, boolean, nothing, date; `text` is as written."""

    text: str
    kind: str
    at: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list, in file order."""

    items: tuple[Node, ...]
    at: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping with text keys, in file order; a key stands once."""

    items: tuple[tuple[Scalar, Node], ...]
    at: Spot

    def get(self, key: str) -> Node | None:
        """Return the value of `key`, or None."""
        for name, value in self.items:
            if name.text == key:
                return value
        return None


Node = Scalar | Sequence | Mapping


def is_refused(node: Node) -> bool:
    """Say whether a node stands for an alias, whose problem has been added already."""
    return isinstance(node, Scalar) and node.kind == _ALIAS


def kind_of(node: Node) -> str:
    """Say in one word what a node is, for messages."""
    match node:
        case Scalar():
            return node.kind
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping"


def parse_yaml(text: str, source: str, problems: ProblemList) -> tuple[Node, ...]:
    """Parse every document of a YAML text.

    Args:
        text: At most `LIMIT_BYTES` when encoded.
        source: Name of the file, for places.
        problems: Receives SPEC001, SPEC002 and SPEC023. A duplicate key keeps its first value.

    Returns:
        The root of each document that is not empty, in order; () when the syntax is broken.
    """
    top = Spot(source=source, line=1, column=1)
    if len(text.encode("utf-8", "surrogatepass")) > LIMIT_BYTES:
        problems.add(top, "SPEC001", "the file is larger than 1 MiB", "A spec file holds app specs only", "split it")
        return ()
    if nests_too_deeply(text):
        problems.add(top, "SPEC001", "the nesting is too deep", "A spec nests a few levels", "check the brackets")
        return ()
    loader = _Loader(text)
    try:
        return tuple(_documents(loader, source, problems))
    except yaml.MarkedYAMLError as error:
        _add_syntax_problem(error, source, problems)
    except (yaml.YAMLError, UnicodeError) as error:
        what = f"the text cannot be read as YAML ({' '.join(str(error).split())})"
        problems.add(top, "SPEC001", what, "A spec is YAML in UTF-8", "save it as plain UTF-8 text")
    finally:
        loader.dispose()
    return ()


def _add_syntax_problem(error: yaml.MarkedYAMLError, source: str, problems: ProblemList) -> None:
    # An open quote is found at the end of the file; where it was opened says more.
    unfinished = "end of stream" in str(error.problem) and error.context_mark is not None
    mark: _Mark | None = error.context_mark if unfinished else error.problem_mark or error.context_mark
    spot = Spot(source=source, line=mark.line + 1 if mark else 1, column=mark.column + 1 if mark else 1)
    detail = " ".join(str(part) for part in (error.context, error.problem) if part)
    if "alias" in detail:
        _refuse_anchor(spot, problems)
        return
    problems.add(
        spot, "SPEC001", f"this is not YAML ({detail})", "A spec is YAML", "check indentation, quotes and colons here"
    )


_RESOLVER: Any = yaml.resolver.Resolver()


@lru_cache(maxsize=16_384)  # keys and short values come again and again, in every spec
def _tag(kind: Hashable, value: str | None, implicit: Hashable) -> str:
    return str(_RESOLVER.resolve(kind, value, implicit))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # decided when PyYAML was built
    """PyYAML's safe loader, which looks up the tag of every scalar in Python."""

    def resolve(self, kind: Hashable, value: str | None, implicit: Hashable) -> str:
        return _tag(kind, value, implicit)


def _documents(loader: _Loader, source: str, problems: ProblemList) -> Iterator[Node]:
    while loader.check_node():
        root = loader.get_node()
        if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == "tag:yaml.org,2002:null"):
            continue
        yield _Tree(source, problems).convert(root, "")


class _Tree:
    """Converts one composed document. Remembers nodes that it saw: a second visit is an alias."""

    def __init__(self, source: str, problems: ProblemList) -> None:
        self._source = source
        self._problems = problems
        self._seen: set[int] = set()

    def convert(self, node: yaml.Node, field: str) -> Node:
        start = node.start_mark
        at = Spot(self._source, start.line + 1, start.column + 1, field)
        if id(node) in self._seen:
            _refuse_anchor(at, self._problems)
            return Scalar(text="", kind=_ALIAS, at=at)
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            items = tuple(self.convert(item, f"{field}[{index}]") for index, item in enumerate(node.value))
            return Sequence(items=items, at=at)
        if isinstance(node, yaml.MappingNode):
            return Mapping(items=tuple(self._entries(node, field)), at=at)
        return _scalar(node, at)

    def _entries(self, node: yaml.MappingNode, field: str) -> Iterator[tuple[Scalar, Node]]:
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            start = key_node.start_mark
            spot = Spot(self._source, start.line + 1, start.column + 1, field)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.add(
                    spot, "SPEC004", "a key is not text", "Keys are text", "write a plain word as the key"
                )
                continue
            key = _scalar(key_node, spot)
            if key_node.tag == "tag:yaml.org,2002:merge":
                _refuse_anchor(spot, self._problems)
                continue
            if key.text in lines:
                self._problems.add(
                    spot,
                    "SPEC002",
                    f"the key {key.text!r} stands here and in line {lines[key.text]}",
                    "A key stands once in a mapping",
                    "keep one of them",
                )
                continue
            lines[key.text] = spot.line
            yield key, self.convert(value_node, f"{field}.{key.text}" if field else key.text)


def _scalar(node: yaml.Node, at: Spot) -> Scalar:
    tag = str(node.tag)
    return Scalar(str(node.value), _TAG_NAMES.get(tag, tag), at)


def _refuse_anchor(spot: Spot, problems: ProblemList) -> None:
    problems.add(
        spot,
        "SPEC023",
        "an anchor, alias or merge key is used",
        "Specs use none, so that a grant can be read where it stands",
        "write the value out",
    )
