"""Posting on a pull request, against a stand-in of the forge: pages, limits, deleted comments, hostile reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.derivation.diff import About, Change, Difference, Row
from lockstep.access_report.json_report import render_json
from lockstep.access_report.markdown_report import marker, render_markdown
from lockstep.access_report.report import Report, StackReport
from lockstep.access_report.report_reader import ReportError, read_report
from lockstep.exit_codes import ExitCode
from lockstep.preview.preview_report import StackPreview
from lockstep.preview.preview_texts import render_pages
from lockstep.preview.resource_plan import PlannedResource, ResourcePlan
from lockstep.pull_request import github_api
from lockstep.pull_request.__main__ import LABEL, main
from lockstep.pull_request.github_api import GitHub, GitHubError
from lockstep.pull_request.sticky_comments import FAILED, GONE, post_pages
from lockstep.pull_request.verdict import main as verdict
from tests.pull_request.forge import BOT, TOKEN, Forge, serve_forge
from tests.pull_request.reports import CORPUS, Write, approve, beside, sides, undecided

PROD = marker("", "prod")


@pytest.fixture
def forge() -> Iterator[Forge]:
    with serve_forge() as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the waits, none of which is waited."""
    found: list[float] = []
    default = GitHub.__init__

    def quick(self: GitHub, **values: Any) -> None:  # noqa: ANN401 - whatever the class takes
        default(self, **{**values, "sleep": found.append})

    monkeypatch.setattr(GitHub, "__init__", quick)
    return found


def github(forge: Forge, waits: list[float]) -> GitHub:
    return GitHub(api=forge.address, repository="o/r", number=7, token=TOKEN, sleep=waits.append)


def post(forge: Forge, pages: dict[str, str], waits: list[float]) -> list[str]:
    return post_pages(github(forge, waits), pages, author=BOT, prefixes=["<!-- lockstep:access:p/prod:"])


def page(number: int, text: str) -> tuple[str, str]:
    line = marker("p", "prod", number)
    return line, f"{line}\n{text}\n"


# ------------------------------------------------------------------------------------------------------------ comments
def test_a_comment_is_created_once_updated_and_left_alone_when_nothing_changed(forge: Forge) -> None:
    assert post(forge, dict([page(1, "one")]), [])[0].startswith("created")
    assert post(forge, dict([page(1, "one")]), [])[0].startswith("kept")
    assert post(forge, dict([page(1, "two")]), [])[0].startswith("updated")
    assert forge.bodies() == [page(1, "two")[1]]


def test_it_is_found_beyond_a_hundred_comments(forge: Forge) -> None:
    for number in range(250):
        forge.say(f"chatter {number}", author="somebody")
    forge.say(page(1, "one")[1])
    assert post(forge, dict([page(1, "two")]), [])[0].startswith("updated")
    assert len(forge.bodies()) == 1
    assert forge.calls.count("GET /repos/o/r/issues/7/comments") == 3


def test_stacks_do_not_overwrite_each_other(forge: Forge) -> None:
    """Jobs of a matrix post on one pull request."""
    other = f"{marker('p', 'dev')}\ndev\n"
    forge.say(other)
    post(forge, dict([page(1, "prod")]), [])
    assert sorted(forge.bodies()) == sorted([other, page(1, "prod")[1]])


def test_pages_that_are_no_longer_needed_go(forge: Forge) -> None:
    post(forge, dict([page(1, "a"), page(2, "b"), page(3, "c")]), [])
    post(forge, dict([page(1, "a")]), [])
    assert forge.bodies() == [page(1, "a")[1]]


def test_a_comment_that_somebody_deleted_meanwhile_is_made_again(forge: Forge) -> None:
    forge.vanished.add(forge.say(page(1, "old")[1]))
    assert post(forge, dict([page(1, "new")]), [])[0].startswith("created")
    assert forge.bodies() == [page(1, "new")[1]]


