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
        if base == "ArnEquals":
            base = "ArnLike"
        if base in _LIKE:
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
        if self.key != other.key or not stricter or not {base, other_base} <= _POSITIVE:
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


def tests_text(tests: Tests) -> str:
    """Return the conditions as one line, in order; "" for none."""
    return " and ".join(str(test) for test in sorted(tests))
