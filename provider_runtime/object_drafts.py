"""The tree of an `objects` document → drafts: every field as the text that a Go reader sees, nothing validated.

Field names match in any case and unknown ones are ignored, as encoding/json does it; the number of entries is bounded
here, because each of them costs more than its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError
from provider_runtime.object_document import (
    NULL,
    ListNode,
    MappingNode,
    ScalarNode,
    UnreadableError,
    is_null,
    load_tree,
)
from provider_runtime.object_values import FailoverObject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provider_runtime.object_document import Node

OBJECT_LIMIT = 2000
"""Entries of one document. Each may cost a call of its own within one mount; a few hundred are already a lot."""

_LOAD_FAILED = "Failed to load SecretProviderClass"
_OBJECT_FIELDS = (
    "objectName",
    "objectAlias",
    "objectType",
    "objectVersion",
    "objectVersionLabel",
    "filePermission",
    "jmesPath",
    "failoverObject",
    # Ours; the Go provider ignores them.
    "optional",
    "encoding",
    "nonText",
    "keys",
    "template",
)
_KEY_FIELDS = ("path", "objectAlias", "filePermission", "encoding", "nonText")
_FAILOVER_FIELDS = ("objectName", "objectVersion", "objectVersionLabel")
_TEMPLATE_FIELDS = ("objectAlias", "filePermission", "text")


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
    encoding: str
    non_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDraft:
    """A template, not validated."""

    where: str
    alias: str
    permission: PermissionText
    text: str


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
    failover_by_region: tuple[FailoverObject, ...]
    optional: str
    encoding: str
    non_text: str
    keys: str
    template: TemplateDraft | None


_NO_PERMISSION = PermissionText(text="", source="")


def load_drafts(text: str, where: str) -> tuple[list[ObjectDraft], list[tuple[int, MountError]]]:
    """Read the document.

    Returns:
        The entries that could be read, in order, and the problems of the others as (index in the list, error).

    Raises:
        MountError: The document as a whole cannot be read, or holds no object or too many.
    """
    try:
        root = load_tree(text)
    except UnreadableError as error:
        raise _document_error(error, where) from None
    if is_null(root) or root == ListNode(()):
        raise MountError(
            ErrorCode.DOCUMENT_EMPTY,
            where=where,
            what="objects is empty: there is nothing to mount",
            rule="A mount without objects fails in the driver (missing object versions), which does not say why",
            fix="list at least one object, or remove the volume",
        )
    if not isinstance(root, ListNode):
        raise _document_error(UnreadableError("objects is not a list"), where)
    if len(root.items) > OBJECT_LIMIT:
        raise MountError(
            ErrorCode.DOCUMENT_TOO_LARGE,
            where=where,
            what=f"objects lists {len(root.items)} entries",
            rule=f"A class has at most {OBJECT_LIMIT} objects",
            fix="split the class over several volumes, or keep several values as keys of one JSON secret",
        )
    drafts: list[ObjectDraft] = []
    problems: list[tuple[int, MountError]] = []
    for index, node in enumerate(root.items):
        place = f"{where}[{index}]"
        try:
            drafts.append(_draft_object(node, index, place))
        except UnreadableError as error:
            problems.append((index, _entry_error(error, place)))
    return drafts, problems


def _draft_object(node: Node, index: int, where: str) -> ObjectDraft:
    if is_null(node):
        raise UnreadableError("Empty descriptor entry", ErrorCode.ENTRY_EMPTY)
    fields = _fields(node, _OBJECT_FIELDS, "the entry")
    failover = fields.get("failoverObject")
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
        failover=_draft_failover(failover),
        failover_by_region=_draft_failover_list(failover),
        optional=_text(fields, "optional"),
        encoding=_text(fields, "encoding"),
        non_text=_text(fields, "nonText"),
        keys=_text(fields, "keys"),
        template=_draft_template(fields.get("template"), where),
    )


def _draft_keys(node: Node | None, where: str) -> tuple[JsonKeyDraft, ...]:
    if node is None:
        return ()
    if not isinstance(node, ListNode):
        raise UnreadableError("jmesPath is not a list", ErrorCode.FIELD_TYPE)
    return tuple(_draft_key(item, f"{where}.jmesPath[{index}]") for index, item in enumerate(node.items))


def _draft_key(node: Node, where: str) -> JsonKeyDraft:
    # A null entry is an empty struct in Go: its path is what is missing.
    fields = {} if is_null(node) else _fields(node, _KEY_FIELDS, "an entry of jmesPath")
    return JsonKeyDraft(
        where=where,
        path=_text(fields, "path"),
        alias=_text(fields, "objectAlias"),
        permission=_permission(fields),
        encoding=_text(fields, "encoding"),
        non_text=_text(fields, "nonText"),
    )


def _draft_failover(node: Node | None) -> FailoverObject | None:
    """Read upstream's mapping, which counts in every failover region."""
    if node is None or isinstance(node, ListNode):
        return None
    value = _failover_entry(node)
    return None if value == FailoverObject() else value


