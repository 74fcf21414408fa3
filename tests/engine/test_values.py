"""Property values: the wire form, secrets, unknowns, differences."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.engine.values import (
    BLINDED,
    SIGNATURE_KEY,
    UNKNOWN,
    ChangeKind,
    Json,
    PropertyChange,
    UnsupportedValueError,
    blind,
    blind_properties,
    contains_secret,
    contains_unknown,
    diff_properties,
    dump_struct,
    keep_ignored,
    keep_secrets,
    parse_struct,
    reveal,
    secret,
)

_LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
_VALUES: st.SearchStrategy[Json] = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_MAPS = st.dictionaries(st.text(max_size=5), _VALUES, max_size=4)

CANARY = "canary-7f3a"


@given(_MAPS)
def test_what_goes_over_the_wire_comes_back_with_its_whole_numbers(properties: dict[str, Json]) -> None:
    assert parse_struct(dump_struct(properties)) == properties


@given(_MAPS)
def test_the_order_of_keys_does_not_depend_on_the_wire(properties: dict[str, Json]) -> None:
    backwards = dict(reversed(properties.items()))
    assert json.dumps(parse_struct(dump_struct(backwards))) == json.dumps(parse_struct(dump_struct(properties)))


def test_an_asset_is_refused_by_name_instead_of_carried_as_a_mapping() -> None:
    asset: dict[str, Json] = {"file": {SIGNATURE_KEY: "c44067f5952c0a294b673a41bacd8c17", "text": "x"}}
    with pytest.raises(UnsupportedValueError, match="c44067f5952c0a294b673a41bacd8c17"):
        parse_struct(dump_struct(asset))


def test_a_secret_is_blinded_whole_wherever_it_stands() -> None:
    value: dict[str, Json] = {"list": [{"deep": secret({"password": CANARY})}], "plain": 1}
    assert CANARY not in json.dumps(blind(value))
    assert blind_properties(value) == {"list": [{"deep": BLINDED}], "plain": 1}


def test_a_revealed_secret_is_the_value_itself() -> None:
    assert reveal({"a": [secret(secret(CANARY))]}) == {"a": [CANARY]}


def test_an_output_that_echoes_a_secret_input_stays_secret() -> None:
    outputs = keep_secrets({"spec": {"p": CANARY}, "size": 1}, {"spec": {"p": secret(CANARY)}, "size": 1})
    assert contains_secret(outputs["spec"])
    assert outputs["size"] == 1


def test_an_unknown_is_found_at_any_depth() -> None:
    assert contains_unknown({"a": ["x", {"b": UNKNOWN}]})
    assert not contains_unknown({"a": ["x", {"b": "known"}]})


@given(_MAPS)
def test_a_map_does_not_differ_from_itself(properties: dict[str, Json]) -> None:
    assert diff_properties(properties, properties) == ()


@given(_MAPS, _MAPS)
def test_two_maps_differ_the_same_way_in_both_directions(old: dict[str, Json], new: dict[str, Json]) -> None:
    there, back = diff_properties(old, new), diff_properties(new, old)
    assert {change.root for change in there} == {change.root for change in back}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, "a update"),
        ({}, {"a": 1}, "a add"),
        ({"a": 1}, {}, "a delete"),
        ({"a": None}, {}, ""),
        ({"m": {"x": 1, "y": 2}}, {"m": {"x": 1, "y": 3}}, "m.y update"),
        ({"l": [{"i": "1"}]}, {"l": [{"i": "2"}, {"i": "3"}]}, "l[0].i update, l[1] add"),
        ({"m": {"a.b/c": 1}}, {"m": {"a.b/c": 2}}, 'm["a.b/c"] update'),
        ({"a": [1]}, {"a": "1"}, "a update"),
        ({"a": True}, {"a": False}, "a update"),
    ],
)
def test_a_difference_is_named_at_its_deepest_place(old: dict[str, Json], new: dict[str, Json], expected: str) -> None:
    assert ", ".join(f"{change.path} {change.kind}" for change in diff_properties(old, new)) == expected


@pytest.mark.parametrize(
    ("path", "root"), [('metadata.labels["a.b/c"]', "metadata"), ("spec[0].x", "spec"), ("policy", "policy")]
)
def test_the_root_of_a_path_is_the_property_that_a_provider_knows(path: str, root: str) -> None:
    assert PropertyChange(path=path, kind=ChangeKind.UPDATE).root == root


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        (("a",), {"a": 1, "b": {"c": 4, "d": 5}}),
        (("b.c",), {"a": 3, "b": {"c": 2, "d": 5}}),
        (("b",), {"a": 3, "b": {"c": 2}}),
        (("b.d",), {"a": 3, "b": {"c": 4}}),
        (("gone",), {"a": 3, "b": {"c": 4, "d": 5}}),
    ],
)
def test_an_ignored_path_keeps_its_old_value_and_its_absence(paths: tuple[str, ...], kept: dict[str, Json]) -> None:
    old: dict[str, Json] = {"a": 1, "b": {"c": 2}}
    new: dict[str, Json] = {"a": 3, "b": {"c": 4, "d": 5}}
    assert keep_ignored(old, new, paths) == kept
    assert new == {"a": 3, "b": {"c": 4, "d": 5}}, "what was handed in is not changed"
