"""The two engines on one stack, behind the same four verbs, and what they say in a form that can be compared.

Left out of a comparison, and nothing else: ids of provider resources (random in one engine, derived in the other),
times, places in source files, durations, the order of lists that have none, what an account draws (`_DRAWN`), in
plans what `_as_planned` says, and in goals the seeds of names that nothing here draws.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from lockstep.engine import EngineResult, EngineState, Mode, ResourceProvider, run_program
from lockstep.engine.values import BLINDED, SIGNATURE_KEY
from tests.pulumi_cli.pulumi_cli import PulumiCli

#: What one engine's records have and the other's cannot.
_NOT_COMPARED: Final = (
    "created",
    "modified",
    "sourcePosition",
    "stackTrace",
)
#: Properties that each emulated account draws for itself, and the real engine's own bookkeeping in a provider's inputs.
_DRAWN: Final = ("createDate", "uniqueId", "__internal")
#: Lists without an order.
_SETS: Final = ("dependencies",)
#: Options of a resource that a plan's goal and a record have under the same name.
_OPTIONS: Final = (
    "parent",
    "protect",
    "dependencies",
    "provider",
    "propertyDependencies",
    "ignoreChanges",
    "additionalSecretOutputs",
    "customTimeouts",
)
_PROVIDERS: Final = "pulumi:providers:"

Record = dict[str, Any]


class _Absent:
    """What is not there at all, in a report of differences."""

    def __repr__(self) -> str:
        return "nothing"


_ABSENT: Final = _Absent()


class EngineRunError(Exception):
    """A run failed; the message has what the engine said."""


class Engine(Protocol):
    """One engine on one stack."""

    def preview(self) -> Mapping[str, Any]:
        """Return the digest, unchanged resources included."""

    def goals(self) -> Mapping[str, Record]:
        """Return what the last preview wanted of each resource, by URN; see `goals_of_plan`."""

    def up(self) -> None:
        """Deploy."""

    def destroy(self) -> None:
        """Remove everything."""

    def records(self) -> Sequence[Record]:
        """Return what exists, as Pulumi's checkpoint has it."""


@dataclass(slots=True)
class RealEngine:
    """The Pulumi CLI."""

    cli: PulumiCli

    def preview(self) -> Mapping[str, Any]:
        """See `Engine`."""
        return self.cli.preview()

    def goals(self) -> Mapping[str, Record]:
        """See `Engine`."""
        return goals_of_plan(self.cli.saved_plan())

    def up(self) -> None:
        """See `Engine`."""
        self.cli.up()

    def destroy(self) -> None:
        """See `Engine`."""
        self.cli.destroy()

    def records(self) -> Sequence[Record]:
        """See `Engine`."""
        return self.cli.resources()


@dataclass(slots=True, kw_only=True)
class EmbeddedEngine:
    """Ours."""

    project: Path
    stack: str
    providers: Mapping[str, ResourceProvider]
    state: EngineState = field(default_factory=EngineState)
    _digest: Mapping[str, Any] = field(default_factory=dict)

    def preview(self) -> Mapping[str, Any]:
        """See `Engine`."""
        self._digest = self._run("preview").digest
        return self._digest

    def goals(self) -> Mapping[str, Record]:
        """See `Engine`."""
        return goals_of_digest(self._digest)

    def up(self) -> None:
        """See `Engine`."""
        self.state = self._run("up").state

    def destroy(self) -> None:
        """See `Engine`."""
        self.state = self._run("destroy").state

    def records(self) -> Sequence[Record]:
        """See `Engine`."""
        return records_of_state(self.state)

    def _run(self, mode: Mode) -> EngineResult:
        result = run_program(
            project_dir=self.project,
            stack=self.stack,
            mode=mode,
            state=self.state,
            providers=self.providers,
            show_sames=True,
        )
        if not result.ok:
            raise EngineRunError("\n".join(f"{item.urn}: {item.message}" for item in result.errors))
        return result


def records_of_state(state: EngineState) -> list[Record]:
    """Return the embedded engine's records as Pulumi's checkpoint has them."""
    return [record.to_dict() for record in state.resources]


def graph(records: Sequence[Record]) -> dict[str, Record]:
    """Return the records by URN, in comparable form.

    Left out are default providers that no resource has: Pulumi makes one for a function, too.
    """
    used = {_without_id(record.get("provider", "")) for record in records}
    return {
        record["urn"]: _comparable(record)
        for record in records
        if record["urn"] in used or not record["urn"].rpartition("::")[2].startswith("default")
    }


def plan(digest: Mapping[str, Any]) -> dict[str, Record]:
    """Return the steps of a digest by URN, in comparable form."""
    return {
        step["urn"]: {
            "op": step["op"],
            "provider": _without_id(step.get("provider", "")),
            "detailedDiff": step.get("detailedDiff") or {},
            "diffReasons": sorted(step.get("diffReasons") or ()),
            "replaceReasons": sorted(step.get("replaceReasons") or ()),
            **{key: _as_planned(key, _comparable(step[key])) for key in ("oldState", "newState") if step.get(key)},
        }
        for step in digest["steps"]
    }


