"""Property values as they travel between a Pulumi program, the engine and a provider.

Not done here: what a value means to a resource type (the providers), and where it is kept (state.py). Done here: the
wire form (`google.protobuf.Struct`), secrets, unknowns and the difference of two property maps.

A value is plain JSON, except for two markers of Pulumi's own wire format:

- a secret is `{SIGNATURE_KEY: SECRET_SIGNATURE, "value": ...}`;
- a value that is not known at preview is the text `UNKNOWN`.

Source: pulumi SDK 3.272, `pulumi/runtime/rpc.py` (`_special_sig_key`, `_special_secret_sig`, `UNKNOWN`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Properties: TypeAlias = Mapping[str, Json]

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's public marker of a secret, not one
BLINDED = "[secret]"


class UnsupportedValueError(ValueError):
    """A value of a kind that the engine does not carry (asset, archive, resource reference, output value)."""


class ChangeKind(StrEnum):
    """How one property differs; the words of `pulumi preview --json`."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PropertyChange:
    """One difference between two property maps.

    Attributes:
        path: As Pulumi writes it: `spec.template.spec.containers[0].image`, `labels["a.b/c"]`.
        kind: From old to new.
    """

    path: str
    kind: ChangeKind

    @property
    def root(self) -> str:
        """Name of the top-level property that the path starts in."""
        return self.path.split(".", 1)[0].split("[", 1)[0]


def parse_struct(struct: Struct) -> dict[str, Json]:
    """Turn a wire struct into plain values, keys sorted at every level (the wire has no order).

    A whole number becomes an int: the wire knows doubles only.

    Raises:
        UnsupportedValueError: The struct carries an asset, archive, resource reference or output value.
    """
    parsed = {key: _parse_value(struct.fields[key]) for key in sorted(struct.fields)}
    signature = parsed.get(SIGNATURE_KEY)
    if signature is not None and signature != SECRET_SIGNATURE:
        raise UnsupportedValueError(
            f"a value of Pulumi kind {signature!r} reached the engine. It carries plain values and secrets. "
            "Fix: pass text, numbers, booleans, lists or mappings"
        )
    return parsed


def dump_struct(properties: Properties) -> Struct:
    """Turn plain values into a wire struct; the inverse of `parse_struct`."""
    return Struct(fields={key: _dump_value(value) for key, value in properties.items()})


def _parse_value(value: Value) -> Json:
    match value.WhichOneof("kind"):
        case "struct_value":
            return parse_struct(value.struct_value)
        case "list_value":
            return [_parse_value(item) for item in value.list_value.values]
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case _:
            return None


def _dump_value(value: Json) -> Value:
    match value:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case str():
            return Value(string_value=value)
        case int() | float():
            return Value(number_value=value)
        case Mapping():
            return Value(struct_value=dump_struct(value))
        case _:
            return Value(list_value=ListValue(values=[_dump_value(item) for item in value]))


def is_secret(value: Json) -> bool:
    """Say whether the value itself is marked secret (not whether it contains one)."""
    return isinstance(value, Mapping) and value.get(SIGNATURE_KEY) == SECRET_SIGNATURE


def secret(value: Json) -> dict[str, Json]:
    """Mark a value as secret."""
    return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}


def reveal(value: Json) -> Json:
    """Return the value with every secret marker taken off, at any depth. For providers only."""
    if isinstance(value, Mapping):
        if is_secret(value):
            return reveal(value.get("value"))
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [reveal(item) for item in value]
    return value


def reveal_properties(properties: Properties) -> dict[str, Json]:
    """`reveal` for a whole property map."""
    return {key: reveal(value) for key, value in properties.items()}


def blind(value: Json) -> Json:
    """Return the value with every secret replaced by `[secret]`, at any depth. For everything that people read."""
    if isinstance(value, Mapping):
        if is_secret(value):
            return BLINDED
        return {key: blind(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [blind(item) for item in value]
    return value


def blind_properties(properties: Properties) -> dict[str, Json]:
    """`blind` for a whole property map, keys sorted."""
    return {key: blind(properties[key]) for key in sorted(properties)}


def keep_secrets(outputs: Properties, inputs: Properties) -> dict[str, Json]:
    """Mark as secret what a provider echoed of a secret input.

    A property is marked whole when its input contains a secret anywhere: a provider may have rearranged it.
    """
    return {
        key: secret(value) if contains_secret(inputs.get(key)) and not is_secret(value) else value
        for key, value in outputs.items()
    }


def contains_secret(value: Json) -> bool:
    """Say whether the value is, or holds, a secret."""
    return any(is_secret(item) for item in _walk(value))


def contains_unknown(value: Json) -> bool:
    """Say whether the value is, or holds, something unknown at preview."""
    return any(item == UNKNOWN for item in _walk(value) if isinstance(item, str))


def _walk(value: Json) -> Iterator[Json]:
    yield value
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _walk(item)


def keep_ignored(old: Properties, new: Properties, paths: Iterable[str]) -> dict[str, Json]:
    """Return the new properties with the old values at the paths that a program told the engine to leave alone.

    Raises:
        UnsupportedValueError: A path is more than names with dots between them.
    """
    kept = dict(new)
    for path in paths:
        if not path.replace(".", "").replace("_", "").isalnum():
            raise UnsupportedValueError(
                f"ignore_changes names {path!r}; this engine takes names with dots between them. "
                "Fix: name the property above, or run the program with the Pulumi CLI"
            )
        head, _, rest = path.partition(".")
        before, after = old.get(head), kept.get(head)
        if rest and isinstance(before, Mapping) and isinstance(after, Mapping):
            kept[head] = keep_ignored(before, after, (rest,))
        elif head in old:
            kept[head] = before
        else:
            kept.pop(head, None)
    return kept


def diff_properties(old: Properties, new: Properties) -> tuple[PropertyChange, ...]:
    """Compare two revealed property maps.

    An absent property and an explicit null are the same, as they are to Pulumi's providers.

    Returns:
        The differences at the deepest place where both sides are mappings or lists, sorted by path.
    """
    return tuple(sorted(_diff_mapping("", old, new)))


def _diff_mapping(prefix: str, old: Properties, new: Properties) -> Iterator[PropertyChange]:
    for key in old.keys() | new.keys():
        plain = key.replace("_", "").replace("-", "").isalnum()
        name = key if plain else f'["{key}"]'
        path = f"{prefix}.{name}" if prefix and plain else f"{prefix}{name}"
        yield from _diff_value(path, old.get(key), new.get(key))


def _diff_value(path: str, old: Json, new: Json) -> Iterator[PropertyChange]:
    if old == new:
        return
    if old is None:
        yield PropertyChange(path=path, kind=ChangeKind.ADD)
    elif new is None:
        yield PropertyChange(path=path, kind=ChangeKind.DELETE)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _diff_mapping(path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _diff_value(f"{path}[{index}]", before, after)
    else:
        yield PropertyChange(path=path, kind=ChangeKind.UPDATE)
