"""The document of a run: Pulumi's shape, one order, no secrets."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lockstep.engine.digest import Diagnostic, Operation, Severity, Step, order_steps, render_digest
from lockstep.engine.resource_provider import ResourceDiff
from lockstep.engine.state import STACK_TYPE, ResourceState, Urn
from lockstep.engine.values import BLINDED, UNKNOWN, ChangeKind, Properties, PropertyChange, secret

CANARY = "canary-7f3a"
NONE: Properties = {}


def urn_of(name: str) -> Urn:
    return Urn(f"urn:pulumi:dev::proj::toy:index:Box::{name}")


def record(
    name: str, *needs: str, object_id: str = "", inputs: Properties = NONE, outputs: Properties = NONE
) -> ResourceState:
    return ResourceState(
        urn=urn_of(name),
        type="toy:index:Box",
        custom=True,
        id=object_id,
        inputs=inputs,
        outputs=outputs,
        dependencies=tuple(urn_of(need) for need in needs),
    )


def create(name: str, *needs: str, inputs: Properties = NONE, outputs: Properties = NONE) -> Step:
    new = record(name, *needs, inputs=inputs, outputs=outputs)
    return Step(operation=Operation.CREATE, urn=new.urn, new=new)


def delete(name: str, *needs: str) -> Step:
    return Step(operation=Operation.DELETE, urn=urn_of(name), old=record(name, *needs))


def render(*steps: Step, diagnostics: tuple[Diagnostic, ...] = (), **config: str) -> dict[str, Any]:
    return render_digest(config=config, secret_keys=frozenset({"hush"}), steps=steps, diagnostics=diagnostics)


def test_the_document_has_pulumis_fields() -> None:
    change = PropertyChange(path="place", kind=ChangeKind.UPDATE)
    old, new = record("a", object_id="box-1", inputs={"place": "x"}), record("a", inputs={"place": UNKNOWN})
    step = Step(
        operation=Operation.REPLACE,
        urn=old.urn,
        old=old,
        new=new,
        diff=ResourceDiff(changes=(change,), replace_keys=("place",)),
    )
    assert render(step)["steps"] == [
        {
            "op": "replace",
            "urn": old.urn,
            "oldState": {
                "urn": old.urn,
                "custom": True,
                "id": "box-1",
                "type": "toy:index:Box",
                "inputs": {"place": "x"},
            },
            "newState": {"urn": old.urn, "custom": True, "type": "toy:index:Box", "inputs": {"place": UNKNOWN}},
            "diffReasons": ["place"],
            "detailedDiff": {"place": {"kind": "update-replace", "inputDiff": True}},
            "replaceReasons": ["place"],
        }
    ]


def test_a_step_without_a_diff_has_none_rather_than_an_empty_one() -> None:
    assert render(create("a"))["steps"][0]["detailedDiff"] is None


def test_secrets_of_states_and_configuration_are_blinded() -> None:
    rendered = render(
        create("a", inputs={"note": secret(CANARY)}, outputs={"l": [secret(CANARY)]}), hush=CANARY, ok="1"
    )
    assert CANARY not in json.dumps(rendered)
    assert rendered["config"] == {"hush": BLINDED, "ok": "1"}


def test_unchanged_resources_are_counted_and_left_out_but_for_the_stack() -> None:
    same = Step(operation=Operation.SAME, urn=urn_of("a"), old=record("a"), new=record("a"))
    root = ResourceState(urn=urn_of("s"), type=STACK_TYPE, custom=False)
    stack = Step(operation=Operation.SAME, urn=root.urn, new=root)
    rendered = render(same, stack)
    assert [step["urn"] for step in rendered["steps"]] == [urn_of("s")]
    assert rendered["changeSummary"] == {"same": 2}


def test_providers_that_the_engine_made_are_not_shown() -> None:
    default = ResourceState(
        urn=Urn("urn:pulumi:dev::proj::pulumi:providers:toy::default_1_0_0"), type="pulumi:providers:toy", custom=True
    )
    rendered = render(Step(operation=Operation.CREATE, urn=default.urn, new=default))
    assert rendered["steps"] == []
    assert rendered["changeSummary"] == {}


def test_debug_messages_are_left_out() -> None:
    messages = tuple(Diagnostic(severity=severity, message="m") for severity in (Severity.DEBUG, Severity.ERROR))
    assert render(diagnostics=messages)["diagnostics"] == [{"message": "error: m", "severity": "error"}]


def test_dependencies_come_first_and_deletions_last_and_backwards() -> None:
    steps = [delete("x"), create("b", "c"), delete("y", "x"), create("c"), create("a", "b")]
    assert [step.state.name for step in order_steps(steps)] == ["c", "b", "a", "y", "x"]


@given(st.permutations([create("d", "b", "c"), create("b", "a"), create("c", "a"), create("a"), create("e")]))
def test_the_order_of_the_document_does_not_depend_on_the_order_of_arrival(steps: list[Step]) -> None:
    assert [step.state.name for step in order_steps(steps)] == ["a", "b", "c", "d", "e"]
