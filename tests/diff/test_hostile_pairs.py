"""What a malicious or careless author would try: each pair must be told as what it is, never as less."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from components.derivation.diff import About, Change, Risk, Row, diff_fleets, read_preview, read_sides
from components.derivation.diff.documents import AppDocument
from lockstep.access_report.markdown_report import render_markdown
from lockstep.access_report.report import Report, StackReport
from lockstep.access_report.sentences import plain, sentence
from lockstep.access_report.visible_text import visible
from tests.diff.documents import ACCOUNT, ISSUER, ROLE, allow, app, fleet, policy, secret, trust

READ = "secretsmanager:GetSecretValue"
OWN = allow([READ, "secretsmanager:DescribeSecret"], secret("db-??????"))


def rows_of(before: AppDocument, after: AppDocument) -> tuple[Row, ...]:
    return diff_fleets(fleet(before), fleet(after)).rows


def gains(*statements: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the rows of an app that could read one secret and is given these statements too."""
    return rows_of(app(OWN, is_whole=False), app(OWN, *statements, is_whole=False))


def risks(rows: tuple[Row, ...]) -> set[Risk]:
    return {risk for row in rows if row.broadens for risk in row.risks}


# --------------------------------------------------------------------------------------------------- more than is named
@pytest.mark.parametrize(
    ("statement", "risk"),
    [
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, Risk.WILDCARD),
        ({"Effect": "Allow", "NotAction": ["s3:*"], "Resource": secret("smtp-??????")}, Risk.WRITE),
        ({"Effect": "Allow", "Action": READ, "NotResource": secret("db-??????")}, Risk.WILDCARD),
        ({"Effect": "Allow", "Action": "SECRETSMANAGER:getsecret*", "Resource": "*"}, Risk.WILDCARD),
        ({"Effect": "Allow", "Action": "secretsmanager:P?t*Value", "Resource": secret("db-??????")}, Risk.WRITE),
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, Risk.WRITE),
        ({"Effect": "Allow", "Action": READ, "Resource": secret("db-*")}, Risk.WILDCARD),
        ({"Effect": "Allow", "Action": READ, "Resource": secret("db-??????", region="*")}, Risk.WILDCARD),
        ({"Effect": "Allow", "Action": READ, "Resource": secret("db-??????", account="*")}, Risk.WILDCARD),
        ({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}, Risk.UNBOUND_KEY),
        (
            {"Effect": "Allow", "Action": "secretsmanager:PutResourcePolicy", "Resource": secret("db-??????")},
            Risk.WRITE,
        ),
        (allow("ssm:GetParametersByPath", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/prod"), Risk.WILDCARD),
    ],
)
def test_a_statement_that_allows_more_than_it_names_is_marked(statement: dict[str, Any], risk: Risk) -> None:
    assert risk in risks(gains(statement))


