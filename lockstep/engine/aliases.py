"""Earlier URNs of resources: their own aliases, and those that follow from their parents'.

Not done here: looking for a record under one (journal.py). The SDK sends an engine like this one whole URNs: what a
program wrote, and what follows from the parent for those resources only that have aliases of their own. Pulumi's engine
works it out for every generation.

Source: pulumi `pkg/resource/deploy/step_generator.go` (generateAliases).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from lockstep.engine.state import Urn


class Aliases:
    """The aliases of one run, by URN. Thread-safe. A parent is registered before its children."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Urn, ...]] = {}

    def enter(self, urn: Urn, parent: str, own: tuple[Urn, ...]) -> tuple[Urn, ...]:
        """Keep a resource's aliases and return all of them, its own first, each once."""
        with self._lock:
            above = self._known.get(parent, ())
            found = dict.fromkeys((*own, *_inherited((urn, *own), parent, above)))
            found.pop(urn, None)
            self._known[urn] = tuple(found)
            return self._known[urn]


def _inherited(names: tuple[Urn, ...], parent: str, above: tuple[Urn, ...]) -> Iterator[Urn]:
    """Yield what a child was called below each alias of its parent. A name that begins like the parent's follows it."""
    parent_name = parent.rpartition("::")[2]
    for alias in above:
        head, _, alias_name = alias.rpartition("::")
        for urn in names:
            types, _, name = urn.rpartition("::")
            if name.startswith(parent_name):
                name = f"{alias_name}{name.removeprefix(parent_name)}"
            yield Urn(f"{head}${types.rpartition('::')[2].rpartition('$')[2]}::{name}")
