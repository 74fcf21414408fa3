"""JSON keys of a secret → texts: the errors of `jmesPath`, and the order of its checks.

The language itself is in `jmespath_dialect`. Values come in and go out as `SecretBytes`; an error names the expression
and the alias, never a value, and is raised apart from the exception that caused it, which may hold one.
Results that are no text are refused in the Go provider's words, or rendered where the class asks for it.
Source: contract of the Go provider, section 3.7.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jmespath import exceptions

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.jmespath_dialect import (
    FAILURES,
    TEXT_PER_STEP,
    BudgetExceededError,
    Node,
    StepBudget,
    evaluate,
    parse_expression,
)
from provider_runtime.json_documents import load_document
from provider_runtime.json_rendering import NotRenderableError, render_json
from provider_runtime.object_values import Encoding
from provider_runtime.redaction import SecretBytes
from provider_runtime.value_decoding import NotBase64Error, decode_base64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_runtime.go_json import JsonValue
    from provider_runtime.object_values import JsonKey

__all__ = ["StepBudget", "extract_texts", "json_path_problem"]

_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`""", re.DOTALL)
_HYPHENATED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)+")


def json_path_problem(path: str, *, where: str) -> MountError | None:
    """Say what is wrong with an expression before any value is there; `None` when it parses."""
    parsed = _parse(path, where)
    return parsed if isinstance(parsed, MountError) else None


def extract_texts(
    value: SecretBytes,
    keys: Sequence[JsonKey],
    budget: StepBudget,
    *,
    object_name: str,
    where: str,
    is_rendered: bool = False,
) -> tuple[SecretBytes | MountError, ...]:
    """Cut the texts of all `keys` out of one value.

    Args:
        value: The secret's bytes; binary secrets work when they are JSON.
        keys: In document order; no keys, no look at the value.
        budget: Steps left for the whole mount; see jmespath_dialect.
        object_name: For messages.
        where: Place of the object; entries are `<where>.jmesPath[<index>]`.
        is_rendered: Whether results that are no text are rendered, for keys that do not say.

    Returns:
        Parallel to `keys`: the bytes (a text in UTF-8, or what its encoding stands for; may be empty), or why there are
        none. Never raises.
    """
    if not keys:
        return ()
    document = load_document(value, object_name=object_name, where=where, used_by="jmesPath")
    if isinstance(document, MountError):
        return (document,) * len(keys)
    extraction = _Extraction(document.content, budget, object_name, is_rendered=is_rendered)
    return tuple(extraction.extract(key, f"{where}.jmesPath[{index}]") for index, key in enumerate(keys))


class _Extraction:
    """One document and what all its keys share."""

    def __init__(self, document: JsonValue, budget: StepBudget, object_name: str, *, is_rendered: bool) -> None:
        self._document = document
        self._budget = budget
        self._object_name = object_name
        self._is_rendered = is_rendered

    def extract(self, key: JsonKey, where: str) -> SecretBytes | MountError:
        """Find the value of one key and write it."""
        tree = _parse(key.path, where)
        if isinstance(tree, MountError):
            return tree
        found, cause = _search(tree, self._document, self._budget)
        if cause is not None:
            return cause.error(key.path, where)
        if found is None:
            return MountError(
                ErrorCode.JMES_PATH_EMPTY,
                where=where,
                what=f"JMES Path - {shown(key.path)} for object alias - {shown(key.alias)}"
                " does not point to a valid object",
                rule="The value has no such key, or it is null",
                fix="correct path, or add the key to the secret",
            )
        text = self._write(found, key, where)
        if isinstance(text, MountError) or key.encoding is Encoding.AS_IS:
            return text
        try:
            return decode_base64(text)
        except NotBase64Error as error:
            cause_text = str(error)
        return not_base64_error(self._object_name, key.alias, cause_text, where=where)

    def _write(self, found: object, key: JsonKey, where: str) -> SecretBytes | MountError:
        why, steps = "", 0
        try:
            if isinstance(found, str):
                text, steps = found, len(found) // TEXT_PER_STEP
                self._budget.spend(steps)
                return SecretBytes(text.encode())
            if key.encoding is Encoding.AS_IS and key.non_text.is_rendered(default=self._is_rendered):
                return SecretBytes(render_json(found, self._budget).encode())
        except BudgetExceededError as error:
            return _Cause(ErrorCode.JMES_BUDGET, str(error)).error(key.path, where)
        except NotRenderableError as error:
            why = f" ({error})"
        return _not_text_error(key, where, why)


