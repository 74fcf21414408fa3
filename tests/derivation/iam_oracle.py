"""A second opinion on IAM, written from the policy grammar alone and sharing no code with the derivation.

Answers one question: does this policy document allow this action on this resource in this context? Only Allow
statements, StringEquals, StringLike and a plain ArnEquals are known; anything else is refused loudly, so that a new
operator cannot pass as "allowed".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import cast

Document = Mapping[str, object]


def allows(document: Document, action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Say whether any statement allows it. Context keys are compared ignoring case, as IAM does."""
    statements = cast("list[Mapping[str, object]]", document["Statement"])
    lowered = {key.lower(): value for key, value in context.items()}
    return any(_statement_allows(statement, action, resource, lowered) for statement in statements)


def _statement_allows(statement: Mapping[str, object], action: str, resource: str, context: Mapping[str, str]) -> bool:
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert statement["Effect"] == "Allow"
    actions = cast("list[str]", statement["Action"])
    resources = cast("list[str]", statement["Resource"])
    if action not in actions or not any(_like(pattern, resource) for pattern in resources):
        return False
    conditions = cast("Mapping[str, Mapping[str, str | list[str]]]", statement.get("Condition", {}))
    return all(
        _holds(operator, context.get(key.lower()), [values] if isinstance(values, str) else values)
        for operator, tests in conditions.items()
        for key, values in tests.items()
    )


def _holds(operator: str, actual: str | None, wanted: list[str]) -> bool:
    if actual is None:
        return False
    if operator in {"StringEquals", "ArnEquals"}:
        assert operator == "StringEquals" or not any("*" in value or "?" in value for value in wanted)
        return actual in wanted
    assert operator == "StringLike", operator
    return any(_like(pattern, actual) for pattern in wanted)


def _like(pattern: str, text: str) -> bool:
    return _expression(pattern).fullmatch(text) is not None


@functools.lru_cache(maxsize=1000)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern), re.DOTALL)
