"""The keys that a read is decrypted with: which way a change of them goes, and whether somebody must accept it."""

from __future__ import annotations

from typing import Any

import pytest

from components.derivation.diff import About, Change, FleetDocuments, Risk, diff_fleets
from tests.diff.documents import ACCOUNT, allow, app, secret

READ = allow("secretsmanager:GetSecretValue", secret("db-??????"))
VIA = "secretsmanager.eu-west-1.amazonaws.com"


def key(number: int = 1, account: str = ACCOUNT) -> str:
    return f"arn:aws:kms:eu-west-1:{account}:key/{number:08}-aaaa-4bbb-8ccc-222222222222"


def bound(*keys: str, **more: str) -> dict[str, Any]:
    """Return a Decrypt that is bound to what is read; `more` are further conditions."""
    condition: dict[str, dict[str, str]] = {
        "StringEquals": {"kms:ViaService": VIA} | {f"kms:{name}": value for name, value in more.items()},
        "StringLike": {"kms:EncryptionContext:SecretARN": secret("db-??????")},
    }
    return allow("kms:Decrypt", list(keys), condition=condition)


def unbound(resource: str, via: str = "") -> dict[str, Any]:
    condition = {"StringEquals": {"kms:ViaService": via}} if via else None
    return allow("kms:Decrypt", resource, condition=condition)


def key_changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[tuple[Change, bool, set[Risk]]]:
    sides = (FleetDocuments(environment="prod", apps={"shop": app(READ, *told)}) for told in (before, after))
    rows = [row for row in diff_fleets(*sides).rows if row.about is About.KEY]
    return [(row.change, row.broadens, set(row.risks)) for row in rows]


@pytest.mark.parametrize(
    ("before", "after", "change", "risks"),
    [
        pytest.param([], [bound(key())], Change.GAINED, set(), id="a first key"),
        pytest.param([bound(key())], [bound(key(), key(2))], Change.WIDENED, set(), id="one more"),
        pytest.param([bound(key())], [bound(key(2))], Change.CHANGED, set(), id="another one"),
        pytest.param([bound(key())], [bound("*")], Change.WIDENED, {Risk.WILDCARD}, id="every key"),
        pytest.param([], [bound(key(account="444455556666"))], Change.GAINED, {Risk.CROSS_ACCOUNT}, id="a partner's"),
        pytest.param(
            [bound(key(), CallerAccount=ACCOUNT)], [bound(key())], Change.WIDENED, set(), id="fewer conditions"
        ),
        pytest.param([unbound(key(2))], [bound(key())], Change.GAINED, set(), id="another key was free"),
        pytest.param(
            [unbound(key(), "ssm.eu-west-1.amazonaws.com")], [bound(key())], Change.GAINED, set(), id="free elsewhere"
        ),
    ],
)
def test_what_lets_more_through_needs_an_approval_and_its_way_back_none(
    before: list[dict[str, Any]], after: list[dict[str, Any]], change: Change, risks: set[Risk]
) -> None:
    assert key_changes(before, after) == [(change, True, risks)]
    back, broadens, told = key_changes(after, before)[0]
    assert (back, broadens, told) == (change.mirror, change is Change.CHANGED, set())


@pytest.mark.parametrize("free", [unbound(key()), unbound("*"), unbound(key(), VIA)])
def test_a_key_that_was_free_to_use_and_is_bound_now_needs_none(free: dict[str, Any]) -> None:
    assert key_changes([free], [bound(key())]) == [(Change.NARROWED, False, set())]
    assert key_changes([bound(key())], [free]) == [(Change.WIDENED, True, set())]


def test_every_change_of_keys_is_told() -> None:
    """A key with a condition beside one without: nothing is cut at a comma."""
    one = [bound(key(), CallerAccount="1, 2"), bound(key(2))]
    assert key_changes(one, [bound(key(2))]) == [(Change.NARROWED, False, set())]
    assert key_changes(one, one) == []


