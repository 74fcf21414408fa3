"""Conditions and resources that look narrow and are not: each is found, however its author spelled it.

The exact way to write the same has no finding, so that no rule simply dislikes the operator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from components.derivation.lint import Given, lint, read_material
from components.derivation.lint.examples import (
    CLUSTER,
    FROM_CLUSTER,
    ISSUER,
    PROVIDER,
    SECRET,
    SUBJECT,
    decrypt,
    irsa,
    parameters_policy,
    pod_identity,
    policy,
    secrets_policy,
    trust,
)

_VIA, _CONTEXT = "kms:ViaService", "kms:EncryptionContext:SecretARN"
_SERVICE = "secretsmanager.eu-west-1.amazonaws.com"
_AUDIENCE = {f"{ISSUER}:aud": "sts.amazonaws.com"}

Conditions = Mapping[str, Mapping[str, str | Sequence[str]]]


def codes(given: Given, text: str) -> list[str]:
    return [finding.code for finding in lint(read_material([(given, "file.json", text)]))]


def subject(operator: str, *values: str) -> Conditions:
    """Return conditions whose subject is tested by one operator; the audience is exact."""
    exact: dict[str, str | Sequence[str]] = {**_AUDIENCE}
    tested: dict[str, str | Sequence[str]] = {f"{ISSUER}:sub": list(values)}
    return {"StringEquals": exact | tested} if operator == "StringEquals" else {"StringEquals": exact, operator: tested}


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (subject("StringNotEquals", "system:serviceaccount:a:b"), "LS401"),
        (subject("stringnotlike", "system:serviceaccount:a:*"), "LS401"),
        (subject("Null", "false"), "LS401"),
        (subject("stringlike", "system:serviceaccount:*:*"), "LS403"),
        (subject("STRINGLIKE", "system:serviceaccount:shop:*"), "LS403"),
        (subject("ForAnyValue:StringLike", "system:serviceaccount:shop:*"), "LS403"),
        (subject("StringLike", SUBJECT, "*"), "LS403"),
        (subject("stringequalsifexists", SUBJECT), "LS412"),
        (subject("forallvalues:StringEquals", SUBJECT), "LS412"),
        ({"StringEquals": {f"{ISSUER}:sub": SUBJECT}, "StringNotEquals": {f"{ISSUER}:aud": "x"}}, "LS402"),
    ],
)
def test_a_subject_that_names_nobody_is_found(conditions: Conditions, code: str) -> None:
    assert code in codes(Given.TRUST, trust(conditions))


@pytest.mark.parametrize("kind", ["Federated", "AWS", "Service"])
def test_a_principal_that_is_everybody_is_found(kind: str) -> None:
    assert "LS404" in codes(Given.TRUST, trust(irsa(), {kind: ["*"]}))
    assert "LS404" not in codes(Given.TRUST, trust(irsa(), {"Federated": [PROVIDER]}))


@pytest.mark.parametrize(
    "conditions",
    [
        {"StringEquals": {"aws:SourceAccount": "111122223333"}},
        {"StringEquals": {"aws:SourceOrgID": "o-example"}},
        {"ArnLike": {"aws:SourceArn": "*"}},
        {"ArnEquals": {"aws:SourceArn": "arn:aws:eks:*:*:cluster/*"}},
        {"StringLike": {"AWS:SOURCEARN": [CLUSTER, CLUSTER + "*"]}},
        {"StringNotEquals": {"aws:SourceArn": CLUSTER}},
        {"ArnEquals": {"aws:SourceArn": "arn:aws:iam::111122223333:role/x"}},
    ],
    ids=json.dumps,
)
def test_a_trust_of_pod_identity_that_names_no_cluster_is_found(conditions: Conditions) -> None:
    assert codes(Given.TRUST, pod_identity(conditions)) == ["LS405"]


@pytest.mark.parametrize(
    "conditions",
    [
        FROM_CLUSTER,
        {"ArnLike": {"aws:SourceArn": [CLUSTER]}},
        {"StringLike": {"aws:sourcearn": CLUSTER, "aws:SourceAccount": "*"}},
        {"StringEquals": {"aws:RequestTag/eks-cluster-arn": CLUSTER}},
    ],
    ids=json.dumps,
)
def test_a_trust_of_pod_identity_that_names_its_cluster_is_fine(conditions: Conditions) -> None:
    assert codes(Given.TRUST, pod_identity(conditions)) == []


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"StringLike": {_VIA: "*", _CONTEXT: "*"}}, ["LS301", "LS302"]),
        ({"StringLike": {_VIA: "*.eu-west-1.amazonaws.com", _CONTEXT: SECRET}}, ["LS301"]),
        ({"StringEqualsIfExists": {_VIA: _SERVICE}, "StringLike": {_CONTEXT: SECRET}}, ["LS301"]),
        ({"StringEquals": {_VIA: _SERVICE}, "StringNotEquals": {_CONTEXT: SECRET[:-7]}}, ["LS302"]),
        ({"StringEquals": {_VIA: _SERVICE}, "Null": {_CONTEXT: "false"}}, ["LS302"]),
        ({"StringEquals": {_VIA: _SERVICE}, "ForAllValues:StringLike": {_CONTEXT: SECRET}}, ["LS302"]),
        ({"StringEquals": {_VIA: _SERVICE}, "stringlike": {_CONTEXT: [SECRET, "*"]}}, ["LS302"]),
        (
            {
                "StringEquals": {_VIA: _SERVICE},
                "ArnLike": {_CONTEXT: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:*"},
            },
            ["LS302"],
        ),
        ({"stringequals": {_VIA: _SERVICE}, "ArnLike": {_CONTEXT: SECRET}}, []),
        ({"StringEquals": {_VIA: _SERVICE}, "StringLike": {_CONTEXT: SECRET, "kms:EncryptionContext:x": "*"}}, []),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, Mapping) else None,
)
def test_a_decrypt_whose_conditions_bind_nothing_is_found(conditions: Conditions, expected: list[str]) -> None:
    assert codes(Given.POLICY, policy(decrypt(conditions))) == expected


@pytest.mark.parametrize(
    ("text", "open_parts"),
    [
        (secrets_policy("arn:*:secretsmanager:*:*:secret:x-??????"), "partition and region and account"),
        (secrets_policy("arn:aws:secretsmanager:eu-*:111122223333:secret:x-??????"), "region"),
        (parameters_policy("arn:aws:ssm:*:*:parameter/x"), "region and account"),
    ],
)
def test_a_resource_that_leaves_its_place_open_is_found(text: str, open_parts: str) -> None:
    (finding,) = lint(read_material([(Given.POLICY, "file.json", text)]))
    assert finding.code == "LS118"
    assert finding.what.endswith(f"leaves {open_parts} open")
