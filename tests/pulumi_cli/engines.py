"""The two engines on one stack, behind the same four verbs, and what they say in a form that can be compared.

Left out of a comparison, and nothing else: ids of provider resources (random in one engine, derived in the other),
times, places in source files, durations, the order of lists that have none, what an account draws (`_DRAWN`), and in
plans what `_as_planned` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from lockstep.engine import EngineResult, EngineState, Mode, ResourceProvider, run_program
from lockstep.engine.values import SIGNATURE_KEY
from tests.pulumi_cli.pulumi_cli import PulumiCli

#: What one engine's records have and the other's cannot.
_NOT_COMPARED: Final = (
    "created",
    "modified",
    "sourcePosition",
    "stackTrace",
    # Options that the embedded engine follows and does not write down.
    "additionalSecretOutputs",
    "ignoreChanges",
)
#: Properties that each emulated account draws for itself, and the real engine's own bookkeeping in a provider's inputs.
_DRAWN: Final = ("createDate", "uniqueId", "__internal")
#: Lists without an order.
_SETS: Final = ("dependencies",)
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

    def preview(self) -> Mapping[str, Any]:
        """See `Engine`."""
        return self._run("preview").digest

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
