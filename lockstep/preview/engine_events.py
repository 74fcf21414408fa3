"""Streamed engine events of Pulumi to the document of `pulumi preview --json`, with what only events say.

`pulumi preview --json` leaves policy violations out of its document; its event stream has them. They become diagnostics
here, so that a report cannot lose one. Values in events are as blinded as in the document.

Source: pulumi `sdk/go/common/apitype/events.go` (`EngineEvent`, `StepEventMetadata`, `PolicyEvent`, `DiagnosticEvent`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_COLOUR = re.compile(r"<\{%[^%]*%\}>")
_STATE_KEYS = ("type", "urn", "custom", "delete", "id", "parent", "protect", "inputs", "outputs", "provider")


class NotEventsError(ValueError):
    """Lines that are no engine events."""


def document_of_events(events: Iterable[object]) -> dict[str, object]:
    """Return the document that the events describe.

    Raises:
        NotEventsError: None of them is an engine event.
    """
    steps: list[dict[str, object]] = []
    diagnostics: list[dict[str, object]] = []
    summary: Mapping[str, object] = {}
    config: Mapping[str, object] = {}
    known = 0
    told: list[Mapping[str, object]] = []
    for event in events:
        if not isinstance(event, Mapping):
            raise NotEventsError("a line is no engine event")
        told.append(event)
        known += "sequence" in event or any(str(key).endswith("Event") for key in event)
        if isinstance(prelude := event.get("preludeEvent"), Mapping):
            config = _mapping(prelude, "config")
        elif isinstance(resource := event.get("resourcePreEvent"), Mapping):
            steps += _step(_mapping(resource, "metadata"))
        elif isinstance(said := event.get("diagnosticEvent"), Mapping):
            diagnostics += _diagnostic(said)
        elif isinstance(policy := event.get("policyEvent"), Mapping):
            diagnostics.append(_violation(policy))
        elif isinstance(end := event.get("summaryEvent"), Mapping):
            summary = _mapping(end, "resourceChanges")
    if not known:
        raise NotEventsError("no line is an engine event")
    _add_outputs(steps, told)
    return {"config": config, "steps": steps, "diagnostics": diagnostics, "changeSummary": summary}


def _step(metadata: Mapping[str, object]) -> list[dict[str, object]]:
    if not isinstance(metadata.get("urn"), str):
        return []
    step: dict[str, object] = {"op": metadata.get("op"), "urn": metadata["urn"], "provider": metadata.get("provider")}
    for key, state in (("oldState", metadata.get("old")), ("newState", metadata.get("new"))):
        if isinstance(state, Mapping):
            # What is false is left out of an event: a component says nothing of `custom`.
            step[key] = {"custom": False, **{name: state[name] for name in _STATE_KEYS if name in state}}
    step["detailedDiff"] = metadata.get("detailedDiff")
    step["replaceReasons"] = metadata.get("keys")
    return [step]


def _add_outputs(steps: Iterable[dict[str, object]], events: Iterable[Mapping[str, object]]) -> None:
    """Give each step the outputs that are told last: a component's come after it, and stand in no other event."""
    outputs: dict[str, Mapping[str, object]] = {}
    for event in events:
        metadata = _mapping(_mapping(event, "resOutputsEvent"), "metadata")
        found = _mapping(_mapping(metadata, "new"), "outputs")
        if found:
            outputs[str(metadata.get("urn"))] = found
    for step in steps:
        state = step.get("newState")
        if isinstance(state, dict) and step["urn"] in outputs:
            state["outputs"] = outputs[str(step["urn"])]


def _diagnostic(event: Mapping[str, object]) -> list[dict[str, object]]:
    if event.get("ephemeral") is True or event.get("severity") == "debug":
        return []
    text = _COLOUR.sub("", f"{event.get('prefix', '')}{event.get('message', '')}").strip()
    # `info#err` is what a program wrote to its standard error.
    severity = str(event.get("severity", "info")).partition("#")[0]
    return [{"urn": event.get("urn", ""), "message": text, "severity": severity}]


def _violation(event: Mapping[str, object]) -> dict[str, object]:
    level = str(event.get("enforcementLevel", ""))
    pack = f"{event.get('policyPackName', '')}/{event.get('policyName', '')}"
    text = _COLOUR.sub("", str(event.get("message", ""))).strip()
    return {
        "urn": event.get("resourceUrn", ""),
        "message": f"policy {pack} ({level}): {text}",
        "severity": "error" if level == "mandatory" else "warning",
    }


def _mapping(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}
