"""The Condition element: every operator that IAM documents for strings, ARNs, numbers, dates, booleans and addresses.

An operator that is not in the table, a value of the wrong type, or a multi-valued key under an operator for one value
is unclear, because IAM's documentation does not say what follows.

Source: IAM user guide, "Condition operators" (negated operators compare against none of the values; a missing key fails
positive and passes negated operators; `...IfExists` passes it; `Null`) and "Multivalued context keys" (`ForAllValues`
passes for no value at all, `ForAnyValue` fails).
"""

from __future__ import annotations

import ipaddress
import operator as order
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from types import MappingProxyType

from .patterns import Context, Extent, Pattern, expand
from .verdicts import Unclear, Verdict, all_of, any_of, negation

_VARIABLE_KEY = re.compile(r"\$\{\s*([^,}\s]+)")


class Quantifier(Enum):
    """Over the values of a multi-valued key."""

    ALL = "forallvalues:"
    ANY = "foranyvalue:"


@dataclass(frozen=True, slots=True)
class ConditionTest:
    """One operator on one key against the values of the policy, all as they stand there."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the request says, and which keys it leaves open (a name, or a prefix that ends in `/` or `:`)."""

    context: Context
    open_keys: frozenset[str] = frozenset()

    def leaves_open(self, key: str) -> bool:
        """Say whether the key's value is not known; `key` in lower case. What the context holds is known."""
        if key in self.context or not self.open_keys:
            return False
        return key in self.open_keys or any(key.startswith(name) for name in self.open_keys if name[-1] in "/:")


#: Compares the request's value with the policy's. `Pattern` for text, else the policy's text.
_TextCheck = Callable[[str, Pattern], bool | Unclear]
_ValueCheck = Callable[[str, str], bool | Unclear]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operator:
    check: _TextCheck | _ValueCheck
    reads_variables: bool
    negated: bool = False
    quantifier: Quantifier | None = None
    if_exists: bool = False


def holds(test: ConditionTest, asked: Asked, *, variables: bool) -> Verdict:
    """Say whether one test of a Condition element holds for a request."""
    key = test.key.lower()
    if asked.leaves_open(key):
        return Unclear(f"the value of {test.key} is not known")
    present = asked.context.get(key)
    if present == ():
        present = None  # an empty set of values is a key that the request does not carry
    if test.operator.lower() == "null":
        return any_of(_null(present is None, value) for value in test.values)
    known = _operator(test.operator)
    if isinstance(known, Unclear):
        return known
    if present is None:
        if known.if_exists or known.quantifier is Quantifier.ALL:
            return True
        return known.negated and known.quantifier is None
    if isinstance(present, tuple) and known.quantifier is None:
        return Unclear(f"{test.key} has several values, and {test.operator} compares one")
    values = present if isinstance(present, tuple) else (present,)
    each = (_compares(known, value, test, asked, variables=variables) for value in values)
    return any_of(each) if known.quantifier is Quantifier.ANY else all_of(each)


def _null(is_absent: bool, value: str) -> Verdict:  # noqa: FBT001 - one of two operands
    wanted = {"true": True, "false": False}.get(value.lower())
    return Unclear(f"Null has the value {value!r}") if wanted is None else is_absent is wanted


def _compares(known: _Operator, actual: str, test: ConditionTest, asked: Asked, *, variables: bool) -> Verdict:
    verdict = any_of(_compare(known, actual, value, asked, variables=variables) for value in test.values)
    return negation(verdict) if known.negated else verdict


def _compare(known: _Operator, actual: str, value: str, asked: Asked, *, variables: bool) -> Verdict:
    if not known.reads_variables:
        return known.check(actual, value)  # type: ignore[arg-type]
    pattern = expand(value, asked.context, variables=variables)
    if pattern is None:
        return without_value(value, asked)
    return pattern if isinstance(pattern, Unclear) else known.check(actual, pattern)  # type: ignore[arg-type]


def without_value(text: str, asked: Asked) -> Verdict:
    """Say what a text whose variable has no value matches: nothing, or that is unclear where the key is left open."""
    left_open = next((key for key in _VARIABLE_KEY.findall(text) if asked.leaves_open(key.lower())), None)
    return Unclear(f"the value of {left_open} is not known") if left_open else False


# ------------------------------------------------------------------------------------------------------- comparisons


def _string_equals(actual: str, pattern: Pattern) -> bool:
    return actual == pattern.literal()


