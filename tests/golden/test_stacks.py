"""Every stack whole, as the program registers it at preview: `tests/golden/stacks/<stack>.json`, compared as bytes.

What a change does to a stack shows here before anybody runs it: `make golden` rewrites, the review reads. Values
that only AWS can tell read "(known after up)". Policy documents are unpacked, so that a diff of them can be read.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockstep.engine.values import UNKNOWN, Json
from tests.infra.recording import Recorded, Registration, run_stack

GOLDEN = Path(__file__).parent / "stacks"
STACKS = ("local", "dev", "staging", "prod")


def render(run: Recorded) -> str:
    """Return the stack's resources, sorted by type and name, with their place in the graph."""
    resources = sorted(
        (item for item in run.resources if item.type != "pulumi:pulumi:Stack"), key=lambda item: item.label
    )
    return json.dumps([_shown(run, item) for item in resources], indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _shown(run: Recorded, item: Registration) -> dict[str, Json]:
    parent = run.by_urn(item.parent)
    shown: dict[str, Json] = {
        "resource": item.label,
        "parent": "" if parent.type == "pulumi:pulumi:Stack" else parent.label,
        "after": sorted(run.dependencies(item)),
        "inputs": _readable(item.inputs),
    }
    options: dict[str, Json] = {
        "protect": item.protect,
        "retainOnDelete": item.retain_on_delete,
        "deletedWith": run.by_urn(item.deleted_with).label if item.deleted_with else "",
        "ignoreChanges": list(item.ignore_changes),
    }
    return shown | {key: value for key, value in options.items() if value}


def _readable(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if value == UNKNOWN:
        return "(known after up)"
    if isinstance(value, str) and value.startswith('{"'):
        try:
            parsed: Json = json.loads(value)
        except ValueError:
            return value
        return parsed
    return value


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_what_was_reviewed(project: Path, stack: str, *, rewrite_golden: bool) -> None:
    text = render(run_stack(project, stack, preview=True))
    file = GOLDEN / f"{stack}.json"
    if rewrite_golden:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "run `make golden` and review the difference"


def test_the_snapshot_does_not_depend_on_the_order_of_registration(project: Path) -> None:
    """Pulumi registers what is independent at the same time; two runs differ in order, never in content."""
    run = run_stack(project, "staging", preview=True)
    text = render(run)
    run.resources.reverse()
    assert render(run) == text
