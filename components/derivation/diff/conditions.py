"""Conditions of IAM statements: one spelling for equal ones, and which of two lets more through.

Condition keys are compared ignoring case and operators by their documented equivalences, as IAM does it. Whether a
condition holds for a request is not decided here.

Source: IAM JSON policy elements: Condition operators (`StringLike` without wildcard is `StringEquals`; `ArnEquals` and
`ArnLike` behave the same; `...IfExists` also holds where the key is absent).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .patterns import contains, has_wildcard, normalise

#: How well-known keys are written; others are shown in lower case.
_SPELLING = {
    key.lower(): key
    for key in (
        "aws:PrincipalArn",
        "aws:PrincipalOrgID",
        "aws:PrincipalTag/kubernetes-namespace",
        "aws:PrincipalTag/kubernetes-service-account",
        "aws:RequestTag/kubernetes-namespace",
        "aws:RequestTag/kubernetes-service-account",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceVpc",
        "aws:SourceVpce",
        "kms:EncryptionContext:PARAMETER_ARN",
        "kms:EncryptionContext:SecretARN",
        "kms:ViaService",
        "secretsmanager:VersionId",
        "secretsmanager:VersionStage",
        "sts:ExternalId",
    )
}
_IF_EXISTS = "IfExists"
_LIKE = frozenset({"StringLike", "ArnLike"})
_POSITIVE = frozenset({"StringEquals", "StringLike", "ArnLike"})
#: The negation of each: it holds where no value matches.
_NEGATIVE = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike", "ArnNotLike": "ArnLike"}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Test:
    """One test: `operator` on `key` against any of the sorted, unique `values`."""

    __test__ = False  # not one of pytest's

    operator: str
    key: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, operator: str, key: str, values: Iterable[str]) -> Test:
        """Build a test in its one spelling."""
        texts = sorted(set(values))
        base, optional = operator.removesuffix(_IF_EXISTS), operator.endswith(_IF_EXISTS)
        base = {"ArnEquals": "ArnLike", "ArnNotEquals": "ArnNotLike"}.get(base, base)
        if base in _LIKE or _NEGATIVE.get(base) in _LIKE:
            texts = sorted({normalise(text) for text in texts})
        if base == "StringLike" and not any(has_wildcard(text) for text in texts):
            base = "StringEquals"
        key = _SPELLING.get(key.lower(), key.lower())
        return cls(operator=base + (_IF_EXISTS if optional else ""), key=key, values=tuple(texts))

    def implies(self, other: Test) -> bool:
        """Say whether a request that passes this test passes the other one for certain."""
        if self == other:
            return True
        base, other_base = self.operator.removesuffix(_IF_EXISTS), other.operator.removesuffix(_IF_EXISTS)
        stricter = other.operator.endswith(_IF_EXISTS) or not self.operator.endswith(_IF_EXISTS)
        if self.key != other.key or not stricter:
            return False
        if base in _NEGATIVE and other_base in _NEGATIVE:
            # Whoever refuses more lets through less.
            mine, theirs = _NEGATIVE[base], _NEGATIVE[other_base]
            return all(any(_covers(mine, value, theirs, wide) for value in self.values) for wide in other.values)
        if not {base, other_base} <= _POSITIVE:
            return False
        return all(any(_covers(other_base, wide, base, value) for wide in other.values) for value in self.values)

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {' | '.join(self.values)}"


def _covers(wide_operator: str, wide: str, operator: str, value: str) -> bool:
    if wide_operator in _LIKE:
        # A `*` inside a StringEquals value is a plain star: only an equal text or a wider pattern covers it.
        return contains(wide, value)
    return wide == value and not (operator in _LIKE and has_wildcard(value))


Tests = frozenset[Test]


def read_tests(block: object) -> Tests:
    """Read a `Condition` block.

    Raises:
        ValueError: It is not one.
    """
    if block is None:
        return frozenset()
    if not isinstance(block, Mapping):
        raise ValueError("Condition is not a mapping")  # noqa: TRY004 - one error for every malformed policy
    tests = set()
    for operator, keys in block.items():
        if not isinstance(keys, Mapping):
            raise ValueError(f"Condition {operator} is not a mapping")  # noqa: TRY004 - as above
        for key, values in keys.items():
            tests.add(Test.of(str(operator), str(key), texts_of(values)))
    return frozenset(tests)


def texts_of(value: object) -> list[str]:
    """Return a policy's "one text or a list of them" as a list; booleans and numbers as IAM reads them.

    Raises:
        ValueError: Something else stands there.
    """
    items = value if isinstance(value, list) else [value]
    texts: list[str] = []
    for item in items:
        if isinstance(item, bool):
            texts.append(str(item).lower())
        elif isinstance(item, (str, int, float)):
            texts.append(str(item))
        else:
            raise ValueError("neither a text nor a list of texts")  # noqa: TRY004 - as above
    return texts


def is_weaker_or_equal(wide: Tests, narrow: Tests) -> bool:
    """Say whether whatever passes `narrow` passes `wide`: each test of `wide` follows from one of `narrow`."""
    return all(any(given.implies(asked) for given in narrow) for asked in wide)


def changed_values(before: Tests, after: Tests) -> tuple[str, ...]:
    """Say which values come and go where the same tests stay: a list of roles is long, and its change is short."""
    old, new = ({(test.operator, test.key): set(test.values) for test in tests} for tests in (before, after))
    lines: list[str] = []
    for operator, key in sorted(old.keys() & new.keys()):
        gone, come = old[operator, key] - new[operator, key], new[operator, key] - old[operator, key]
        lines += [f"{key} {operator}: now also {value}" for value in sorted(come)]
        lines += [f"{key} {operator}: no longer {value}" for value in sorted(gone)]
    return tuple(lines)


def tests_text(tests: Tests) -> str:
    """Return the conditions as one line, in order; "" for none."""
    return " and ".join(str(test) for test in sorted(tests))
