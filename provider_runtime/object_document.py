"""The YAML of an `objects` document → a tree of texts as a Go reader sees them; what they mean is `object_drafts`.

Class parameters are untrusted input to the process that holds every pod's secrets, so the document is bounded before it
is built: 1 MiB, no anchors and aliases (a few of them can stand for gigabytes), 32 levels. It is read from libyaml's
events, because only they tell a quoted `0600` from a bare one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import yaml

from provider_runtime.errors import ErrorCode, shown
from provider_runtime.go_scalars import resolve_plain_scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCUMENT_LIMIT_BYTES = 1024 * 1024
"""UTF-8 bytes of one document. A Kubernetes object cannot be much larger."""
NODE_LIMIT = 150_000
"""YAML nodes of one document: every mebibyte of real entries has fewer, half a million empty ones have not."""
DEPTH_LIMIT = 32
"""Levels of nesting; the format itself needs four, unknown keys may hold more."""

_CORE_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"!", f"{_CORE_TAG}str"})
_RESOLVED_TAGS = frozenset(f"{_CORE_TAG}{kind}" for kind in ("int", "float", "bool", "null", "timestamp"))


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A scalar: the text that Go reads (`None`: null), and as it is written."""

    text: str | None
    source: str


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence, in order."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping by key; null keys are refused, of equal keys the last counts."""

    members: Mapping[str, Node]


Node: TypeAlias = ScalarNode | ListNode | MappingNode
NULL = ScalarNode(None, "")


class UnreadableError(Exception):
    """A document or an entry of it is not of the format's shape."""

    def __init__(self, what: str, code: ErrorCode = ErrorCode.DOCUMENT_INVALID, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.code = code
        self.fix = fix


def load_tree(text: str) -> Node:
    """Read the first document of a text; an empty one is null.

    Raises:
        UnreadableError: Too large, too deep, with anchors or aliases, or no YAML.
    """
    if len(text) > DOCUMENT_LIMIT_BYTES or len(text.encode("utf-8", "surrogatepass")) > DOCUMENT_LIMIT_BYTES:
        raise UnreadableError(f"more than {DOCUMENT_LIMIT_BYTES} bytes", ErrorCode.DOCUMENT_TOO_LARGE)
    cause, fix = "", ""
    try:
        return _build(iter(yaml.parse(text, Loader=yaml.CBaseLoader)))
    except yaml.MarkedYAMLError as error:
        at = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        cause = f"{error.problem}{at}"
        # `keys: *` begins an alias for YAML; the parser's own words do not help anybody who meant a star.
        fix = 'put a star in quotes: keys: "*"' if error.context == "while scanning an alias" else ""
    except yaml.YAMLError:
        cause = "it holds characters that YAML does not allow"
    except UnicodeError:
        cause = "it is not valid Unicode"
    raise UnreadableError(shown(cause), fix=fix)


def _build(events: Iterator[yaml.Event]) -> Node:
    """Build the first document; what follows it is not even scanned."""
    open_nodes: list[tuple[bool, list[Node]]] = []
    root: Node = NULL
    count = 0
    for event in events:
        node: Node
        if isinstance(event, yaml.DocumentEndEvent):
            break
        count += isinstance(event, yaml.NodeEvent)
        if count > NODE_LIMIT:
            raise UnreadableError(f"more than {NODE_LIMIT} nodes", ErrorCode.DOCUMENT_TOO_LARGE)
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise UnreadableError(f"anchor or alias at line {_line(event)}", ErrorCode.DOCUMENT_ALIASES)
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((isinstance(event, yaml.MappingStartEvent), []))
            if len(open_nodes) > DEPTH_LIMIT:
                raise UnreadableError(f"more than {DEPTH_LIMIT} levels of nesting at line {_line(event)}")
            continue
        if isinstance(event, yaml.ScalarEvent):
            node = _scalar(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            is_mapping, children = open_nodes.pop()
            node = _mapping(children) if is_mapping else ListNode(tuple(children))
        else:
            continue  # start of the stream or of the document
        if open_nodes:
            open_nodes[-1][1].append(node)
        else:
            root = node
    return root


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _scalar(event: yaml.ScalarEvent) -> ScalarNode:
    source = str(event.value)
    is_plain = event.tag is None and event.implicit[0]
    if is_plain or event.tag in _RESOLVED_TAGS:
        return ScalarNode(resolve_plain_scalar(source), source)
    if event.tag is None or event.tag in _TEXT_TAGS:
        return ScalarNode(source, source)
    raise UnreadableError(f"tag {shown(str(event.tag))} at line {_line(event)}")


def is_null(node: Node) -> bool:
    """Say whether a node is null: written so, or nothing at all."""
    return isinstance(node, ScalarNode) and node.text is None


def _mapping(children: Sequence[Node]) -> MappingNode:
    """Pair keys and values; a key that is there twice counts with its last value, as go-yaml does it."""
    members: dict[str, Node] = {}
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, ScalarNode) or key.text is None:
            raise UnreadableError("a key is not a text")
        if key.text == "<<":
            raise UnreadableError("merge key", ErrorCode.DOCUMENT_ALIASES)
        members[key.text] = value
    return MappingNode(members)