def not_base64_error(object_name: str, file_name: str, cause: str, *, where: str) -> MountError:
    """Build the error for a value that should be base64: object, file and cause, never the value."""
    return MountError(
        ErrorCode.BASE64_INVALID,
        where=where,
        what=f"the value for file '{shown(file_name)}' of {shown(object_name)} is not base64: {cause}",
        rule="Standard or URL-safe alphabet, padding whole or left out, line breaks allowed",
        fix="store the value in base64, or remove encoding: base64",
    )


def _not_text_error(key: JsonKey, where: str, why: str) -> MountError:
    path, alias = shown(key.path), shown(key.alias)
    fix = f"write path: to_string({path}), or nonText: render"
    if key.encoding is not Encoding.AS_IS:
        fix = "correct path, or remove encoding: base64, which needs a text"
    return MountError(
        ErrorCode.JMES_RESULT_NOT_TEXT,
        where=where,
        what=f"Invalid JMES search result type for path:{path}. Only string is allowed{why}",
        rule=f"The result for object alias {alias} is another JSON type",
        fix=fix,
    )


class _Cause:
    """Why an expression cannot be used: text and code, without the exception that said so."""

    __slots__ = ("code", "text")

    def __init__(self, code: ErrorCode, text: str) -> None:
        self.code = code
        self.text = text

    def error(self, path: str, where: str) -> MountError:
        if self.code is ErrorCode.JMES_BUDGET:
            return MountError(
                self.code,
                where=where,
                what=f"JMES Path is refused: {shown(path)}: {self.text}",
                rule="Expressions run inside the process of all pods of a node and have a budget",
                fix="use a shorter path that selects one text",
            )
        return MountError(
            self.code,
            where=where,
            what=f"Invalid JMES Path: {shown(path)}: {self.text}",
            rule="path is a JMESPath expression (jmespath.org)",
            fix=_hyphen_fix(path) or "correct path",
        )


def _parse(path: str, where: str) -> Node | MountError:
    try:
        return parse_expression(path)
    except BudgetExceededError as error:
        cause = _Cause(ErrorCode.JMES_BUDGET, str(error))
    except FAILURES as error:
        cause = _Cause(ErrorCode.JMES_PATH_INVALID, _syntax_cause(error))
    return cause.error(path, where)


def _search(tree: Node, document: JsonValue, budget: StepBudget) -> tuple[object, _Cause | None]:
    try:
        return evaluate(tree, document, budget), None
    except BudgetExceededError as error:
        return None, _Cause(ErrorCode.JMES_BUDGET, str(error))
    except FAILURES as error:
        return None, _Cause(ErrorCode.JMES_PATH_INVALID, _evaluation_cause(error))


def _syntax_cause(error: Exception) -> str:
    position = getattr(error, "lex_position", None)
    if getattr(error, "token_type", None) == "EOF":
        return "it ends too early"
    return "it is no expression" if position is None else f"unexpected text at character {position + 1}"


def _evaluation_cause(error: Exception) -> str:
    """Describe a failed evaluation without its value, which jmespath.py's own texts repeat."""
    if isinstance(error, exceptions.JMESPathTypeError):
        return f"{error.function_name}() does not take a value of type {error.actual_type}"
    if isinstance(error, (exceptions.ArityError, exceptions.UnknownFunctionError)):
        return shown(str(error))
    return "it does not fit the value"


def _hyphen_fix(path: str) -> str:
    """Suggest quotes for names with a hyphen, the most common mistake in these paths (upstream issues 66, 251)."""
    parts = _QUOTED.split(path)
    if not any(_HYPHENATED.search(part) for part in parts):
        return ""
    quoted = _QUOTED.findall(path)
    fixed = [_HYPHENATED.sub(lambda name: f'"{name[0]}"', part) for part in parts]
    text = "".join(part + quote for part, quote in zip(fixed, [*quoted, ""], strict=True))
    return f"put names with a hyphen in double quotes inside the path: '{shown(text)}'"