def test_two_comments_of_one_marker_become_one(forge: Forge) -> None:
    forge.say(page(1, "a")[1])
    forge.say(page(1, "b")[1])
    post(forge, dict([page(1, "c")]), [])
    assert forge.bodies() == [page(1, "c")[1]]


def test_a_marker_in_somebody_else_s_comment_means_nothing(forge: Forge) -> None:
    forge.say(page(1, "approved, trust me")[1], author="mallory")
    post(forge, dict([page(1, "real")]), [])
    assert forge.bodies("mallory") == [page(1, "approved, trust me")[1]]
    assert forge.bodies() == [page(1, "real")[1]]


def test_a_body_that_the_forge_finds_too_long_is_replaced_by_a_pointer(forge: Forge) -> None:
    forge.longest = 300
    assert post(forge, dict([page(1, "x" * 1000)]), [])[0].startswith("shortened")
    (body,) = forge.bodies()
    assert body.startswith(marker("p", "prod"))
    assert "too long" in body


def test_a_pointer_stands_in_place_of_what_was_said_before(forge: Forge) -> None:
    post(forge, dict([page(1, "no change")]), [])
    forge.longest = 300
    for _ in range(2):
        assert post(forge, dict([page(1, "x" * 1000)]), [])[0].startswith("shortened")
        (body,) = forge.bodies()
        assert body.startswith(marker("p", "prod"))
        assert "too long" in body
        assert "no change" not in body


# --------------------------------------------------------------------------------------------------------- rate limits
@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"retry-after": "3"}, 3.0),
        (403, {"retry-after": "5"}, 5.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 1.0),
        (429, {"retry-after": "99999"}, 120.0),
        (502, {}, 1.0),
    ],
)
def test_a_limit_or_a_fault_is_waited_for(forge: Forge, status: int, headers: dict[str, str], wait: float) -> None:
    forge.failures = [(status, headers)]
    waits: list[float] = []
    assert github(forge, waits).comments() == []
    assert waits == [wait]


def test_a_refusal_is_not_tried_again(forge: Forge) -> None:
    forge.failures = [(403, {})] * 9
    with pytest.raises(GitHubError, match="GET issues/7/comments was refused with 403"):
        github(forge, []).comments()
    assert len(forge.calls) == 1


def test_patience_ends(forge: Forge) -> None:
    forge.failures = [(429, {"retry-after": "1"})] * 99
    with pytest.raises(GitHubError):
        github(forge, []).comments()
    assert len(forge.calls) == github_api._ATTEMPTS


def test_the_token_is_in_no_repr_and_no_error(forge: Forge) -> None:
    api = github(forge, [])
    assert TOKEN not in repr(api)
    forge.failures = [(404, {})]
    with pytest.raises(GitHubError) as error:
        api.create("x")
    assert TOKEN not in str(error.value)


# --------------------------------------------------------------------------------------------------------- the command
def environment(forge: Forge) -> dict[str, str]:
    return {
        "GITHUB_API_URL": forge.address,
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_TOKEN": TOKEN,
        "PULL_REQUEST": "7",
    }


def test_a_report_is_posted_with_the_label_and_the_label_goes_again(forge: Forge, write: Write, tmp_path: Path) -> None:
    path = write("access", "diff", *sides("read_gained"))
    assert main([str(path.parent)], environment(forge)) == 0
    (body,) = forge.bodies()
    assert body.startswith(PROD)
    assert "gains read access to secret `prod/smtp`" in body
    assert forge.labels == {LABEL}
    write("access", "diff", *sides("no_effective_change"))
    assert main([str(tmp_path / "access")], environment(forge)) == 0
    assert forge.labels == set()
    assert len(forge.bodies()) == 1


