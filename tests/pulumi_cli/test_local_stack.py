"""The `local` stack on the real engine and on the embedded one: the same plans, the same graph, the same objects.

One story, played by both: everything is placed, nothing has changed, one spec has changed, an app went and another one
moved, everything is removed. What is compared is what the engines plan at each moment and what is there afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.pulumi_cli.conftest import Bench
from tests.pulumi_cli.engines import Record, differences, graph, plan

_MOMENTS: Final = ("new", "again", "changed", "moved", "destroyed")

Engines = Mapping[str, Mapping[str, "Moment"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What one engine planned, and what was there afterwards."""

    plan: Mapping[str, Record]
    summary: Mapping[str, int]
    graph: Mapping[str, Record]
    account: Mapping[str, Any]
    objects: Mapping[str, Any]
    seconds: float


def _leave(_: Path) -> None:
    """Change nothing."""


def _read_more(project: Path) -> None:
    """Let one app read one parameter more."""
    _replace(project / "stacks/apps/mailer.yaml", "mailer/templates\n", "mailer/templates\n  - name: /mailer/limits\n")


def _move(project: Path) -> None:
    """Take an app away, and give another one a new service account."""
    (project / "stacks/apps/reports.yaml").unlink()
    _replace(project / "stacks/apps/payments.yaml", "serviceAccount: payments-api", "serviceAccount: payments-web")


_CHANGES: Final[Mapping[str, Callable[[Path], None]]] = {
    "new": _leave,
    "again": _leave,
    "changed": _read_more,
    "moved": _move,
}


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def story(real: Bench, embedded: Bench, copied_project: Path) -> Engines:
    """Play the story on both engines."""
    told: dict[str, dict[str, Moment]] = {"real": {}, "embedded": {}}
    for moment in _MOMENTS:
        _CHANGES.get(moment, _leave)(copied_project)
        for name, bench in (("real", real), ("embedded", embedded)):
            told[name][moment] = _play(bench, moment)
    return told


def _play(bench: Bench, moment: str) -> Moment:
    started = time.monotonic()
    digest: Mapping[str, Any] = {"steps": [], "changeSummary": {}}
    if moment == "destroyed":
        bench.engine.destroy()
    else:
        digest = bench.engine.preview()
        bench.engine.up()
    return Moment(
        plan=plan(digest),
        summary=digest["changeSummary"],
        graph=graph(bench.engine.records()),
        account=bench.account(),
        objects=bench.objects(),
        seconds=time.monotonic() - started,
    )


@pytest.mark.parametrize("moment", _MOMENTS)
@pytest.mark.parametrize("aspect", ["plan", "summary", "graph", "account", "objects"])
def test_both_engines_say_and_leave_the_same(story: Engines, moment: str, aspect: str) -> None:
    real, embedded = (getattr(story[engine][moment], aspect) for engine in ("real", "embedded"))
    assert differences(real, embedded) == []
