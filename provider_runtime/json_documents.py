"""A secret's bytes → one JSON document, bounded; and its top-level keys as texts for files (`keys: "*"`).

Errors name the object and the key, never a value. Names of files are not checked here: `payload` knows the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.go_json import JsonValue, NotJsonError, parse_json
from provider_runtime.jmespath_dialect import StepBudget
from provider_runtime.json_rendering import NotRenderableError, render_json
from provider_runtime.redaction import SecretBytes

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUE_LIMIT_BYTES = 1024 * 1024
"""Bytes of a value that is looked into. Secrets Manager keeps 64 KiB at most, Parameter Store 8 KiB."""
KEY_LIMIT = 2000
"""Top-level keys of one value that become files."""


@dataclass(frozen=True, slots=True)
class JsonDocument:
    """One parsed value. Its repr is not redacted: it never leaves the extraction."""

    content: JsonValue

    def __repr__(self) -> str:
        """Hide the content."""
        return "JsonDocument([redacted])"


def load_document(value: SecretBytes, *, object_name: str, where: str, used_by: str) -> JsonDocument | MountError:
    """Read one value.

    Args:
        value: The bytes.
        object_name: For messages.
        where: Place of the object.
        used_by: The key of the class that needs JSON.
    """
    if problem := size_problem(value, object_name=object_name, where=where, used_by=used_by):
        return problem
    try:
        return JsonDocument(parse_json(value.reveal()))
    except NotJsonError as error:
        cause = str(error)
    return MountError(
        ErrorCode.VALUE_NOT_JSON,
        where=where,
        what=f"Invalid JSON used with {used_by} in secret: {shown(object_name)} ({cause})",
        rule=f"{used_by} needs a value that is one JSON document",
        fix=f"store JSON, or remove {used_by}",
    )


def size_problem(value: SecretBytes, *, object_name: str, where: str, used_by: str) -> MountError | None:
    """Refuse to look into a value that no store of AWS can hold."""
    if len(value) <= VALUE_LIMIT_BYTES:
        return None
    return MountError(
        ErrorCode.VALUE_TOO_LARGE,
        where=where,
        what=f"the value of {shown(object_name)} has {len(value)} bytes, too many for {used_by}",
        rule=f"Values of at most {VALUE_LIMIT_BYTES} bytes are decoded, cut up or put into templates",
        fix=f"store a smaller value, or remove {used_by}",
    )


def extract_keys(
    value: SecretBytes, *, object_name: str, where: str, is_rendered: bool
) -> MountError | tuple[tuple[str, SecretBytes | MountError], ...]:
    """Turn every top-level key of a JSON object into a text.

    Args:
        value: The bytes.
        object_name: For messages.
        where: Place of the object.
        is_rendered: Whether values that are no text are rendered; null never is.

    Returns:
        (key, its text or why there is none), sorted by key; or why the value has no keys.
    """
    used_by = 'keys: "*"'
    document = load_document(value, object_name=object_name, where=where, used_by=used_by)
    if isinstance(document, MountError):
        return document
    members = document.content
    if not isinstance(members, dict):
        return MountError(
            ErrorCode.KEYS_NOT_OBJECT,
            where=where,
            what=f"the value of {shown(object_name)} is JSON, but no object: it has no keys",
            rule='keys: "*" makes a file of every top-level key',
            fix="store a JSON object, or remove keys",
        )
    if len(members) > KEY_LIMIT:
        return MountError(
            ErrorCode.VALUE_TOO_LARGE,
            where=where,
            what=f"the value of {shown(object_name)} has {len(members)} keys",
            rule=f"At most {KEY_LIMIT} keys of one value become files",
            fix="list the keys that are needed in jmesPath",
        )
    # A document costs at most a step for each of its bytes, so this budget is never short.
    budget = StepBudget(2 * len(value) + 1)
    return tuple(_extract(members, budget, where, is_rendered=is_rendered))


def _extract(
    members: dict[str, JsonValue], budget: StepBudget, where: str, *, is_rendered: bool
) -> Iterator[tuple[str, SecretBytes | MountError]]:
    for key in sorted(members):
        member = members[key]
        if isinstance(member, str):
            yield key, SecretBytes(member.encode())
            continue
        cause = "it is no text, and nonText is refuse"
        if is_rendered:
            try:
                yield key, SecretBytes(render_json(member, budget).encode())
                continue
            except NotRenderableError as error:
                cause = str(error)
        yield key, _not_text_error(key, cause, where)


def _not_text_error(key: str, cause: str, where: str) -> MountError:
    return MountError(
        ErrorCode.KEY_NOT_TEXT,
        where=f"{where}.keys",
        what=f"key '{shown(key)}' has no text: {cause}",
        rule="null has no file: an empty one would look like an empty password",
        fix="give the key a value, remove it from the secret, or list the keys that are needed in jmesPath",
    )
