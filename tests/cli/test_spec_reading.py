"""A large folder is read on every core, and nobody can tell: the same apps, the same problems, no worker left."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from components.derivation import AppSpec, Environment, SpecErrors, derive_fleet
from components.derivation import load_specs as load_in_one_process
from components.derivation.errors import ProblemList
from components.derivation.fleet import DerivedApp, derive_app
from components.derivation.spec_reader import ReadSource, SpecSource, join_sources, read_source
from lockstep import derived_apps, spec_reading

GOOD = (
    "version: 1\napp: app-{n}\nsecrets:\n  - name: ${{environment}}/app-{n}/db\n    file: db.json\n    kmsKey: {key}\n"
)
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
BROKEN = (
    "version: 1\napp: [",
    "version: 1\napp: app-1\nsecrets: []\n",
    "version: 1\napp: x\nsecrets: [{name: 'a*'}]\n",
)
#: Its key lies in another region than the environment, which only deriving shows.
ELSEWHERE = "version: 1\napp: far\nsecrets: [{name: x, kmsKey: 'arn:aws:kms:us-east-1:111122223333:key/1'}]\n"
ENVIRONMENT = Environment(
    name="dev", region="eu-west-1", account="111122223333", cluster="dev", oidc_issuer="https://oidc.example/id/X"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    apps = tmp_path / "apps"
    apps.mkdir()
    for number in range(30):
        (apps / f"app-{number}.yaml").write_text(GOOD.format(n=number, key=KEY), encoding="utf-8")
    (apps / "_defaults.yaml").write_text("namespace: common\nowner: everybody\n", encoding="utf-8")
    return apps


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Share out folders of any size; return how many workers each reading had."""
    seen: list[int] = []
    beside = spec_reading._read_beside

    def counted(
        sources: list[SpecSource], workers: int, ahead: Callable[[AppSpec], object] | None = None
    ) -> list[ReadSource]:
        seen.append(workers)
        return beside(sources, workers, ahead)

    monkeypatch.setattr(spec_reading, "_SHARED_FROM_CHARACTERS", 1)
    monkeypatch.setattr(spec_reading, "_may_fork", lambda: True)
    monkeypatch.setattr(spec_reading, "_cores", lambda: 3)
    monkeypatch.setattr(spec_reading, "_read_beside", counted)
    return seen


def test_the_same_apps_with_the_same_places(folder: Path, shared: list[int]) -> None:
    assert repr(spec_reading.load_specs([folder])) == repr(load_in_one_process([folder]))
    assert shared == [3], "by workers"
    assert not multiprocessing.active_children(), "none is left"


def test_the_same_problems_in_the_same_order(folder: Path, shared: list[int]) -> None:
    for number, text in enumerate(BROKEN):
        (folder / f"broken-{number}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecErrors) as alone:
        load_in_one_process([folder])
    with pytest.raises(SpecErrors) as beside:
        spec_reading.load_specs([folder])
    assert str(beside.value) == str(alone.value)
    assert len(beside.value.problems) > len(BROKEN), "every file's, and the app that stands twice"
    assert shared == [3]


def test_a_fleet_is_derived_while_the_rest_is_read(
    folder: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = repr(derive_fleet(load_in_one_process([folder]), ENVIRONMENT))
    happened: list[str] = []

    def derive_noted(spec: AppSpec, environment: Environment) -> DerivedApp:
        happened.append(spec.app)
        return derive_app(spec, environment)

    def join_noted(sources: list[ReadSource], problems: ProblemList) -> tuple[AppSpec, ...]:
        happened.append("everything is read")
        return join_sources(sources, problems)

    monkeypatch.setattr(derived_apps, "derive_app", derive_noted)
    monkeypatch.setattr(spec_reading, "join_sources", join_noted)
    assert repr(spec_reading.load_fleet([folder], ENVIRONMENT)) == expected
    assert shared == [2], "of three cores this process needs one"
    assert sorted(happened[:-1]) == sorted(f"app-{number}" for number in range(30)), "each once"
    assert happened[-1] == "everything is read"


def test_a_bug_does_not_hide_what_is_wrong_with_the_specs(
    folder: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(spec: AppSpec, environment: Environment) -> DerivedApp:
        raise ValueError(f"cannot derive {spec.app} in {environment.name}")

    monkeypatch.setattr(derived_apps, "derive_app", fail)
    with pytest.raises(ValueError, match="cannot derive app-0 in dev"):
        spec_reading.load_fleet([folder], ENVIRONMENT)
    (folder / "broken.yaml").write_text(BROKEN[0], encoding="utf-8")
    with pytest.raises(SpecErrors, match="SPEC001"):
        spec_reading.load_fleet([folder], ENVIRONMENT)
    assert shared == [2, 2]


@pytest.mark.parametrize("texts", [(ELSEWHERE,), BROKEN, (ELSEWHERE, *BROKEN)], ids=["derived", "read", "both"])
def test_the_same_problems_of_a_fleet(folder: Path, shared: list[int], texts: tuple[str, ...]) -> None:
    """What is wrong in the environment was found first, and is still said last, and not at all beside wrong specs."""
    for number, text in enumerate(texts):
        (folder / f"app-{number}-broken.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecErrors) as alone:
        derive_fleet(load_in_one_process([folder]), ENVIRONMENT)
    with pytest.raises(SpecErrors) as beside:
        spec_reading.load_fleet([folder], ENVIRONMENT)
    assert str(beside.value) == str(alone.value)
    assert shared == [2]


def test_workers_that_die_cost_nothing_but_time(
    folder: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = os.getpid()

    def die_elsewhere(source: SpecSource) -> ReadSource:
        if os.getpid() != here:
            os._exit(137)  # as a worker ends that the kernel takes for memory
        return read_source(source)

    monkeypatch.setattr(spec_reading, "read_source", die_elsewhere)
    assert repr(spec_reading.load_specs([folder])) == repr(load_in_one_process([folder]))
    fleet = derive_fleet(load_in_one_process([folder]), ENVIRONMENT)
    assert repr(spec_reading.load_fleet([folder], ENVIRONMENT)) == repr(fleet)
    assert shared == [3, 2], "they were tried"


def test_a_few_files_need_no_worker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec_reading, "_may_fork", lambda: True)
    monkeypatch.setattr(spec_reading, "_read_beside", lambda *_: pytest.fail("30 small files were shared out"))
    assert len(spec_reading.load_specs([folder])) == 30


def test_a_process_with_threads_is_not_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that holds a lock exists in the parent only; a copy would wait for it without end."""
    monkeypatch.setattr(spec_reading, "_SHARED_FROM_CHARACTERS", 1)
    monkeypatch.setattr(spec_reading, "_read_beside", lambda *_: pytest.fail("forked beside a thread"))
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        assert len(spec_reading.load_specs([folder])) == 30
    finally:
        ended.set()
        thread.join()
