"""Lay an environment's overlay over an app, node by node, so that every value keeps its own place in the file.

A key of the overlay replaces the app's key. The lists of `MATCHED_BY` are joined instead: an entry that names the same
secret (or Secret) changes the keys that it gives, another one is added. Nothing can be removed in an overlay: a grant
that an environment lacks must not hide at the end of a file.
"""

from __future__ import annotations

from .spec_shape import MATCHED_BY
from .yaml_source import Mapping, Node, Scalar, Sequence

#: An object is read by one selector: naming one in an overlay lets the base's other one go.
_EXCLUSIVE = {"version": "label", "label": "version", "stage": "versionId", "versionId": "stage"}


def lay_over(base: Mapping, overlay: Mapping) -> Mapping:
    """Return the app's mapping with the overlay's differences."""
    items: list[tuple[Scalar, Node]] = []
    for key, value in base.items:
        if key.text == "environments":
            continue
        change = overlay.get(key.text)
        items.append((key, value if change is None else _joined(key.text, value, change)))
    items += [(key, value) for key, value in overlay.items if base.get(key.text) is None]
    return Mapping(items=tuple(items), at=base.at)


def _joined(key: str, base: Node, change: Node) -> Node:
    match_by = MATCHED_BY.get(key)
    if match_by is None or not isinstance(base, Sequence) or not isinstance(change, Sequence):
        return change
    items = list(base.items)
    for entry in change.items:
        index = next((i for i, item in enumerate(items) if _same_entry(item, entry, match_by)), None)
        if index is None:
            items.append(entry)
        else:
            items[index] = _changed(items[index], entry)
    return Sequence(items=tuple(items), at=base.at)


def _same_entry(left: Node, right: Node, key: str) -> bool:
    if not isinstance(left, Mapping) or not isinstance(right, Mapping):
        return False
    a, b = left.get(key), right.get(key)
    return isinstance(a, Scalar) and isinstance(b, Scalar) and a.text == b.text


def _changed(base: Node, change: Node) -> Node:
    if not isinstance(base, Mapping) or not isinstance(change, Mapping):
        return change
    replaced = {key.text for key, _ in change.items} | {_EXCLUSIVE.get(key.text, "") for key, _ in change.items}
    kept = [(key, value) for key, value in base.items if key.text not in replaced]
    return Mapping(items=(*kept, *change.items), at=base.at)
