"""Laws of the linter: what we derive is clean, nobody's file makes it fall, and its lists are AWS's."""

from __future__ import annotations

import botocore.session
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.derivation import Environment, SpecErrors, derive, parse_specs, render_files
from components.derivation.lint import RULES, Given, lint, read_material
from components.derivation.lint.policy_rules import KNOWN_ACTIONS
from tests.derivation.random_specs import SpecText, spec_texts

ENVIRONMENT = Environment(
    name="dev",
    region="eu-west-1",
    account="111122223333",
    cluster="dev",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
)
LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: What a spec may ask for, and the linter says it again of what follows: settings of a class, a long policy, a path.
ASKED_FOR = {"LS525", "LS526", "LS122", "LS204"}


@given(spec_texts(plain=True))
@LAW
def test_what_is_derived_has_no_finding(spec: SpecText) -> None:
    """Without a second role: the permissions of that role are not among the files that are linted here."""
    (app,) = parse_specs(spec.text)
    files = render_files([derive(app, ENVIRONMENT)])
    texts = []
    for name, text in files.items():
        kind = Given.POLICY if "policy-" in name else Given.TRUST if name.endswith("trust.json") else Given.MANIFEST
        if not name.endswith(("pod-volume.yaml", "association.json")):
            texts.append((kind, name, text))
        elif name.endswith("pod-volume.yaml"):
            texts.append((kind, name, _pod(text, app.base.namespace, app.base.service_account)))
    findings = [finding for finding in lint(read_material(texts)) if finding.code not in ASKED_FOR]
    assert findings == [], "\n".join(map(str, findings))


def _pod(snippet: str, namespace: str, service_account: str) -> str:
    parts = yaml.safe_load(snippet)
    container = {"name": "app", "image": "app", "volumeMounts": parts["volumeMounts"]}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {"serviceAccountName": service_account, "containers": [container], "volumes": parts["volumes"]},
        }
    )


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["*", "aws", "|"]))
#: Words that the linter looks for, at places where nobody expects them.
KEYS = st.sampled_from(
    [
        "kind",
        "metadata",
        "spec",
        "parameters",
        "objects",
        "objectName",
        "jmesPath",
        "Statement",
        "Action",
        "Resource",
        "Condition",
        "Principal",
        "Effect",
        "volumes",
        "csi",
        "secretObjects",
        "tokenRequests",
        "Role",
    ]
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)
KINDS = st.sampled_from(["SecretProviderClass", "Pod", "CronJob", "ServiceAccount", "CSIDriver", "List", ""])


@given(TREES, KINDS, st.sampled_from(Given), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_document_of_the_wrong_shape_makes_it_fall(tree: object, kind: str, given: Given, nested: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    document: dict[str, object] = {"kind": kind, "spec": tree, "Statement": tree, "items": [tree]}
    if nested and isinstance(tree, dict):
        document["spec"] = {"provider": "aws", "parameters": {"objects": yaml.safe_dump(tree), **tree}}
    lint(read_material([(given, "file", yaml.safe_dump(document))]))


@given(st.text(alphabet="{}[]:-|>&*!'\"\n\t #,ab\u00e4\U0001f600", max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_raises_anything_but_its_own_error(text: str) -> None:
    try:
        lint(read_material([(Given.MANIFEST, "file", text)]))
    except SpecErrors as errors:
        assert {problem.code for problem in errors.problems} == {"SPEC001"}  # noqa: PT017 - either outcome is fine


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x]\n"
        + "".join(
            f"{c}: &{c} [*{p}, *{p}]\n"
            for p, c in zip("a" + "bcdefghijklmnopqrstuvwx", "bcdefghijklmnopqrstuvwxy", strict=False)
        ),
        "a: &a [*a]",
    ],
)
def test_aliases_cannot_stand_for_gigabytes(bomb: str) -> None:
    with pytest.raises(SpecErrors, match="SPEC001"):
        read_material([(Given.MANIFEST, "file", bomb)])


def test_the_listed_actions_are_aws_s() -> None:
    session = botocore.session.get_session()
    secrets = set(session.get_service_model("secretsmanager").operation_names)
    assert set(KNOWN_ACTIONS["secretsmanager"]) == secrets
    parameters = {name for name in session.get_service_model("ssm").operation_names if "Parameter" in name}
    assert set(KNOWN_ACTIONS["ssm"]) == parameters - {"GetResourcePolicies"}


def test_findings_come_in_the_order_of_the_file() -> None:
    for rule in RULES:
        text = rule.bad.manifests
        if text:
            findings = lint(read_material([(Given.MANIFEST, "a.yaml", text + "---\n" + text)]))
            assert list(findings) == sorted(findings)