def test_the_page_of_the_poster_is_the_page_of_the_command(write: Write) -> None:
    """The Markdown is made anew from the JSON, and nothing is lost on the way."""
    for case in sorted(CORPUS.iterdir()):
        if (case / "before.json").exists():
            read = read_report(write("x", "diff", *sides(case.name), "--protected", "dev").read_text(encoding="utf-8"))
            pages = [page for stack in read.report.stacks for page in render_markdown(read.report, stack)]
            assert "\n".join(pages) == (case / "there.md").read_text(encoding="utf-8"), case.name


def test_a_row_has_the_identity_that_the_tool_told_however_long_its_texts_are() -> None:
    long = Row(
        environment="prod",
        app="shop",
        about=About.READ,
        change=Change.GAINED,
        parts=("s" * 5000,),
        regions=("eu-west-1",),
        after=("a" * 5000, "b" * 5001),
        spec_digest="0123456789abcdef",
    )
    told = StackReport(stack="prod", difference=Difference(environment="prod", rows=(long,)))
    read = read_report(render_json(Report(project="p", stacks=(told,)))).report
    assert [row.identity for row in read.rows] == [long.identity]
    assert read.is_open(read.rows[0])
    (body,) = render_markdown(read, read.stacks[0])
    assert long.identity in body
    assert "s" * 1000 not in body, "for display it is cut"


def test_a_preview_adds_resources_and_cannot_hide_what_the_base_found(forge: Forge, write: Write) -> None:
    access = write("access", "diff", *sides("read_gained"))
    preview = write("previews", "preview", "--digest", str(CORPUS / "engine_stack_update" / "there.json"))
    told = json.loads(preview.read_text(encoding="utf-8"))
    told["stacks"][0]["rows"] = told["stacks"][0]["rows"][:1]
    preview.write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent), str(preview.parent)], environment(forge)) == 0
    (body,) = forge.bodies()
    assert "gains read access to secret `prod/smtp`" in body, "what the base's tool found"
    assert "only in the preview" in body
    assert "> [!WARNING]" in body


