"""Reports of a CI run as its jobs leave them: made by the commands, then changed as a test needs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.derivation.diff import question_identity

CORPUS = Path(__file__).parent.parent / "diff" / "corpus"

Write = Callable[..., Path]


def sides(case: str) -> tuple[str, str]:
    return str(CORPUS / case / "before.json"), str(CORPUS / case / "after.json")


def beside(access: Path, folder: str, **changes: object) -> Path:
    """Write the report again as the one of a preview that found the same, with changes of its stack."""
    told = json.loads(access.read_text(encoding="utf-8"))
    told["stacks"][0].update(changes)
    figures = {"reach": None, "usdPerMonth": None}
    told["previews"] = [
        {"stack": "prod", "failed": False, "totals": {}, "notes": [], "diagnostics": [], "resources": [], **figures}
    ]
    path = access.parent.parent / folder / "report.json"
    path.parent.mkdir()
    path.write_text(json.dumps(told), encoding="utf-8")
    return path.parent


def undecided(question: str, approval: str = "needed") -> dict[str, Any]:
    """Return what a stack says of something that neither side knows."""
    return {
        "undecided": [question],
        "undecidedRows": [{"row": question_identity("prod", question), "approval": approval}],
    }


def approve(access: Path) -> None:
    """Make a report say that all of its rows are approved."""
    told = json.loads(access.read_text(encoding="utf-8"))
    for row in told["stacks"][0]["rows"]:
        row.update(needsApproval=False, approval="approved")
    access.write_text(json.dumps({**told, "exitCode": 2, "verdict": "access changes"}), encoding="utf-8")
