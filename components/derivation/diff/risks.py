"""What makes a row dangerous: the risk words of a row, from the row and from what is known about the app.

Source of the classes: AWS CDK's `--require-approval broadening` asks in the same place; the words are ours.
"""

from __future__ import annotations

from collections.abc import Callable

from ..arn import Arn
from .actions import BY_PATH, Power
from .compare import WHOLE_APP
from .facts import About
from .patterns import has_wildcard
from .reads import is_wide
from .rows import Change, Risk, Row
from .trust import ANY, ASSOCIATION, OWN, SESSION_POLICY


def add_risks(row: Row, *, account: str, is_new: bool, is_protected: bool) -> Row:
    """Return the row with its risk words.

    Args:
        row: Without risks.
        account: Of the app's role, "" unknown.
        is_new: Whether the app had no access at all before.
        is_protected: Whether the environment is one that its users called protected.
    """
    risks = _RISKS[row.about](row, account) if row.about in _RISKS else set()
    if row.about is About.READ and row.change is Change.GAINED and is_new:
        risks.add(Risk.NEW_PRINCIPAL)
    if row.secret_owner and row.owner and row.secret_owner != row.owner:
        risks.add(Risk.CROSS_OWNER)
    if not row.is_certain:
        risks.add(Risk.UNKNOWN)
    if row.about is About.TRUST and row.change is Change.GAINED and not is_new and row.parts[0].startswith("IRSA"):
        risks.add(Risk.NEW_PRINCIPAL)  # the same name in another cluster is somebody else
    row = row.with_risks(risks)
    if row.about is About.OTHER_ACCOUNT:
        return row  # whose word it is what the other account lets through; here it is only said what that must do
    if not row.broadens:
        # A loss is no risk. What a failing mount is stays said.
        kept = {Risk.FAILS, Risk.UNKNOWN} if row.change is Change.GAINED else {Risk.UNKNOWN}
        return row.with_risks(risks & kept if row.about is not About.UNKNOWN else set())
    return row.with_risks(risks | ({Risk.PROTECTED} if is_protected else set()))


def _read(row: Row, account: str) -> set[Risk]:
    resources = [row.parts[0]]
    if row.change is Change.WIDENED and row.after and row.after[0] == row.parts[0]:
        resources = [row.after[0]]
    # Leave for a path is leave for every parameter below it.
    below = any(text.startswith(BY_PATH) for text in (*row.before, *row.after))
    wide = below or any(is_wide(text) for text in resources) or "*" in row.regions
    risks = {Risk.WILDCARD} if wide else set()
    if account and any(_other_account(text, account) for text in resources):
        risks.add(Risk.CROSS_ACCOUNT)
    if row.change in {Change.WIDENED, Change.CHANGED} and not risks & {Risk.WILDCARD} and row.broadens:
        risks.add(Risk.LOOSENED)
    return risks


def _region(row: Row, account: str) -> set[Risk]:
    risks = {Risk.WILDCARD} if "*" in row.after else set()
    return risks | ({Risk.CROSS_ACCOUNT} if account and _other_account(row.parts[0], account) else set())


def _power(row: Row, account: str) -> set[Risk]:
    power, _, resource = row.parts
    risks = {Risk.WILDCARD} if is_wide(resource) else set()
    if power == Power.WRITE:
        risks.add(Risk.WRITE)
    if power == Power.DECRYPT:
        risks.add(Risk.UNBOUND_KEY)
    if account and _other_account(resource, account):
        risks.add(Risk.CROSS_ACCOUNT)
    return risks | ({Risk.LOOSENED} if row.change in {Change.WIDENED, Change.CHANGED} else set())


def _key(row: Row, account: str) -> set[Risk]:
    keys = [text.partition(": ")[2].partition(" if ")[0] for text in row.after]
    risks = {Risk.WILDCARD} if any(map(is_wide, keys)) else set()
    return risks | ({Risk.CROSS_ACCOUNT} if account and any(_other_account(key, account) for key in keys) else set())


def _trust(row: Row, account: str) -> set[Risk]:
    who = row.parts[0]
    if row.change in {Change.WIDENED, Change.CHANGED}:
        return {Risk.LOOSENED}
    risks = {Risk.NEW_PRINCIPAL} if not who.endswith(OWN) else set()
    if who.endswith((ANY, "(pattern)")) or who in {"*", "AWS *"} or has_wildcard(who):
        risks.add(Risk.WILDCARD)
    return risks | ({Risk.CROSS_ACCOUNT} if account and _other_account(who, account) else set())


def _identity(row: Row, account: str) -> set[Risk]:
    if row.parts == ("permissions boundary",) or row.parts[0] == SESSION_POLICY:
        return {Risk.LOOSENED}
    if row.parts in {("service account",), (WHOLE_APP,)}:
        return {Risk.NEW_PRINCIPAL}
    crosses = account and any(_other_account(text.rpartition(" ")[2], account) for text in row.after)
    if row.parts[0] == ASSOCIATION:
        risk = Risk.NEW_PRINCIPAL if row.change is Change.GAINED else Risk.LOOSENED
        return {risk} | ({Risk.CROSS_ACCOUNT} if crosses else set())
    return {Risk.CROSS_ACCOUNT} if crosses else set()


def _resource_policy(row: Row, account: str) -> set[Risk]:  # noqa: ARG001 - one signature for all
    resource, _, who, *_ = row.parts
    if row.change in {Change.WIDENED, Change.CHANGED} or "Deny" in row.parts:
        return {Risk.LOOSENED}
    owner = Arn.parse(resource)
    risks = {Risk.NEW_PRINCIPAL}
    if who == "*":
        risks.add(Risk.WILDCARD)
    return risks | ({Risk.CROSS_ACCOUNT} if owner and owner.account and _other_account(who, owner.account) else set())


def _other_accounts(row: Row, account: str) -> set[Risk]:  # noqa: ARG001 - one signature for all
    """Until the other account has done it a mount fails; what it may take away harms nobody."""
    if row.change in {Change.LOST, Change.NARROWED}:
        return set()
    owner, _, _, role = row.parts
    return {Risk.FAILS} | ({Risk.CROSS_ACCOUNT} if _other_account(role, owner) else set())


def _other_account(text: str, account: str) -> bool:
    """Say whether an ARN, or a bare account id, is of another account."""
    arn = Arn.parse(text)
    named = arn.account if arn else text
    return len(named) == len(account) and named.isdigit() and named != account


_RISKS: dict[About, Callable[[Row, str], set[Risk]]] = {
    About.READ: _read,
    About.REGION: _region,
    About.POWER: _power,
    About.KEY: _key,
    About.DENIAL: lambda row, account: {Risk.LOOSENED},  # noqa: ARG005 - one signature for all
    About.TRUST: _trust,
    About.IDENTITY: _identity,
    About.RESOURCE_POLICY: _resource_policy,
    About.OTHER_ACCOUNT: _other_accounts,
    About.SYNC: lambda row, account: {Risk.COPIED},  # noqa: ARG005 - as above
    About.MODE: lambda row, account: {Risk.LOOSENED},  # noqa: ARG005 - as above
    About.UNKNOWN: lambda row, account: {Risk.UNKNOWN},  # noqa: ARG005 - as above
    About.MOUNT_WITHOUT_GRANT: lambda row, account: {Risk.FAILS},  # noqa: ARG005 - as above
}
