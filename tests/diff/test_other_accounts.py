"""What other accounts must add, beside the pairs of the corpus: shared roles, sides without it, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.derivation import derive_fleet, parse_specs, render_fleet
from components.derivation.diff import About, Change, Row, diff_fleets, read_derived, read_rendered
from lockstep.access_diff import DiffRequest, diff_sides
from lockstep.access_report.json_report import render_json
from lockstep.access_report.report import FailOn
from lockstep.access_report.report_reader import ReportError, read_report
from lockstep.access_report.sentences import plain, sentence
from lockstep.diff_sides import SideError
from lockstep.exit_codes import ExitCode
from tests.diff.test_corpus import CORPUS, PROD, fleet_of

BY_SECOND_ROLE = """version: 1
app: {app}
namespace: {app}
serviceAccount: web
assumeRole:
  role: arn:aws:iam::444455556666:role/reader
secrets:
  - {{name: prod/db, file: db.json}}
"""


def rendered(case: str, side: str) -> dict[str, Any]:
    """Return what `lockstep render --format json` writes of one side of a case."""
    document: dict[str, Any] = json.loads(json.dumps(render_fleet(fleet_of(CORPUS / case, side))))
    return document


def compare(tmp_path: Path, before: object, after: object, words: str = "broadening") -> tuple[Any, tuple[Row, ...]]:
    for name, document in (("before", before), ("after", after)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    sides = (str(tmp_path / "before.json"), str(tmp_path / "after.json"))
    report = diff_sides(DiffRequest(base=sides[0], head=sides[1], fail_on=FailOn.parse(words), protected=()))
    return report, report.rows


def test_the_apps_that_share_a_second_role_are_named_together() -> None:
    specs = [BY_SECOND_ROLE.format(app=name) for name in ("shop", "till")]
    one, both = (
        read_derived(derive_fleet(parse_specs("---\n".join(texts), source="a.yaml"), PROD))
        for texts in (specs[:1], specs)
    )
    rows = [row for row in diff_fleets(one, both).rows if row.about is About.OTHER_ACCOUNT]
    told = {row.parts[1]: (row.app, row.change, row.details) for row in rows}
    assert told == {"role trust": ("till", Change.GAINED, ())}, "that role's permissions are there for the first app"
    gone = [
        row
        for row in diff_fleets(both, read_derived(derive_fleet((), PROD))).rows
        if row.parts[1:2] == ("role permissions",)
    ]
    assert [(row.app, row.details) for row in gone] == [("", ("needed by the apps shop, till",))]


def test_it_needs_no_approval_unless_somebody_asks_for_its_words(tmp_path: Path) -> None:
    """The owner of the other account decides there; that the app reads is the row that broadens."""
    sides = rendered("other_account_key", "before"), rendered("other_account_key", "after")
    judged = {}
    for words in ("broadening", "fails"):
        report, rows = compare(tmp_path, *sides, words=words)
        judged[words] = [report.judgement(row) for row in rows if row.about is About.OTHER_ACCOUNT]
    assert judged == {"broadening": ["", ""], "fails": ["", "needed"]}, "what may go from there fails nothing"


def test_where_one_side_does_not_show_it_that_is_said_and_nothing_is_guessed(tmp_path: Path) -> None:
    before, after = rendered("foreign_secret", "before"), rendered("foreign_secret", "after")
    del before["foreignAccounts"]
    report, rows = compare(tmp_path, before, after)
    assert About.OTHER_ACCOUNT not in {row.about for row in rows}
    assert report.notes == ("what other accounts must add was not compared: one of the sides does not show it",)
    assert compare(tmp_path, before, rendered("foreign_secret", "before"))[0].notes == (), "there is nothing to show"


def test_statements_that_are_none_are_unknown_and_need_an_approval(tmp_path: Path) -> None:
    before, after = rendered("foreign_secret", "after"), rendered("foreign_secret", "after")
    after["foreignAccounts"]["444455556666"][0]["statements"] = ["?"]
    report, rows = compare(tmp_path, before, after)
    assert report.exit_code is ExitCode.NEEDS_APPROVAL
    assert {(row.about, row.change, row.is_certain) for row in rows} == {
        (About.UNKNOWN, Change.GAINED, True),
        (About.OTHER_ACCOUNT, Change.LOST, False),
    }


@pytest.mark.parametrize("value", [[], "x", {"444455556666": {}}])
def test_a_document_with_another_shape_is_refused(tmp_path: Path, value: object) -> None:
    after = {**rendered("foreign_secret", "after"), "foreignAccounts": value}
    with pytest.raises(SideError, match="foreignAccounts is not a mapping of accounts to lists"):
        compare(tmp_path, rendered("foreign_secret", "before"), after)


def test_a_report_is_read_back_with_these_rows_and_a_subject_that_is_none_is_refused(tmp_path: Path) -> None:
    sides = rendered("foreign_secret", "before"), rendered("foreign_secret", "after")
    report, rows = compare(tmp_path, *sides)
    text = render_json(report)
    assert [plain(sentence(row)) for row in read_report(text).report.rows] == [plain(sentence(row)) for row in rows]
    document = json.loads(text)
    row = next(row for row in document["stacks"][0]["rows"] if row["about"] == "other account")
    row["subject"] = row["subject"][:3]
    with pytest.raises(ReportError, match="no such subject"):
        read_report(json.dumps(document))


def test_a_rendered_document_shows_no_more_than_was_rendered() -> None:
    assert read_rendered({"apps": {}}).other_accounts is None
    assert read_rendered({"apps": {}, "foreignAccounts": {}}).other_accounts == {}
