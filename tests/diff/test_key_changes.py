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
