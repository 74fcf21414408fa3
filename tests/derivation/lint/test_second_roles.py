"""Grants beside mounts where a second role reads: only what that role may read counts."""

from __future__ import annotations

import json

import pytest

from components.derivation.lint import Given, lint, read_material
from components.derivation.lint.examples import SECRET, policy, spc, statement

FIRST, SECOND = "shop-own", "readers"
ARN = f"arn:aws:iam::999988887777:role/team/{SECOND}"
CLASS = spc(
    parameters=f"    region: eu-west-1\n    assumeRoleArn: {ARN}\n    roleArn: arn:aws:iam::111122223333:role/{FIRST}\n"
)
READS = statement("secretsmanager:GetSecretValue", SECRET)
ASSUMES = statement("sts:AssumeRole", ARN)
RULES = ("LS701", "LS702")


def of_role(name: str, *statements: object) -> dict[str, object]:
    """Return a policy as `aws iam get-role-policy` prints it."""
    return {"RoleName": name, "PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}


def codes(*policies: object, manifests: str = CLASS) -> list[str]:
    texts = [(Given.MANIFEST, "class.yaml", manifests)]
    texts += [
        (Given.POLICY, f"{number}.json", item if isinstance(item, str) else json.dumps(item))
        for number, item in enumerate(policies)
    ]
    return [finding.code for finding in lint(read_material(texts)) if finding.code in RULES]


def test_what_the_second_role_may_read_counts() -> None:
    assert codes(of_role(FIRST, ASSUMES), of_role(SECOND, READS)) == []


def test_what_only_the_first_role_may_read_does_not_count() -> None:
    assert codes(of_role(FIRST, ASSUMES, READS), of_role(SECOND, statement("kms:DescribeKey", "*"))) == ["LS702"]


def test_without_the_second_roles_policies_nothing_is_said() -> None:
    assert codes(of_role(FIRST, ASSUMES)) == []
    assert codes(policy(ASSUMES)) == []


def test_a_policy_without_a_role_may_be_the_second_ones() -> None:
    assert codes(policy(ASSUMES), policy(READS)) == []
    other = statement("secretsmanager:GetSecretValue", SECRET.replace("prod/db", "prod/x"))
    assert codes(policy(ASSUMES), policy(other)) == ["LS701", "LS702"]


@pytest.mark.parametrize("granted", [True, False])
def test_a_role_that_eks_assumes_reads_as_well(*, granted: bool) -> None:
    association = {
        "clusterName": "dev",
        "namespace": "shop",
        "serviceAccount": "default",
        "roleArn": f"arn:aws:iam::111122223333:role/{FIRST}",
        "targetRoleArn": ARN,
    }
    pod = {
        "kind": "Pod",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {
            "containers": [{"name": "app"}],
            "volumes": [
                {
                    "name": "s",
                    "csi": {
                        "driver": "secrets-store.csi.k8s.io",
                        "readOnly": True,
                        "volumeAttributes": {"secretProviderClass": "shop"},
                    },
                }
            ],
        },
    }
    manifests = "---\n".join((spc(), json.dumps(pod) + "\n", json.dumps(association) + "\n"))
    reader = policy(READS) if granted else policy(statement("secretsmanager:GetSecretValue", f"{SECRET}x"))
    found = codes(policy(ASSUMES), reader, manifests=manifests)
    assert found == ([] if granted else ["LS701", "LS702"])
