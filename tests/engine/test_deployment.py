"""What the engine does to each resource, without a program: goals in, steps and provider calls out."""

from __future__ import annotations

import pytest

from lockstep.engine.deployment import EngineStoppedError, Goal
from lockstep.engine.state import EngineState
from lockstep.engine.values import UNKNOWN, is_secret, secret
from tests.engine.memory_provider import BOX, LID, MemoryProvider, Run, start


def boxes(provider: MemoryProvider, *labels: str, state: EngineState | None = None, retain: bool = False) -> Run:
    """Run a program that registers one box per label, under the label's name."""
    run = start(provider, state)
    for label in labels:
        run.box(label, inputs={"label": label}, retain_on_delete=retain)
    return run


# ------------------------------------------------------------------------------------------------------- unhappy paths
def test_a_package_without_a_provider_is_an_error_that_names_the_type() -> None:
    run = start(MemoryProvider())
    with pytest.raises(EngineStoppedError):
        run.register("gcp:storage:Bucket", "b")
    assert "gcp:storage:Bucket needs a provider for the package 'gcp'. This engine has: toy." in run.errors[0]


def test_a_type_that_the_provider_does_not_know_is_an_error_and_not_an_echo() -> None:
    run = start(MemoryProvider())
    with pytest.raises(EngineStoppedError):
        run.register("toy:index:Crate", "c")
    assert run.errors == ["the toy provider cannot make toy:index:Crate"]
    assert not run.operations()


def test_all_wrong_inputs_of_a_resource_are_named_at_once() -> None:
    run = start(MemoryProvider())
    with pytest.raises(EngineStoppedError):
        run.box("a", inputs={"lable": "a", "size": 1})
    assert run.errors == [
        "toy:index:Box 'a', property lable: is no input",
        "toy:index:Box 'a', property size: is no input",
    ]


def test_two_resources_of_one_name_are_refused() -> None:
    run = boxes(MemoryProvider(), "a")
    with pytest.raises(EngineStoppedError):
        run.box("a", inputs={"label": "a"})
    assert "two resources of type toy:index:Box are called 'a'" in run.errors[0]


def test_after_a_failure_nothing_more_is_started_and_the_state_has_what_was_done() -> None:
    provider = MemoryProvider()
    run = boxes(provider, "a")
    for label in ("broken", "b"):
        with pytest.raises(EngineStoppedError):
            run.box(label, inputs={"label": label})
    state = run.finish()
    assert provider.calls == ["create a"]
    assert [record.name for record in state.of_type(BOX)] == ["a"]


def test_a_failure_removes_nothing_of_the_last_run() -> None:
    provider = MemoryProvider()
    state = boxes(provider, "a", "b").finish()
    run = start(provider, state)
    with pytest.raises(EngineStoppedError):
        run.box("c", inputs={"label": "broken"})
    assert [record.name for record in run.finish().of_type(BOX)] == ["a", "b"]


def test_a_provider_that_refuses_its_settings_ends_the_run() -> None:
    run = start(MemoryProvider(), config={"toy:place": "elsewhere"})
    with pytest.raises(EngineStoppedError):
        run.box("a", inputs={"label": "a"})
    assert run.errors == ["this provider works here, not elsewhere. Fix: stay"]


# ----------------------------------------------------------------------------------------------------------- the steps
def test_an_unchanged_program_changes_nothing() -> None:
    provider = MemoryProvider()
    state = boxes(provider, "a", "b").finish()
    again = boxes(provider, "a", "b", state=state)
    assert again.finish() == state
    assert again.operations() == {}
    assert provider.calls == ["create a", "create b"]


def test_a_changed_input_is_an_update_that_names_the_property() -> None:
    provider = MemoryProvider()
    state = boxes(provider, "a").finish()
    run = start(provider, state)
    run.box("a", inputs={"label": "A"})
    assert run.operations() == {"a": "update"}
    assert [change.path for change in run.journal.steps[-1].diff.changes] == ["label"]
    assert provider.objects == {"box-1": {"label": "A", "serial": 1}}


def test_what_the_program_no_longer_registers_is_removed_dependants_first() -> None:
    provider = MemoryProvider()
    run = boxes(provider, "a")
    box = run.deployment.urn_of(BOX, "a", run.stack.urn)
    run.register(LID, "lid", inputs={"box": "box-1", "label": "lid"}, dependencies=(box,))
    last = start(provider, run.finish())
    assert [record.name for record in last.finish().resources] == ["proj-dev"]
    assert provider.calls[-2:] == ["delete lid", "delete a"]


def test_a_new_value_of_a_fixed_input_makes_the_new_object_before_the_old_one_goes() -> None:
    provider = MemoryProvider()
    run = start(provider)
    run.box("a", inputs={"label": "a1", "place": "here"})
    last = start(provider, run.finish())
    last.box("a", inputs={"label": "a2", "place": "there"})
    state = last.finish()
    assert provider.calls == ["create a1", "create a2", "delete a1"]
    assert last.operations() == {"a": "replace"}
    assert [record.id for record in state.of_type(BOX)] == ["box-2"]


