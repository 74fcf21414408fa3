"""What was accepted: a file of row identities, each with the digest of the access it was seen in, and an expiry.

An approval holds for exactly one row in exactly one state of its app, until its day is over. The file is read from the
base of a comparison, so that a change cannot approve itself; who merges to the base approves.

Shape:
    version: 1
    approvals:
      - row: 838ac975aa99a14a
        spec: 1f0c9b2d7e6a5c43
        expires: 2026-12-31
        reason: agreed with the owner
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

#: Judgements of a row.
APPROVED, NEEDED = "approved", "needed"
_DIGEST = re.compile(r"[0-9a-f]{16}")
_KEYS = ("row", "spec", "expires", "reason")


class ApprovalsError(Exception):
    """A file of approvals that cannot be used: every problem of it, one line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One accepted row."""

    row: str
    spec: str
    expires: dt.date
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """What was accepted, on one day.

    Attributes:
        today: The day that decides about expiry.
    """

    items: tuple[Approval, ...] = ()
    today: dt.date

    def judgement(self, row: str, spec: str) -> str:
        """Judge a row that needs an approval, by its identity and the state of its app.

        Returns:
            `approved`, `needed`, or `needed: why an approval does not count`.
        """
        if any(item.row == row and item.spec == spec and self.today <= item.expires for item in self.items):
            return APPROVED
        refusal = self._refusal(row, spec)
        return f"{NEEDED}: {refusal}" if refusal else NEEDED

    def _refusal(self, row: str, spec: str) -> str:
        for item in self.items:
            if item.row == row and self.today > item.expires:
                return f"its approval ended on {item.expires.isoformat()}"
            if item.row == row and item.spec != spec:
                return "it was approved in another state of the app"
        return ""


def parse_approvals(text: str, *, where: str, today: dt.date) -> Approvals:
    """Read a file of approvals.

    Args:
        text: YAML.
        where: Its name, for messages.
        today: See `Approvals`.

    Raises:
        ApprovalsError: Every problem of it.
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # a day such as 2020-13-41 is a ValueError
        raise ApprovalsError(f"{where}: it is not readable YAML. Fix: correct it. [DIFF004]") from None
    except RecursionError:
        rule = "A file of approvals nests a few levels"
        raise ApprovalsError(f"{where}: it nests too deeply. {rule}. Fix: check the brackets. [DIFF004]") from None
    if not isinstance(document, Mapping) or set(document) != {"version", "approvals"} or document["version"] != 1:
        rule = "It has the keys version (1) and approvals (a list)"
        raise ApprovalsError(f"{where}: it is not a file of approvals. {rule}. Fix: correct it. [DIFF004]")
    entries = document["approvals"]
    if entries is not None and not isinstance(entries, list):
        raise ApprovalsError(f"{where} approvals: it is not a list. Fix: begin each approval with '- '. [DIFF004]")
    problems: list[str] = []
    items: list[Approval] = []
    for index, entry in enumerate(entries or []):
        found = _parse(entry)
        if isinstance(found, Approval):
            items.append(found)
        else:
            problems.append(f"{where} approvals[{index}]{found} [DIFF004]")
    if problems:
        raise ApprovalsError("\n".join(problems))
    return Approvals(items=tuple(items), today=today)


def _parse(entry: object) -> Approval | str:
    """Return an approval, or what is wrong with it."""
    if not isinstance(entry, Mapping) or set(entry) != set(_KEYS):
        return f": it does not have exactly the keys {', '.join(_KEYS)}. Fix: complete it."
    for key in ("row", "spec"):
        # An app that is gone, and what nobody knows, has no access that could be named: accepted with an empty text.
        is_gone = key == "spec" and entry[key] == ""
        if not is_gone and (not isinstance(entry[key], str) or not _DIGEST.fullmatch(entry[key])):
            return f".{key}: it is not 16 hex digits, in quotes. Fix: copy it from the report."
    if type(entry["expires"]) is not dt.date:
        return ".expires: it is not a day like 2026-12-31. Fix: write one."
    if not isinstance(entry["reason"], str) or not entry["reason"].strip():
        return ".reason: it is empty. Fix: say why this is accepted."
    return Approval(row=entry["row"], spec=entry["spec"], expires=entry["expires"], reason=entry["reason"])


def no_approvals() -> Approvals:
    """Return approvals that accept nothing."""
    return Approvals(today=dt.date.max)
