"""Reads by path: granted as asked for and no wider, and shown as wide wherever somebody looks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from components.derivation import AppAccess, FleetAccess, SpecErrors, derive, derive_fleet, parse_specs
from components.derivation.answers import Answers, ObjectId, diagnose
from components.derivation.diff import diff_fleets, read_derived
from components.derivation.importer import NoteKind, import_apps
from components.derivation.lint import DerivedStack, Finding, Given, Material, lint, read_material
from components.derivation.spec import Store
from tests.derivation.test_derive import ENVIRONMENT

KEY = "arn:aws:kms:eu-west-1:111122223333:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50"
HEAD = "version: 1\napp: shop\nnamespace: shop\nowner: shop-team\n"
FLAGS = "parameters: [{name: /prod/flags}]\n"
PATH = "parameterPaths:\n  - path: /prod/tree\n    reason: the flag library reads the tree\n"
KEYED = f"{PATH}    kmsKey: {KEY}\n"
TREE = "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/tree"


def access_of(text: str) -> AppAccess:
    (spec,) = parse_specs(text, "app.yaml")
    return derive(spec, ENVIRONMENT)


def fleet_of(text: str) -> FleetAccess:
    return derive_fleet(parse_specs(text, "app.yaml"), ENVIRONMENT)


def parameter(name: str, account: str = "111122223333") -> ObjectId:
    return ObjectId(store=Store.PARAMETER_STORE, account=account, region="eu-west-1", name=name)


def findings_of(text: str) -> tuple[Finding, ...]:
    specs = parse_specs(text, "app.yaml")
    stack = DerivedStack(environment=ENVIRONMENT, specs=specs, apps=derive_fleet(specs, ENVIRONMENT).apps)
    return lint(Material().with_specs(specs, (stack,), environments=frozenset({"dev"})))


def test_both_spellings_of_a_path_are_granted_and_its_key_for_what_lies_below() -> None:
    statements = {item.sid: item.to_dict() for item in access_of(HEAD + FLAGS + KEYED).policies[0].document.statements}
    assert list(statements) == ["ReadParameters", "ReadParameterPaths", "DecryptParameters1"]
    assert statements["ReadParameterPaths"]["Action"] == ["ssm:GetParametersByPath"]
    assert statements["ReadParameterPaths"]["Resource"] == [TREE, f"{TREE}/"]
    assert statements["DecryptParameters1"]["Condition"] == {
        "StringEquals": {"kms:ViaService": "ssm.eu-west-1.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{TREE}/*"},
    }


def test_a_path_is_read_in_the_region_of_the_cluster_only() -> None:
    access = access_of(f"{HEAD}failoverRegions: [us-west-2]\n{FLAGS}{PATH}")
    assert {grant.region for grant in access.grants if grant.is_path} == {"eu-west-1"}
    assert {grant.region for grant in access.grants if not grant.is_path} == {"eu-west-1", "us-west-2"}


def test_nothing_of_a_path_is_mounted_and_an_app_may_read_by_path_alone() -> None:
    assert access_of(HEAD + FLAGS + PATH).mounts == access_of(HEAD + FLAGS).mounts
    alone = access_of(HEAD + PATH)
    assert alone.mounts == ()
    assert [grant.source for grant in alone.grants] == ["/prod/tree"]
    assert [answer.item.shown for answer in Answers(fleet_of(HEAD + PATH)).what_reads("shop")] == ["/prod/tree/*"]


def test_an_overlay_adds_a_path_and_changes_the_one_that_it_names() -> None:
    paths = f"[{{path: /prod/tree, reason: again, kmsKey: '{KEY}'}}, {{path: /x, reason: y}}]"
    access = access_of(f"{HEAD}{PATH}environments: {{dev: {{parameterPaths: {paths}}}}}\n")
    assert {grant.source: grant.key for grant in access.grants} == {"/prod/tree": KEY, "/x": ""}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("prod/tree/a", True),
        ("prod/tree/a/b/c", True),
        ("prod/tree", False),
        ("prod/treehouse/a", False),
        ("prod/a", False),
    ],
)
def test_whoever_reads_by_path_reads_what_lies_below_it(name: str, *, allowed: bool) -> None:
    answers = Answers(fleet_of(HEAD + FLAGS + KEYED))
    answer = answers.can_read("shop", parameter(name))
    assert answer.is_allowed == allowed
    assert bool(answers.who_reads(parameter(name))) == allowed
    if allowed:
        (region,) = answer.regions
        assert [check.action for check in region.checks] == ["ssm:GetParametersByPath", "kms:Decrypt"]
        assert [str(spot) for spot in answer.spots] == ["app.yaml:7:11 parameterPaths[0].path"]
        assert answer.files == ()
    assert not answers.can_read("shop", parameter(name, account="999999999999")).is_allowed


def test_a_mount_of_what_is_read_by_path_only_lacks_its_name_and_its_grant() -> None:
    answers = Answers(fleet_of(HEAD + FLAGS + PATH))
    assert answers.can_read("shop", parameter("prod/tree/a"), as_mount=True).is_denied
    (diagnosis,) = diagnose(answers, "shop", name="/prod/tree/a")
    missing = {finding.aspect.value: finding for finding in diagnosis.findings if finding.state.value == "missing"}
    assert set(missing) == {"name", "grant"}
    assert "by its path /prod/tree/* only" in missing["name"].text
    assert missing["name"].fix == "list it under 'parameters:' of shop"


def test_a_mount_beside_paths_still_holds_something() -> None:
    with pytest.raises(SpecErrors) as caught:
        parse_specs(f"{HEAD}{PATH}mounts: {{tls: /etc/tls}}\n", "app.yaml")
    assert "the mount 'tls' holds nothing" in str(caught.value)


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200b", "\x9b"])
def test_a_reason_shows_all_that_it_says(hidden: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        parse_specs(f"{HEAD}parameterPaths: [{{path: /x, reason: {json.dumps(f'a{hidden}b')}}}]\n", "app.yaml")
    assert "without invisible characters" in str(caught.value)


def test_a_parameter_that_is_named_as_well_is_read_by_its_name() -> None:
    answers = Answers(fleet_of(HEAD + "parameters: [{name: /prod/tree/a}]\n" + PATH))
    (region,) = answers.can_read("shop", parameter("prod/tree/a")).regions
    assert [check.action for check in region.checks] == ["ssm:GetParameters"]


def test_the_linter_always_shows_a_path_and_the_reason_that_was_given() -> None:
    (finding,) = findings_of(HEAD + FLAGS + PATH)
    assert (finding.code, finding.severity.value, finding.reason) == ("LS810", "warning", "")
    assert "'/prod/tree'" in finding.what
    assert "the flag library reads the tree" in finding.what
    accepted = PATH + "    suppress: [{rule: LS810, reason: agreed with the owner}]\n"
    (finding,) = findings_of(HEAD + FLAGS + accepted)
    assert (finding.code, finding.reason) == ("LS810", "agreed with the owner")
    assert [item.code for item in findings_of(HEAD + FLAGS + accepted.replace("LS810", "LS807"))] == ["LS810", "LS812"]


def test_a_diff_calls_a_new_path_a_wildcard_and_names_line_owner_and_key() -> None:
    before, after = (read_derived(fleet_of(HEAD + FLAGS + text)) for text in ("", KEYED))
    (row,) = diff_fleets(before, after).rows
    assert row.parts == ("arn:aws:ssm::111122223333:parameter/prod/tree/*",)
    assert [str(risk) for risk in row.risks] == ["wildcard"]
    assert row.broadens
    assert (row.spec, row.secret_owner) == ("app.yaml:7", "shop-team")
    assert any(KEY in text for text in row.after)
    (lost,) = diff_fleets(after, before).rows
    assert lost.change.value == "lost"


def test_another_accounts_key_of_a_path_must_admit_everything_below_it() -> None:
    foreign = KEYED.replace("111122223333:key", "444455556666:key")
    (account,) = fleet_of(HEAD + FLAGS + foreign).foreign_accounts
    (item,) = account.statements
    (statement,) = item.document.statements
    contexts = {test.key: test.values for test in statement.conditions}
    assert contexts["kms:EncryptionContext:PARAMETER_ARN"] == (f"{TREE}/*",)


def test_an_import_keeps_paths_and_says_what_it_cannot_keep() -> None:
    access = access_of(HEAD + FLAGS + KEYED)
    policy = access.policies[0].document
    wild = replace(policy.statements[1], resources=(f"{TREE}/?", TREE.replace("eu-west-1", "us-west-2"), TREE))
    texts = [
        (Given.MANIFEST, "class.json", json.dumps(access.mounts[0].secret_provider_class)),
        (Given.POLICY, "policy.json", replace(policy, statements=(policy.statements[0], wild)).to_json()),
    ]
    result = import_apps(read_material(texts))
    (app,) = result.apps
    paths = app.spec["parameterPaths"]
    assert isinstance(paths, list)
    assert [entry["path"] for entry in paths] == ["/prod/tree"]
    lost = [note.what for note in result.notes if note.kind is NoteKind.LOST and "ByPath" in note.what]
    assert len(lost) == 2
    assert "without wildcards" in lost[0] + lost[1]
    assert "in the region of the stack only" in lost[0] + lost[1]
