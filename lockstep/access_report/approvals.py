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
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from components.derivation.yaml_depth import nests_too_deeply
from lockstep.input_errors import place_of

#: Judgements of a row.
APPROVED, NEEDED = "approved", "needed"
_DIGEST = re.compile(r"[0-9a-f]{16}")
_KEYS = ("row", "spec", "expires", "reason")
#: What PyYAML raises of a text; the last four where a tag such as `!!bool x` names a type that the text is not of.
_UNREADABLE = (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError)
_RULE = "It has the keys version (1) and approvals (a list)"


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
    if nests_too_deeply(text):
        rule = "A file of approvals nests a few levels"
        raise ApprovalsError(f"{where}: it nests too deeply. {rule}. Fix: check the brackets. [DIFF004]")
    try:
        loader = _Loader(text)
        try:
            document = loader.get_single_data()
        finally:
            loader.dispose()
    except _UNREADABLE as error:
        place = f" at {place_of(error)}" if isinstance(error, yaml.YAMLError) else ""
        raise ApprovalsError(f"{where}: it is not readable YAML{place}. Fix: correct it. [DIFF004]") from None
    items: list[Approval] = []
    problems = [f":{place}: {what}" for place, what in loader.repeated]
    problems += _parse(document, items)
    if problems:
        raise ApprovalsError("\n".join(f"{where}{problem} [DIFF004]" for problem in problems))
    return Approvals(items=tuple(items), today=today)


class _Loader(yaml.SafeLoader):
    """Remembers keys that stand twice: PyYAML keeps the last one, and the first is what a reviewer may have read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[tuple[str, str]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 - PyYAML's signature
        lines: dict[str, int] = {}
        for key, _ in node.value:
            text, line = str(key.value), key.start_mark.line + 1
            if text in lines:
                what = (
                    f"the key {text!r} stands here and in line {lines[text]}. A key stands once. Fix: keep one of them."
                )
                self.repeated.append((f"{line}:{key.start_mark.column + 1}", what))
            lines.setdefault(text, line)
        return super().construct_mapping(node, deep)


def _day(loader: _Loader, node: yaml.ScalarNode) -> object:
    """Return a day; one that no calendar has stays text, and is told as what is wrong with its approval."""
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError:
        return node.value


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _day)


def _parse(document: object, items: list[Approval]) -> Iterator[str]:
    """Read a document into its approvals; yield what is wrong with it, each behind its place in the file."""
    if not isinstance(document, Mapping):
        yield f": it is not a file of approvals. {_RULE}. Fix: write them."
        return
    yield from _wrong_keys(document, ("version", "approvals"), "it is not a file of approvals: ", _RULE)
    if "version" in document and (type(document["version"]) is not int or document["version"] != 1):
        yield " version: it is not 1. This release reads version 1. Fix: write 1."
    entries = document.get("approvals", [])
    if entries is None:
        yield " approvals: it is empty. It is a list. Fix: write [] where nothing is approved."
    elif not isinstance(entries, list):
        yield " approvals: it is not a list. Fix: begin each approval with '- '."
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        problems = [f" approvals[{index}]{problem}" for problem in _wrong_entry(entry)]
        if not problems:
            items.append(Approval(**{key: entry[key] for key in _KEYS}))
        yield from problems


def _wrong_entry(entry: object) -> Iterator[str]:
    if not isinstance(entry, Mapping):
        yield f": it is not a mapping. It has exactly the keys {', '.join(_KEYS)}. Fix: write them."
        return
    yield from _wrong_keys(entry, _KEYS, "", f"It has exactly the keys {', '.join(_KEYS)}")
    for key in ("row", "spec"):
        # An app that is gone, and what nobody knows, has no access that could be named: accepted with an empty text.
        is_gone = key == "spec" and entry.get(key) == ""
        if key in entry and not is_gone and not (isinstance(entry[key], str) and _DIGEST.fullmatch(entry[key])):
            yield f".{key}: it is not 16 hex digits, in quotes. Fix: copy it from the report."
    if "expires" in entry and type(entry["expires"]) is not dt.date:
        yield ".expires: it is not a day like 2026-12-31. Fix: write one."
    if "reason" in entry and not (isinstance(entry["reason"], str) and entry["reason"].strip()):
        yield ".reason: it is empty. Fix: say why this is accepted."


def _wrong_keys(found: Mapping[object, object], keys: tuple[str, ...], opening: str, rule: str) -> Iterator[str]:
    missing = [key for key in keys if key not in found]
    if missing:
        yield f": {opening}it has no {', '.join(missing)}. {rule}. Fix: complete it."
    unknown = [repr(key) for key in found if key not in keys]
    if unknown:
        yield f": {opening}it has {', '.join(unknown)}. {rule}. Fix: leave that out."


def no_approvals() -> Approvals:
    """Return approvals that accept nothing."""
    return Approvals(today=dt.date.max)
