"""JSON values that are no text → texts for a file: numbers without exponent, booleans, compact JSON.

Ours; the Go provider refuses them (`Only string is allowed`), and its `to_string()` writes numbers with exponents and
rounds integers beyond 2**53. A number that comes straight from the secret is written as there (`1.50` stays `1.50`);
one with an exponent, or one that an expression computed, in plain digits. Objects have sorted keys: the file does not
change when only their order does. null is no value, so it has no text.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING

from provider_runtime.go_json import WrittenNumber

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provider_runtime.jmespath_dialect import StepBudget

DEPTH_LIMIT = 200
"""Levels of an array or object that is rendered."""
PLAIN_DIGITS_LIMIT = 400
"""Digits that an exponent may add; every float64 needs fewer, and `1e-999999` keeps its exponent."""
_TEXT_PER_STEP = 16


class NotRenderableError(Exception):
    """A value has no text; the message never holds it."""


def render_json(value: object, budget: StepBudget) -> str:
    """Render a number, a boolean, an array or an object.

    Args:
        value: As go_json reads it, or as an expression made it.
        budget: Pays a step for each value and each 16 characters: expressions can repeat parts without end.

    Raises:
        NotRenderableError: null, a number that JSON does not have, nesting beyond DEPTH_LIMIT, or no JSON value.
        BudgetExceededError: See the budget.
    """
    if value is None:
        raise NotRenderableError("it is null")
    return "".join(_render(value, budget, DEPTH_LIMIT))


def _render(value: object, budget: StepBudget, depth: int) -> Iterator[str]:
    budget.spend(1)
    if depth == 0:
        raise NotRenderableError(f"it has more than {DEPTH_LIMIT} levels")
    if isinstance(value, str):
        yield _render_text(value, budget)
    elif isinstance(value, bool) or value is None:
        yield {True: "true", False: "false", None: "null"}[value]
    elif isinstance(value, float):
        yield _render_number(value)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield "," if index else "["
            yield from _render(element, budget, depth - 1)
        yield "]" if value else "[]"
    elif isinstance(value, dict):
        for index, key in enumerate(sorted(value)):
            yield f"{',' if index else '{'}{_render_text(key, budget)}:"
            yield from _render(value[key], budget, depth - 1)
        yield "}" if value else "{}"
    else:
        raise NotRenderableError("it is no JSON value")


def _render_text(text: str, budget: StepBudget) -> str:
    budget.spend(len(text) // _TEXT_PER_STEP)
    return json.dumps(text, ensure_ascii=False)


def _render_number(number: float) -> str:
    if isinstance(number, WrittenNumber):
        return _plain_digits(number.source)
    if not math.isfinite(number):
        raise NotRenderableError("it is not a JSON number")
    return _plain_digits(repr(number)).removesuffix(".0")


def _plain_digits(text: str) -> str:
    """Write out the exponent of a number; without one it stays as it is."""
    mantissa, mark, exponent = text.lower().partition("e")
    if not mark:
        return text
    if len(exponent) > len("-400") or abs(int(exponent)) > PLAIN_DIGITS_LIMIT:
        return text
    return format(Decimal(f"{mantissa}e{exponent}"), "f")