def test_a_replaced_object_that_was_not_removed_yet_is_removed_by_the_next_run() -> None:
    provider = MemoryProvider()
    run = start(provider)
    run.box("a", inputs={"label": "a1", "place": "here"})
    second = start(provider, run.finish())
    second.box("a", inputs={"label": "a2", "place": "there"})
    with pytest.raises(EngineStoppedError):
        second.box("b", inputs={"label": "broken"})
    left = second.finish()
    assert [record.delete for record in left.resources if record.type == BOX] == [False, True]
    third = start(provider, left)
    third.box("a", inputs={"label": "a2", "place": "there"})
    assert [record.delete for record in third.finish().resources if record.type == BOX] == [False]
    assert list(provider.objects) == ["box-2"]


def lidded(provider: MemoryProvider, place: str, state: EngineState | None = None, *, dry_run: bool = False) -> Run:
    """Run a program with a box and a lid whose `box` input comes from the box."""
    run = start(provider, state, dry_run=dry_run)
    box = run.box("a", inputs={"label": "a", "place": place})
    run.register(
        LID,
        "lid",
        inputs={"box": place, "label": "lid"},
        dependencies=(box.urn,),
        property_dependencies={"box": (box.urn,), "label": ()},
    )
    return run


def test_what_cannot_live_without_a_replaced_object_goes_before_it_and_comes_back_after_it() -> None:
    provider = MemoryProvider(delete_before_replace=True)
    state = lidded(provider, "here").finish()
    run = lidded(provider, "there", state)
    run.finish()
    assert provider.calls[2:] == ["delete lid", "delete a", "create a", "create lid"]
    assert run.operations() == {"a": "replace", "lid": "replace"}
    assert run.journal.steps[-1].diff.replace_keys == (), "Pulumi names no reason for what had to go first"


def test_a_preview_of_a_replacement_has_the_steps_of_the_real_one_and_touches_nothing() -> None:
    provider = MemoryProvider(delete_before_replace=True)
    state = lidded(provider, "here").finish()
    planned = lidded(provider, "there", state, dry_run=True)
    planned.finish()
    assert planned.operations() == {"a": "replace", "lid": "replace"}
    assert provider.calls == ["create a", "create lid"]


def test_a_dependant_that_went_first_and_is_registered_no_more_is_a_deletion() -> None:
    provider = MemoryProvider(delete_before_replace=True)
    state = lidded(provider, "here").finish()
    run = start(provider, state)
    run.box("a", inputs={"label": "a", "place": "there"})
    assert [record.type for record in run.finish().resources if record.custom and not record.is_provider] == [BOX]
    assert run.operations() == {"a": "replace", "lid": "delete"}


def test_at_preview_a_new_resource_has_no_id_and_unknown_outputs() -> None:
    run = start(MemoryProvider(), dry_run=True)
    record = run.box("a", inputs={"label": "a"})
    assert record.id == ""
    assert record.outputs == {"label": "a", "serial": UNKNOWN}


def test_at_preview_of_an_update_what_is_known_stays_known() -> None:
    provider = MemoryProvider()
    run = start(provider, boxes(provider, "a").finish(), dry_run=True)
    record = run.box("a", inputs={"label": "A"})
    assert (record.id, record.outputs) == ("box-1", {"label": "A", "serial": 1})


# ------------------------------------------------------------------------------------------------------------- options
def test_a_protected_resource_is_not_removed_and_neither_is_anything_else() -> None:
    provider = MemoryProvider()
    run = boxes(provider, "a")
    run.box("safe", inputs={"label": "safe"}, protect=True)
    last = start(provider, run.finish())
    state = last.finish()
    assert last.errors == [
        (
            "toy:index:Box 'safe' cannot be deleted because it is protected. Nothing was deleted. "
            "Fix: keep it in the program, or remove `protect` in a run of its own first"
        )
    ]
    assert len(state.of_type(BOX)) == 2
    assert provider.calls == ["create a", "create safe"]


def test_a_protected_resource_is_not_replaced() -> None:
    provider = MemoryProvider()
    run = start(provider)
    run.box("a", inputs={"label": "a", "place": "here"}, protect=True)
    last = start(provider, run.finish())
    with pytest.raises(EngineStoppedError):
        last.box("a", inputs={"label": "a", "place": "there"}, protect=True)
    assert "'a' is protected and place cannot be changed without replacing it" in last.errors[0]
    assert list(provider.objects) == ["box-1"]


def test_protect_of_a_component_reaches_its_children_and_a_child_may_differ() -> None:
    run = start(MemoryProvider())
    shelf = run.component("s", protect=True, deleted_with="urn:other", retain_on_delete=True)
    child = run.box("a", parent=shelf.urn, inputs={"label": "a"})
    free = run.box("b", parent=shelf.urn, inputs={"label": "b"}, protect=False)
    assert (child.protect, child.deleted_with, child.retain_on_delete) == (True, "urn:other", True)
    assert free.protect is False


