"""Random policies and requests from small alphabets, so that statements often apply.

`Question` is plain data that both engines can be asked. Resource and session policies come in one part of the cases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Document = dict[str, Any]

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lockstep/reader"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/pod"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example/id/A"
OTHER_PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example/id/B"

ACTIONS = ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "ssm:GetParameters", "kms:Decrypt")
ACTION_PATTERNS = (*ACTIONS, "*", "secretsmanager:*", "secretsmanager:getsecret*", "kms:D?crypt", "ssm:Get*")
_SECRET = "arn:aws:secretsmanager:eu-west-1:{account}:secret:"
ARNS = tuple(
    f"{_SECRET.format(account=account)}{name}"
    for account in (ACCOUNT, OTHER_ACCOUNT)
    for name in ("dev/db-AbCdEf", "dev/db-replica-AbCdEf", "dev/Db-AbCdEf")
)
_ANY_DEV_SECRET = f"{_SECRET.format(account=ACCOUNT)}dev/*"
ARN_PATTERNS = (
    *ARNS,
    "*",
    f"{_SECRET.format(account=ACCOUNT)}dev/db-??????",
    _ANY_DEV_SECRET,
    f"{_SECRET.format(account='*')}dev/db-*",
    "arn:aws:secretsmanager:*",
    "arn:aws:secretsmanager:us-*:111122223333:secret:dev/db-AbCdEf",
)

TEXTS = ("alpha", "alpine", "Alpha", "beta", "secretsmanager.eu-west-1.amazonaws.com")
_TEXT_PATTERNS = (*TEXTS, "al*", "a?pha", "*", "secretsmanager.*")
_STRING = (
    "StringEquals",
    "StringNotEquals",
    "StringLike",
    "StringNotLike",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
)
_ORDER = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")

#: Key → its operators, values of a policy, values of a request.
_FAMILIES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "kms:ViaService": (_STRING, _TEXT_PATTERNS, TEXTS),
    "lab:Number": (tuple(f"Numeric{word}" for word in _ORDER), ("1", "2", "2.5", "10"), ("1", "2", "2.50", "9")),
    "lab:Date": (
        tuple(f"Date{word}" for word in _ORDER),
        ("2026-11-24T00:00:00Z", "2026-11-24T01:00:00+01:00", "1764000000"),
        ("2026-11-24T00:00:00Z", "2026-11-23T12:00:00Z", "1795478400"),
    ),
    "lab:Flag": (("Bool",), ("true", "false"), ("true", "false", "True")),
    "lab:Address": (
        ("IpAddress", "NotIpAddress"),
        ("10.0.0.0/8", "10.1.2.3", "2001:db8::/32"),
        ("10.1.2.3", "192.0.2.1", "2001:db8::1"),
    ),
    "lab:Arn": (("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"), (*ARNS, _ANY_DEV_SECRET), ARNS),
}
_MANY = "aws:TagKeys"


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question for both engines; the documents as a person would write them."""

    action: str
    arn: str
    principal: str = SESSION
    identity: list[Document] = field(default_factory=list)
    boundary: Document | None = None
    session: list[Document] = field(default_factory=list)
    resource: Document | None = None
    resource_account: str = ACCOUNT
    needs_resource_policy: bool = False
    trust: bool = False
    context: dict[str, str | list[str]] = field(default_factory=dict)


def _listed(values: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str | list[str]]:
    return values | st.lists(values, min_size=1, max_size=most)


@st.composite
def _conditions(draw: st.DrawFn) -> Document:
    conditions: Document = {}
    for _ in range(draw(st.integers(0, 2))):
        key = draw(st.sampled_from([*_FAMILIES, _MANY]))
        operators, values, _ = _FAMILIES["kms:ViaService" if key == _MANY else key]
        if draw(st.integers(0, 9)) == 0:
            conditions.setdefault("Null", {})[key] = draw(st.sampled_from(["true", "false"]))
            continue
        quantifiers = ["ForAllValues:", "ForAnyValue:"] if key == _MANY else ["", "", "", "ForAnyValue:"]
        name = draw(st.sampled_from(quantifiers)) + draw(st.sampled_from(operators))
        name += draw(st.sampled_from(["", "", "IfExists"]))
        conditions.setdefault(name, {})[key] = draw(_listed(st.sampled_from(values)))
    return conditions