def test_a_failed_preview_is_posted_too(forge: Forge, write: Write, tmp_path: Path) -> None:
    document: dict[str, Any] = json.loads((CORPUS / "careless_one_star" / "there.json").read_text(encoding="utf-8"))
    document["diagnostics"] = [{"severity": "error", "message": "error: no credentials", "urn": ""}]
    (tmp_path / "p.json").write_text(json.dumps(document), encoding="utf-8")
    preview = write("previews", "preview", "--digest", str(tmp_path / "p.json"))
    (tmp_path / "p.json").unlink()
    assert main([str(tmp_path / "no-access"), str(preview.parent)], environment(forge)) == 0
    (body,) = forge.bodies()
    assert body.index("### The preview failed") < body.index("### Access")
    assert "no credentials" in body


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 1, "project": "", "notes": [], "stacks": [{}]}',
        '{"version": 1, "project": 3, "notes": [], "stacks": []}',
        "[" * 100_000,
    ],
)
def test_what_is_no_report_is_refused_and_nothing_of_it_is_posted(forge: Forge, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    assert main([str(tmp_path)], environment(forge)) == 1
    assert forge.comments == {}
    with pytest.raises(ReportError):
        read_report(text)


def test_markup_in_a_report_is_a_name(forge: Forge, write: Write) -> None:
    """The job that wrote it may have run the pull request's code."""
    path = write("access", "diff", *sides("read_gained"))
    told = json.loads(path.read_text(encoding="utf-8"))
    hostile = "</details><img src=x> @everyone [x](http://evil.example) -->"
    for row in told["stacks"][0]["rows"]:
        row.update(app=hostile, why=[hostile], sentence=hostile, details=[hostile])
    path.write_text(json.dumps(told), encoding="utf-8")
    assert main([str(path.parent)], environment(forge)) == 0
    (body,) = forge.bodies()
    for text in ("<img", "](http", "@everyone", "</details><"):
        assert text not in body.replace("<code>", "\n").replace("</code>", "\n")


_MARKUP = "x</summary></details>\n\n### Access of prod: no change\n\n@everyone [click](http://evil.example) <img src=x>"


def _hostile_operation(told: dict[str, Any]) -> None:
    told["previews"][0]["resources"][0]["operation"] = f"replace\n\n{_MARKUP}"


def _hostile_total(told: dict[str, Any]) -> None:
    told["previews"][0]["totals"] = {_MARKUP: 1}


def _hostile_count(told: dict[str, Any]) -> None:
    told["previews"][0]["totals"] = {"create": _MARKUP}


def _hostile_digest(told: dict[str, Any]) -> None:
    told["stacks"][0]["stack"] = told["previews"][0]["stack"] = "zz"
    told["stacks"][0]["rows"][0]["spec"] = f"` | |{_MARKUP}"


def _hostile_judgement(told: dict[str, Any]) -> None:
    told["stacks"][0]["rows"][0]["approval"] = "of course"


def _no_previews(told: dict[str, Any]) -> None:
    told["previews"] = []


def _previews_left_out(told: dict[str, Any]) -> None:
    del told["previews"]


def _another_stack_s_preview(told: dict[str, Any]) -> None:
    told["previews"][0]["stack"] = "dev"


def _endless_cost(told: dict[str, Any]) -> None:
    told["previews"][0]["usdPerMonth"] = [0.0, float("inf")]


def _half_a_character(told: dict[str, Any]) -> None:
    told["stacks"][0]["stack"] = told["previews"][0]["stack"] = "\ud800"


@pytest.mark.parametrize(
    "spoil",
    [
        _hostile_operation,
        _hostile_total,
        _hostile_count,
        _hostile_digest,
        _hostile_judgement,
        _no_previews,
        _previews_left_out,
        _another_stack_s_preview,
        _endless_cost,
        _half_a_character,
    ],
)
def test_a_preview_s_report_of_another_form_is_refused_and_the_base_s_report_is_posted(
    forge: Forge,
    write: Write,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    access = write("access", "diff", *sides("read_gained"))
    preview = write("previews", "preview", "--digest", str(CORPUS / "engine_stack_update" / "there.json"))
    told = json.loads(preview.read_text(encoding="utf-8"))
    spoil(told)
    preview.write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent), str(preview.parent)], environment(forge)) == 1
    assert "report.json: " in capsys.readouterr().err
    (body,) = forge.bodies()
    read = read_report(access.read_text(encoding="utf-8"))
    assert body == "".join(render_markdown(read.report, read.report.stacks[0])), "nothing of the preview"
    assert forge.labels == {LABEL}


def test_the_page_of_a_preview_has_no_markup_of_its_operations() -> None:
    """Also where no reader stands before it: `lockstep preview --format markdown`."""
    access = StackReport(stack="prod", difference=Difference(environment="prod", rows=()))
    plan = ResourcePlan(
        resources=(PlannedResource(component="", operation=f"replace {_MARKUP}", type="t", name="n"),),
        totals={_MARKUP: 1},
        diagnostics=(),
        cut_short=False,
    )
    preview = StackPreview(stack="prod", plan=plan, access=access, reach=None, cost=None, notes=())
    (body,) = render_pages(Report(project="p", stacks=(access,)), preview)
    for text in ("<img", "](http", "@everyone", "x</summary>", "\n### Access of prod: no change\n\n@"):
        assert text not in body


# ----------------------------------------------------------------------------------------------------------- the label
def test_what_the_base_approved_needs_no_approval_because_a_preview_saw_it_too(forge: Forge, write: Write) -> None:
    access = write("access", "diff", *sides("read_gained"))
    previews = beside(access, "previews")
    approve(access)
    forge.labels = {LABEL}
    assert main([str(access.parent), str(previews)], environment(forge)) == 0
    assert forge.labels == set()
    assert "only in the preview" not in forge.bodies()[0]


