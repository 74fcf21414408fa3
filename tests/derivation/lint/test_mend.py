"""Laws of `--fix`: what can be mended is gone afterwards, a second run changes nothing, and nothing else moves."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation.lint import RULES, Given, Material, Rule, mend, read_material
from components.derivation.lint.examples import DB, policy, secrets_policy, spc, statement

MENDING = [rule for rule in RULES if rule.mends and rule.bad.manifests + rule.bad.policy + rule.bad.trust]
EACH_MENDING_RULE = pytest.mark.parametrize("rule", MENDING, ids=lambda rule: rule.code)


def read(texts: Mapping[str, str]) -> Material:
    kinds = {"manifests": Given.MANIFEST, "policy": Given.POLICY, "trust": Given.TRUST}
    return read_material((kinds[name.split(".")[0]], name, text) for name, text in texts.items())


def texts_of(rule: Rule) -> dict[str, str]:
    bad = rule.bad
    texts = {"manifests.yaml": bad.manifests, "policy.json": bad.policy, "trust.json": bad.trust}
    return {name: text for name, text in texts.items() if text}


@EACH_MENDING_RULE
def test_what_a_rule_mends_is_gone_and_stays_gone(rule: Rule) -> None:
    texts = texts_of(rule)
    mended = mend(texts, read)
    assert [finding.code for finding in mended.mended] == [rule.code]
    assert mended.findings == ()
    again = mend({**texts, **mended.texts}, read)
    assert again.texts == {}
    assert again.mended == ()


@EACH_MENDING_RULE
def test_a_rule_that_promises_to_mend_says_so(rule: Rule) -> None:
    assert mend(texts_of(rule), read).texts


def test_rules_that_do_not_promise_it_mend_nothing() -> None:
    for rule in RULES:
        if not rule.mends and not rule.bad.spec:
            assert mend(texts_of(rule), read).texts == {}, rule.code


@given(st.lists(st.sampled_from([rule for rule in MENDING if rule.bad.manifests]), min_size=1, max_size=4, unique=True))
@settings(max_examples=30, deadline=None)
def test_comments_and_other_lines_stay_as_they_are(rules: list[Rule]) -> None:
    documents = [f"# before {rule.code}\n{rule.bad.manifests}# behind {rule.code}\n" for rule in rules]
    text = "---\n".join(documents)
    mended = mend({"manifests.yaml": text}, read).texts["manifests.yaml"]
    old, new = text.splitlines(), mended.splitlines()
    assert [line for line in new if line.startswith("#")] == [line for line in old if line.startswith("#")]
    assert len([line for line in old if line not in new]) <= 2 * len(rules)
    assert mend({"manifests.yaml": mended}, read).texts == {}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_class_printed_by_kubectl_is_mended_inside_its_json_text(newline: str) -> None:
    manifest = yaml.safe_load(spc("- objectName: /prod/ünï\n  objectType: ssm\n  objectAlias: flags\n"))
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [manifest]}, indent=4, ensure_ascii=False)
    text = text.replace("\n", newline)
    (mended,) = mend({"manifests.json": text}, read).texts.values()
    objects = json.loads(mended)["items"][0]["spec"]["parameters"]["objects"]
    assert objects == manifest["spec"]["parameters"]["objects"].replace("ssm\n", "ssmparameter\n")
    assert mended.replace(json.dumps(objects, ensure_ascii=False), "") == text.replace(
        json.dumps(manifest["spec"]["parameters"]["objects"], ensure_ascii=False), ""
    )


def test_windows_line_ends_stay() -> None:
    text = spc("- objectName: /prod/x\n  objectType: ssm # why\n  objectAlias: x\n", version="v1alpha1")
    (mended,) = mend({"manifests.yaml": text.replace("\n", "\r\n")}, read).texts.values()
    good = text.replace("v1alpha1", "v1").replace("objectType: ssm #", "objectType: ssmparameter #")
    assert mended == good.replace("\n", "\r\n")


def test_a_policy_indented_by_tabs_keeps_them() -> None:
    resource = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db"
    text = json.dumps(json.loads(policy(statement("secretsmanager:GetSecretValue", resource))), indent="\t")
    (mended,) = mend({"policy.json": text}, read).texts.values()
    assert mended == text.replace("prod/db", "prod/db-??????")


def test_quotes_stay_as_they_were() -> None:
    text = spc("- objectName: '/prod/x'\n  objectType: 'ssm'\n  objectAlias: x\n")
    (mended,) = mend({"manifests.yaml": text}, read).texts.values()
    assert "  objectType: 'ssmparameter'\n" in mended


def test_several_mistakes_of_one_file_are_mended_at_once() -> None:
    objects = (
        "- objectName: /prod/x\n  objectType: ssm\n  objectAlias: x\n  filePermission: 0600\n"
        + DB.replace("objectType", "objectAlais: db\n  objectType")
        + "  objectVersionStage: AWSPREVIOUS\n"
    )
    mended = mend({"manifests.yaml": spc(objects, version="v1alpha1")}, read)
    assert mended.findings == ()
    assert {finding.code for finding in mended.mended} == {"LS501", "LS513", "LS516", "LS521", "LS522"}


def test_what_is_not_mechanical_is_left_for_people() -> None:
    text = secrets_policy("*")
    mended = mend({"policy.json": text}, read)
    assert mended.texts == {}
    assert [finding.code for finding in mended.findings] == ["LS104"]
