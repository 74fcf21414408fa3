"""Real-shaped pairs and the reports that they give, compared to the byte: one pair per kind of row, in both directions.

A case is two rendered documents (`before.json`, `after.json`), or the previews of a change and of its way back
(`there.json`, `back.json`). Two cases are diffs that a careless reviewer would approve and should not.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from components.derivation.diff import About, Change
from lockstep.access_diff import DiffRequest, diff_sides
from lockstep.access_report.markdown_report import render_markdown
from lockstep.access_report.report import Report
from lockstep.access_report.text_report import render_text
from lockstep.exit_codes import ExitCode

CORPUS = Path(__file__).parent / "corpus"
CASES = sorted(path.name for path in CORPUS.iterdir())


def reports(case: str) -> dict[str, Report]:
    """Return the report of a case in both directions: `there` and `back`."""
    folder = CORPUS / case
    if (folder / "before.json").exists():
        sides = (str(folder / "before.json"), str(folder / "after.json"))
        asked = {"there": sides, "back": sides[::-1]}
        return {way: diff_sides(DiffRequest(base=a, head=b, protected=()))[0] for way, (a, b) in asked.items()}
    return {
        way: diff_sides(DiffRequest(base=str(folder / f"{way}.json"), protected=()))[0] for way in ("there", "back")
    }


@pytest.mark.parametrize("case", CASES)
def test_every_pair_gives_exactly_its_report(case: str, *, rewrite_golden: bool) -> None:
    for way, report in reports(case).items():
        pages = [page for stack in report.stacks for page in render_markdown(report, stack)]
        for name, text in ((f"{way}.txt", render_text(report)), (f"{way}.md", "\n".join(pages))):
            path = CORPUS / case / name
            if rewrite_golden:
                path.write_text(text, encoding="utf-8")
            assert path.read_text(encoding="utf-8") == text, f"{case}/{name}"


@pytest.mark.parametrize("case", CASES)
def test_the_way_back_is_the_mirror(case: str) -> None:
    there, back = (
        Counter((row.about, row.parts, row.change) for row in report.rows) for report in reports(case).values()
    )
    assert there == Counter({(about, parts, change.mirror): n for (about, parts, change), n in back.items()})


def test_the_corpus_has_every_kind_of_row_in_both_directions() -> None:
    found = {(row.about, row.change) for case in CASES for report in reports(case).values() for row in report.rows}
    for about in About:
        changes = {change for kind, change in found if kind is about}
        assert {change.mirror for change in changes} == changes, about
        assert changes, f"no case shows {about}"
    assert {change for _, change in found} == set(Change)


@pytest.mark.parametrize(
    ("case", "risk"), [("careless_one_star", "wildcard"), ("careless_string_like", "wildcard"), ("unknown", "unknown")]
)
def test_what_a_careless_reviewer_would_approve_needs_an_approval(case: str, risk: str) -> None:
    report = reports(case)["there"]
    assert report.exit_code is ExitCode.NEEDS_APPROVAL
    assert risk in {word for row in report.rows for word in row.risks}


def test_another_layout_is_no_finding() -> None:
    report = reports("no_effective_change")["there"]
    assert report.exit_code is ExitCode.FINE
    assert report.stacks[0].difference.reformatted == ("shop",)
