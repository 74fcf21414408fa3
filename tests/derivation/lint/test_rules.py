"""Every rule finds its bad example and nothing else there, and leaves its good example alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.derivation import Environment, derive_fleet, parse_specs
from components.derivation.lint import RULES, DerivedStack, Example, Given, Material, Rule, lint, read_material
from components.derivation.lint.object_rules import VERDICTS
from components.derivation.lint.part import read_documents
from provider_runtime.errors import ErrorCode

ENVIRONMENT = Environment(
    name="prod",
    region="eu-west-1",
    account="111122223333",
    cluster="prod",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
)
EACH_RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def material_of(example: Example) -> Material:
    texts = [
        (Given.MANIFEST, "manifests.yaml", example.manifests),
        (Given.POLICY, "policy.json", example.policy),
        (Given.TRUST, "trust.json", example.trust),
    ]
    material = read_material(item for item in texts if item[2])
    if not example.spec:
        return material
    specs = parse_specs(example.spec, "app.yaml")
    stack = DerivedStack(environment=ENVIRONMENT, specs=specs, apps=derive_fleet(specs, ENVIRONMENT).apps)
    return material.with_specs(
        specs, (stack,), environments=frozenset({"prod"}), roots=read_documents(example.spec, "app.yaml")
    )


@EACH_RULE
def test_the_bad_example_has_exactly_this_finding(rule: Rule) -> None:
    findings = lint(material_of(rule.bad))
    assert [finding.code for finding in findings] == [rule.code], "\n".join(map(str, findings))


@EACH_RULE
def test_the_good_example_has_no_finding(rule: Rule) -> None:
    findings = [finding for finding in lint(material_of(rule.good)) if not finding.reason]
    assert findings == [], "\n".join(map(str, findings))


@EACH_RULE
def test_without_the_rule_its_bad_example_passes(rule: Rule) -> None:
    """So a rule that is removed, or whose check finds nothing any more, is missed by the test above."""
    others = [other for other in RULES if other.code != rule.code]
    assert lint(material_of(rule.bad), others) == ()


def test_a_secret_is_shared_by_name_and_by_arn_and_another_one_is_not() -> None:
    def app(name: str, secret: str) -> str:
        return f"version: 1\napp: {name}\nnamespace: {name}\nowner: {name}\nsecrets: [{{name: '{secret}', file: x}}]\n"

    arn = f"arn:aws:secretsmanager:{ENVIRONMENT.region}:{ENVIRONMENT.account}:secret:prod/x-"
    rules = [rule for rule in RULES if rule.code == "LS802"]

    def readers(*secrets: str) -> list[str]:
        texts = (app(f"app-{number}", secret) for number, secret in enumerate(secrets))
        return [finding.what for finding in lint(material_of(Example(spec="---\n".join(texts))), rules)]

    assert readers("prod/x", f"{arn}Ab12Cd") == [
        "'prod/x' is read by app-1 too, and owners are named: app-0, app-1",
        f"'{arn}Ab12Cd' is read by app-0 too, and owners are named: app-0, app-1",
    ]
    assert readers(f"{arn}Zz12Cd", f"{arn}Ab12Cd") == []
    assert readers("prod/x-y", f"{arn}Ab12Cd") == []


def test_a_name_in_a_failover_region_is_a_name_too() -> None:
    text = (
        "version: 1\napp: shop\nnamespace: shop\nfailoverRegions: [us-west-2]\nsecrets:\n"
        "  - name: prod/db\n    failover:\n      us-west-2: {name: prod/db-config}\n"
    )
    (finding,) = lint(material_of(Example(spec=text)), [rule for rule in RULES if rule.code == "LS801"])
    assert (finding.spot.line, "'prod/db-config'" in finding.what) == (8, True)


def test_codes_and_severities_are_stable(project: Path, *, rewrite_golden: bool) -> None:
    listed = "".join(f"{rule.code} {rule.severity} {rule.title}\n" for rule in RULES)
    golden = project / "tests/golden/lint/rules.txt"
    if rewrite_golden:
        golden.write_text(listed)
    assert golden.read_text() == listed


def test_codes_are_unique_and_every_rule_has_its_words() -> None:
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes))
    for rule in RULES:
        assert re.fullmatch("LS[0-9]{3}", rule.code)
        assert len(rule.why) > 40, rule.code
        assert not rule.title.endswith("."), rule.code
        assert rule.fix, rule.code
        assert rule.bad != rule.good, rule.code


def test_every_refusal_of_the_codec_belongs_to_one_rule() -> None:
    """A code that the provider gains and no rule claims would be a class that lints clean and never mounts."""
    claimed = [code for codes in VERDICTS.values() for code in codes]
    assert len(claimed) == len(set(claimed))
    wanted = {code for code in ErrorCode if code.value.startswith("LSP2")} | {ErrorCode.JMES_PATH_INVALID}
    assert set(claimed) == wanted
