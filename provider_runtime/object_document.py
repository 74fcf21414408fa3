"""The YAML of an `objects` document → drafts: every field as the text that a Go reader sees, nothing validated.

Class parameters are untrusted input to the process that holds every pod's secrets, so the document is bounded before it
is built: 1 MiB, no anchors and aliases (a few of them can stand for gigabytes), 32 levels. It is read from libyaml's
events, because only they tell a quoted `0600` from a bare one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import yaml

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.go_scalars import resolve_plain_scalar
from provider_runtime.object_values import FailoverObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCUMENT_LIMIT_BYTES = 1024 * 1024
"""UTF-8 bytes of one document. A Kubernetes object cannot be much larger."""
NODE_LIMIT = 150_000
"""YAML nodes of one document: every mebibyte of real entries has fewer, half a million empty ones have not."""
DEPTH_LIMIT = 32
"""Levels of nesting; the format itself needs four, unknown keys may hold more."""

_LOAD_FAILED = "Failed to load SecretProviderClass"
_CORE_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"!", f"{_CORE_TAG}str"})
_RESOLVED_TAGS = frozenset(f"{_CORE_TAG}{kind}" for kind in ("int", "float", "bool", "null", "timestamp"))

_OBJECT_FIELDS = (
    "objectName",
    "objectAlias",
    "objectType",
    "objectVersion",
    "objectVersionLabel",
    "filePermission",
    "jmesPath",
    "failoverObject",
)
_KEY_FIELDS = ("path", "objectAlias", "filePermission")
_FAILOVER_FIELDS = ("objectName", "objectVersion", "objectVersionLabel")


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionText:
    """A filePermission as the reader sees it (`384`) and as it is written (`0600`); the same when quoted."""

    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonKeyDraft:
    """A jmesPath entry, not validated."""

    where: str
    path: str
    alias: str
    permission: PermissionText


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDraft:
    """An entry of the list, not validated; empty texts stand for absent and null fields."""

    index: int
    where: str
    name: str
    type_text: str
    alias: str
    version: str
    version_label: str
    permission: PermissionText
    json_keys: tuple[JsonKeyDraft, ...]
    failover: FailoverObject | None


@dataclass(frozen=True, slots=True)
class _Scalar:
    text: str | None  # None: null
    source: str


@dataclass(frozen=True, slots=True)
class _Sequence:
    items: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Mapping:
    members: Mapping[str, _Node]


_Node: TypeAlias = _Scalar | _Sequence | _Mapping
_NULL = _Scalar(None, "")
_NO_PERMISSION = PermissionText(text="", source="")


class _UnreadableError(Exception):
    """A document or an entry of it is not of the format's shape."""

    def __init__(self, what: str, code: ErrorCode = ErrorCode.DOCUMENT_INVALID) -> None:
        super().__init__(what)
        self.what = what
        self.code = code


def load_drafts(text: str, where: str) -> tuple[list[ObjectDraft], list[tuple[int, MountError]]]:
    """Read the document.

    Returns:
        The entries that could be read, in order, and the problems of the others as (index in the list, error).

    Raises:
        MountError: The document as a whole cannot be read, or holds no object.
    """
    try:
        root = _load_tree(text)
    except _UnreadableError as error:
        raise _document_error(error, where) from None
    if _is_null(root) or root == _Sequence(()):
        raise MountError(
            ErrorCode.DOCUMENT_EMPTY,
            where=where,
            what="objects is empty: there is nothing to mount",
            rule="A mount without objects fails in the driver (missing object versions), which does not say why",
            fix="list at least one object, or remove the volume",
        )
    if not isinstance(root, _Sequence):
        raise _document_error(_UnreadableError("objects is not a list"), where)
    drafts: list[ObjectDraft] = []
    problems: list[tuple[int, MountError]] = []
    for index, node in enumerate(root.items):
        place = f"{where}[{index}]"
        try:
            drafts.append(_draft_object(node, index, place))
        except _UnreadableError as error:
            problems.append((index, _entry_error(error, place)))
    return drafts, problems


def _load_tree(text: str) -> _Node:
    if len(text) > DOCUMENT_LIMIT_BYTES or len(text.encode("utf-8", "surrogatepass")) > DOCUMENT_LIMIT_BYTES:
        raise _UnreadableError(f"more than {DOCUMENT_LIMIT_BYTES} bytes", ErrorCode.DOCUMENT_TOO_LARGE)
    cause = ""
    try:
        return _build(iter(yaml.parse(text, Loader=yaml.CBaseLoader)))
    except yaml.MarkedYAMLError as error:
        at = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        cause = f"{error.problem}{at}"
    except yaml.YAMLError:
        cause = "it holds characters that YAML does not allow"
    except UnicodeError:
        cause = "it is not valid Unicode"
    raise _UnreadableError(shown(cause))


