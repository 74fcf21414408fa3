"""The documented rules of IAM, one law per test. The other engine's opinion is asked in test_against_ministack.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from components.derivation.evaluator import (
    Decision,
    Layer,
    Outcome,
    PolicySet,
    PolicySource,
    Principal,
    PrincipalKind,
    Request,
    SourceKind,
    UnanswerableError,
    evaluate,
    parse_policy,
)
from tests.derivation.evaluator.engines import ours
from tests.derivation.evaluator.random_policies import Document, Question, identity_questions

ACCOUNT, OTHER = "111122223333", "444455556666"
ROLE = Principal.role(f"arn:aws:iam::{ACCOUNT}:role/apps/reader", session_name="pod")
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:dev/db-AbCdEf"
Context = Mapping[str, str | tuple[str, ...]]


def document(*statements: Document, version: str = "2012-10-17") -> Document:
    return {"Version": version, "Statement": list(statements)}


def allow(**parts: object) -> Document:
    """Return an Allow of everything, but for what is given."""
    return {"Effect": "Allow", "Action": "*", **({} if "NotResource" in parts else {"Resource": "*"}), **parts}


def deny(**parts: object) -> Document:
    return {**allow(**parts), "Effect": "Deny"}


def source(kind: SourceKind, *statements: Document) -> PolicySource:
    return parse_policy(document(*statements), name=kind.name.lower(), kind=kind)


def identity(*statements: Document) -> PolicySource:
    return source(SourceKind.IDENTITY, *statements)


def resource(*statements: Document) -> PolicySource:
    return source(SourceKind.RESOURCE, *statements)


def ask(
    policies: PolicySet,
    *,
    context: Context | None = None,
    owner: str = ACCOUNT,
    principal: Principal = ROLE,
    open_keys: frozenset[str] = frozenset(),
) -> Decision:
    request = Request(
        principal=principal,
        action="secretsmanager:GetSecretValue",
        resource=SECRET,
        resource_account=owner,
        context=context or {},
        open_keys=open_keys,
    )
    return evaluate(request, policies)


def holds(condition: Document, context: Context | None = None) -> bool:
    """Say whether an Allow under this condition allows."""
    return ask(PolicySet(identity=(identity(allow(Condition=condition)),)), context=context).is_allowed


# -------------------------------------------------------------------------------------------------------------- layers


def test_without_a_policy_nothing_is_allowed() -> None:
    decision = ask(PolicySet())
    assert (decision.outcome, decision.missing) == (Outcome.IMPLICIT_DENY, (Layer.IDENTITY,))


def test_the_statement_that_allows_is_named() -> None:
    policy = identity(allow(Resource="arn:aws:s3:::x"), allow(Sid="ReadSecrets", Resource=SECRET))
    (statement,) = ask(PolicySet(identity=(policy,))).statements
    assert str(statement) == "statement ReadSecrets of the identity policy identity"
    assert statement.number == 2


@pytest.mark.parametrize("place", ["identity", "boundary", "session", "resource"])
def test_a_deny_anywhere_decides(place: str) -> None:
    principal = {"Principal": "*"} if place == "resource" else {}
    kind = SourceKind[place.upper()]
    denying = source(kind, allow(**principal), deny(Sid="No", Resource=SECRET, **principal))
    sets = {
        "identity": PolicySet(identity=(denying,)),
        "boundary": PolicySet(identity=(identity(allow()),), boundary=denying),
        "session": PolicySet(identity=(identity(allow()),), session=(denying,)),
        "resource": PolicySet(identity=(identity(allow()),), resource=denying),
    }
    decision = ask(sets[place])
    assert decision.outcome is Outcome.EXPLICIT_DENY
    assert [statement.sid for statement in decision.statements] == ["No"]


def test_a_boundary_and_every_session_policy_must_allow_too() -> None:
    own, session = (identity(allow()),), (source(SourceKind.SESSION, allow()),)
    nothing = allow(Resource="arn:aws:s3:::x")
    limited = PolicySet(identity=own, session=session, boundary=source(SourceKind.BOUNDARY, nothing))
    assert ask(PolicySet(identity=own, session=session, boundary=source(SourceKind.BOUNDARY, allow()))).is_allowed
    assert ask(limited).missing == (Layer.BOUNDARY,)
    assert ask(PolicySet(identity=own, session=(source(SourceKind.SESSION, nothing),))).missing == (Layer.SESSION,)


def test_in_one_account_a_grant_to_the_role_needs_no_identity_policy() -> None:
    granting = resource(allow(Principal={"AWS": ROLE.name}))
    assert ask(PolicySet(resource=granting)).is_allowed


def test_in_one_account_a_grant_to_the_account_hands_over_to_the_identity_policies() -> None:
    for principal in (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"):
        granting = resource(allow(Principal={"AWS": principal}))
        assert not ask(PolicySet(resource=granting)).is_allowed
        assert ask(PolicySet(resource=granting, identity=(identity(allow()),))).is_allowed


def test_across_accounts_both_sides_must_allow() -> None:
    granting, own = resource(allow(Principal={"AWS": ROLE.name})), identity(allow())
    assert ask(PolicySet(resource=granting), owner=OTHER).missing == (Layer.IDENTITY,)
    assert ask(PolicySet(identity=(own,)), owner=OTHER).missing == (Layer.RESOURCE,)
    both = ask(PolicySet(identity=(own,), resource=granting), owner=OTHER)
    assert both.is_allowed
    assert [statement.kind for statement in both.statements] == [SourceKind.IDENTITY, SourceKind.RESOURCE]


def test_a_key_s_own_policy_must_allow_in_one_account_too() -> None:
    own = (identity(allow()),)
    delegating = resource(allow(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))
    assert ask(PolicySet(identity=own, needs_resource_policy=True)).missing == (Layer.RESOURCE,)
    assert ask(PolicySet(identity=own, resource=delegating, needs_resource_policy=True)).is_allowed


def test_a_grant_to_the_session_passes_the_boundary_and_one_to_the_role_does_not() -> None:
    boundary = source(SourceKind.BOUNDARY, allow(Resource="arn:aws:s3:::x"))
    for name, passes in ((ROLE.session, True), (ROLE.name, False)):
        granting = resource(allow(Principal={"AWS": name}))
        assert ask(PolicySet(resource=granting, boundary=boundary)).is_allowed is passes


def test_a_service_is_judged_by_the_resource_s_policy_alone() -> None:
    service = Principal(kind=PrincipalKind.SERVICE, name="pods.eks.amazonaws.com")
    trust = parse_policy(
        {"Statement": {"Effect": "Allow", "Principal": {"Service": service.name}, "Action": "*"}},
        name="trust",
        kind=SourceKind.TRUST,
    )
    assert ask(PolicySet(resource=trust), principal=service).is_allowed
    assert not ask(PolicySet(identity=(identity(allow()),)), principal=service).is_allowed


def test_a_deny_spares_a_role_that_not_principal_names_in_full() -> None:
    named = [f"arn:aws:iam::{ACCOUNT}:root", ROLE.name, ROLE.session]
    own = (identity(allow()),)
    for names, outcome in ((named, Outcome.ALLOWED), ([f"arn:aws:iam::{OTHER}:root"], Outcome.EXPLICIT_DENY)):
        statement = {"Effect": "Deny", "NotPrincipal": {"AWS": names}, "Action": "*", "Resource": "*"}
        assert ask(PolicySet(identity=own, resource=resource(statement))).outcome is outcome
    half = {"Effect": "Deny", "NotPrincipal": {"AWS": ROLE.name}, "Action": "*", "Resource": "*"}
    with pytest.raises(UnanswerableError, match=r"NotPrincipal names .* without"):
        ask(PolicySet(identity=own, resource=resource(half)))


# ------------------------------------------------------------------------------------------------ actions and resources


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", True),
        (SECRET, True),
        (SECRET.replace("AbCdEf", "??????"), True),
        (SECRET.replace("AbCdEf", "?????"), False),
        (SECRET.replace("db-AbCdEf", "*"), True),
        (SECRET.replace("dev/", "DEV/"), False),
        ("arn:aws:secretsmanager", True),
        ("arn:aws:secretsmanager:*", True),
        ("arn:*", True),
        ("arn:aws:secretsmanager:eu*:111122223333:secret:dev/db-AbCdEf", True),
        ("arn:aws:secretsmanager:*1:111122223333:secret:dev/db-AbCdEf", True),
        ("arn:aws:secretsmanager:e*t:dev/db-AbCdEf", False),
        ("arn:aws:ssm:*", False),
    ],
)
def test_a_resource_pattern(pattern: str, *, matches: bool) -> None:
    assert ask(PolicySet(identity=(identity(allow(Resource=pattern)),))).is_allowed is matches
    negated = {"Effect": "Allow", "Action": "*", "NotResource": pattern}
    assert ask(PolicySet(identity=(identity(negated),))).is_allowed is not matches


@pytest.mark.parametrize("action", ["secretsmanager:getsecretvalue", "SecretsManager:Get*", "*"])
def test_the_case_of_an_action_does_not_matter(action: str) -> None:
    assert ask(PolicySet(identity=(identity(allow(Action=action)),))).is_allowed
    negated = {"Effect": "Allow", "NotAction": action, "Resource": "*"}
    assert not ask(PolicySet(identity=(identity(negated),))).is_allowed


@pytest.mark.parametrize(
    ("pattern", "context", "matches"),
    [
        ("secret:${aws:PrincipalTag/ns}/*", {"aws:PrincipalTag/NS": "dev"}, True),
        ("secret:${aws:PrincipalTag/ns}/*", {"aws:PrincipalTag/ns": "*"}, False),  # a value is no wildcard
        ("secret:${aws:PrincipalTag/ns}/*", {}, False),
        ("secret:${aws:PrincipalTag/ns, 'dev'}/*", {}, True),
        ("secret:${*}*", {}, False),  # an escaped star is a star
    ],
)
def test_a_policy_variable_takes_the_request_s_value(pattern: str, context: Context, *, matches: bool) -> None:
    statement = allow(Resource=f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:{pattern}")
    assert ask(PolicySet(identity=(identity(statement),)), context=context).is_allowed is matches


def test_a_policy_of_the_old_version_knows_no_variables() -> None:
    statement = allow(Condition={"StringEquals": {"lab:Text": "${aws:PrincipalArn}"}})
    for version, matches in (("2012-10-17", False), ("2008-10-17", True)):
        policy = parse_policy(document(statement, version=version), name="p", kind=SourceKind.IDENTITY)
        decision = ask(PolicySet(identity=(policy,)), context={"lab:Text": "${aws:PrincipalArn}"})
        assert decision.is_allowed is matches


# ----------------------------------------------------------------------------------------------------------- conditions


def test_operators_and_keys_are_joined_by_and_and_values_by_or() -> None:
    condition = {"StringEquals": {"lab:a": ["1", "2"], "lab:b": "3"}, "StringLike": {"lab:a": "?"}}
    assert holds(condition, {"LAB:A": "2", "lab:b": "3"})
    assert not holds(condition, {"lab:a": "2"})


def test_a_negated_operator_wants_none_of_the_values() -> None:
    condition = {"StringNotLike": {"lab:a": ["x*", "y*"]}}
    assert holds(condition, {"lab:a": "z1"})
    assert not holds(condition, {"lab:a": "y1"})


@pytest.mark.parametrize(
    ("operator", "passes"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("StringEqualsIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAnyValue:StringEqualsIfExists", True),
        ("NumericLessThan", False),
        ("NotIpAddress", True),
        ("ArnNotLike", True),
        ("Bool", False),
    ],
)
def test_a_key_that_the_request_lacks(operator: str, *, passes: bool) -> None:
    for context in ({}, {"lab:a": ()}):
        assert holds({operator: {"lab:a": "arn:aws:iam::1:role/x"}}, context) is passes


@pytest.mark.parametrize(("wanted", "context"), [("true", {}), ("false", {"lab:a": "x"})])
def test_null_asks_whether_a_key_is_missing(wanted: str, context: Context) -> None:
    assert holds({"Null": {"lab:a": wanted}}, context)
    assert not holds({"Null": {"lab:a": {"true": "false", "false": "true"}[wanted]}}, context)


def test_sets_of_values_are_tested_for_all_or_for_any() -> None:
    within, mixed = ("a", "b"), ("a", "z")
    for values, for_all, for_any in ((within, True, True), (mixed, False, True), (("z",), False, False)):
        assert holds({"ForAllValues:StringEquals": {"lab:k": ["a", "b"]}}, {"lab:k": values}) is for_all
        assert holds({"ForAnyValue:StringEquals": {"lab:k": ["a", "b"]}}, {"lab:k": values}) is for_any
        assert holds({"ForAnyValue:StringNotEquals": {"lab:k": ["a", "b"]}}, {"lab:k": values}) is (values != within)


@pytest.mark.parametrize(
    ("operator", "value", "actual", "passes"),
    [
        ("NumericEquals", "2.5", "2.50", True),
        ("NumericGreaterThanEquals", "3", "2", False),
        ("DateLessThan", "2026-11-24T00:00:00Z", "1764000000", True),
        ("DateEquals", "2026-11-24T01:00:00+01:00", "2026-11-24T00:00:00Z", True),
        ("Bool", "true", "TRUE", True),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
        ("NotIpAddress", "10.0.0.0/8", "192.0.2.1", True),
        ("ArnLike", "arn:aws:iam::*:role/apps/*", "arn:aws:iam::111122223333:role/apps/x/y", True),
        ("ArnLike", "arn:aws:iam:*:role/x", "arn:aws:iam::111122223333:role/x", None),
        ("ArnEquals", "arn:aws:iam::*:role/x", "arn:aws:iam::111122223333:role/x", True),
        ("StringEquals", "a*", "abc", False),
        ("StringEqualsIgnoreCase", "ABC", "abc", True),
        ("StringLike", "a?c*", "abc/d", True),
        ("NumericEquals", "1", "one", None),
        ("Bool", "true", "yes", None),
        ("IpAddress", "ten", "10.0.0.1", None),
        ("DateEquals", "today", "2026-11-24T00:00:00Z", None),
        ("StringAlike", "a", "a", None),
    ],
)
def test_an_operator(operator: str, value: str, actual: str, *, passes: bool | None) -> None:
    """None stands for an answer that is refused."""
    if passes is None:
        with pytest.raises(UnanswerableError):
            holds({operator: {"lab:a": value}}, {"lab:a": actual})
    else:
        assert holds({operator: {"lab:a": value}}, {"lab:a": actual}) is passes


# ------------------------------------------------------------------------------------------------- what is not known


def test_what_is_not_known_matters_only_where_the_answer_hangs_on_it() -> None:
    unknown = {"StringAlike": {"lab:a": "x"}}
    denying, allowing = deny(Condition=unknown), allow(Condition=unknown)
    with pytest.raises(UnanswerableError, match="the condition operator StringAlike is not known"):
        ask(PolicySet(identity=(identity(allow(), denying),)), context={"lab:a": "x"})
    certain_deny = identity(deny(), denying, allow())
    assert ask(PolicySet(identity=(certain_deny,)), context={"lab:a": "x"}).outcome is Outcome.EXPLICIT_DENY
    assert ask(PolicySet(identity=(identity(allowing, allow()),)), context={"lab:a": "x"}).is_allowed
    elsewhere = deny(Resource="arn:aws:s3:::x", Condition=unknown)
    assert ask(PolicySet(identity=(identity(allow(), elsewhere),)), context={"lab:a": "x"}).is_allowed
    assert ask(PolicySet(identity=(identity(denying),)), context={"lab:a": "x"}).outcome is Outcome.IMPLICIT_DENY


def test_a_key_that_the_question_leaves_open_makes_the_answer_an_error() -> None:
    policy = PolicySet(identity=(identity(allow(), deny(Condition={"StringNotEquals": {"aws:SourceVpce": "v"}})),))
    with pytest.raises(UnanswerableError, match="the value of aws:SourceVpce is not known"):
        ask(policy, open_keys=frozenset({"aws:sourcevpce"}))
    tagged = allow(Condition={"StringEquals": {"aws:ResourceTag/team": "a"}})
    with pytest.raises(UnanswerableError, match="aws:ResourceTag/team"):
        ask(PolicySet(identity=(identity(tagged),)), open_keys=frozenset({"aws:ResourceTag/"}))
    assert ask(policy, open_keys=frozenset({"aws:sourcevpce"}), context={"aws:SourceVpce": "v"}).is_allowed


# ----------------------------------------------------------------------------------------------------------------- laws

_FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@_FEW
@given(question=identity_questions(), more=identity_questions())
def test_another_deny_allows_nothing_and_another_allow_takes_nothing(question: Question, more: Question) -> None:
    before = ours(question)
    denying, allowing = (_with(question, more, effect) for effect in ("Deny", "Allow"))
    if before != "allowed":
        assert ours(denying) != "allowed"
    if before in {"allowed", "explicit deny"}:
        assert ours(allowing) == before


def _with(question: Question, more: Question, effect: str) -> Question:
    """Add the other question's statements of one effect."""
    chosen = [made for other in more.identity for made in other["Statement"] if made["Effect"] == effect]
    added = [document(*chosen)] if chosen else []
    return Question(**{**_fields(question), "identity": [*question.identity, *added]})


def _fields(question: Question) -> dict[str, Any]:
    return {name: getattr(question, name) for name in question.__dataclass_fields__}


@_FEW
@given(question=identity_questions())
def test_the_order_of_statements_does_not_matter(question: Question) -> None:
    turned = [{**made, "Statement": made["Statement"][::-1]} for made in question.identity[::-1]]
    assert ours(question) == ours(Question(**{**_fields(question), "identity": turned}))
