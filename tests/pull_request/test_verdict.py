"""The verdict on a pull request: what the base's approvals do not cover fails it, whoever saw it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockstep.exit_codes import ExitCode
from lockstep.pull_request.reports import APPROVALS_FILE
from lockstep.pull_request.verdict import main
from tests.pull_request.reports import CORPUS, Write, approve, beside, sides, undecided

FOREVER = dt.date(9999, 12, 31)


def accept(folder: Path, row: str, spec: str, expires: dt.date = FOREVER) -> None:
    """Add an approval to the base's file, which the access job lays beside its report."""
    path = folder / APPROVALS_FILE
    empty: dict[str, Any] = {"version": 1, "approvals": []}
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else empty
    document["approvals"].append({"row": row, "spec": spec, "expires": expires, "reason": "agreed"})
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def one_row_more(access: Path, **changes: object) -> Path:
    """Return the folder of a preview that has one row that the access report, all of it approved, has not."""
    approve(access)
    told: dict[str, Any] = json.loads(access.read_text(encoding="utf-8"))
    (row, *_) = told["stacks"][0]["rows"]
    return beside(access, "previews", rows=[{**row, "app": "another", **changes}])


def shown(line: str) -> tuple[str, str]:
    """Return what an approval must name, as a printed line says it."""
    words = line.split()
    spec = words[words.index("spec") + 1]
    return words[words.index("row") + 1], "" if spec == '""' else spec


def test_what_the_access_diff_leaves_open_fails_it(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    access = write("access", "diff", *sides("read_gained"))
    assert main([str(access.parent)]) == ExitCode.NEEDS_APPROVAL
    out = capsys.readouterr().out
    assert "- prod: app shop gains read access to secret prod/smtp: approval needed, row " in out
    assert "Fix: have an owner add what is accepted to approvals.yaml on the base branch" in out
    approve(access)
    assert main([str(access.parent)]) == ExitCode.FINE


def test_what_only_a_plan_sees_fails_it_until_the_base_approves_it(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    access = write("access", "diff", *sides("read_gained"))
    folders = [str(access.parent), str(one_row_more(access, approval="needed"))]
    assert main(folders) == ExitCode.NEEDS_APPROVAL
    line, _ = capsys.readouterr().out.splitlines()
    assert "app another gains read access to secret prod/smtp (only in the preview): approval needed" in line
    accept(access.parent, *shown(line), expires=dt.date(2020, 1, 1))
    assert main(folders) == ExitCode.NEEDS_APPROVAL
    assert "approval needed: its approval ended on 2020-01-01" in capsys.readouterr().out
    accept(access.parent, *shown(line))
    assert main(folders) == ExitCode.FINE


@pytest.mark.parametrize("claim", ["approved", ""])
def test_a_plan_does_not_approve_itself(write: Write, claim: str) -> None:
    """Its report was written by the pull request's own program."""
    access = write("access", "diff", *sides("read_gained"))
    previews = one_row_more(access, approval=claim, needsApproval=False)
    (previews / APPROVALS_FILE).write_text("version: 1\napprovals: []\n", encoding="utf-8")
    assert main([str(access.parent), str(previews)]) == ExitCode.NEEDS_APPROVAL


def test_a_loss_that_only_a_plan_sees_needs_no_approval(write: Write) -> None:
    access = write("access", "diff", *sides("read_gained"))
    previews = one_row_more(access, change="lost", approval="", needsApproval=False)
    assert main([str(access.parent), str(previews)]) == ExitCode.FINE


def test_what_nobody_can_compare_fails_it_until_the_base_approves_it(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    previews = beside(access, "previews", **undecided("shop: trust: the preview hides it as a secret", "approved"))
    folders = [str(access.parent), str(previews)]
    assert main(folders) == ExitCode.NEEDS_APPROVAL
    line, _ = capsys.readouterr().out.splitlines()
    assert "not compared, because neither side is known: shop: trust: the preview hides it as a secret" in line
    accept(access.parent, *shown(line))
    assert main(folders) == ExitCode.FINE


def test_where_nothing_can_be_said_it_fails(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    assert main([str(tmp_path / "nothing")]) == ExitCode.INVALID_INPUT
    assert "the access diff failed" in capsys.readouterr().err
    (access.parent / APPROVALS_FILE).write_text("version: 2\n", encoding="utf-8")
    assert main([str(access.parent)]) == ExitCode.INVALID_INPUT
    assert "approvals.yaml: it is not a file of approvals" in capsys.readouterr().err
    (access.parent / APPROVALS_FILE).unlink()
    previews = tmp_path / "previews"
    previews.mkdir()
    (previews / "x.json").write_text("no report", encoding="utf-8")
    assert main([str(access.parent), str(previews)]) == ExitCode.INVALID_INPUT
    assert "x.json: it is not the JSON of a report" in capsys.readouterr().err


def test_no_line_of_it_is_a_command_of_the_runner(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    access = write("access", "diff", *sides("read_gained"))
    told = json.loads(access.read_text(encoding="utf-8"))
    told["stacks"][0]["stack"] = "::stop-commands::x\n::warning::y"
    told["stacks"][0]["rows"][0]["app"] = "x\n::error::y"
    access.write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent)]) == ExitCode.NEEDS_APPROVAL
    assert [line for line in capsys.readouterr().out.splitlines() if line.lstrip().startswith("::")] == []


def test_the_real_digest_of_a_stack_is_judged_whole(write: Write) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    digest = str(CORPUS / "engine_stack_update" / "there.json")
    previews = write("previews", "preview", "--digest", digest)
    assert main([str(access.parent), str(previews.parent)]) == ExitCode.NEEDS_APPROVAL