def _string_equals_ignoring_case(actual: str, pattern: Pattern) -> bool:
    return actual.lower() == pattern.literal().lower()


def _string_like(actual: str, pattern: Pattern) -> bool:
    return pattern.matches(actual)


def _arn_like(actual: str, pattern: Pattern) -> bool | Unclear:
    for text in (actual, pattern.literal()):
        if text.count(":") < 5 or not text.startswith("arn:"):  # noqa: PLR2004 - six parts
            return Unclear(f"an Arn operator compares {text!r}, which is no ARN")
    return pattern.matches(actual, Extent.ARN_PART)


def _numbers(compare: Callable[[Decimal, Decimal], bool]) -> _ValueCheck:
    def check(actual: str, value: str) -> bool | Unclear:
        try:
            return compare(Decimal(actual), Decimal(value))
        except InvalidOperation:
            return Unclear(f"a Numeric operator compares {actual!r} with {value!r}")

    return check


def _dates(compare: Callable[[datetime, datetime], bool]) -> _ValueCheck:
    def check(actual: str, value: str) -> bool | Unclear:
        first, second = _date(actual), _date(value)
        if first is None or second is None:
            return Unclear(f"a Date operator compares {actual!r} with {value!r}")
        return compare(first, second)

    return check


def _date(text: str) -> datetime | None:
    """Read ISO 8601 or seconds since 1970; without a zone it is UTC."""
    try:
        if text.isascii() and text.removeprefix("-").isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        read = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _bool(actual: str, value: str) -> bool | Unclear:
    words = {"true": True, "false": False}
    first, second = words.get(actual.lower()), words.get(value.lower())
    if first is None or second is None:
        return Unclear(f"Bool compares {actual!r} with {value!r}")
    return first is second


def _address(actual: str, value: str) -> bool | Unclear:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(value, strict=False)
    except ValueError:
        return Unclear(f"IpAddress compares {actual!r} with {value!r}")


def _binary(actual: str, value: str) -> bool:
    return actual == value


_TEXT_CHECKS: Mapping[str, tuple[_TextCheck, bool]] = MappingProxyType(
    {
        "stringequals": (_string_equals, False),
        "stringnotequals": (_string_equals, True),
        "stringequalsignorecase": (_string_equals_ignoring_case, False),
        "stringnotequalsignorecase": (_string_equals_ignoring_case, True),
        "stringlike": (_string_like, False),
        "stringnotlike": (_string_like, True),
        "arnequals": (_arn_like, False),
        "arnlike": (_arn_like, False),
        "arnnotequals": (_arn_like, True),
        "arnnotlike": (_arn_like, True),
    }
)
_VALUE_CHECKS: Mapping[str, tuple[_ValueCheck, bool]] = MappingProxyType(
    {
        "numericequals": (_numbers(order.eq), False),
        "numericnotequals": (_numbers(order.eq), True),
        "numericlessthan": (_numbers(order.lt), False),
        "numericlessthanequals": (_numbers(order.le), False),
        "numericgreaterthan": (_numbers(order.gt), False),
        "numericgreaterthanequals": (_numbers(order.ge), False),
        "dateequals": (_dates(order.eq), False),
        "datenotequals": (_dates(order.eq), True),
        "datelessthan": (_dates(order.lt), False),
        "datelessthanequals": (_dates(order.le), False),
        "dategreaterthan": (_dates(order.gt), False),
        "dategreaterthanequals": (_dates(order.ge), False),
        "bool": (_bool, False),
        "binaryequals": (_binary, False),
        "ipaddress": (_address, False),
        "notipaddress": (_address, True),
    }
)

#: The operators without prefix and suffix, in lower case.
OPERATORS: frozenset[str] = frozenset({*_TEXT_CHECKS, *_VALUE_CHECKS, "null"})


@lru_cache(maxsize=1024)
def _operator(name: str) -> _Operator | Unclear:
    rest = name.lower()
    quantifier = next((item for item in Quantifier if rest.startswith(item.value)), None)
    rest = rest.removeprefix(quantifier.value if quantifier else "")
    if_exists = rest.endswith("ifexists")
    rest = rest.removesuffix("ifexists")
    found = _TEXT_CHECKS.get(rest) or _VALUE_CHECKS.get(rest)
    if found is None:
        return Unclear(f"the condition operator {name} is not known")
    return _Operator(
        check=found[0],
        reads_variables=rest in _TEXT_CHECKS,
        negated=found[1],
        quantifier=quantifier,
        if_exists=if_exists,
    )
