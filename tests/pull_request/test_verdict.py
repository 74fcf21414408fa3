"""The verdict on a pull request: what the base's approvals do not cover fails it, whoever saw it."""

from __future__ import annotations

import datetime as dt
import json
from hashlib import sha256
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
    assert main([str(access.parent)], {}) == ExitCode.NEEDS_APPROVAL
    out = capsys.readouterr().out
    assert "- prod: app shop gains read access to secret prod/smtp: approval needed, row " in out
    assert "Fix: have an owner add what is accepted to approvals.yaml on the base branch" in out
    approve(access)
    assert main([str(access.parent)], {}) == ExitCode.FINE


def test_what_only_a_plan_sees_fails_it_until_the_base_approves_it(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    access = write("access", "diff", *sides("read_gained"))
    folders = [str(access.parent), str(one_row_more(access, approval="needed"))]
    assert main(folders, {}) == ExitCode.NEEDS_APPROVAL
    line, _ = capsys.readouterr().out.splitlines()
    assert "app another gains read access to secret prod/smtp (only in the preview): approval needed" in line
    accept(access.parent, *shown(line), expires=dt.date(2020, 1, 1))
    assert main(folders, {}) == ExitCode.NEEDS_APPROVAL
    assert "approval needed: its approval ended on 2020-01-01" in capsys.readouterr().out
    accept(access.parent, *shown(line))
    assert main(folders, {}) == ExitCode.FINE


@pytest.mark.parametrize("claim", ["approved", ""])
def test_a_plan_does_not_approve_itself(write: Write, claim: str) -> None:
    """Its report was written by the pull request's own program."""
    access = write("access", "diff", *sides("read_gained"))
    previews = one_row_more(access, approval=claim, needsApproval=False)
    (previews / APPROVALS_FILE).write_text("version: 1\napprovals: []\n", encoding="utf-8")
    assert main([str(access.parent), str(previews)], {}) == ExitCode.NEEDS_APPROVAL


def test_a_loss_that_only_a_plan_sees_needs_no_approval(write: Write) -> None:
    access = write("access", "diff", *sides("read_gained"))
    previews = one_row_more(access, change="lost", approval="", needsApproval=False)
    assert main([str(access.parent), str(previews)], {}) == ExitCode.FINE


def test_what_nobody_can_compare_fails_it_until_the_base_approves_it(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    previews = beside(access, "previews", **undecided("shop: trust: the preview hides it as a secret", "approved"))
    folders = [str(access.parent), str(previews)]
    assert main(folders, {}) == ExitCode.NEEDS_APPROVAL
    line, _ = capsys.readouterr().out.splitlines()
    assert "not compared, because neither side is known: shop: trust: the preview hides it as a secret" in line
    accept(access.parent, *shown(line))
    assert main(folders, {}) == ExitCode.FINE


def test_where_nothing_can_be_said_it_fails(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    assert main([str(tmp_path / "nothing")], {}) == ExitCode.INVALID_INPUT
    assert "the access diff failed" in capsys.readouterr().err
    (access.parent / APPROVALS_FILE).write_text("version: 2\n", encoding="utf-8")
    assert main([str(access.parent)], {}) == ExitCode.INVALID_INPUT
    assert "approvals.yaml: it is not a file of approvals" in capsys.readouterr().err
    (access.parent / APPROVALS_FILE).unlink()
    previews = tmp_path / "previews"
    previews.mkdir()
    (previews / "x.json").write_text("no report", encoding="utf-8")
    assert main([str(access.parent), str(previews)], {}) == ExitCode.INVALID_INPUT
    assert "x.json: it is not the JSON of a report" in capsys.readouterr().err


def test_a_preview_that_failed_or_left_no_report_lets_nothing_pass(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    previews = beside(access, "previews")
    folders = [str(access.parent), str(previews)]
    assert main(folders, {"PLANNED_STACKS": '["prod"]'}) == ExitCode.FINE
    assert main(folders, {"PLANNED_STACKS": '["prod", "dev"]'}) == ExitCode.INVALID_INPUT
    assert "the preview of dev has left no report" in capsys.readouterr().err
    for spoilt in ("prod", '[["prod"]]', "{}"):
        assert main(folders, {"PLANNED_STACKS": spoilt}) == ExitCode.INVALID_INPUT
    told = json.loads((previews / "report.json").read_text(encoding="utf-8"))
    told["previews"][0]["failed"] = True
    (previews / "report.json").write_text(json.dumps(told), encoding="utf-8")
    assert main(folders, {}) == ExitCode.INVALID_INPUT
    assert "the preview of prod failed" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["report.json", "approvals.yaml", "more.json", ".hidden.json", "below/more.json"])
def test_an_access_report_that_is_not_the_one_its_job_wrote_counts_for_nothing(
    write: Write, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Another job of the run can replace its artifact, and no output of its job."""
    access = write("access", "diff", *sides("no_effective_change"))
    told = {"ACCESS_SUMS": f"{sha256(access.read_bytes()).hexdigest()}  ./report.json"}
    assert main([str(access.parent)], told) == ExitCode.FINE
    place = access.parent / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(access.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert main([str(access.parent)], told) == ExitCode.INVALID_INPUT
    assert "the access report is not the one that its job wrote" in capsys.readouterr().err
    access.unlink()
    assert main([str(access.parent)], told) == ExitCode.INVALID_INPUT


def test_of_two_reports_of_one_stack_none_hides_the_other(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    access = write("access", "diff", *sides("read_gained"))
    previews = one_row_more(access, approval="needed")
    told = json.loads((previews / "report.json").read_text(encoding="utf-8"))
    told["stacks"][0]["rows"] = []
    (previews / "z.json").write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent), str(previews)], {}) == ExitCode.INVALID_INPUT
    captured = capsys.readouterr()
    assert "z.json: another report has its stack 'prod', too" in captured.err
    assert "app another gains read access" in captured.out
    (access.parent / "other.json").write_text(access.read_text(encoding="utf-8"), encoding="utf-8")
    assert main([str(access.parent)], {}) == ExitCode.INVALID_INPUT


def test_two_stacks_of_one_environment_are_judged_apart(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """The row is the same, and the state of its app is not: an approval holds for one of them."""
    access = write("access", "diff", *sides("read_gained"))
    told = json.loads(access.read_text(encoding="utf-8"))
    (stack,) = told["stacks"]
    approved = [{**row, "spec": "0" * 16, "approval": "approved", "needsApproval": False} for row in stack["rows"]]
    told["stacks"] = [stack, {**stack, "stack": "prod2", "rows": approved}]
    access.write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent)], {}) == ExitCode.NEEDS_APPROVAL
    out = capsys.readouterr().out
    assert "- prod: app shop gains read access" in out
    assert "- prod2: " not in out


def test_no_line_of_it_is_a_command_of_the_runner(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    access = write("access", "diff", *sides("read_gained"))
    told = json.loads(access.read_text(encoding="utf-8"))
    told["stacks"][0]["stack"] = "::stop-commands::x\n::warning::y"
    told["stacks"][0]["rows"][0]["app"] = "x\n::error::y"
    access.write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent)], {}) == ExitCode.NEEDS_APPROVAL
    (access.parent / "##[error]x.json").write_text("{}", encoding="utf-8")
    main([str(access.parent)], {})
    captured = capsys.readouterr()
    lines = [*captured.out.splitlines(), *captured.err.splitlines()]
    assert [line for line in lines if line.lstrip().startswith(("::", "##["))] == []
    assert any("##[error]x.json" in line for line in lines)


def test_the_real_digest_of_a_stack_is_judged_whole(write: Write) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    digest = str(CORPUS / "engine_stack_update" / "there.json")
    previews = write("previews", "preview", "--digest", digest)
    assert main([str(access.parent), str(previews.parent)], {}) == ExitCode.NEEDS_APPROVAL
