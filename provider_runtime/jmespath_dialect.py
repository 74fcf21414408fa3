"""JMESPath as go-jmespath 0.4.0 evaluates it, inside a budget; built on jmespath.py's parser and interpreter.

Expressions come from class parameters, which a pod author can write, and run in the process that holds every pod's
secrets: 225 characters can ask for 8.4 million elements. So parsing is bounded in length and depth, and evaluation
counts steps: one for a visited node, an element made or compared, and each TEXT_PER_STEP characters handled.

Differences to jmespath.py, all towards Go: numbers are float64; `to_string` writes Go's JSON; `<` compares numbers
only; `true` never equals 1; `contains` never raises; `avg` of nothing is no number; literals are strict JSON; nothing
is cached in a class variable. Not followed: Go's random order of keys, the nulls that its
`*` puts before a function's arguments, and its panics. Compared with go-jmespath on random expressions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from jmespath import exceptions, functions, lexer, parser, visitor

from provider_runtime.go_json import JsonValue, NotJsonError, dump_json_text, parse_json
from provider_runtime.go_scalars import format_json_number, parse_go_float

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPRESSION_LIMIT = 1024
"""Characters of one expression."""
DEPTH_LIMIT = 64
"""Levels of one expression, as written and as parsed; keeps both walks far from Python's recursion limit."""
EXPRESSION_STEP_LIMIT = 200_000
"""Steps of one expression; about 0.2 s of one core. Reading every field of a 64 KiB secret takes a tenth of it."""
TEXT_PER_STEP = 16

FAILURES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""What jmespath.py raises on odd input: its own errors are ValueErrors, the rest escapes from its functions."""

Node: TypeAlias = "dict[str, object]"


class BudgetExceededError(Exception):
    """An expression is too long, too deep or asks for too much work."""


class StepBudget:
    """Steps left. One budget may serve several expressions; it is used by one thread at a time."""

    __slots__ = ("remaining",)

    def __init__(self, limit: int) -> None:
        self.remaining = limit

    def spend(self, steps: int) -> None:
        """Take steps off before the work is done.

        Raises:
            BudgetExceededError: Not enough are left.
        """
        self.remaining -= steps
        if self.remaining < 0:
            raise BudgetExceededError("it takes too many steps")


def parse_expression(text: str) -> Node:
    """Parse one expression.

    Raises:
        BudgetExceededError: Too long or too deep.
        ValueError: (or another of FAILURES) No JMESPath expression.
    """
    if len(text) > EXPRESSION_LIMIT:
        raise BudgetExceededError(f"it has more than {EXPRESSION_LIMIT} characters")
    tree: Node = _Parser().parse(text).parsed
    if _depth(tree) > DEPTH_LIMIT:
        raise BudgetExceededError(f"it has more than {DEPTH_LIMIT} levels")
    return tree


def evaluate(tree: Node, document: JsonValue, budget: StepBudget) -> object:
    """Evaluate a parsed expression on one document.

    Raises:
        BudgetExceededError: More steps than EXPRESSION_STEP_LIMIT or than the budget holds.
        ValueError: (or another of FAILURES) The expression does not fit the document. The exception may hold values.
    """
    own = StepBudget(min(budget.remaining, EXPRESSION_STEP_LIMIT))
    granted = own.remaining
    try:
        return _Interpreter(own).visit(tree, document)
    finally:
        budget.remaining -= min(granted, granted - own.remaining)


def _depth(tree: Node) -> int:
    level, depth = [tree], 0
    while level:
        depth += 1
        level = [child for node in level for child in _children(node)]
    return depth


def _children(node: Node) -> Iterator[Node]:
    children = node.get("children", ())
    if isinstance(children, (list, tuple)):
        yield from (child for child in children if isinstance(child, dict))  # a slice has numbers


class _Lexer(lexer.Lexer):  # type: ignore[misc] # jmespath has no types
    """The lexer with Go's literals: strict JSON, no fallback to text, no lone surrogates."""

    def _consume_literal(self) -> Node:
        start = self._position
        return self._token("literal", start, self._consume_until("`").replace("\\`", "`"))

    def _consume_quoted_identifier(self) -> Node:
        start = self._position
        return self._token("quoted_identifier", start, f'"{self._consume_until(chr(34))}"')

    def _token(self, kind: str, start: int, lexeme: str) -> Node:
        try:
            return {"type": kind, "value": parse_json(lexeme), "start": start, "end": self._position}
        except NotJsonError:
            raise exceptions.LexerError(start, lexeme, "not a JSON literal") from None