def test_what_is_retained_leaves_the_state_and_stays_where_it_is() -> None:
    provider = MemoryProvider()
    state = boxes(provider, "a", retain=True).finish()
    assert start(provider, state).finish().of_type(BOX) == ()
    assert list(provider.objects) == ["box-1"]


def test_what_is_deleted_with_another_needs_no_call_of_its_own() -> None:
    provider = MemoryProvider()
    run = boxes(provider, "house")
    house = run.deployment.urn_of(BOX, "house", run.stack.urn)
    run.box("room", inputs={"label": "room"}, deleted_with=house)
    start(provider, run.finish()).finish()
    assert provider.calls[2:] == ["delete house"]


def test_a_removal_that_fails_keeps_what_is_left_in_the_state() -> None:
    provider = MemoryProvider()
    run = boxes(provider, "a")
    run.box("nailed", inputs={"label": "n", "note": "nailed down"})
    run.box("c", inputs={"label": "c"})
    last = start(provider, run.finish())
    state = last.finish()
    assert last.errors == ["box-2 is nailed down"]
    assert [record.name for record in state.of_type(BOX)] == ["a", "nailed"]


def test_a_renamed_resource_with_an_alias_is_the_same_resource() -> None:
    provider = MemoryProvider()
    first = boxes(provider, "old")
    old = first.deployment.urn_of(BOX, "old", first.stack.urn)
    last = start(provider, first.finish())
    last.box("new", inputs={"label": "old"}, aliases=(old,))
    assert last.operations() == {}
    assert [(record.name, record.id) for record in last.finish().of_type(BOX)] == [("new", "box-1")]


def test_the_urn_has_the_types_of_all_parents_but_the_stack() -> None:
    run = start(MemoryProvider())
    shelf = run.component("s")
    child = run.box("a", parent=shelf.urn, inputs={"label": "a"})
    assert child.urn == "urn:pulumi:dev::proj::toy:index:Shelf$toy:index:Box::a"


# ------------------------------------------------------------------------------------------------ providers and secrets
def test_resources_without_a_provider_share_one_default_that_has_the_packages_configuration() -> None:
    provider = MemoryProvider()
    run = start(provider, config={"toy:colour": "red", "other:x": "1"})
    for name in ("a", "b"):
        run.box(name, inputs={"label": name}, version="1.2.3")
    assert provider.settings == [{"colour": "red", "version": "1.2.3"}]
    defaults = run.finish().of_type("pulumi:providers:toy")
    assert [record.name for record in defaults] == ["default_1_2_3"]


def test_an_explicit_provider_is_a_resource_with_its_own_settings() -> None:
    provider = MemoryProvider()
    run = start(provider)
    explicit = run.register("pulumi:providers:toy", "mine", inputs={"colour": "blue"})
    box = run.box("a", inputs={"label": "a"}, provider=f"{explicit.urn}::{explicit.id}")
    assert provider.settings == [{"colour": "blue"}]
    assert box.provider == f"{explicit.urn}::{explicit.id}"
    assert explicit.id


def test_a_provider_gets_the_plain_value_and_the_record_keeps_it_secret() -> None:
    provider = MemoryProvider()
    run = start(provider)
    record = run.box("a", inputs={"label": "a", "note": secret("canary-7f3a")}, secret_outputs=("serial",))
    assert provider.objects["box-1"]["note"] == "canary-7f3a"
    assert is_secret(record.inputs["note"])
    assert is_secret(record.outputs["note"])
    assert is_secret(record.outputs["serial"])


def test_an_output_that_is_called_secret_later_becomes_one_without_any_other_change() -> None:
    """Pulumi marks what a record has at every step, also where nothing else has changed."""
    provider = MemoryProvider()
    again = start(provider, boxes(provider, "a").finish())
    record = again.box("a", inputs={"label": "a"}, secret_outputs=("serial",))
    assert is_secret(record.outputs["serial"])
    again.finish()
    assert again.operations() == {}
    assert provider.calls == ["create a"]


def test_the_state_is_handed_over_after_every_change() -> None:
    states: list[EngineState] = []
    run = start(MemoryProvider(), checkpoint=states.append)
    run.box("a", inputs={"label": "a"})
    assert [record.name for record in states[-1].of_type(BOX)] == ["a"]


def test_a_read_resource_is_looked_up_and_never_owned() -> None:
    provider = MemoryProvider()
    state = boxes(provider, "a").finish()
    run = start(provider, state)
    goal = Goal(type=BOX, name="got", custom=True, inputs={}, parent=run.stack.urn)
    assert run.deployment.read(goal, "box-1").outputs["label"] == "a"
    with pytest.raises(EngineStoppedError):
        run.deployment.read(goal, "box-9")
    assert run.errors == ["there is no toy:index:Box with the id 'box-9'. Fix: correct the id"]
