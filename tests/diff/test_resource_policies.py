"""Policies that hang on secrets, where one side knows the random suffix of the ARN and the other one does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from components.derivation.diff import Change, FleetDocuments, diff_fleets
from components.derivation.diff.documents import ResourcePolicyDocument
from tests.diff.documents import policy, secret

DENY = policy({"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"})
PATTERN, FULL, OTHER = secret("prod/db-??????"), secret("prod/db-AbC123"), secret("prod/dbx-AbC123")


def fleet(*resources: str) -> FleetDocuments:
    policies = {name: ResourcePolicyDocument(resource=name, policy=DENY) for name in resources}
    return FleetDocuments(environment="prod", resource_policies=policies)


@pytest.mark.parametrize(("before", "after"), [(PATTERN, FULL), (FULL, PATTERN), (FULL, FULL)])
def test_the_suffix_makes_no_difference(before: str, after: str) -> None:
    assert diff_fleets(fleet(before), fleet(after)).rows == ()


def test_another_secret_is_another_secret() -> None:
    rows = diff_fleets(fleet(PATTERN), fleet(OTHER)).rows
    assert sorted(row.change for row in rows) == [Change.GAINED, Change.LOST]
    assert [row.broadens for row in rows if row.change is Change.LOST] == [True], "a denial went away"


def test_a_changed_policy_is_found_across_the_two_spellings() -> None:
    changed = replace(fleet(FULL).resource_policies[FULL], policy=policy())
    after = FleetDocuments(environment="prod", resource_policies={FULL: changed})
    (row,) = diff_fleets(fleet(PATTERN), after).rows
    assert row.change is Change.LOST
    assert row.parts[0] == PATTERN