class _Parser(parser.Parser):  # type: ignore[misc] # jmespath has no types
    """The parser with bounded recursion and without the cache that all instances share."""

    _level = 0

    def parse(self, expression: str) -> parser.ParsedResult:
        return self._do_parse(expression)

    def _parse(self, expression: str) -> parser.ParsedResult:
        self._tokens = list(_Lexer().tokenize(expression))
        self._index = 0
        parsed = self._expression(binding_power=0)
        if self._current_token() != "eof":
            self._raise_parse_error_for_token(self._lookahead_token(0), "unexpected token")
        return parser.ParsedResult(expression, parsed)

    def _expression(self, binding_power: int = 0) -> Node:
        # Every cycle of the parser's functions leads through here.
        self._level += 1
        if self._level > DEPTH_LIMIT:
            raise BudgetExceededError(f"it has more than {DEPTH_LIMIT} levels")
        try:
            node: Node = super()._expression(binding_power)
            return node
        finally:
            self._level -= 1


class _Interpreter(visitor.TreeInterpreter):  # type: ignore[misc] # jmespath has no types
    """The interpreter that counts, and compares as Go does."""

    def __init__(self, budget: StepBudget) -> None:
        super().__init__(visitor.Options(custom_functions=_Functions(budget)))
        self._budget = budget

    def visit(self, node: Node, *args: object, **kwargs: object) -> object:
        self._budget.spend(1)
        return super().visit(node, *args, **kwargs)

    def visit_comparator(self, node: Node, value: object) -> bool | None:
        left_node, right_node = _children(node)
        left, right = self.visit(left_node, value), self.visit(right_node, value)
        match node["value"]:
            case "eq":
                return _equal(left, right, self._budget)
            case "ne":
                return not _equal(left, right, self._budget)
            case ordering:
                if not (isinstance(left, float) and isinstance(right, float)):
                    return None
                return bool(self.COMPARATOR_FUNC[ordering](left, right))

    def visit_filter_projection(self, node: Node, value: object) -> object:
        return super().visit_filter_projection(self._with_left(node, value), value)

    def visit_value_projection(self, node: Node, value: object) -> object:
        return super().visit_value_projection(self._with_left(node, value), value)

    def visit_flatten(self, node: Node, value: object) -> list[object] | None:
        (left,) = _children(self._with_left(node, value))
        base = left["value"]
        if not isinstance(base, list):
            return None
        self._budget.spend(sum(len(element) if isinstance(element, list) else 1 for element in base))
        return [part for element in base for part in (element if isinstance(element, list) else (element,))]

    def _with_left(self, node: Node, value: object) -> Node:
        """Evaluate the left side; Go takes one that fails for null in three of its four projections."""
        left, *rest = _children(node)
        try:
            base = self.visit(left, value)
        except FAILURES:
            base = None
        return {**node, "children": [{"type": "literal", "value": base}, *rest]}

    def visit_slice(self, node: Node, value: object) -> object:
        self._budget.spend(len(value) if isinstance(value, list) else 0)
        return super().visit_slice(node, value)