def test_a_row_that_only_a_preview_saw_needs_approval(forge: Forge, write: Write) -> None:
    access = write("access", "diff", *sides("read_gained"))
    approve(access)
    told = json.loads(access.read_text(encoding="utf-8"))
    rows = [{**row, "app": "another", "approval": "needed"} for row in told["stacks"][0]["rows"]]
    assert main([str(access.parent), str(beside(access, "previews", rows=rows))], environment(forge)) == 0
    assert forge.labels == {LABEL}


def test_rows_that_only_a_preview_saw_are_all_named_before_its_other_notes(forge: Forge, write: Write) -> None:
    access = write("access", "diff", *sides("read_gained"))
    told = json.loads(access.read_text(encoding="utf-8"))
    (row, *_) = (row for row in told["stacks"][0]["rows"] if row["needsApproval"])
    rows = [{**row, "app": f"app{number:02}"} for number in range(30)]
    previews = beside(access, "previews", rows=rows)
    told = json.loads((previews / "report.json").read_text(encoding="utf-8"))
    told["previews"][0]["notes"] = [f"remark {number:02}" for number in range(30)]
    shape = {"component": "", "operation": "replace", "type": "t", "changes": [], "replacedFor": [], "kept": False}
    loud = [{**shape, "name": f"{number}{'&' * 700}", "interruptsMounts": False} for number in range(30)]
    told["previews"][0] |= {"resources": loud, "totals": {"replace": 30}}
    (previews / "report.json").write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent), str(previews)], environment(forge)) == 0
    (body,) = forge.bodies()
    lines = body.splitlines()[1:31]
    assert [number for number in range(30) if f"app{number:02}" not in lines[number]] == []
    assert all("needs approval" in line for line in lines)


def test_of_a_preview_s_own_notes_a_few_are_shown(forge: Forge, write: Write) -> None:
    access = write("access", "diff", *sides("read_gained"))
    previews = beside(access, "previews")
    told = json.loads((previews / "report.json").read_text(encoding="utf-8"))
    told["previews"][0]["notes"] = [f"remark {number:02}" for number in range(30)]
    (previews / "report.json").write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent), str(previews)], environment(forge)) == 0
    lines = [line for line in forge.bodies()[0].splitlines() if line.startswith("- note: ")]
    assert (len(lines), lines[-1]) == (21, "- note: `and 10 more`")


def test_what_could_not_be_compared_sets_the_label(forge: Forge, write: Write) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    told = json.loads(access.read_text(encoding="utf-8"))
    told["stacks"][0] |= undecided("shop: class db: no such thing")
    told.update(exitCode=3, verdict="needs approval")
    access.write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent)], environment(forge)) == 0
    assert forge.labels == {LABEL}


def test_what_only_a_preview_could_not_compare_is_said_and_sets_the_label(forge: Forge, write: Write) -> None:
    access = write("access", "diff", *sides("read_gained"))
    previews = beside(access, "previews", **undecided("shop: class db: not known"))
    approve(access)
    assert main([str(access.parent), str(previews)], environment(forge)) == 0
    assert "shop: class db: not known" in forge.bodies()[0]
    assert forge.labels == {LABEL}