def goals_of_plan(document: Mapping[str, Any]) -> dict[str, Record]:
    """Return what a plan of `pulumi preview --save-plan` wants, by URN: options, dependencies, changed inputs, outputs.

    Default providers are left out, as in a digest, and so is what only goes: it has no goal.
    """
    return {
        urn: _goal(each["goal"], each["goal"].get("inputDiff") or {}, each.get("state") or {})
        for urn, each in document["resourcePlans"].items()
        if each.get("goal") and not _is_default_provider(urn)
    }


def goals_of_digest(digest: Mapping[str, Any]) -> dict[str, Record]:
    """Return the same of a digest, whose new records have every option of a goal."""
    goals = {}
    for step in digest["steps"]:
        new, old = step.get("newState"), step.get("oldState") or {}
        if new:
            reasons = step.get("diffReasons") or ()
            if step["op"] == "replace" and not reasons:
                old = {}  # made again after what it depends on: its old record had gone before
            changed = _input_changes(old.get("inputs") or {}, new.get("inputs") or {}, reasons)
            goals[step["urn"]] = _goal(new, changed, new.get("outputs") or {})
    return goals


def _goal(record: Record, input_changes: Record, outputs: Record) -> Record:
    kept = {key: record[key] for key in _OPTIONS if record.get(key)}
    goal = _comparable({"type": record["type"], "custom": record["custom"], **kept})
    planned = {name: value for name, value in outputs.items() if value is not None and name not in _DRAWN}
    return goal | {"inputs": _blinded(input_changes), "outputs": _blinded(planned)}


def _input_changes(old: Record, new: Record, reasons: Sequence[str]) -> Record:
    """Return which inputs come, go and change, as a goal has them; empty kinds left out.

    `reasons`: the step's. A digest has both values of a changed secret as the same word.
    """
    changes: Record = {
        "adds": {key: value for key, value in new.items() if key not in old},
        "deletes": sorted(old.keys() - new.keys()),
        "updates": {key: value for key, value in new.items() if key in old and (old[key] != value or key in reasons)},
    }
    return {kind: found for kind, found in changes.items() if found}


def _blinded(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Write a plan's encrypted secrets as a digest has them."""
    if isinstance(value, list):
        return [_blinded(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return BLINDED if SIGNATURE_KEY in value else {name: _blinded(item) for name, item in value.items()}


def _is_default_provider(urn: str) -> bool:
    kind, _, name = urn.rpartition("::")
    return f"::{_PROVIDERS}" in kind and name.startswith("default")


def differences(real: object, ours: object, place: str = "") -> list[str]:
    """Say where two comparable things differ, one line per place."""
    if isinstance(real, Mapping) and isinstance(ours, Mapping):
        return [
            line
            for key in sorted({*real, *ours}, key=str)
            for line in differences(real.get(key, _ABSENT), ours.get(key, _ABSENT), f"{place} {key}".strip())
        ]
    return [] if real == ours else [f"{place}: Pulumi {real!r}, embedded {ours!r}"]


def _comparable(record: Record) -> Record:
    kept = {key: value for key, value in record.items() if key not in _NOT_COMPARED}
    if "provider" in kept:
        kept["provider"] = _without_id(kept["provider"])
    if str(kept["type"]).startswith(_PROVIDERS):
        kept.pop("id", None)
    for key in _SETS:
        if key in kept:
            kept[key] = sorted(kept[key])
    for key in ("inputs", "outputs"):
        properties = _with_plain_secrets(kept.get(key) or {})
        kept[key] = {name: value for name, value in properties.items() if value is not None and name not in _DRAWN}
    if "propertyDependencies" in kept:
        kept["propertyDependencies"] = {
            name: sorted(urns) for name, urns in kept["propertyDependencies"].items() if urns
        }
    # The checkpoint leaves out what is empty or false.
    return {key: value for key, value in kept.items() if value or key == "custom"}


def _as_planned(key: str, record: Record) -> Record:
    """Leave out what only one of the two can know.

    Pulumi writes a step down before the provider has answered, without id and outputs, and with a mark on what is
    replaced in its place; the embedded engine writes it down afterwards.
    """
    later = {"outputs", "id"} if key == "newState" else {"outputs", "pendingReplacement", "delete"}
    return {name: value for name, value in record.items() if name not in later}


def _with_plain_secrets(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Write the checkpoint's decrypted secrets as the wire has them."""
    if isinstance(value, list):
        return [_with_plain_secrets(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if SIGNATURE_KEY in value and "plaintext" in value:
        return {SIGNATURE_KEY: value[SIGNATURE_KEY], "value": json.loads(value["plaintext"])}
    return {name: _with_plain_secrets(item) for name, item in value.items()}


def _without_id(reference: str) -> str:
    return reference.rpartition("::")[0]
