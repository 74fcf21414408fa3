"""The story that engines play, in five moments.

Everything is placed, nothing has changed, one spec has changed, an app went and another moved, everything is removed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.pulumi_cli.conftest import Bench
from tests.pulumi_cli.engines import Record, graph, plan

MOMENTS: Final = ("new", "again", "changed", "moved", "destroyed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What one engine planned, and what was there afterwards."""

    plan: Mapping[str, Record]
    goals: Mapping[str, Record]
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


def change(project: Path, moment: str) -> None:
    """Change a copy of the program as a moment wants it."""
    _CHANGES.get(moment, _leave)(project)


def play(bench: Bench, moment: str) -> Moment:
    """Let one engine preview and deploy a moment; what has changed must be there already."""
    started = time.monotonic()
    digest: Mapping[str, Any] = {"steps": [], "changeSummary": {}}
    goals: Mapping[str, Record] = {}
    if moment == "destroyed":
        bench.engine.destroy()
    else:
        digest = bench.engine.preview()
        goals = bench.engine.goals()
        bench.engine.up()
    return Moment(
        plan=plan(digest),
        goals=goals,
        summary=digest["changeSummary"],
        graph=graph(bench.engine.records()),
        account=bench.account(),
        objects=bench.objects(),
        seconds=time.monotonic() - started,
    )
