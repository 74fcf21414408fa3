"""Secret values as types: printing, formatting, logging, pickling or dumping one shows a placeholder or fails.

This is a guard against accidents, not against code that wants the value: `reveal()` gives it, and a reviewer can search
for that word. Memory is not wiped; Python cannot promise that.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, Self

REDACTED = "[redacted]"


class SecretBytes:
    """The bytes of a secret. `len()` is the size in bytes, which is not treated as secret.

    Equality takes the same time wherever two values differ. Values are not hashable, so they cannot become keys of a
    cache, a set or a metric by accident.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """Return the value itself. Every use is a place to review."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, format_spec: str) -> str:
        return REDACTED

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is never serialised")


class SecretText:
    """A secret text such as a token. The same guards as `SecretBytes`; `len()` is in characters."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = str(value)

    def reveal(self) -> str:
        """Return the value itself. Every use is a place to review."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretText):
            return NotImplemented
        # compare_digest takes text only when it is ASCII; surrogates must not make a comparison fail.
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, format_spec: str) -> str:
        return REDACTED

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is never serialised")