def _draft_failover_list(node: Node | None) -> tuple[FailoverObject, ...]:
    """Read our list, one entry for each failover region; a null entry means: as in the primary region."""
    if not isinstance(node, ListNode):
        return ()
    return tuple(FailoverObject() if is_null(item) else _failover_entry(item) for item in node.items)


def _failover_entry(node: Node) -> FailoverObject:
    fields = _fields(node, _FAILOVER_FIELDS, "failoverObject")
    return FailoverObject(
        name=_text(fields, "objectName"),
        version=_text(fields, "objectVersion"),
        version_label=_text(fields, "objectVersionLabel"),
    )


def _draft_template(node: Node | None, where: str) -> TemplateDraft | None:
    if node is None:
        return None
    fields = _fields(node, _TEMPLATE_FIELDS, "template")
    return TemplateDraft(
        where=f"{where}.template",
        alias=_text(fields, "objectAlias"),
        permission=_permission(fields),
        text=_text(fields, "text"),
    )


def _fields(node: Node, names: Sequence[str], what: str) -> dict[str, Node]:
    """Pick the known fields of a mapping, names in any case.

    encoding/json walks the keys in sorted order and each one that is not null overwrites the field. The exact name
    comes last here, so it wins over every other spelling (in Go an all-lowercase twin would win). Unknown keys are
    ignored.
    """
    if not isinstance(node, MappingNode):
        raise UnreadableError(f"{what} is not a mapping", ErrorCode.FIELD_TYPE)
    canonical = {name.lower(): name for name in names}
    fields: dict[str, Node] = {}
    for key in sorted(node.members, key=lambda key: (key in names, key)):
        value = node.members[key]
        name = canonical.get(key.lower())
        if name and not is_null(value):
            fields[name] = value
    return fields


def _text(fields: Mapping[str, Node], name: str) -> str:
    node = fields.get(name, NULL)
    if not isinstance(node, ScalarNode):
        raise UnreadableError(f"{name} is not a text", ErrorCode.FIELD_TYPE)
    return node.text or ""


def _permission(fields: Mapping[str, Node]) -> PermissionText:
    text = _text(fields, "filePermission")
    node = fields.get("filePermission")
    return PermissionText(text=text, source=node.source) if isinstance(node, ScalarNode) else _NO_PERMISSION


def _document_error(error: UnreadableError, where: str) -> MountError:
    return MountError(
        error.code,
        where=where,
        what=f"{_LOAD_FAILED}: {error.what}",
        rule="objects is YAML: a list of mappings, at most 1 MiB, without anchors, aliases, merge keys and own tags",
        fix=error.fix or "correct the YAML of parameters.objects",
    )


def _entry_error(error: UnreadableError, where: str) -> MountError:
    if error.code is ErrorCode.ENTRY_EMPTY:
        return MountError(error.code, where=where, what=error.what, fix="remove the empty '-' or fill it in")
    return MountError(
        error.code,
        where=where,
        what=f"{_LOAD_FAILED}: {error.what}",
        rule="An entry is a mapping; its fields are texts, jmesPath is a list of mappings, failoverObject is a mapping"
        " or a list of mappings, template is a mapping",
        fix="correct the entry",
    )
