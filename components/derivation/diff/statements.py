"""IAM policy documents to atoms: one action pattern on one resource under one set of conditions.

Order, layout, Sids, "text or list of texts", the case of actions and what another atom allows anyway make no
difference: two documents that allow the same give the same atoms. What an atom means is decided in reads.py and
trust.py. Not decided: whether a Deny takes back an Allow; both are shown.

Source: IAM JSON policy reference (grammar), IAM user guide (ARNs that end early).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .conditions import Test, Tests, is_weaker_or_equal, read_tests, texts_of
from .patterns import Pattern

_ARN_COLONS = 5
#: The version of the language in which `${...}` stands for something; in an older one, IAM's default, it is plain text.
WITH_VARIABLES = "2012-10-17"
_VARIABLE, _PLAIN = "${", "${as text: "


class Effect(StrEnum):
    """IAM's two words."""

    ALLOW = "Allow"
    DENY = "Deny"


class UnreadablePolicyError(Exception):
    """A text that is no IAM policy; the message says what is wrong and repeats none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """One effect on one action pattern.

    Attributes:
        principal: Kind and name in trust and resource policies, else ("", "").
        resource: `*` where the document has none (trust).
        why: Where it stands: policy, Sid or number of the statement.
    """

    effect: Effect
    action: Pattern
    resource: Pattern
    tests: Tests
    principal: tuple[str, str] = ("", "")
    why: str = field(default="", compare=False)

    def covers(self, other: Atom) -> bool:
        """Say whether this one makes the other one superfluous."""
        return (
            self.effect is other.effect
            and self.principal == other.principal
            and self.action.contains(other.action)
            and self.resource.contains(other.resource)
            and is_weaker_or_equal(self.tests, other.tests)
        )


def read_policy(document: object, where: str) -> tuple[Atom, ...]:
    """Read one document, a JSON text or its data.

    Args:
        document: As IAM takes it.
        where: Name of the policy, for `Atom.why`.

    Raises:
        UnreadablePolicyError: It is not a policy.
    """
    if isinstance(document, str):
        try:
            document = json.loads(document, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise UnreadablePolicyError(f"{where} is not JSON with each key once") from None
    if not isinstance(document, Mapping):
        raise UnreadablePolicyError(f"{where} is not a policy document")
    if "Statement" not in document:
        raise UnreadablePolicyError(f"{where} has no Statement")
    statements = document["Statement"]
    statements = statements if isinstance(statements, list) else [statements]
    has_variables = document.get("Version") == WITH_VARIABLES
    atoms: list[Atom] = []
    for number, statement in enumerate(statements, start=1):
        if not isinstance(statement, Mapping):
            raise UnreadablePolicyError(f"{where} statement {number} is not a mapping")
        try:
            found = _atoms(statement, f"{where}, {_label(statement, number)}")
            atoms += found if has_variables else map(_without_variables, found)
        except ValueError as error:
            raise UnreadablePolicyError(f"{where} statement {number}: {error}") from None
    return tuple(atoms)


def _without_variables(atom: Atom) -> Atom:
    """Return an atom of an older version: what looks like a variable is marked, so that it equals no real one."""
    resource = atom.resource
    if _VARIABLE in str(resource):
        text = [part.replace(_VARIABLE, _PLAIN) for part in (resource.text, *resource.but)]
        resource = Pattern.all_but(text[1:]) if resource.but else Pattern.of(text[0])
    if not any(_VARIABLE in value for test in atom.tests for value in test.values):
        return replace(atom, resource=resource)
    tests = [
        replace(test, values=tuple(sorted(v.replace(_VARIABLE, _PLAIN) for v in test.values))) for test in atom.tests
    ]
    return replace(atom, resource=resource, tests=Tests(tests))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a key that stands twice: readers differ about which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _label(statement: Mapping[str, object], number: int) -> str:
    sid = statement.get("Sid")
    return f"statement {sid}" if isinstance(sid, str) and sid else f"statement {number}"


def _atoms(statement: Mapping[str, object], why: str) -> Iterator[Atom]:
    for key in ("Action", "Resource", "Principal"):
        if key in statement and f"Not{key}" in statement:
            raise ValueError(f"{key} and Not{key} stand together")
    effect = Effect(str(statement.get("Effect")))
    tests = read_tests(statement.get("Condition"))
    actions = _patterns(statement, "Action", "NotAction", lower=True)
    if not actions:
        raise ValueError("no action")
    for principal in _principals(statement):
        for resource in _patterns(statement, "Resource", "NotResource") or [Pattern.of("*")]:
            for action in actions:
                yield Atom(effect=effect, action=action, resource=resource, tests=tests, principal=principal, why=why)


def _patterns(statement: Mapping[str, object], key: str, negated: str, *, lower: bool = False) -> list[Pattern]:
    change = str.lower if lower else whole_arn
    if key in statement:
        return [Pattern.of(change(text)) for text in texts_of(statement[key])]
    if negated in statement:
        return [Pattern.all_but([change(text) for text in texts_of(statement[negated])])]
    return []


def whole_arn(text: str) -> str:
    """Return an ARN with the fields that it leaves out: IAM reads `*` in each of them.

    >>> whole_arn("arn:aws:secretsmanager"), whole_arn("arn:aws:s3:*")
    ('arn:aws:secretsmanager:*:*:*', 'arn:aws:s3:*')
    """
    missing = _ARN_COLONS - text.count(":")
    is_cut = text.lower().startswith("arn:") and missing > 0 and not text.endswith("*")
    return text + ":*" * missing if is_cut else text


def _principals(statement: Mapping[str, object]) -> list[tuple[str, str]]:
    if "NotPrincipal" in statement:
        return [("NotPrincipal", json.dumps(statement["NotPrincipal"], sort_keys=True))]
    principal = statement.get("Principal")
    if principal is None:
        return [("", "")]
    if isinstance(principal, str):
        return [("AWS", principal)]
    if not isinstance(principal, Mapping):
        raise ValueError("Principal is neither a text nor a mapping")  # noqa: TRY004 - one error for all
    return sorted({(str(kind), name) for kind, names in principal.items() for name in texts_of(names)})


def without_superfluous(atoms: Iterable[Atom]) -> tuple[Atom, ...]:
    """Return the atoms that no other one makes superfluous, in order; equal ones once."""
    unique = list(dict.fromkeys(atoms))
    # Only a pattern can cover something else than its equal, or fewer conditions on the same thing.
    wide = [atom for atom in unique if not (atom.action.is_exact and atom.resource.is_exact)]
    by_place: dict[tuple[object, ...], list[Atom]] = {}
    for atom in unique:
        by_place.setdefault((atom.effect, atom.principal, atom.action, atom.resource), []).append(atom)
    kept: list[Atom] = []
    for atom in unique:
        same = by_place[(atom.effect, atom.principal, atom.action, atom.resource)]
        if not any(_beats(other, atom) for other in (*same, *wide) if other is not atom):
            kept.append(atom)
    return tuple(kept)


def _beats(other: Atom, atom: Atom) -> bool:
    """Say whether `other` covers `atom`; of two that cover each other one fixed one stays, whatever their order."""
    if not other.covers(atom):
        return False
    return not atom.covers(other) or _rank(other) < _rank(atom)


def _rank(atom: Atom) -> tuple[Pattern, Pattern, list[Test]]:
    return atom.action, atom.resource, sorted(atom.tests)
