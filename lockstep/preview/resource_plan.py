"""The resources of a preview by component: what is made, changed, replaced and deleted. Names only, never values.

Not done here: access (components.derivation.diff). A replacement or a deletion is said loudly: it is what a reviewer
must not miss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

#: Operations that change nothing, or are a part of one that is listed.
_SILENT = frozenset({"same", "read", "refresh", "create-replacement", "delete-replaced", "discard", "discard-replaced"})
_STACK = "pulumi:pulumi:Stack"
#: Pulumi's words for what happens to a resource (sdk/go/common/apitype, `OpType`).
OPERATIONS = _SILENT | {
    "create",
    "update",
    "delete",
    "replace",
    "import",
    "import-replacement",
    "read-replacement",
    "remove-pending-replace",
}


class Weight(StrEnum):
    """How loudly an operation is said."""

    LOUD = "loud"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PlannedResource:
    """One resource that a deployment would touch.

    Attributes:
        component: Names of the components around it, outermost first, "" for none.
        operation: Pulumi's word.
        type: Type token.
        name: Logical name.
        changes: Paths of changed properties, sorted.
        replaced_for: Properties that force a replacement.
        is_kept: A deletion that leaves the object where it is.
    """

    component: str
    operation: str
    type: str
    name: str
    changes: tuple[str, ...] = ()
    replaced_for: tuple[str, ...] = ()
    is_kept: bool = False

    @property
    def weight(self) -> Weight:
        """Loud for what takes something away."""
        loud = "replace" in self.operation or (self.operation == "delete" and not self.is_kept)
        return Weight.LOUD if loud else Weight.PLAIN

    @property
    def restarts_pods(self) -> bool:
        """Whether pods or mounts notice: a class or an identity is replaced or goes away."""
        touches = ("SecretProviderClass", "ServiceAccount", "iam/role:Role", "PodIdentityAssociation", "DaemonSet")
        return self.weight is Weight.LOUD and any(kind in self.type for kind in touches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One message of the run. `severity` is Pulumi's word."""

    severity: str
    message: str
    resource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePlan:
    """What a deployment would do.

    Attributes:
        resources: By component, then loud ones first, then by type and name.
        totals: Operation → number of listed resources; of what is silent, or in no step, what the summary says.
        diagnostics: Errors first, else in order.
        cut_short: Whether an error ended the run: what is missing may still change.
    """

    resources: tuple[PlannedResource, ...]
    totals: Mapping[str, int]
    diagnostics: tuple[Diagnostic, ...]
    cut_short: bool


def read_plan(document: Mapping[str, object], *, failed: bool = False) -> ResourcePlan:
    """Read the document of a preview.

    Args:
        document: As `pulumi preview --json` writes it.
        failed: Whether the run itself said that it failed; errors among the diagnostics say so too.
    """
    found = document.get("steps")
    steps = [step for step in (found if isinstance(found, list) else []) if _is_told(step)]
    resources = [_planned(step) for step in steps if not _is_component(step)]
    diagnostics = sorted(_diagnostics(document), key=lambda item: item.severity != "error")
    return ResourcePlan(
        resources=tuple(sorted(resources, key=lambda item: (item.component, item.weight, item.type, item.name))),
        totals=_totals(
            document.get("changeSummary"),
            listed=Counter(resource.operation for resource in resources),
            components=Counter(str(step.get("op", "")) for step in steps if _is_component(step)),
        ),
        diagnostics=tuple(diagnostics),
        cut_short=failed or any(item.severity == "error" for item in diagnostics),
    )


def _totals(summary: object, *, listed: Mapping[str, int], components: Mapping[str, int]) -> dict[str, int]:
    """Return what is listed; the summary counts components too, and may count what no step shows."""
    told = {str(k): v for k, v in summary.items() if isinstance(v, int)} if isinstance(summary, Mapping) else {}
    return {
        operation: max(listed.get(operation, 0), told.get(operation, 0) - components.get(operation, 0))
        for operation in (*told, *sorted(listed.keys() - told.keys()))
    }


def _is_told(step: object) -> bool:
    if not isinstance(step, Mapping) or not isinstance(step.get("urn"), str):
        return False
    return str(step.get("op", "")) not in _SILENT and step["urn"].count("::") >= 3  # noqa: PLR2004 - stack, project, type, name


def _is_component(step: Mapping[str, object]) -> bool:
    """Say whether a step is about what has no object of its own: a component, which is its resources, or the stack."""
    return _STACK in str(step["urn"]).split("::", 3)[2] or _state(step).get("custom") is False


def _state(step: Mapping[str, object]) -> Mapping[str, object]:
    old, new = step.get("oldState"), step.get("newState")
    return new if isinstance(new, Mapping) else old if isinstance(old, Mapping) else {}


def _planned(step: Mapping[str, object]) -> PlannedResource:
    operation, parts, old = str(step.get("op", "")), str(step["urn"]).split("::", 3), step.get("oldState")
    detailed, reasons = step.get("detailedDiff"), step.get("replaceReasons")
    kept = operation == "delete" and isinstance(old, Mapping) and old.get("retainOnDelete") is True
    return PlannedResource(
        component=_component(parts[2], str(_state(step).get("parent") or "")),
        operation=operation,
        type=parts[2].rpartition("$")[2],
        name=parts[3],
        changes=tuple(sorted(str(path) for path in detailed)) if isinstance(detailed, Mapping) else (),
        replaced_for=tuple(sorted(str(key) for key in reasons)) if isinstance(reasons, list) else (),
        is_kept=kept,
    )


def _component(chain: str, parent: str) -> str:
    """Return the component that a resource belongs to: the outermost type with the parent's name."""
    kinds = chain.split("$")[:-1]
    if not kinds:
        return ""
    return f"{kinds[0].rpartition(':')[2]} {parent.rpartition('::')[2]}".strip()


def _diagnostics(document: Mapping[str, object]) -> Iterator[Diagnostic]:
    items = document.get("diagnostics")
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, Mapping):
            continue
        severity = str(item.get("severity", "info"))
        text = f"{item.get('prefix', '')}{item.get('message', '')}".strip()
        text = text.removeprefix(f"{severity}: ")
        if severity != "debug" and text:
            yield Diagnostic(severity=severity, message=text, resource=str(item.get("urn") or "").rpartition("::")[2])
