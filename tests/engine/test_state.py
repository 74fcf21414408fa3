"""The state file: what is written is what is read, and a damaged file is refused with a way out."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from lockstep.engine.state import EngineState, ResourceState, StateFileError, Urn
from lockstep.engine.values import secret

FULL = ResourceState(
    urn=Urn("urn:pulumi:dev::proj::toy:index:Box::a"),
    type="toy:index:Box",
    custom=True,
    id="box-1",
    inputs={"label": "a", "note": secret("canary-7f3a")},
    outputs={"label": "a", "serial": 1},
    parent="urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev",
    provider="urn:pulumi:dev::proj::pulumi:providers:toy::default::id",
    dependencies=("urn:x",),
    property_dependencies={"label": ("urn:x",), "note": ()},
    protect=True,
    retain_on_delete=True,
    deleted_with="urn:y",
    delete=True,
    secret_outputs=("serial",),
    ignore_changes=("note",),
    timeouts={"create": 90.0},
)
BARE = ResourceState(urn=Urn("urn:pulumi:dev::proj::toy:index:Shelf::s"), type="toy:index:Shelf", custom=False)


def test_a_state_survives_the_file(tmp_path: Path) -> None:
    state = EngineState(resources=(BARE, FULL))
    state.save(tmp_path / "deep" / "state.json")
    assert EngineState.load(tmp_path / "deep" / "state.json") == state


def test_a_state_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """It holds secret inputs in the clear: the engine has no secrets provider."""
    EngineState(resources=(FULL,)).save(tmp_path / "state.json")
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


def test_a_save_leaves_no_temporary_file_behind(tmp_path: Path) -> None:
    EngineState(resources=(BARE,)).save(tmp_path / "state.json")
    EngineState().save(tmp_path / "state.json")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_missing_state_file_is_an_empty_state(tmp_path: Path) -> None:
    assert EngineState.load(tmp_path / "none.json") == EngineState()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "resources": [{}]}', '{"version": 1, "resources": [7]}']
)
def test_a_damaged_state_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(StateFileError, match=r"state\.json: this is not a state file .* Fix: restore"):
        EngineState.load(path)


def test_a_state_of_another_format_version_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"version": 2, "resources": []}))
    with pytest.raises(StateFileError, match=r"format version 2\. This release reads version 1"):
        EngineState.load(path)


def test_a_record_that_waits_for_its_removal_is_not_the_live_one() -> None:
    state = EngineState(resources=(FULL,))
    assert state.get(FULL.urn) is None
    assert state.of_type(FULL.type) == ()
