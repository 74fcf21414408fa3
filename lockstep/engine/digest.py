"""What a run did or would do, in the shape of `pulumi preview --json`.

Not done here: deciding on steps (deployment.py, removal.py). The document has Pulumi's fields: `config`, `steps`,
`diagnostics`, `changeSummary`, `duration`. Secrets stand in it as `[secret]`; what is unknown at preview stands in it
as Pulumi's sentinel.

Three things differ from Pulumi on purpose: steps are in one fixed order (dependencies first, then by URN; deletions
last, in reverse), where Pulumi prints them as they happen; `newState` has the id and the outputs that a step gives,
where Pulumi writes it down before the provider has answered; and `duration` is only present when it was measured. The
rest is compared with the real engine's by `make e2e-pulumi`.

Source: pulumi `pkg/backend/display/json.go` (`ShowPreviewDigest`) and `sdk/go/common/apitype` (`ResourceV3`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lockstep.engine.resource_provider import ResourceDiff
from lockstep.engine.state import STACK_TYPE, ResourceState, Urn
from lockstep.engine.values import BLINDED, Json, blind_properties


class Operation(StrEnum):
    """What a step does to a resource; Pulumi's words."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"


class Severity(StrEnum):
    """How bad a diagnostic is; Pulumi's words."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One message for the user. `urn` is empty when it concerns no single resource."""

    severity: Severity
    message: str
    urn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One resource's part in a run.

    Attributes:
        old: The record before; None for a create.
        new: The record after; None for a delete.
    """

    operation: Operation
    urn: Urn
    old: ResourceState | None = None
    new: ResourceState | None = None
    diff: ResourceDiff = field(default_factory=ResourceDiff)

    @property
    def state(self) -> ResourceState:
        """The record that says what kind of thing this is about: the new one, or the old one of a delete."""
        record = self.new or self.old
        if record is None:
            raise ValueError(f"step {self.urn} has neither an old nor a new record")
        return record


def render_digest(
    *,
    config: Mapping[str, str],
    secret_keys: frozenset[str],
    steps: Sequence[Step],
    diagnostics: Sequence[Diagnostic],
    duration_seconds: float | None = None,
    show_sames: bool = False,
) -> dict[str, Json]:
    """Return the document.

    Args:
        config: Full configuration of the stack, `namespace:key` to text.
        secret_keys: Keys of `config` whose values must not be shown.
        steps: In any order; steps of default providers and unchanged resources are left out, as Pulumi does.
        show_sames: Keep unchanged resources, as `pulumi preview --show-sames` does: who compares needs all of them.
        diagnostics: In the order they were given; debug messages are left out.
        duration_seconds: Wall time; the document has nanoseconds.
    """
    visible = [step for step in order_steps(steps) if not step.state.is_default_provider]
    summary: dict[str, int] = {}
    for step in visible:
        summary[step.operation.value] = summary.get(step.operation.value, 0) + 1
    document: dict[str, Json] = {
        "config": {key: BLINDED if key in secret_keys else config[key] for key in sorted(config)},
        "steps": [
            _render_step(step)
            for step in visible
            if show_sames or step.operation is not Operation.SAME or step.state.type == STACK_TYPE
        ],
        "diagnostics": [_render_diagnostic(item) for item in diagnostics if item.severity is not Severity.DEBUG],
        "changeSummary": {name: summary[name] for name in sorted(summary)},
    }
    if duration_seconds is not None:
        document["duration"] = int(duration_seconds * 1_000_000_000)
    return document


def _render_step(step: Step) -> dict[str, Json]:
    rendered: dict[str, Json] = {"op": step.operation.value, "urn": step.urn}
    if step.state.provider:
        rendered["provider"] = step.state.provider
    if step.old is not None:
        rendered["oldState"] = _render_state(step.old)
    if step.new is not None:
        rendered["newState"] = _render_state(step.new)
    if step.diff.changes:
        suffix = "-replace" if step.operation is Operation.REPLACE else ""
        rendered["diffReasons"] = sorted({change.root for change in step.diff.changes})
        rendered["detailedDiff"] = {
            change.path: {
                "kind": change.kind.value + (suffix if change.root in step.diff.replace_keys else ""),
                "inputDiff": True,
            }
            for change in step.diff.changes
        }
    else:
        rendered["detailedDiff"] = None
    if step.diff.replace_keys:
        rendered["replaceReasons"] = sorted(step.diff.replace_keys)
    return rendered


def _render_state(state: ResourceState) -> dict[str, Json]:
    rendered = state.to_dict()
    for key, properties in (("inputs", state.inputs), ("outputs", state.outputs)):
        if properties:
            rendered[key] = blind_properties(properties)
    return rendered


def _render_diagnostic(item: Diagnostic) -> dict[str, Json]:
    rendered: dict[str, Json] = {"urn": item.urn} if item.urn else {}
    return rendered | {"message": f"{item.severity.value}: {item.message}", "severity": item.severity.value}


def order_steps(steps: Iterable[Step]) -> list[Step]:
    """Sort steps: dependencies and parents first, ties by URN; then deletions, dependants first."""
    steps = list(steps)
    kept = [step for step in steps if step.operation is not Operation.DELETE]
    deleted = [step for step in steps if step.operation is Operation.DELETE]
    return _topological(kept) + _topological(deleted)[::-1]


def _topological(steps: Sequence[Step]) -> list[Step]:
    """Kahn's algorithm with a heap, so that the order depends on the graph and the names only."""
    by_urn: dict[str, list[Step]] = {}
    for step in steps:
        by_urn.setdefault(step.urn, []).append(step)
    waiting = {urn: {need for need in _needs(group) if need in by_urn and need != urn} for urn, group in by_urn.items()}
    dependants: dict[str, list[str]] = {}
    for urn, needs in waiting.items():
        for need in needs:
            dependants.setdefault(need, []).append(urn)
    ready = [urn for urn, needs in waiting.items() if not needs]
    heapq.heapify(ready)
    ordered: list[Step] = []
    while ready:
        urn = heapq.heappop(ready)
        ordered.extend(by_urn[urn])
        for dependant in dependants.get(urn, ()):
            waiting[dependant].discard(urn)
            if not waiting[dependant]:
                heapq.heappush(ready, dependant)
    return ordered


def _needs(group: Iterable[Step]) -> set[str]:
    needs: set[str] = set()
    for step in group:
        state = step.state
        needs.update(state.dependencies)
        needs.add(state.parent)
        needs.add(state.provider.rpartition("::")[0])
    return needs
