"""Real-shaped pairs and the reports that they give, compared to the byte: one pair per kind of row, in both directions.

A case is two texts of specs (`before.yaml`, `after.yaml`), two rendered documents (`before.json`, `after.json`), or the
previews of a change and of its way back (`there.json`, `back.json`). Two cases are diffs that a careless reviewer would
approve and should not. Beside specs, `before.settings.json` and its like change the environment.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from components.derivation import Environment, FleetAccess, derive_fleet, parse_specs, render_fleet
from components.derivation.diff import About, Change, FleetDocuments, diff_fleets, read_derived, read_rendered
from lockstep.access_diff import DiffRequest, diff_sides
from lockstep.access_report.json_report import SCHEMA_FILE, render_json, render_sarif
from lockstep.access_report.markdown_report import render_markdown
from lockstep.access_report.redaction import Redaction
from lockstep.access_report.report import Report, StackReport
from lockstep.access_report.report_reader import read_report
from lockstep.access_report.sentences import Name, sentence
from lockstep.access_report.text_report import render_text
from lockstep.exit_codes import ExitCode
from tests.diff.schemas import compile_schema, load_schema

CORPUS = Path(__file__).parent / "corpus"
CASES = sorted(path.name for path in CORPUS.iterdir())


PROD = Environment(
    name="prod",
    region="eu-west-1",
    account="111122223333",
    cluster="prod",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    deployer_role="arn:aws:iam::111122223333:role/deployer",
)


def fleet_of(folder: Path, side: str) -> FleetAccess:
    """Derive one side of a case of specs."""
    settings = folder / f"{side}.settings.json"
    changes: dict[str, Any] = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    specs = parse_specs((folder / f"{side}.yaml").read_text(encoding="utf-8"), source="apps.yaml")
    return derive_fleet(specs, replace(PROD, **changes))


def report_of(before: FleetDocuments, after: FleetDocuments) -> Report:
    return Report(project="", stacks=(StackReport(stack="prod", difference=diff_fleets(before, after)),))


@cache
def reports(case: str) -> dict[str, Report]:
    """Return the report of a case in both directions: `there` and `back`."""
    folder = CORPUS / case
    if (folder / "before.yaml").exists():
        before, after = (read_derived(fleet_of(folder, side)) for side in ("before", "after"))
        return {"there": report_of(before, after), "back": report_of(after, before)}
    if (folder / "before.json").exists():
        sides = (str(folder / "before.json"), str(folder / "after.json"))
        asked = {"there": sides, "back": sides[::-1]}
        return {way: diff_sides(DiffRequest(base=a, head=b, protected=())) for way, (a, b) in asked.items()}
    return {way: diff_sides(DiffRequest(base=str(folder / f"{way}.json"), protected=())) for way in ("there", "back")}


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


SPEC_CASES = [case for case in CASES if (CORPUS / case / "before.yaml").exists()]


@pytest.mark.parametrize("case", SPEC_CASES)
def test_rendered_specs_make_the_same_rows(case: str) -> None:
    """What `lockstep render` prints leaves nothing out that decides access; it only knows no owner and no line."""
    fleets = [fleet_of(CORPUS / case, side) for side in ("before", "after")]
    rendered = [read_rendered(json.loads(json.dumps(render_fleet(fleet)))) for fleet in fleets]
    for one, other in (
        (report_of(*rendered), reports(case)["there"]),
        (report_of(*rendered[::-1]), reports(case)["back"]),
    ):
        assert [(row.about, row.change, row.parts, row.before, row.after, row.details) for row in one.rows] == [
            (row.about, row.change, row.parts, row.before, row.after, row.details) for row in other.rows
        ]


def test_every_row_that_comes_from_a_spec_names_its_line() -> None:
    """A row of a stack's settings, such as a boundary, is about an app all the same."""
    rows = {(case, row) for case in SPEC_CASES for report in reports(case).values() for row in report.rows}
    assert [(case, row.about, row.spec) for case, row in rows if not re.fullmatch(r"apps\.yaml:\d+", row.spec)] == []


PLAIN = """version: 1
app: shop
namespace: shop
serviceAccount: web
owner: shop
secrets:
  - {name: prod/db, file: db.json, mode: "0400"}
"""
EVERYTHING = """version: 1
app: shop
namespace: shop
serviceAccount: web
owner: shop
assumeRole: {role: arn:aws:iam::444455556666:role/reader}
failoverRegions: [us-west-2]
secrets:
  - {name: prod/db, file: db.json}
sync:
  - {secret: shop-env, data: {KEY: db.json}}
"""
RESTRICTED = """version: 1
app: shop
namespace: shop
serviceAccount: web
owner: shop
secrets:
  - name: prod/db
    file: db.json
    restrict: {breakGlass: [arn:aws:iam::111122223333:role/break-glass]}
"""


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (
            EVERYTHING,
            {
                ("read", "second role's read"): 9,
                ("power", "assume"): 6,
                ("identity", "second role"): 6,
                ("other account", "role trust"): 6,
                ("mount", "assumeRoleArn"): 6,
                ("mount", "failover regions"): 7,
                ("mode", "db.json"): 9,
                ("sync", "shop-env"): 11,
            },
        ),
        (RESTRICTED, {("resource policy", "Deny"): 9, ("mode", "db.json"): 7}),
        (PLAIN.replace("serviceAccount: web", "serviceAccount: job"), {("identity", "service account"): 2}),
    ],
)
def test_a_row_names_the_line_of_what_it_is_about(after: str, expected: dict[tuple[str, str], int]) -> None:
    sides = (read_derived(derive_fleet(parse_specs(text, source="apps.yaml"), PROD)) for text in (PLAIN, after))
    lines: dict[tuple[str, str], int] = {}
    for row in report_of(*sides).rows:
        part = "second role's read" if row.about is About.READ else ""
        for name in filter(None, (part, *row.parts)):
            if row.change is not Change.LOST:
                lines[row.about.value, name] = int(row.spec.removeprefix("apps.yaml:"))
    assert {place: lines.get(place) for place in expected} == expected