def test_leave_for_a_path_is_said_to_be_leave_for_everything_below() -> None:
    (row,) = gains(allow("ssm:GetParametersByPath", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/prod/shop"))
    assert plain(sentence(row)) == "app shop gains read access to every parameter below /prod/shop/"


@pytest.mark.parametrize(
    ("bare", "shown"),
    [("db-AbC123", "secret db-AbC123"), ("prod/*", "secret prod/*"), ("d?-AbC123", "secret d?-AbC123")],
)
def test_a_grant_does_not_hide_as_leave_to_be_told_that_a_secret_is_missing(bare: str, shown: str) -> None:
    """An optional secret is granted with and without its suffix; `db-AbC123` without one is the secret `db`."""
    rows = gains(allow(READ, [secret(bare), secret(f"{bare}-??????")]))
    named = [row for row in rows if plain(sentence(row)).endswith(shown)]
    assert any(READ in text for row in named for text in row.after)
    assert all(row.broadens for row in named)


def test_a_real_optional_secret_gains_nothing_by_being_asked_for() -> None:
    one, other = allow(READ, secret("db-??????")), allow(READ, [secret("db-??????"), secret("db")])
    (row,) = rows_of(app(one, is_whole=False), app(other, is_whole=False))
    assert not row.broadens
    assert "does not exist" in plain(sentence(row))


def test_an_allow_beside_a_deny_is_still_shown_and_asked_about() -> None:
    """Nobody subtracts here: the Deny may go tomorrow, in a change that broadens nothing that stands in a spec."""
    deny = {"Effect": "Deny", "Action": READ, "Resource": secret("smtp-??????")}
    rows = gains(allow(READ, secret("smtp-??????")), deny)
    assert {(row.about, row.change, row.broadens) for row in rows} == {
        (About.READ, Change.GAINED, True),
        (About.DENIAL, Change.GAINED, False),
    }


def test_a_name_in_other_letters_is_another_secret() -> None:
    (row,) = gains(allow(READ, secret("DB-??????")))
    assert (row.change, row.broadens) == (Change.GAINED, True)


@pytest.mark.parametrize(
    "text",
    [
        '{"Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": "s3:*", "Action": "*", "Resource": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": "s3:*", "NotAction": "s3:*", "Resource": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "x", "NotResource": "y"}}',
        '{"Statement": {"Effect": "Allow", "Action": {"a": 1}, "Resource": "*"}}',
        '{"Statement": "Allow"}',
        "[" * 100_000,
        "\ufeff{}",
    ],
)
def test_a_policy_that_readers_differ_about_is_unknown_and_never_nothing(text: str) -> None:
    rows = rows_of(app(OWN), app(OWN, policies={"inline policy secrets": policy(OWN), "other": text}))
    assert [(row.about, row.broadens) for row in rows] == [(About.UNKNOWN, True)]


@pytest.mark.parametrize("version", [{"Version": "2008-10-17"}, {}])
@pytest.mark.parametrize(
    "denial",
    [
        {"Resource": secret("${aws:PrincipalTag/forbidden}/*")},
        {"NotResource": secret("${aws:PrincipalTag/own}/*")},
        {"Resource": "*", "Condition": {"StringNotEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}},
    ],
)
def test_variables_are_plain_text_before_2012_so_a_denial_may_die(
    version: dict[str, Any], denial: dict[str, Any]
) -> None:
    whole = policy(allow(READ, "*"), {"Effect": "Deny", "Action": READ, **denial})
    older = {"Statement": whole["Statement"], **version}
    before, after = (app(is_whole=False, policies={"p": text}) for text in (whole, older))
    for rows in (rows_of(before, after), rows_of(after, before)):
        assert {row.about for row in rows} == {About.DENIAL}
        assert any(row.broadens for row in rows)


def test_a_policy_without_variables_means_the_same_in_every_version() -> None:
    older = {**policy(OWN), "Version": "2008-10-17"}
    assert rows_of(app(OWN), app(policies={"p": older})) == ()


# -------------------------------------------------------------------------------------------------------------- trust
def trusted(condition: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - a policy's JSON
    """Return the trust of `shop:web` and a second statement."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
        **changes,
    }
    kept = {key: value for key, value in statement.items() if value is not None}
    return policy(*trust("shop:web")["Statement"], kept)


SUB, AUD = f"{ISSUER}:sub", {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}}


@pytest.mark.parametrize(
    ("after", "who"),
    [
        (trusted(AUD), "any service account"),
        (trusted({"Null": {SUB: "false"}}), "any service account"),
        (trusted({"ForAnyValue:StringLike": {SUB: "system:serviceaccount:shop:*"}}), "any service account"),
        (trusted({"ForAllValues:StringEquals": {SUB: "system:serviceaccount:shop:web"}}), "any service account"),
        (trusted({"StringEqualsIfExists": {SUB: "system:serviceaccount:shop:web"}}), "any service account"),
        (trusted({"StringNotEquals": {SUB: "system:serviceaccount:shop:web"}}), "any service account"),
        (trusted({"StringLike": {SUB: "system:serviceaccount:shop:we?"}}), "shop/we? (pattern)"),
        (trusted({"StringLike": {SUB.upper(): "system:serviceaccount:*:web"}}), "*/web (pattern)"),
        (trusted({"StringEquals": {SUB: "system:serviceaccount:evil:web"}}), "evil/web"),
        (trusted(Principal="*", Action="sts:AssumeRole"), "*"),
        (trusted(Principal={"AWS": "arn:aws:iam::999988887777:root"}, Action="sts:AssumeRole"), "999988887777"),
        (trusted(Principal=None, NotPrincipal={"AWS": "*"}, Action="sts:AssumeRole"), "NotPrincipal"),
        (trusted(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole"), "lambda.amazonaws.com"),
        (
            trusted(
                {"StringEquals": {"evil.example:sub": "system:serviceaccount:shop:web"}},
                Principal={"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/evil.example"},
            ),
            "IRSA of evil.example",
        ),
    ],
)
def test_whoever_else_may_become_the_role_is_named(after: dict[str, Any], who: str) -> None:
    rows = [row for row in rows_of(app(OWN), app(OWN, trust=after)) if row.about is About.TRUST]
    (row,) = [row for row in rows if row.change is Change.GAINED]
    assert who in plain(sentence(row))
    assert row.broadens
    assert set(row.risks) & {Risk.WILDCARD, Risk.NEW_PRINCIPAL}


def test_an_association_from_another_namespace_is_another_principal() -> None:
    def document(namespaces: list[str]) -> AppDocument:
        associations = [
            {"clusterName": "prod", "namespace": name, "serviceAccount": "web", "roleArn": ROLE} for name in namespaces
        ]
        return app(OWN, associations=tuple(associations), service_accounts=())

    rows = rows_of(document(["shop"]), document(["shop", "evil"]))
    assert any("evil/web" in text and row.broadens for row in rows for text in row.after)
    assert Risk.NEW_PRINCIPAL in risks(rows)


def test_another_boundary_is_no_equal_one() -> None:
    one, other = (f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in ("boundary", "boundary2"))
    (row,) = rows_of(app(OWN, boundary=one), app(OWN, boundary=other))
    assert (row.broadens, row.risks) == (True, (Risk.LOOSENED,))


# ----------------------------------------------------------------------------------------------- previews of a stranger
def preview(*created: tuple[str, str, dict[str, Any]]) -> tuple[Row, ...]:
    """Return the rows of a preview in which these resources are made beside a role that stays."""
    role = (
        "aws:iam/role:Role",
        "shop",
        {"name": "shop", "arn": ROLE, "assumeRolePolicy": json.dumps(trust("shop:web"))},
    )
    steps = []
    for op, (kind, name, inputs) in [("same", role), *(("create", item) for item in created)]:
        state = {"urn": f"urn:pulumi:prod::shop::{kind}::{name}", "type": kind, "inputs": inputs, "outputs": {}}
        steps.append(
            {"op": op, "urn": state["urn"], "newState": state, **({"oldState": state} if op == "same" else {})}
        )
    before, after = read_preview(read_sides({"steps": steps, "changeSummary": {"same": 1, "create": len(created)}}))
    return diff_fleets(before, after).rows


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {"role": "shop", "policyArn": "arn:aws:iam::aws:policy/SecretsManagerReadWrite"},
        ),
        ("aws:iam/policyAttachment:PolicyAttachment", {"roles": ["shop"], "policyArn": "arn:aws:iam::aws:policy/X"}),
        ("aws:iam/rolePolicy:RolePolicy", {"role": "shop", "policy": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}),
        ("aws:iam/rolePolicy:RolePolicy", {"role": "shop", "policy": "[secret]"}),
        ("aws:iam/accessKey:AccessKey", {"user": "shop"}),
        ("aws:kms/grant:Grant", {"operations": ["Decrypt"], "granteePrincipal": ROLE}),
        ("aws-native:iam:RolePolicy", {"roleName": "shop", "policyDocument": {}}),
    ],
)
def test_what_a_preview_does_not_show_whole_needs_an_approval(kind: str, inputs: dict[str, Any]) -> None:
    rows = preview((kind, "x", inputs))
    assert About.UNKNOWN in {row.about for row in rows}
    assert Risk.UNKNOWN in risks(rows)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("aws:iam/policyAttachment:PolicyAttachment", {"roles": ["shop"]}),
        ("aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive", {"roleName": "shop"}),
    ],
)
def test_a_policy_is_its_roles_however_it_is_attached(kind: str, inputs: dict[str, Any]) -> None:
    arn = "arn:aws:iam::111122223333:policy/reads"
    made = (
        "aws:iam/policy:Policy",
        "p",
        {"name": "reads", "policy": json.dumps(policy(allow(READ, secret("db-??????"))))},
    )
    rows = preview(made, (kind, "x", inputs | ({"policyArns": [arn]} if "roleName" in inputs else {"policyArn": arn})))
    assert "role shop gains read access to secret db" in [plain(sentence(row)) for row in rows]


@pytest.mark.parametrize("kind", ["user", "group"])
def test_access_of_people_is_access_too(kind: str) -> None:
    inputs = {kind: "ops", "policy": json.dumps(policy(allow(READ, secret("db-??????"))))}
    rows = preview((f"aws:iam/{kind}Policy:{kind.capitalize()}Policy", "x", inputs))
    assert f"{kind} ops gains read access to secret db" in [plain(sentence(row)) for row in rows]


# --------------------------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("role p\u0430yments", "role p\\u0430yments"),
        ("prod/\u0440\u0430\u0443", "prod/\\u0440\\u0430\\u0443"),
        ("p\uff41yments", "p\\uff41yments"),
        ("pay\u200bments", "pay\\u200bments"),
        ("Zahlungs-Team Z\u00fcrich", "Zahlungs-Team Z\u00fcrich"),
        ("\u043f\u043b\u0430\u0442\u0435\u0436\u0438", "\u043f\u043b\u0430\u0442\u0435\u0436\u0438"),
        ("\u652f\u6255\u3044", "\u652f\u6255\u3044"),
    ],
)
def test_letters_that_pass_for_others_are_shown_as_what_they_are(name: str, shown: str) -> None:
    assert visible(name) == shown


def test_a_huge_name_takes_no_other_row_from_the_report() -> None:
    huge = allow(READ, secret("x" * 1_000_000))
    difference = diff_fleets(fleet(app(OWN)), fleet(app(OWN, huge, allow(READ, secret("smtp-??????")))))
    stack = StackReport(stack="prod", difference=difference)
    pages = render_markdown(Report(project="p", stacks=(stack,)), stack)
    assert len(pages) == 1
    assert len(pages[0]) < 20_000
    for row in difference.rows:
        assert row.identity in pages[0]
    assert "`smtp`" in pages[0]
    assert "more characters)" in pages[0]
