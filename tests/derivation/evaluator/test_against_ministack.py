"""Two engines that share no code give the same answers, but for the differences that are listed here.

MiniStack is pinned (`local/emulator_pins.py`). Every difference that random questions and reading brought up stands
below with the rule of AWS's documentation that decides it; where that decides nothing, ours answers "unclear".
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings

from tests.derivation.evaluator.engines import UNCLEAR, MiniStackEngine, ours
from tests.derivation.evaluator.random_policies import (
    ACCOUNT,
    ARNS,
    PROVIDER,
    ROLE,
    Document,
    Question,
    identity_questions,
    resource_questions,
    trust_questions,
)

_AS_OFTEN_AS_NEEDED = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@_AS_OFTEN_AS_NEEDED
@given(question=identity_questions())
def test_identity_policies_boundaries_and_sessions_are_judged_alike(
    ministack: MiniStackEngine, question: Question
) -> None:
    assert ours(question) == ministack.ask(question)


@_AS_OFTEN_AS_NEEDED
@given(question=resource_questions())
def test_resource_policies_are_judged_alike_in_one_account_and_across_two(
    ministack: MiniStackEngine, question: Question
) -> None:
    answer = ours(question)
    if answer == UNCLEAR:
        assert _allows_everyone_past_a_limit(question)
    else:
        assert answer == ministack.ask(question)


@_AS_OFTEN_AS_NEEDED
@given(question=trust_questions())
def test_trust_of_a_token_is_judged_alike(ministack: MiniStackEngine, question: Question) -> None:
    assert (ours(question) == "allowed") == (ministack.ask(question) == "allowed")


def _allows_everyone_past_a_limit(question: Question) -> bool:
    """The one way in which a random question is unclear; see the differences."""
    assert question.resource is not None
    everyone = any(made["Principal"] == "*" and made["Effect"] == "Allow" for made in question.resource["Statement"])
    is_limited = bool(question.boundary or question.session)
    return everyone and is_limited and question.resource_account == ACCOUNT


def _allow(resource: str = "*", **more: object) -> Document:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": resource, **more}]}


def _secret(**more: object) -> Question:
    return Question(action="secretsmanager:GetSecretValue", arn=ARNS[0], **more)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One question that the engines answer differently, and the documented rule that decides it."""

    name: str
    question: Question
    ours: str
    theirs: str
    rule: str


_UNKNOWN = {"StringSimilar": {"kms:ViaService": "alpha"}}
_OTHERS_DENIED = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}
DIFFERENCES = (
    Difference(
        name="an incomplete ARN in Resource",
        question=_secret(identity=[_allow("arn:aws:secretsmanager")]),
        ours="allowed",
        theirs="implicit deny",
        rule="Resource element: an ARN with fewer than six fields is completed with `*` for each missing one",
    ),
    Difference(
        name="a wildcard in the middle of an ARN's segment",
        question=_secret(identity=[_allow("arn:aws:secretsmanager:e*t:dev/db-AbCdEf")]),
        ours="implicit deny",
        theirs="allowed",
        rule="Resource element: wildcards stand within segments; only a `*` that ends a segment can reach past a colon",
    ),
    Difference(
        name="a policy variable",
        question=_secret(
            identity=[_allow("arn:aws:secretsmanager:eu-west-1:111122223333:secret:${aws:PrincipalTag/team}/*")],
            context={"aws:PrincipalTag/team": "dev"},
        ),
        ours="allowed",
        theirs="implicit deny",
        rule="Policy variables: `${key}` in Resource and in string conditions is replaced since version 2012-10-17",
    ),
    Difference(
        name="an unknown operator in an Allow",
        question=_secret(identity=[_allow(Condition=_UNKNOWN)], context={"kms:ViaService": "alpha"}),
        ours=UNCLEAR,
        theirs="implicit deny",
        rule="none: IAM refuses to store such a policy, so what it would mean is not documented",
    ),
    Difference(
        name="an unknown operator in a Deny",
        question=_secret(identity=[_allow(), _allow(Effect="Deny", Condition=_UNKNOWN)]),
        ours=UNCLEAR,
        theirs="allowed",
        rule="none, as above; taking it for no match would hide a Deny",
    ),
    Difference(
        name="several values under an operator for one",
        question=_secret(
            identity=[_allow(Condition={"StringEquals": {"aws:TagKeys": "alpha"}})],
            context={"aws:TagKeys": ["alpha", "beta"]},
        ),
        ours=UNCLEAR,
        theirs="implicit deny",
        rule="Multivalued context keys: such a key requires ForAllValues or ForAnyValue",
    ),
    Difference(
        name="aws:PrincipalArn of a role's session",
        question=_secret(identity=[_allow(Condition={"ArnEquals": {"aws:PrincipalArn": ROLE}})]),
        ours="allowed",
        theirs="implicit deny",
        rule="aws:PrincipalArn: for a role's session the key holds the ARN of the role",
    ),
    Difference(
        name="an Arn operator with something that is no ARN",
        question=_secret(
            identity=[_allow(Condition={"ArnLike": {"lab:Arn": "*"}})],
            context={"lab:Arn": ARNS[1]},
        ),
        ours=UNCLEAR,
        theirs="allowed",
        rule="Arn operators: each of the six parts is checked separately; a text without six parts is not mentioned",
    ),
    Difference(
        name="a Numeric operator with something that is no number",
        question=_secret(
            identity=[_allow(Condition={"NumericNotEquals": {"lab:Number": "1"}})], context={"lab:Number": "many"}
        ),
        ours=UNCLEAR,
        theirs="implicit deny",
        rule="Numeric operators compare integers and decimals; other values are not mentioned",
    ),
    Difference(
        name="everyone, past a boundary",
        question=_secret(
            identity=[],
            boundary=_allow("arn:aws:ssm:*"),
            resource=_allow(Principal="*"),
        ),
        ours=UNCLEAR,
        theirs="implicit deny",
        rule="Permissions boundaries: named are a role's ARN (limited) and a session's ARN (not limited), not `*`",
    ),
    Difference(
        name="NotPrincipal in a Deny",
        question=_secret(
            identity=[_allow()],
            resource={
                "Statement": [{"Effect": "Deny", "NotPrincipal": _OTHERS_DENIED, "Action": "*", "Resource": "*"}]
            },
        ),
        ours="explicit deny",
        theirs="allowed",
        rule="NotPrincipal: a Deny with it denies everyone but the principals that it names",
    ),
    Difference(
        name="a service in a trust policy",
        question=Question(
            action="sts:AssumeRole",
            arn=ROLE,
            principal="pods.eks.amazonaws.com",
            trust=True,
            needs_resource_policy=True,
            resource={
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ]
            },
        ),
        ours="allowed",
        theirs="denied",
        rule="Principal element: a service is named by its service principal",
    ),
    Difference(
        name="everyone, in a trust policy for tokens, written as an AWS principal",
        question=Question(
            action="sts:AssumeRoleWithWebIdentity",
            arn=ROLE,
            principal=PROVIDER,
            trust=True,
            needs_resource_policy=True,
            resource={
                "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRoleWithWebIdentity"}]
            },
        ),
        ours="allowed",
        theirs="denied",
        rule='Principal element: `"*"` and `{"AWS": "*"}` mean the same',
    ),
)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_a_listed_difference_is_still_one(ministack: MiniStackEngine, difference: Difference) -> None:
    assert ours(difference.question) == difference.ours
    assert ministack.ask(difference.question) == difference.theirs
    assert difference.rule
