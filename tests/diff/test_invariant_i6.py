"""I6: a diff of equal access is empty, an empty diff means equal access, and its order never changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation.diff import About, Difference, FleetDocuments, diff_fleets
from components.derivation.diff.app_facts import read_app
from components.derivation.diff.compare import _set_change
from components.derivation.diff.other_accounts import read_other_account
from components.derivation.diff.rows import Change
from tests.diff.documents import allow, app, fleet, fleets, policy, reformatted, reformatted_other, secret

LEAN = settings(max_examples=25, deadline=None)


@given(fleets())
@LEAN
def test_i6_a_fleet_does_not_differ_from_itself(documents: FleetDocuments) -> None:
    assert diff_fleets(documents, documents).rows == ()


@given(fleets(), fleets())
@LEAN
def test_i6_there_is_no_row_exactly_when_access_is_equal(one: FleetDocuments, other: FleetDocuments) -> None:
    facts = [{name: read_app(item).facts for name, item in side.apps.items()} for side in (one, other)]
    others = [
        {place: read_other_account(item) for place, item in (side.other_accounts or {}).items()}
        for side in (one, other)
    ]
    differ = facts[0] != facts[1] or others[0] != others[1]
    assert bool(diff_fleets(one, other).rows) is differ


@given(fleets(), fleets())
@LEAN
def test_i6_the_way_back_is_the_mirror(one: FleetDocuments, other: FleetDocuments) -> None:
    there, back = diff_fleets(one, other).rows, diff_fleets(other, one).rows
    swapped = Counter((row.app, row.about, row.parts, row.change.mirror, row.after, row.before) for row in back)
    assert swapped == Counter((row.app, row.about, row.parts, row.change, row.before, row.after) for row in there)


def test_a_read_between_a_wider_and_a_narrower_one_is_merged_alike_in_both_directions() -> None:
    """An example of the law above: the one in the middle goes with the one that it holds whole, conditions and all."""
    tests = ({"Bool": {"aws:SecureTransport": "true"}}, None, {"StringEquals": {"aws:SourceVpc": "vpc-1"}})
    wide, middle, narrow = (
        allow("secretsmanager:GetSecretValue", secret(name), condition=test)
        for name, test in zip(("*", "db-??????", "db-AbC123"), tests, strict=True)
    )
    sides = (fleet(app(wide, narrow)), fleet(app(middle)))
    there, back = (
        sorted(row.change for row in diff_fleets(*pair).rows if row.about is About.READ)
        for pair in (sides, sides[::-1])
    )
    assert (there, back) == ([Change.LOST, Change.WIDENED], [Change.GAINED, Change.NARROWED])


@given(st.data())
@LEAN
def test_another_layout_of_the_same_access_is_no_effective_change(data: st.DataObject) -> None:
    documents = data.draw(fleets())
    others = [data.draw(reformatted_other(item)) for item in (documents.other_accounts or {}).values()]
    other = fleet(*(data.draw(reformatted(item)) for item in documents.apps.values()), other_accounts=others)
    difference = diff_fleets(documents, other)
    assert difference.rows == ()
    assert set(difference.reformatted) == set(documents.apps), "that the text differs is said"


@given(fleets(), fleets())
@LEAN
def test_the_order_of_rows_does_not_depend_on_the_order_of_apps(one: FleetDocuments, other: FleetDocuments) -> None:
    others = (other.other_accounts or {}).values()
    backwards = fleet(*reversed(list(other.apps.values())), other_accounts=reversed(list(others)))
    assert diff_fleets(one, other) == diff_fleets(one, backwards)


@given(fleets(), fleets())
@LEAN
def test_every_row_has_an_identity_of_its_own(one: FleetDocuments, other: FleetDocuments) -> None:
    rows = diff_fleets(one, other).rows
    assert len({row.identity for row in rows}) == len(rows)


_PROGRAM = """
import json, sys
from components.derivation.diff import diff_fleets, read_rendered
before, after = (read_rendered(json.load(open(path))) for path in sys.argv[1:])
for row in diff_fleets(before, after).rows:
    print(row)
"""


def test_the_rows_are_the_same_to_the_byte_under_two_hash_seeds(tmp_path: Path, project: Path) -> None:
    golden = {"apps": {"shop": _rendered("db", "smtp", "x")}, "environment": "prod", "foreignAccounts": _partner("a")}
    changed = {
        "apps": {"shop": _rendered("smtp", "y", "z"), "new": _rendered("db")},
        "environment": "prod",
        "foreignAccounts": _partner("b", "c", "d"),
    }
    for name, document in (("a.json", golden), ("b.json", changed)):
        (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    texts = [
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", _PROGRAM, str(tmp_path / "a.json"), str(tmp_path / "b.json")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(project)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1]
    assert texts[0].count("Row(") >= 9


def _rendered(*names: str) -> dict[str, object]:
    statements = [
        {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": [secret(f"{name}-??????")]}
        for name in names
    ]
    return {"roleArn": "arn:aws:iam::111122223333:role/shop", "policies": [policy(*statements)]}


def _partner(*roles: str) -> dict[str, object]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": [f"arn:aws:iam::111122223333:role/{role}" for role in roles]}},
    }
    key = "arn:aws:kms:eu-west-1:444455556666:key/11111111-aaaa-4bbb-8ccc-222222222222"
    return {"444455556666": [{"kind": "key policy", "resource": key, "apps": ["shop"], "statements": [statement]}]}


def test_an_empty_difference_says_so() -> None:
    assert Difference(environment="prod").is_empty
    assert not diff_fleets(fleet(), fleet(app())).is_empty


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({"eu"}, {"*"}, Change.WIDENED),
        ({"eu"}, {"eu", "us"}, Change.WIDENED),
        ({"*"}, {"*", "eu"}, Change.CHANGED),
        ({"eu"}, {"us"}, Change.CHANGED),
        ({"us"}, {"*", "eu"}, Change.WIDENED),
    ],
)
def test_regions_widen_one_way_and_narrow_the_other(before: set[str], after: set[str], change: Change) -> None:
    assert _set_change(before, after) is change
    assert _set_change(after, before) is change.mirror
