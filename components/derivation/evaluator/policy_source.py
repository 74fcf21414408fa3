"""A policy document as IAM stores it, parsed strictly into values. Hand-written ones too; every problem at once.

Refused is what IAM refuses as well: an element that does not exist or does not belong into this kind of policy, a
missing one, a value of the wrong type, two statements of one Sid, a wildcard inside a principal. Whether a policy is
wise is not asked here.

Source: IAM user guide, "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import cast

from ..errors import Problem, SpecErrors, Spot
from .conditions import ConditionTest
from .json_places import Place, json_places

#: Codes of a malformed policy with the sentence that heads their explanation. Never reused.
CODES: dict[str, str] = {
    "POL001": "the policy is not readable JSON",
    "POL002": "an element that this kind of policy does not have",
    "POL003": "a required element is missing, or two exclude each other",
    "POL004": "a value of the wrong type or form",
    "POL005": "two statements of one Sid",
}

_ACCOUNT = re.compile(r"[0-9]{12}")
_PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")


class SourceKind(StrEnum):
    """What a policy is attached to, which decides the elements that it has."""

    IDENTITY = "identity policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource policy"
    TRUST = "trust policy"


class PolicyErrors(SpecErrors):
    """All problems of one policy document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An element and its negation: `Action` or `NotAction`, and so on. `is_negated` for the second."""

    values: tuple[str, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Principals:
    """The Principal element by kind; `everyone` for `*`."""

    names: Mapping[str, tuple[str, ...]]
    everyone: bool = False
    is_negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedStatement:
    """One statement.

    Attributes:
        number: From 1, in the order of the document.
        sid: "" when it has none.
        is_deny: Deny, else Allow.
        actions: Action or NotAction.
        resources: Resource or NotResource; None in a trust policy.
        principals: In resource and trust policies, else None.
        tests: The Condition element.
        at: Place in the document.
    """

    number: int
    sid: str
    is_deny: bool
    actions: Choice
    resources: Choice | None
    principals: Principals | None
    tests: tuple[ConditionTest, ...]
    at: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementId:
    """Names one statement of one policy for people: `number` counts from 1."""

    kind: SourceKind
    policy: str
    number: int
    sid: str

    def __str__(self) -> str:
        statement = self.sid or f"number {self.number}"
        return f"statement {statement} of the {self.kind} {self.policy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """One policy.

    Attributes:
        name: What a person calls it: a file, or the policy's name.
        kind: What it is attached to.
        variables: Whether its version knows policy variables.
        statements: In order.
    """

    name: str
    kind: SourceKind
    variables: bool
    statements: tuple[ParsedStatement, ...]

    def identify(self, statement: ParsedStatement) -> StatementId:
        """Name one of the statements."""
        return StatementId(kind=self.kind, policy=self.name, number=statement.number, sid=statement.sid)


def parse_policy(document: str | Mapping[str, object], *, name: str, kind: SourceKind) -> PolicySource:
    """Parse one policy.

    Args:
        document: JSON text, or what it stands for.
        name: For messages and answers; for a text the file that it came from.
        kind: Decides which elements there are.

    Raises:
        PolicyErrors: Everything that is wrong, each at its place (a text's line; a value's path only).
    """
    places: Mapping[str, Place] = {}
    if isinstance(document, str):
        data = _load(document, name)
        places = json_places(document)
    else:
        data = document
    reader = _Reader(name, kind, places)
    source = reader.read(data)
    if reader.problems or source is None:
        raise PolicyErrors(reader.problems)
    return source


def _load(text: str, name: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        spot = Spot(source=name, line=error.lineno, column=error.colno)
        what = f"this is not JSON ({error.msg})"
        raise PolicyErrors([_problem(spot, "POL001", what, "A policy is JSON", "correct the syntax here")]) from error
    except (_RepeatedKeyError, RecursionError) as error:
        spot = Spot(source=name, line=1, column=1)
        what = str(error) if isinstance(error, _RepeatedKeyError) else "it nests too deeply"
        rule = "Every element stands once"
        raise PolicyErrors([_problem(spot, "POL001", what, rule, "join the two, or remove one")]) from error


class _RepeatedKeyError(Exception):
    pass


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return found


def _problem(spot: Spot, code: str, what: str, rule: str, fix: str) -> Problem:
    assert code in CODES, code  # noqa: S101 - a programming error, found by any test that reaches it
    return Problem(spot=spot, code=code, what=what, rule=rule, fix=fix)


class _Reader:
    """Reads one document and collects its problems."""

    def __init__(self, name: str, kind: SourceKind, places: Mapping[str, Place]) -> None:
        self._name, self._kind, self._places = name, kind, places
        self.problems: list[Problem] = []

    def read(self, data: object) -> PolicySource | None:
        if not isinstance(data, Mapping):
            self._add("", "POL004", "it is no JSON object", "A policy is an object with Version and Statement")
            return None
        for key in data:
            if key not in {"Version", "Id", "Statement"}:
                self._add(str(key), "POL002", f"{key!r} is unknown", "A policy has Version, Id and Statement")
        version = data.get("Version", "2008-10-17")
        if version not in ("2012-10-17", "2008-10-17"):
            self._add("Version", "POL004", f"{version!r} is no version", "It is 2012-10-17 or 2008-10-17")
        statements = data.get("Statement")
        single = isinstance(statements, Mapping)
        items = [statements] if single else statements
        if not isinstance(items, list) or not items:
            self._add("Statement", "POL003", "there is no statement", "A policy has one or more")
            return None
        paths = ["Statement" if single else f"Statement[{index}]" for index in range(len(items))]
        read = [self._statement(item, path, number) for number, item, path in zip(count(1), items, paths, strict=False)]
        self._check_sids(read)
        return PolicySource(
            name=self._name,
            kind=self._kind,
            variables=version == "2012-10-17",
            statements=tuple(statement for statement in read if statement),
        )

    def _statement(self, item: object, path: str, number: int) -> ParsedStatement | None:
        if not isinstance(item, Mapping):
            self._add(path, "POL004", "it is no JSON object", "A statement is an object with Effect and Action")
            return None
        has_principal = self._kind in {SourceKind.RESOURCE, SourceKind.TRUST}
        has_resource = self._kind is not SourceKind.TRUST
        known = {"Sid", "Effect", "Action", "NotAction", "Condition"}
        known |= {"Principal", "NotPrincipal"} if has_principal else set()
        known |= {"Resource", "NotResource"} if has_resource else set()
        for key in item:
            if key not in known:
                rule = f"A statement of a {self._kind} has {', '.join(sorted(known))}"
                self._add(f"{path}.{key}", "POL002", f"{key!r} does not belong here", rule)
        if item.get("Effect") not in ("Allow", "Deny"):
            self._add(f"{path}.Effect", "POL004", f"{item.get('Effect')!r} is no effect", "It is Allow or Deny")
        sid = item.get("Sid", "")
        if not isinstance(sid, str):
            self._add(f"{path}.Sid", "POL004", f"{sid!r} is no text", "A Sid is text")
        return ParsedStatement(
            number=number,
            sid=str(sid),
            is_deny=item.get("Effect") == "Deny",
            actions=self._choice(item, path, "Action"),
            resources=self._choice(item, path, "Resource") if has_resource else None,
            principals=self._principals(item, path) if has_principal else None,
            tests=tuple(self._tests(item.get("Condition", {}), f"{path}.Condition")),
            at=self._spot(path),
        )

    def _check_sids(self, statements: list[ParsedStatement | None]) -> None:
        first: dict[str, ParsedStatement] = {}
        for statement in statements:
            if statement and statement.sid and first.setdefault(statement.sid, statement) is not statement:
                what = f"the Sid {statement.sid!r} stands in statement {first[statement.sid].number} too"
                self._add(statement.at.field, "POL005", what, "A Sid is unique in its policy")

    def _choice(self, item: Mapping[object, object], path: str, name: str) -> Choice:
        key = self._one_of(item, path, name)
        if key is None:
            return Choice(values=())
        values = self._texts(item[key], f"{path}.{key}")
        for index, value in enumerate(values):
            place = f"{path}.{key}[{index}]" if isinstance(item[key], list) else f"{path}.{key}"
            if name == "Resource" and value != "*" and not value.startswith("arn"):
                self._add(place, "POL004", f"{value!r} is no ARN", "A resource is an ARN, or `*`")
            if name == "Action" and value != "*" and ":" not in value:
                self._add(place, "POL004", f"{value!r} names no service", "An action is `service:Name`, or `*`")
        return Choice(values=values, is_negated=key.startswith("Not"))

    def _one_of(self, item: Mapping[object, object], path: str, name: str) -> str | None:
        present = [key for key in (name, f"Not{name}") if key in item]
        if len(present) != 1:
            what = "both stand here" if present else "neither stands here"
            self._add(path, "POL003", f"{name} or Not{name}: {what}", "A statement has exactly one of them")
            return None
        return present[0]

    def _principals(self, item: Mapping[object, object], path: str) -> Principals | None:
        key = self._one_of(item, path, "Principal")
        if key is None:
            return None
        value, place = item[key], f"{path}.{key}"
        if value == "*":
            return Principals(names={}, everyone=True, is_negated=key.startswith("Not"))
        if not isinstance(value, Mapping) or not value:
            self._add(place, "POL004", f"{value!r} is no principal", 'It is `*` or an object such as {"AWS": ARN}')
            return None
        names: dict[str, tuple[str, ...]] = {}
        for kind in value:
            if kind not in _PRINCIPAL_KINDS:
                rule = f"Kinds of principals are {', '.join(_PRINCIPAL_KINDS)}"
                self._add(f"{place}.{kind}", "POL002", f"{kind!r} is no kind of principal", rule)
                continue
            names[str(kind)] = self._texts(value[kind], f"{place}.{kind}")
            self._check_principal(str(kind), names[str(kind)], f"{place}.{kind}")
        everyone = "*" in names.get("AWS", ())
        return Principals(names=names, everyone=everyone, is_negated=key.startswith("Not"))

    def _check_principal(self, kind: str, names: tuple[str, ...], place: str) -> None:
        for name in names:
            if name != "*" and ("*" in name or "?" in name):
                self._add(place, "POL004", f"{name!r} holds a wildcard", "A principal is named in full, or is `*`")
            elif kind == "AWS" and name != "*" and not name.startswith("arn:") and not _ACCOUNT.fullmatch(name):
                self._add(place, "POL004", f"{name!r} is no principal of AWS", "It is an ARN, an account id or `*`")

    def _tests(self, condition: object, path: str) -> Iterator[ConditionTest]:
        if not isinstance(condition, Mapping):
            self._add(path, "POL004", "it is no JSON object", "A Condition maps operators to keys and values")
            return
        for operator, keys in condition.items():
            if not isinstance(keys, Mapping):
                self._add(f"{path}.{operator}", "POL004", "it is no JSON object", "An operator maps keys to values")
                continue
            for key, value in keys.items():
                values = self._texts(value, f"{path}.{operator}.{key}", scalars=True)
                yield ConditionTest(operator=str(operator), key=str(key), values=values)

    def _texts(self, value: object, path: str, *, scalars: bool = False) -> tuple[str, ...]:
        """Read a text or a list of texts; with `scalars`, booleans and numbers count as their JSON text."""
        items = value if isinstance(value, list) else [value]
        if not items and not scalars:
            self._add(path, "POL003", "the list is empty", "It names one or more")
        texts: list[str] = []
        for item in cast("list[object]", items):
            if isinstance(item, str) and (item or scalars):
                texts.append(item)
            elif scalars and isinstance(item, (bool, int, float)):
                texts.append(json.dumps(item))
            else:
                self._add(path, "POL004", f"{item!r} is no text", "It is a text, or a list of texts")
        return tuple(texts)

    def _spot(self, path: str) -> Spot:
        nearest = path
        while nearest not in self._places and nearest:
            nearest = re.sub(r"\.?[^.]*\Z", "", nearest) if not nearest.endswith("]") else nearest.rpartition("[")[0]
        line, column = self._places.get(nearest, (1, 1))
        return Spot(source=self._name, line=line, column=column, field=path)

    def _add(self, path: str, code: str, what: str, rule: str) -> None:
        self.problems.append(_problem(self._spot(path), code, what, rule, "correct the policy here"))