#: Of SARIF 2.1.0 what code scanning reads, as its documentation requires it.
SARIF_SHAPE = {
    "type": "object",
    "required": ["$schema", "version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results", "invocations"],
                "properties": {
                    "invocations": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["executionSuccessful", "toolExecutionNotifications"],
                            "properties": {
                                "executionSuccessful": {"const": True},
                                "toolExecutionNotifications": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["level", "message"],
                                        "properties": {
                                            "level": {"const": "note"},
                                            "message": {"required": ["text"], "properties": {"text": {"minLength": 1}}},
                                        },
                                    },
                                },
                            },
                        },
                    },
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "required": ["id", "shortDescription"],
                                            "properties": {
                                                "shortDescription": {"type": "object", "required": ["text"]}
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["ruleId", "level", "message", "locations", "partialFingerprints"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {"required": ["text"], "properties": {"text": {"minLength": 1}}},
                                "locations": {
                                    "minItems": 1,
                                    "items": {
                                        "required": ["physicalLocation"],
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation", "region"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "required": ["uri"],
                                                        "properties": {"uri": {"pattern": "^[^/].*"}},
                                                    },
                                                    "region": {
                                                        "required": ["startLine"],
                                                        "properties": {"startLine": {"type": "integer", "minimum": 1}},
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


_SARIF = compile_schema(SARIF_SHAPE)


@pytest.mark.parametrize("case", CASES)
def test_every_report_follows_the_schemas_for_programs(case: str) -> None:
    for report in reports(case).values():
        load_schema(SCHEMA_FILE).validate(json.loads(render_json(report)))
        sarif = json.loads(render_sarif(report))
        _SARIF.validate(sarif)
        (run,) = sarif["runs"]
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert {result["ruleId"] for result in run["results"]} == set(rules)
        assert len(rules) == len(set(rules))
        questions = [item for stack in report.stacks for item in stack.difference.undecided]
        assert len(run["results"]) == len(report.rows) + len(questions)
        told = " ".join(result["message"]["text"] for result in run["results"])
        assert all(question in told for question in questions)
        (invocation,) = run["invocations"]
        notes = tuple(item["message"]["text"] for item in invocation["toolExecutionNotifications"])
        assert notes == report.notes


@pytest.mark.parametrize("case", CASES)
def test_the_last_line_counts_what_needs_an_approval_as_the_json_does(case: str) -> None:
    for report in reports(case).values():
        document = json.loads(render_json(report))
        rows = [row["approval"] for stack in document["stacks"] for row in (*stack["rows"], *stack["undecidedRows"])]
        count = sum(approval.startswith("needed") for approval in rows)
        told = re.match(r"(\d+) rows? needs? approval \(\d", render_text(report).splitlines()[-1])
        assert int(told[1] if told else 0) == count


@pytest.mark.parametrize("case", CASES)
def test_no_sentence_can_be_taken_out_by_a_value_that_repeats_our_words(case: str) -> None:
    """The runs of our own words in every sentence, as values: whatever is redacted then, the sentences stay."""
    for report in reports(case).values():
        ours = {
            " ".join(words)
            for row in report.rows
            for is_name, words in groupby(sentence(row), key=lambda word: isinstance(word, Name))
            if not is_name
        }
        hostile = replace(report, redaction=Redaction({*ours, "decrypt", "permissions boundary", *map(str, Change)}))
        for row in report.rows:
            told = tuple(word for word in hostile.shown(row).sentence if not isinstance(word, Name))
            assert told == tuple(word for word in sentence(row) if not isinstance(word, Name))
            assert hostile.judgement(row) == report.judgement(row)
            if row.about in {About.POWER, About.IDENTITY}:
                assert hostile.shown(row).facts.parts[0] == row.parts[0]
        read = read_report(render_json(hostile)).report
        assert [row.identity for row in read.rows] == [hostile.identity(row) for row in hostile.rows]
        assert [read.judgement(row) for row in read.rows] == [hostile.judgement(row) for row in hostile.rows]


def test_the_corpus_has_a_report_with_notes() -> None:
    assert any(report.notes for case in CASES for report in reports(case).values())


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