def test_the_label_is_set_before_anything_else_and_invented_stacks_are_few(
    forge: Forge, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    access = write("access", "diff", *sides("read_gained"))
    previews = beside(access, "previews")
    told = json.loads((previews / "report.json").read_text(encoding="utf-8"))
    names = [f"stack{number:02}" for number in range(100)]
    told["stacks"] = [{**told["stacks"][0], "stack": name} for name in names]
    told["previews"] = [{**told["previews"][0], "stack": name} for name in names]
    (previews / "report.json").write_text(json.dumps(told), encoding="utf-8")
    assert main([str(access.parent), str(previews)], environment(forge)) == 1
    assert "90 stacks that only previews have are left out" in capsys.readouterr().err
    assert forge.calls[0] == "POST /repos/o/r/issues/7/labels"
    assert len(forge.bodies()) == 11


@pytest.mark.parametrize(("folder", "name"), [("previews", "x.json"), ("access", "approvals.yaml")])
def test_what_cannot_be_read_keeps_the_label(
    forge: Forge, write: Write, tmp_path: Path, folder: str, name: str
) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    (tmp_path / "previews").mkdir()
    (tmp_path / folder / name).write_text("{}", encoding="utf-8")
    forge.labels = {LABEL}
    assert main([str(access.parent), str(tmp_path / "previews")], environment(forge)) == 1
    assert forge.labels == {LABEL}


def test_no_line_of_its_log_begins_with_a_file_s_name(
    forge: Forge, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """A runner takes some beginnings for commands, and the names of files come from another job."""
    access = write("access", "diff", *sides("no_effective_change"))
    (access.parent / "::stop-commands::x.json").write_text("{}", encoding="utf-8")
    assert main([str(access.parent)], environment(forge)) == 1
    captured = capsys.readouterr()
    assert "::stop-commands::x.json" in captured.err
    assert not any(line.startswith("::") for line in (captured.out + captured.err).splitlines())


@pytest.mark.parametrize("folders", [[], ["a", "b", "c"]])
def test_other_arguments_are_wrong_usage(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(folders, {}) == verdict(folders, {}) == ExitCode.WRONG_USAGE
    assert capsys.readouterr().err.splitlines() == [
        "usage: python -m lockstep.pull_request ACCESS [PREVIEWS]",
        "usage: python -m lockstep.pull_request.verdict ACCESS [PREVIEWS]",
    ]


# ---------------------------------------------------------------------------------------------- what is not of this run
@pytest.mark.parametrize("left", [None, "no report"])
def test_when_the_access_diff_failed_the_comment_says_so_and_the_label_stays(
    forge: Forge, write: Write, left: str | None
) -> None:
    access = write("access", "diff", *sides("read_gained"))
    main([str(access.parent)], environment(forge))
    (before,) = forge.bodies()
    forge.say(before, author="somebody")
    access.unlink()
    if left is not None:
        access.write_text(left, encoding="utf-8")
    for _ in range(2):  # and it is said once, however often it fails
        assert main([str(access.parent)], environment(forge)) == (0 if left is None else 1)
        assert forge.bodies() == [before.replace("\n", f"\n{FAILED}\n\n", 1).rstrip("\n") + "\n"]
        assert forge.labels == {LABEL}
    assert forge.bodies("somebody") == [before]
    write("access", "diff", *sides("read_gained"))
    assert main([str(access.parent)], environment(forge)) == 0
    assert forge.bodies() == [before]


def test_a_preview_alone_says_that_the_access_diff_failed_and_takes_no_label_off(
    forge: Forge, write: Write, tmp_path: Path
) -> None:
    access = write("access", "diff", *sides("no_effective_change"))
    previews = beside(access, "previews")
    forge.labels = {LABEL}
    assert main([str(tmp_path / "nothing"), str(previews)], environment(forge)) == 0
    assert "the access diff failed" in forge.bodies()[0]
    assert forge.labels == {LABEL}


def test_a_stack_that_is_gone_from_the_report_is_marked_and_other_projects_are_left_alone(
    forge: Forge, write: Write
) -> None:
    gone = f"{marker('', 'qa')}\n### Access of qa: 1 gained\n"
    other = f"{marker('another', 'qa')}\n### Access of qa: 1 gained\n"
    forge.say(gone)
    forge.say(other)
    access = write("access", "diff", *sides("read_gained"))
    for _ in range(2):
        assert main([str(access.parent)], environment(forge)) == 0
        assert forge.bodies()[:2] == [gone.replace("\n", f"\n{GONE}\n\n", 1), other]
        assert len(forge.bodies()) == 3


def test_a_missing_setting_is_named(forge: Forge, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = environment(forge)
    del told["PULL_REQUEST"]
    assert main([str(tmp_path)], told) == 1
    assert "PULL_REQUEST" in capsys.readouterr().err
