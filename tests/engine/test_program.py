"""Real Pulumi programs in a process of their own, against the engine over real gRPC, the toy provider behind it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import engine_pb2

from components.stack_config import SettingsErrors
from lockstep.engine.monitor import Monitor
from lockstep.engine.program import EngineResult, Mode, run_program
from lockstep.engine.state import EngineState
from lockstep.engine.values import BLINDED, UNKNOWN
from tests.engine.memory_provider import BOX, MemoryProvider
from tests.fakes.patience import PATIENCE_SECONDS

CANARY = "canary-7f3a"

_PRELUDE = """
import pulumi

class Box(pulumi.CustomResource):
    serial: pulumi.Output[int]
    note: pulumi.Output[str]
    def __init__(self, name, opts=None, **inputs):
        super().__init__("toy:index:Box", name, {"serial": None, "note": None, **inputs}, opts)

class Shelf(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("toy:index:Shelf", name, {}, opts)

config = pulumi.Config("proj")
"""

Runner = Callable[..., EngineResult]


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    """Return `run(mode, program, state, provider, …)`: writes the program and runs it."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text("config:\n  proj:label: from-stack\n")
    (tmp_path / "Pulumi.yaml").write_text(
        "name: proj\nruntime: python\nstackConfigDir: stacks\n"
        "config:\n  label: {type: string, default: from-project}\n  sizes: {type: array, default: [1, 2]}\n"
    )

    def runner(
        mode: Mode,
        program: str,
        state: EngineState,
        provider: MemoryProvider,
        *,
        overrides: Mapping[str, str] | None = None,
        timeout_seconds: float = PATIENCE_SECONDS,
    ) -> EngineResult:
        (tmp_path / "__main__.py").write_text(_PRELUDE + textwrap.dedent(program))
        return run_program(
            project_dir=tmp_path,
            stack="dev",
            mode=mode,
            state=state,
            providers={"toy": provider},
            config_overrides=overrides,
            timeout_seconds=timeout_seconds,
        )

    return runner


def steps(result: EngineResult) -> dict[str, str]:
    """Return name → op of the digest's steps, the stack's own left out."""
    listed: Any = result.digest["steps"]
    return {step["urn"].rsplit("::", 1)[1]: step["op"] for step in listed if "pulumi:pulumi:Stack" not in step["urn"]}


def only_error(result: EngineResult) -> str:
    (error,) = result.errors
    assert not result.ok
    return error.message


LIFE = """
shelf = Shelf("shelf")
box = Box("a", label=config.require("label"), note=config.get_secret("note"), opts=pulumi.ResourceOptions(parent=shelf))
lid = pulumi.CustomResource("toy:index:Lid", "lid", {"box": box.id, "label": "lid"})
pulumi.export("serial", box.serial)
pulumi.export("note", pulumi.Output.secret("canary-7f3a"))
"""


def test_a_stack_lives_from_preview_to_destroy(run: Runner) -> None:
    provider = MemoryProvider()

    preview = run("preview", LIFE, EngineState(), provider)
    assert preview.ok
    assert steps(preview) == {"shelf": "create", "a": "create", "lid": "create"}
    assert preview.outputs == {"serial": UNKNOWN, "note": CANARY}
    assert preview.state == EngineState()
    assert provider.calls == []

    up = run("up", LIFE, preview.state, provider)
    assert steps(up) == steps(preview)
    assert up.outputs == {"serial": 1, "note": CANARY}
    assert provider.objects["box-1"] == {"label": "from-stack", "serial": 1}
    assert provider.objects["lid-2"]["box"] == "box-1"

    again = run("up", LIFE, up.state, provider)
    assert steps(again) == {}
    assert again.digest["changeSummary"] == {"same": 4}
    assert again.state == up.state

    changed = run("preview", LIFE, up.state, provider, overrides={"proj:label": "other"})
    assert steps(changed) == {"a": "update"}

    removed = run("up", "Box('b', label='b')", up.state, provider)
    assert steps(removed) == {"b": "create", "lid": "delete", "a": "delete", "shelf": "delete"}

    destroyed = run("destroy", LIFE, removed.state, provider)
    assert destroyed.state == EngineState()
    assert provider.objects == {}


def test_the_programs_debug_messages_stay_in_its_process(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK sends several for each resource and waits for each; what the user says still arrives."""
    kept: list[int] = []
    keep = Monitor.Log

    def log(monitor: Monitor, request: engine_pb2.LogRequest, context: Any) -> Any:  # noqa: ANN401 - as the stubs
        kept.append(request.severity)
        return keep(monitor, request, context)

    monkeypatch.setattr(Monitor, "Log", log)
    result = run("preview", "pulumi.log.debug('d'); pulumi.log.info('i'); Box('a')", EngineState(), MemoryProvider())
    assert [item.message for item in result.diagnostics] == ["i"]
    assert kept == [engine_pb2.INFO]


def test_a_preview_is_the_same_to_the_byte_under_another_hash_seed(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        digest = run("preview", LIFE, EngineState(), MemoryProvider()).digest
        digests.append(json.dumps({key: value for key, value in digest.items() if key != "duration"}))
    assert digests[0] == digests[1]


def test_no_secret_stands_in_the_digest(run: Runner) -> None:
    program = """
    box = Box("a", label="a", note=pulumi.Output.secret("canary-7f3a"))
    Box("b", label=pulumi.Output.concat("x-", box.note))
    pulumi.export("note", box.note)
    """
    provider = MemoryProvider()
    result = run("up", program, EngineState(), provider)
    assert provider.objects["box-1"]["note"] == CANARY
    assert CANARY not in json.dumps(result.digest)
    listed: Any = result.digest["steps"]
    states = {step["urn"].rsplit("::", 1)[1]: step["newState"] for step in listed}
    assert states["a"]["inputs"]["note"] == BLINDED
    assert states["b"]["inputs"]["label"] == BLINDED, "what is made from a secret is one"
    assert result.outputs == {"note": CANARY}


def test_an_exception_of_the_program_is_shown_with_its_place_and_removes_nothing(run: Runner) -> None:
    provider = MemoryProvider()
    state = run("up", "Box('a', label='a')", EngineState(), provider).state
    result = run("up", "Box('b', label='b')\nraise KeyError('nothing here')", state, provider)
    assert "__main__.py" in only_error(result)
    assert "KeyError: 'nothing here'" in only_error(result)
    assert "a" in [record.name for record in result.state.of_type(BOX)]
    assert "delete" not in steps(result).values()


def test_a_run_error_is_shown_without_a_traceback(run: Runner) -> None:
    result = run("preview", "raise pulumi.RunError('mend the spec')", EngineState(), MemoryProvider())
    assert only_error(result) == "mend the spec"


def test_a_provider_that_fails_in_the_middle_is_the_only_error_and_the_state_has_the_rest(run: Runner) -> None:
    program = """
    first = Box("first", label="first")
    bad = Box("bad", label="broken", opts=pulumi.ResourceOptions(depends_on=[first]))
    Box("last", label="last", opts=pulumi.ResourceOptions(depends_on=[bad]))
    """
    provider = MemoryProvider()
    result = run("up", program, EngineState(), provider)
    assert only_error(result) == "cannot make a broken box. Fix: take another"
    assert result.errors[0].urn.endswith("::bad")
    assert [record.name for record in result.state.of_type(BOX)] == ["first"]
    assert provider.calls == ["create first"]


def test_a_failure_inside_apply_fails_the_run(run: Runner) -> None:
    result = run("up", "Box('a', label='a').serial.apply(lambda n: 1 / 0)", EngineState(), MemoryProvider())
    assert "ZeroDivisionError" in only_error(result)


def test_a_program_that_kills_itself_is_a_failure_with_its_exit_code(run: Runner) -> None:
    result = run("up", "import os\nos._exit(7)", EngineState(), MemoryProvider())
    assert "exit code 7" in only_error(result)


def test_a_program_that_never_ends_is_stopped(run: Runner) -> None:
    result = run("up", "import time\ntime.sleep(600)", EngineState(), MemoryProvider(), timeout_seconds=2.0)
    assert "did not end within 2 s and was stopped" in only_error(result)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("import_='box-1'", "import_"),
        ("replace_on_changes=['label']", "replace_on_changes"),
        ("replacement_trigger='again'", "replacement_trigger"),
        ("hide_diffs=['label']", "hide_diffs"),
    ],
)
def test_an_option_that_the_engine_does_not_do_is_refused_by_name(run: Runner, option: str, named: str) -> None:
    program = f"Box('a', label='a', opts=pulumi.ResourceOptions({option}))"
    result = run("preview", program, EngineState(), MemoryProvider())
    assert f"it uses {named}, which the embedded engine does not do" in only_error(result)


def test_a_property_that_is_to_be_ignored_keeps_its_first_value(run: Runner) -> None:
    """An autoscaler's size, say: set once, then somebody else's."""
    program = "Box('a', label='{label}', opts=pulumi.ResourceOptions(ignore_changes=['label']))"
    provider = MemoryProvider()
    first = run("up", program.format(label="first"), EngineState(), provider)
    second = run("up", program.format(label="second"), first.state, provider)
    assert second.digest["changeSummary"] == {"same": 2}
    (box,) = [item for item in second.state.resources if item.type == "toy:index:Box"]
    assert box.inputs["label"] == "first"


def test_the_record_has_the_options_that_pulumi_writes_down(run: Runner) -> None:
    options = (
        "ignore_changes=['note'], additional_secret_outputs=['serial'], "
        "custom_timeouts=pulumi.CustomTimeouts(create='1h30m', update='2.5m', delete='90s')"
    )
    program = f"Box('a', label='a', opts=pulumi.ResourceOptions({options}))"
    (box,) = run("up", program, EngineState(), MemoryProvider()).state.of_type(BOX)
    assert {key: box.to_dict().get(key) for key in ("ignoreChanges", "additionalSecretOutputs", "customTimeouts")} == {
        "ignoreChanges": ["note"],
        "additionalSecretOutputs": ["serial"],
        "customTimeouts": {"create": 5400.0, "update": 150.0, "delete": 90.0},
    }


def test_a_timeout_that_is_no_duration_is_refused(run: Runner) -> None:
    timeouts = "pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='soon'))"
    result = run("preview", f"Box('a', label='a', opts={timeouts})", EngineState(), MemoryProvider())
    assert "'soon' in custom_timeouts is no duration" in only_error(result)


def test_a_path_to_ignore_that_is_more_than_names_is_refused(run: Runner) -> None:
    program = "Box('a', label='a', opts=pulumi.ResourceOptions(ignore_changes=['label[0]']))"
    provider = MemoryProvider()
    first = run("up", "Box('a', label='a')", EngineState(), provider)
    assert "ignore_changes names 'label[0]'" in only_error(run("up", program, first.state, provider))


def test_an_asset_is_refused(run: Runner) -> None:
    result = run("preview", "Box('a', label=pulumi.StringAsset('x'))", EngineState(), MemoryProvider())
    assert "It carries plain values and secrets" in only_error(result)


def test_functions_are_answered_and_an_unknown_one_fails_where_it_was_called(run: Runner) -> None:
    program = """
    found = pulumi.runtime.invoke("toy:index:weigh", {"label": "a"})
    pulumi.export("grams", found.value["grams"])
    try:
        pulumi.runtime.invoke("toy:index:fly", {})
    except Exception as error:
        pulumi.export("error", str(error))
    """
    result = run("preview", program, EngineState(), MemoryProvider())
    assert result.outputs["grams"] == 7
    assert "the toy provider does not answer toy:index:fly" in str(result.outputs["error"])


def test_a_program_sees_defaults_stack_values_overrides_and_its_stack(run: Runner) -> None:
    program = """
    pulumi.export("label", config.require("label"))
    pulumi.export("sizes", config.require_object("sizes"))
    pulumi.export("more", config.get("more"))
    pulumi.export("where", [pulumi.get_project(), pulumi.get_stack(), pulumi.runtime.is_dry_run()])
    print("a word to the user")
    pulumi.log.warn("careful")
    """
    result = run("preview", program, EngineState(), MemoryProvider(), overrides={"proj:more": "m"})
    assert result.outputs == {"label": "from-stack", "sizes": [1, 2], "more": "m", "where": ["proj", "dev", True]}
    assert [(item.severity.value, item.message) for item in result.diagnostics] == [
        ("warning", "careful"),
        ("info", "a word to the user"),
    ]


def test_a_stack_without_a_file_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {}\n")
    with pytest.raises(
        SettingsErrors, match=r"there is no stack 'prd'\. The stacks here are: prod\. Fix: did you mean"
    ):
        run_program(project_dir=tmp_path, stack="prd", mode="preview", state=EngineState(), providers={})


def test_destroy_refuses_what_up_would_refuse(run: Runner) -> None:
    provider = MemoryProvider()
    state = run("up", "Box('a', label='a')", EngineState(), provider).state
    moved = tuple(
        replace(record, inputs={"place": "elsewhere"}) if record.is_provider else record for record in state.resources
    )
    result = run("destroy", "", EngineState(resources=moved), provider)
    assert only_error(result) == "this provider works here, not elsewhere. Fix: stay"
    assert list(provider.objects) == ["box-1"]
