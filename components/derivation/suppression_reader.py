"""The `suppress` lists of a spec to values. Which rules exist only the linter knows (components/derivation/lint)."""

from __future__ import annotations

from .shape import Read, ReadList, ReadRecord
from .spec import Suppression


def read_suppressions(read: Read | None) -> tuple[Suppression, ...]:
    """Return the suppressions that could be read, in file order."""
    if read is None or not isinstance(read.value, ReadList):
        return ()
    found: list[Suppression] = []
    for item in read.value.items:
        if isinstance(item.value, ReadRecord):
            rule, reason = (item.value.fields.get(name) for name in ("rule", "reason"))
            if rule and reason and isinstance(rule.value, str) and isinstance(reason.value, str):
                found.append(Suppression(rule=rule.value, reason=reason.value, at=rule.node.at))
    return tuple(found)