class _Functions(functions.Functions):  # type: ignore[misc] # jmespath has no types
    """The functions that differ in Go, and the price of all of them: what they read and what they make."""

    def __init__(self, budget: StepBudget) -> None:
        self._budget = budget

    def call_function(self, function_name: str, resolved_args: list[object]) -> object:
        self._budget.spend(sum(_weight(argument) for argument in resolved_args))
        return super().call_function(function_name, resolved_args)

    @functions.signature({"types": ["array-number"]})  # type: ignore[untyped-decorator] # jmespath has no types
    def _func_avg(self, numbers: list[float]) -> float:
        return sum(numbers) / len(numbers) if numbers else math.nan

    @functions.signature({"types": ["array-number"]})  # type: ignore[untyped-decorator]
    def _func_sum(self, numbers: list[float]) -> float:
        return sum(numbers, 0.0)

    @functions.signature({"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_ceil(self, number: float) -> float:
        return float(math.ceil(number)) if math.isfinite(number) else number

    @functions.signature({"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_floor(self, number: float) -> float:
        return float(math.floor(number)) if math.isfinite(number) else number

    @functions.signature({"types": ["string", "array", "object"]})  # type: ignore[untyped-decorator]
    def _func_length(self, subject: str | list[object] | dict[str, object]) -> float:
        return float(len(subject))

    @functions.signature({"types": ["array", "string"]}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_contains(self, subject: str | list[object], search: object) -> bool:
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        return any(_equal(element, search, self._budget) for element in subject)

    @functions.signature({"types": ["string"]}, {"types": ["array-string"]})  # type: ignore[untyped-decorator]
    def _func_join(self, separator: str, texts: list[str]) -> str:
        self._budget.spend((len(separator) * len(texts) + sum(len(text) for text in texts)) // TEXT_PER_STEP)
        return separator.join(texts)

    @functions.signature({"types": ["array"]}, {"types": ["expref"]})  # type: ignore[untyped-decorator]
    def _func_sort_by(self, elements: list[object], key: object) -> object:
        return elements if len(elements) == 1 else super()._func_sort_by(elements, key)  # Go asks no key of only one

    @functions.signature({"types": ["array"]}, {"types": ["expref"]})  # type: ignore[untyped-decorator]
    def _func_min_by(self, elements: list[object], key: object) -> object:
        return elements[0] if len(elements) == 1 else super()._func_min_by(elements, key)

    @functions.signature({"types": ["array"]}, {"types": ["expref"]})  # type: ignore[untyped-decorator]
    def _func_max_by(self, elements: list[object], key: object) -> object:
        return elements[0] if len(elements) == 1 else super()._func_max_by(elements, key)

    @functions.signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_to_string(self, value: object) -> str:
        return value if isinstance(value, str) else "".join(_dump(value, self._budget))

    @functions.signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_to_number(self, value: object) -> float | None:
        if isinstance(value, str):
            return parse_go_float(value)
        return value if isinstance(value, float) else None


def _weight(value: object) -> int:
    """Price what a function may read: elements, and the texts among them (comparing long texts is work too)."""
    if isinstance(value, str):
        return len(value) // TEXT_PER_STEP
    if isinstance(value, list):
        return len(value) + sum(len(element) // TEXT_PER_STEP for element in value if isinstance(element, str))
    return len(value) if isinstance(value, dict) else 0


def _equal(left: object, right: object, budget: StepBudget) -> bool:
    """Compare as reflect.DeepEqual does: types count, so `true` is not 1. Each step counts, shared parts every time."""
    budget.spend(1)
    if isinstance(left, float) and isinstance(right, float):
        return left == right  # however they were written
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(_equal(one, other, budget) for one, other in pairs)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key], budget) for key in left)
    return bool(left == right)


def _dump(value: object, budget: StepBudget) -> Iterator[str]:
    """Write a value as encoding/json does: keys sorted, no spaces, `<`, `>` and `&` escaped."""
    budget.spend(1)
    if isinstance(value, str):
        budget.spend(len(value) // TEXT_PER_STEP)
        yield dump_json_text(value)
    elif isinstance(value, bool) or value is None:
        yield {True: "true", False: "false", None: "null"}[value]
    elif isinstance(value, float):
        yield format_json_number(value)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield "," if index else "["
            yield from _dump(element, budget)
        yield "]" if value else "[]"
    elif isinstance(value, dict):
        for index, key in enumerate(sorted(value)):
            yield f"{',' if index else '{'}{dump_json_text(key)}:"
            yield from _dump(value[key], budget)
        yield "}" if value else "{}"
    else:
        raise TypeError("an expression reference is no value")