def all_but(*keys: str) -> dict[str, Any]:
    """Return a bound Decrypt with every key but some."""
    statement = bound("*")
    del statement["Resource"]
    return statement | {"NotResource": list(keys)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([all_but(key(1), key(2), key(3))], [all_but(key(1), key(2))]),
        ([bound(key(1))], [all_but(key(2))]),
        ([all_but(key(1), key(2))], [all_but(key(1), key(2)), bound(key(2))]),
    ],
)
def test_everything_but_some_keys_is_wider_the_fewer_these_are(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    assert [(change, broadens) for change, broadens, _ in key_changes(before, after)] == [(Change.WIDENED, True)]
    assert [(change, broadens) for change, broadens, _ in key_changes(after, before)] == [(Change.NARROWED, False)]


def test_a_key_that_was_left_out_and_is_named_now_is_a_change() -> None:
    assert key_changes([all_but(key(1), key(2))], [all_but(key(1)), bound(key(2))])


def reencrypt(resource: str) -> dict[str, Any]:
    return bound(resource) | {"Action": "kms:ReEncryptFrom"}


def test_to_encrypt_anew_is_not_to_decrypt() -> None:
    """ReEncryptFrom hands out no value: a Decrypt beside it or in its place is new."""
    assert key_changes([reencrypt(key())], [bound(key())]) == [(Change.GAINED, True, set())]
    loose = allow("kms:ReEncryptFrom", "*")
    assert key_changes([loose], [loose, bound(key())]) == [(Change.GAINED, True, set())]


def test_an_endpoint_that_is_none_frees_no_key() -> None:
    strange = unbound(key(), "secretsmanager.eu-west-1.example")
    assert key_changes([strange], [bound(key())]) == [(Change.GAINED, True, set())]


@pytest.mark.parametrize("wide", ["kms:*", "kms:D*"])
def test_a_key_under_a_wider_action_was_free_too(wide: str) -> None:
    assert key_changes([allow(wide, key())], [bound(key())]) == [(Change.NARROWED, False, set())]


# ------------------------------------------------------------------------------------- beside what happens to the read
def difference(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[tuple[About, Change, bool]]:
    sides = (FleetDocuments(environment="prod", apps={"shop": app(*told)}) for told in (before, after))
    return [(row.about, row.change, row.broadens) for row in diff_fleets(*sides).rows]


def reading(resource: str, *keys: str, **condition: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a policy's condition
    decrypt = bound(*keys)
    decrypt["Condition"]["StringLike"] = {"kms:EncryptionContext:SecretARN": resource}
    return [allow("secretsmanager:GetSecretValue", resource, condition=condition or None), *([decrypt] if keys else [])]


def test_a_key_that_comes_to_a_read_that_shrinks_is_told_beside_it() -> None:
    wide, narrow = secret("d*"), secret("db-??????")
    for before in (reading(wide, key(1)), reading(wide)):
        rows = difference(before, reading(narrow, key(2)))
        assert (About.READ, Change.NARROWED, False) in rows
        assert [broadens for about, _, broadens in rows if about is About.KEY] == [True]
    assert [row for row in difference(reading(wide, key(1)), reading(narrow, key(1))) if row[0] is About.KEY] == []


def test_one_region_of_all_is_compared_like_any_other() -> None:
    """What held in every region held in this one: its conditions and keys are compared."""
    everywhere = "arn:aws:secretsmanager:*:111122223333:secret:db-??????"
    held = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
    rows = difference(reading(everywhere, **held), reading(secret("db-??????")))
    assert (About.REGION, Change.NARROWED, False) in rows
    assert (About.READ, Change.WIDENED, True) in rows, "a condition went away"
    rows = difference(reading(everywhere), reading(secret("db-??????"), key(1)))
    assert (About.KEY, Change.GAINED, True) in rows
    assert difference(reading(everywhere), reading(secret("db-??????"))) == [(About.REGION, Change.NARROWED, False)]


def test_a_key_of_all_regions_is_one_of_each() -> None:
    everywhere = "arn:aws:secretsmanager:*:111122223333:secret:db-??????"
    decrypt = bound(key())
    decrypt["Condition"] = {
        "StringLike": {
            "kms:ViaService": "secretsmanager.*.amazonaws.com",
            "kms:EncryptionContext:SecretARN": everywhere,
        }
    }
    before = [*reading(everywhere), decrypt]
    narrowed = difference(before, reading(secret("db-??????"), key()))
    assert narrowed == [(About.REGION, Change.NARROWED, False)]
    assert (About.KEY, Change.LOST, False) in difference(before, reading(secret("db-??????")))
    assert (About.KEY, Change.CHANGED, True) in difference(before, reading(secret("db-??????"), key(2)))


def test_a_variable_of_a_policy_may_be_any_key() -> None:
    variable = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/${{aws:PrincipalTag/k}}"
    assert [(change, broadens) for change, broadens, _ in key_changes([all_but(key(1))], [bound(variable)])] == [
        (Change.CHANGED, True)
    ]


@pytest.mark.parametrize(
    ("operator", "via", "name"),
    [
        ("StringEquals", VIA, secret("db-??????")),
        ("StringLike", "secretsmanager.*.example.com", secret("db-??????")),
        ("StringLike", "secretsmanager.eu-west-1.example.com", secret("db-??????")),
    ],
)
def test_what_binds_a_decrypt_to_nothing_is_no_binding(operator: str, via: str, name: str) -> None:
    """Under StringEquals a star is a star, which no ARN has; and AWS's services ask from endpoints of AWS's."""
    nowhere = bound(key())
    nowhere["Condition"] = {
        "StringEquals" if operator == "StringEquals" else "StringLike": {"kms:ViaService": via},
    }
    nowhere["Condition"].setdefault(operator, {})["kms:EncryptionContext:SecretARN"] = name
    rows = difference([READ, nowhere], [READ, bound(key())])
    assert [broadens for about, _, broadens in rows if about is About.KEY] == [True]


# ------------------------------------------------------------------------------------------- what a narrower read has
@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (allow("secretsmanager:GetSecretValue", secret("d*")), secret("db-??????", region="us-east-1")),
        (
            allow(
                "secretsmanager:GetSecretValue", secret("d*"), condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}}
            ),
            secret("db-??????"),
        ),
    ],
)
def test_a_read_that_is_named_more_narrowly_is_no_narrower_where_it_holds_elsewhere_or_under_less(
    wide: dict[str, Any], narrow: str
) -> None:
    rows = difference([wide], [allow("secretsmanager:GetSecretValue", narrow)])
    assert (About.READ, Change.GAINED, True) in rows
    assert (About.READ, Change.LOST, False) in rows