def _build(events: Iterator[yaml.Event]) -> _Node:
    """Build the first document; what follows it is not even scanned."""
    open_nodes: list[tuple[bool, list[_Node]]] = []
    root: _Node = _NULL
    count = 0
    for event in events:
        node: _Node
        if isinstance(event, yaml.DocumentEndEvent):
            break
        count += isinstance(event, yaml.NodeEvent)
        if count > NODE_LIMIT:
            raise _UnreadableError(f"more than {NODE_LIMIT} nodes", ErrorCode.DOCUMENT_TOO_LARGE)
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise _UnreadableError(f"anchor or alias at line {_line(event)}", ErrorCode.DOCUMENT_ALIASES)
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((isinstance(event, yaml.MappingStartEvent), []))
            if len(open_nodes) > DEPTH_LIMIT:
                raise _UnreadableError(f"more than {DEPTH_LIMIT} levels of nesting at line {_line(event)}")
            continue
        if isinstance(event, yaml.ScalarEvent):
            node = _scalar(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            is_mapping, children = open_nodes.pop()
            node = _mapping(children) if is_mapping else _Sequence(tuple(children))
        else:
            continue  # start of the stream or of the document
        if open_nodes:
            open_nodes[-1][1].append(node)
        else:
            root = node
    return root


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _scalar(event: yaml.ScalarEvent) -> _Scalar:
    source = str(event.value)
    is_plain = event.tag is None and event.implicit[0]
    if is_plain or event.tag in _RESOLVED_TAGS:
        return _Scalar(resolve_plain_scalar(source), source)
    if event.tag is None or event.tag in _TEXT_TAGS:
        return _Scalar(source, source)
    raise _UnreadableError(f"tag {shown(str(event.tag))} at line {_line(event)}")


def _is_null(node: _Node) -> bool:
    return isinstance(node, _Scalar) and node.text is None


def _mapping(children: Sequence[_Node]) -> _Mapping:
    """Pair keys and values; a key that is there twice counts with its last value, as go-yaml does it."""
    members: dict[str, _Node] = {}
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, _Scalar) or key.text is None:
            raise _UnreadableError("a key is not a text")
        if key.text == "<<":
            raise _UnreadableError("merge key", ErrorCode.DOCUMENT_ALIASES)
        members[key.text] = value
    return _Mapping(members)


def _draft_object(node: _Node, index: int, where: str) -> ObjectDraft:
    if _is_null(node):
        raise _UnreadableError("Empty descriptor entry", ErrorCode.ENTRY_EMPTY)
    fields = _fields(node, _OBJECT_FIELDS, "the entry")
    return ObjectDraft(
        index=index,
        where=where,
        name=_text(fields, "objectName"),
        type_text=_text(fields, "objectType"),
        alias=_text(fields, "objectAlias"),
        version=_text(fields, "objectVersion"),
        version_label=_text(fields, "objectVersionLabel"),
        permission=_permission(fields),
        json_keys=_draft_keys(fields.get("jmesPath"), where),
        failover=_failover(fields.get("failoverObject")),
    )


def _draft_keys(node: _Node | None, where: str) -> tuple[JsonKeyDraft, ...]:
    if node is None:
        return ()
    if not isinstance(node, _Sequence):
        raise _UnreadableError("jmesPath is not a list", ErrorCode.FIELD_TYPE)
    return tuple(_draft_key(item, f"{where}.jmesPath[{index}]") for index, item in enumerate(node.items))


def _draft_key(node: _Node, where: str) -> JsonKeyDraft:
    # A null entry is an empty struct in Go: its path is what is missing.
    fields = {} if _is_null(node) else _fields(node, _KEY_FIELDS, "an entry of jmesPath")
    return JsonKeyDraft(
        where=where,
        path=_text(fields, "path"),
        alias=_text(fields, "objectAlias"),
        permission=_permission(fields),
    )


def _failover(node: _Node | None) -> FailoverObject | None:
    if node is None:
        return None
    fields = _fields(node, _FAILOVER_FIELDS, "failoverObject")
    value = FailoverObject(
        name=_text(fields, "objectName"),
        version=_text(fields, "objectVersion"),
        version_label=_text(fields, "objectVersionLabel"),
    )
    return None if value == FailoverObject() else value


def _fields(node: _Node, names: Sequence[str], what: str) -> dict[str, _Node]:
    """Pick the known fields of a mapping, names in any case.

    encoding/json walks the keys in sorted order and each one that is not null overwrites the field. The exact name
    comes last here, so it wins over every other spelling (in Go an all-lowercase twin would win). Unknown keys are
    ignored.
    """
    if not isinstance(node, _Mapping):
        raise _UnreadableError(f"{what} is not a mapping", ErrorCode.FIELD_TYPE)
    canonical = {name.lower(): name for name in names}
    fields: dict[str, _Node] = {}
    for key in sorted(node.members, key=lambda key: (key in names, key)):
        value = node.members[key]
        name = canonical.get(key.lower())
        if name and not _is_null(value):
            fields[name] = value
    return fields


def _text(fields: Mapping[str, _Node], name: str) -> str:
    node = fields.get(name, _NULL)
    if not isinstance(node, _Scalar):
        raise _UnreadableError(f"{name} is not a text", ErrorCode.FIELD_TYPE)
    return node.text or ""


def _permission(fields: Mapping[str, _Node]) -> PermissionText:
    text = _text(fields, "filePermission")
    node = fields.get("filePermission")
    return PermissionText(text=text, source=node.source) if isinstance(node, _Scalar) else _NO_PERMISSION


def _document_error(error: _UnreadableError, where: str) -> MountError:
    return MountError(
        error.code,
        where=where,
        what=f"{_LOAD_FAILED}: {error.what}",
        rule="objects is YAML: a list of mappings, at most 1 MiB, without anchors, aliases, merge keys and own tags",
        fix="correct the YAML of parameters.objects",
    )


def _entry_error(error: _UnreadableError, where: str) -> MountError:
    if error.code is ErrorCode.ENTRY_EMPTY:
        return MountError(error.code, where=where, what=error.what, fix="remove the empty '-' or fill it in")
    return MountError(
        error.code,
        where=where,
        what=f"{_LOAD_FAILED}: {error.what}",
        rule="An entry is a mapping; its fields are texts, jmesPath is a list of mappings, failoverObject is a mapping",
        fix="correct the entry",
    )
