"""Previews in which two resources share a name, an ARN or a text: none of them may hide what happens to another one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.derivation.diff import About, Change, Difference, diff_fleets, read_preview, read_sides
from tests.diff.documents import ACCOUNT, policy, secret

SECRET, SECRET_POLICY = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretPolicy:SecretPolicy"
ARN = secret("prod/db-AbCdEf")
READ = "secretsmanager:GetSecretValue"


def text(*statements: Mapping[str, Any]) -> str:
    return json.dumps(policy(*statements))


def step(
    kind: str, name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, **outputs: object
) -> dict[str, Any]:
    """Return one step: `same`, `create`, `update` or `delete` by what there is; `kind` may have parents (`a$b`)."""
    urn = f"urn:pulumi:prod::shop::{kind}::{name}"
    op = "create" if old is None else "delete" if new is None else "same" if old == new else "update"
    states = {"oldState": old, "newState": new}
    state = {"urn": urn, "type": kind.rpartition("$")[2], "outputs": outputs}
    return {"op": op, "urn": urn} | {key: {**state, "inputs": of} for key, of in states.items() if of is not None}


def difference(*steps: dict[str, Any]) -> Difference:
    summary = {"same": sum(item["op"] == "same" for item in steps)}
    return diff_fleets(*read_preview(read_sides({"steps": list(steps), "changeSummary": summary})))


# --------------------------------------------------------------------------------------------------- resource policies
DENY = text({"Effect": "Deny", "Principal": "*", "Action": READ, "Resource": "*"})
ONE = text({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/a"}, "Action": READ, "Resource": "*"})
ALL = text({"Effect": "Allow", "Principal": "*", "Action": READ, "Resource": "*"})


def kept_secret(computed: str) -> dict[str, Any]:
    """Return a Secret in a component that stays, whose state repeats its policy."""
    name = {"name": "prod/db"}
    return step(f"my:app:Db${SECRET}", "z", name, name, arn=ARN, policy=computed)


def test_a_deleted_denial_is_seen_though_the_secret_still_repeats_it() -> None:
    gone = step(SECRET_POLICY, "p", {"secretArn": ARN, "policy": DENY}, None)
    (row,) = difference(kept_secret(DENY), gone).rows
    assert (row.about, row.change, row.broadens) == (About.RESOURCE_POLICY, Change.LOST, True)


def test_an_opened_policy_is_seen_though_the_secret_still_repeats_the_old_one() -> None:
    opened = step(SECRET_POLICY, "p", {"secretArn": ARN, "policy": ONE}, {"secretArn": ARN, "policy": ALL})
    rows = difference(kept_secret(ONE), opened).rows
    assert [row.parts[2] for row in rows if row.change is Change.GAINED] == ["*"]


def test_of_two_policies_of_one_secret_both_count() -> None:
    opened = step(SECRET_POLICY, "a", {"secretArn": ARN, "policy": ONE}, {"secretArn": ARN, "policy": ALL})
    other = {"secretArn": ARN, "policy": ONE}
    found = difference(opened, step(SECRET_POLICY, "b", other, other))
    assert "*" in [row.parts[2] for row in found.rows if row.broadens]


def test_a_second_policy_that_goes_is_a_row_though_the_first_says_the_same() -> None:
    one = {"secretArn": ARN, "policy": DENY}
    assert difference(step(SECRET_POLICY, "a", one, None), step(SECRET_POLICY, "b", one, one)).rows