@st.composite
def _statements(draw: st.DrawFn, *, principals: tuple[Any, ...] = (), resources: bool = True) -> Document:
    statement: Document = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"]))}
    if principals:
        statement["Principal"] = draw(st.sampled_from(principals))
    statement[draw(st.sampled_from(["Action"] * 4 + ["NotAction"]))] = draw(_listed(st.sampled_from(ACTION_PATTERNS)))
    if resources:
        name = draw(st.sampled_from(["Resource"] * 4 + ["NotResource"]))
        statement[name] = draw(_listed(st.sampled_from(ARN_PATTERNS)))
    conditions = draw(_conditions())
    if conditions:
        statement["Condition"] = conditions
    return statement


def _documents(*, principals: tuple[Any, ...] = ()) -> st.SearchStrategy[Document]:
    return st.lists(_statements(principals=principals), min_size=1, max_size=3).map(
        lambda statements: {"Version": "2012-10-17", "Statement": statements}
    )


@st.composite
def _contexts(draw: st.DrawFn) -> dict[str, str | list[str]]:
    context: dict[str, str | list[str]] = {}
    for key, (_, _, values) in _FAMILIES.items():
        if draw(st.integers(0, 2)):
            context[key] = draw(st.sampled_from(values))
    if draw(st.booleans()):
        context[_MANY] = draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3))
    return context


_RESOURCE_PRINCIPALS = (
    {"AWS": ROLE},
    {"AWS": SESSION},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    {"AWS": ACCOUNT},
    {"AWS": [f"arn:aws:iam::{OTHER_ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:role/other"]},
    "*",
)


@st.composite
def identity_questions(draw: st.DrawFn) -> Question:
    """Return a question about identity policies, a boundary and session policies; no resource policy."""
    return Question(
        action=draw(st.sampled_from(ACTIONS)),
        arn=draw(st.sampled_from(ARNS)),
        identity=draw(st.lists(_documents(), min_size=1, max_size=2)),
        boundary=draw(st.none() | _documents()),
        session=draw(st.lists(_documents(), max_size=1)),
        context=draw(_contexts()),
    )


@st.composite
def resource_questions(draw: st.DrawFn) -> Question:
    """Return a question with a resource policy, in one account or across two, for a secret or a key."""
    return Question(
        action=draw(st.sampled_from(ACTIONS)),
        arn=draw(st.sampled_from(ARNS)),
        identity=draw(st.lists(_documents(), max_size=1)),
        boundary=draw(st.none() | _documents()),
        session=draw(st.lists(_documents(), max_size=1)),
        resource=draw(_documents(principals=_RESOURCE_PRINCIPALS)),
        resource_account=draw(st.sampled_from([ACCOUNT, OTHER_ACCOUNT])),
        needs_resource_policy=draw(st.booleans()),
        context=draw(_contexts()),
    )


@st.composite
def trust_questions(draw: st.DrawFn) -> Question:
    """Return a question whether a provider's token may assume a role."""
    principals = ({"Federated": PROVIDER}, {"Federated": [OTHER_PROVIDER, PROVIDER]}, {"Federated": OTHER_PROVIDER})
    statement = _statements(principals=principals, resources=False)
    action = st.sampled_from(["sts:AssumeRoleWithWebIdentity", "sts:*", "sts:AssumeRole", "sts:AssumeRoleWith*"])
    statements = draw(st.lists(st.tuples(statement, action), min_size=1, max_size=3))
    document = [{**made, "Action": name} for made, name in statements]
    for made in document:
        made.pop("NotAction", None)
    return Question(
        action="sts:AssumeRoleWithWebIdentity",
        arn=ROLE,
        principal=PROVIDER,
        resource={"Version": "2012-10-17", "Statement": document},
        needs_resource_policy=True,
        trust=True,
        context=draw(_contexts()),
    )
