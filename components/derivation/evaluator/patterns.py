"""Texts of a policy that stand for many: wildcards, and policy variables that the request fills in.

A variable's value is compared as it stands: a `*` inside it is no wildcard. Where a request lacks the variable's key
and no default is given, the text matches nothing.

Source: IAM user guide, "Policy variables" (`${key}`, `${key, 'default'}`, the escapes `${*}`, `${?}`, `${$}`; since
version 2012-10-17) and "Resource" (an incomplete ARN is completed with `*`; a `*` that ends a segment of an ARN can
reach past the colon, any other stays inside its segment; `*` and `?` reach over slashes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from .verdicts import Unclear

#: Key in lower case → its value, or the values of a multi-valued key.
Context = Mapping[str, str | tuple[str, ...]]

_TOKEN = re.compile(r"\$\{(?P<name>[^{}]*)\}|(?P<wildcard>[*?])|(?P<text>[^*?$]+|\$)")
_VARIABLE = re.compile(r"\s*(?P<key>[^,'\s]+)\s*(?:,\s*'(?P<default>[^']*)'\s*)?")
_ESCAPES = frozenset("*?$")
_ARN_COLONS = 5


class Wildcard(Enum):
    """What stands for other characters."""

    MANY = "*"
    ONE = "?"


class Extent(Enum):
    """How far a wildcard reaches."""

    TEXT = "anywhere"
    RESOURCE = "as in the Resource element"
    ARN_PART = "inside one of the six parts of an ARN, as in the Arn operators"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Literal text and wildcards, in order; no variable is left."""

    parts: tuple[str | Wildcard, ...]

    def literal(self) -> str:
        """Return the text with its wildcards as plain characters, for the operators that know none."""
        return "".join(part if isinstance(part, str) else part.value for part in self.parts)

    def matches(self, text: str, extent: Extent = Extent.TEXT, *, ignore_case: bool = False) -> bool:
        """Say whether the whole of `text` fits."""
        if not ignore_case:
            # Most patterns of a large policy mean another object, and most of the others hold no `*`: both are told
            # without compiling an expression for each.
            first = self.parts[0] if self.parts else ""
            if isinstance(first, str) and not text.startswith(first):
                return False
            past_the_region = isinstance(first, str) and first.count(":") >= _ARN_COLONS
            if Wildcard.MANY not in self.parts and (past_the_region or extent is Extent.TEXT):
                return _fits(self.parts, text)
        return _expression(self.parts, extent, ignore_case).fullmatch(text) is not None


def _fits(parts: tuple[str | Wildcard, ...], text: str) -> bool:
    """Compare where every part has a known length."""
    position = 0
    for part in parts:
        if isinstance(part, str) and not text.startswith(part, position):
            return False
        position += len(part) if isinstance(part, str) else 1
    return position == len(text)


def expand(text: str, context: Context, *, variables: bool) -> Pattern | Unclear | None:
    """Read a policy's text for one request.

    Args:
        text: As it stands in the policy.
        context: Of the request.
        variables: Whether the policy's version knows variables.

    Returns:
        The pattern; None when the request lacks a variable's key; Unclear for a variable that cannot be read.
    """
    if "${" not in text or not variables:
        return _plain(text)
    parts: list[str | Wildcard] = []
    for match in _TOKEN.finditer(text):
        if match["name"] is None:
            parts.append(Wildcard(match["wildcard"]) if match["wildcard"] else match["text"])
            continue
        value = _value(match["name"], context)
        if not isinstance(value, str):
            return value
        parts.append(value)
    return Pattern(tuple(parts))


@lru_cache(maxsize=65_536)
def _plain(text: str) -> Pattern:
    return Pattern(
        tuple(Wildcard(piece) if piece in {"*", "?"} else piece for piece in re.split(r"([*?])", text) if piece)
    )


def _value(name: str, context: Context) -> str | Unclear | None:
    if name in _ESCAPES:
        return name
    variable = _VARIABLE.fullmatch(name)
    if variable is None:
        return Unclear(f"the policy variable ${{{name}}} cannot be read")
    value = context.get(variable["key"].lower())
    if isinstance(value, tuple):
        return Unclear(f"the policy variable ${{{name}}} stands for a key with several values")
    default: str | None = variable["default"]
    return default if value is None else value


@lru_cache(maxsize=65_536)
def _expression(parts: tuple[str | Wildcard, ...], extent: Extent, ignore_case: bool) -> re.Pattern[str]:  # noqa: FBT001 - a cache key
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile("".join(_pieces(_completed(parts) if extent is Extent.RESOURCE else parts, extent)), flags)


def _completed(parts: tuple[str | Wildcard, ...]) -> tuple[str | Wildcard, ...]:
    colons = sum(part.count(":") for part in parts if isinstance(part, str))
    if parts == (Wildcard.MANY,) or colons >= _ARN_COLONS:
        return parts
    return parts + (":", Wildcard.MANY) * (_ARN_COLONS - colons)


def _pieces(parts: tuple[str | Wildcard, ...], extent: Extent) -> Iterator[str]:
    colons = 0
    for part, following in zip(parts, (*parts, ":")[1:], strict=True):
        if isinstance(part, str):
            colons += part.count(":")
            yield re.escape(part)
            continue
        ends_segment = isinstance(following, str) and following.startswith(":")
        reaches = extent is Extent.TEXT or colons >= _ARN_COLONS
        reaches = reaches or (extent is Extent.RESOURCE and part is Wildcard.MANY and ends_segment)
        yield ("." if reaches else "[^:]") + ("*" if part is Wildcard.MANY else "")
