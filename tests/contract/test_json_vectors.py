"""Vectors J01 to J05, X34 and X46 of the contract: values of JSON keys, through a real socket, in both stores.

No error repeats the value. The dialect of JMESPath is tested by itself in `tests/runtime/pure`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from tests.contract.vectors import assert_refused, case, texts
from tests.fakes.aws import FakeParameter, FakeSecret
from tests.fakes.driver import FAKE_REGION, Pod

if TYPE_CHECKING:
    from tests.contract.conftest import World

CANARY = "c4n4ry"


@pytest.fixture
def world(either_world: World) -> World:
    """Every vector runs in both write modes."""
    return either_world


def _pod(world: World, value: str | bytes, path: str, kind: str) -> Pod:
    world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=value)
    if isinstance(value, str):
        world.aws.parameters[FAKE_REGION, "TestSecret1"] = FakeParameter(value=value)
    key = f"jmesPath: [{{path: '{path}', objectAlias: child}}]"
    return Pod(objects=f"- {{objectName: TestSecret1, objectType: {kind}, {key}}}\n")


@pytest.mark.parametrize("kind", ["secretsmanager", "ssmparameter"])
@pytest.mark.parametrize(
    ("value", "path", "fragment"),
    [
        case("J01", f"NotValidJson {CANARY}", "username", "Invalid JSON used with jmesPath in secret: TestSecret1"),
        case("J02", f'{{"a": "{CANARY}"}}', "testpath", "JMES Path - testpath for object alias - child does not point"),
        case("J04", f'{{"username": 3, "a": "{CANARY}"}}', "username", "Only string is allowed"),
        case("J05", f'{{"arr": ["{CANARY}"]}}', "arr", "Only string is allowed", note="list"),
        case("J05", "{}", "missing", "does not point to a valid object", note="missing"),
        case("X34", f'{{"a": null, "b": "{CANARY}"}}', "a", "does not point to a valid object", note="null"),
        case("X46", f'{{"user": "{CANARY}"}}', "user.name", "JMES Path - user.name for object alias - child"),
    ],
)
def test_a_value_that_a_path_does_not_fit_is_told_without_the_value(
    world: World, value: str, path: str, fragment: str, kind: str
) -> None:
    answer = world.driver.mount(_pod(world, value, path, kind))
    assert_refused(answer, fragment, "parameters.objects[0]")
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "from all regions" not in answer.text
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("path", "fragment"),
    [
        case("J03", ".testpath", "Invalid JMES Path: .testpath"),
        case("J05", "", "Path must be specified for JMES", note="no path"),
    ],
)
def test_an_expression_that_is_none_is_refused_before_anything_is_read(world: World, path: str, fragment: str) -> None:
    answer = world.driver.mount(_pod(world, "{}", path, "secretsmanager"))
    assert_refused(answer, fragment)
    assert not world.aws.calls


@pytest.mark.parametrize(
    ("value", "path", "child"),
    [
        case("J05", '{"nested": {"key": "x"}}', "nested.key", "x", note="nested"),
        case("J05", b'{"nested": {"key": "x"}}', "nested.key", "x", note="binary"),
        case("X34", '{"a": ""}', "a", "", note="empty"),
        case("X34", '{"port": 5432}', "to_string(port)", "5432", note="number"),
        case("X34", '{"port": 5432.0}', "to_string(port)", "5432", note="float"),
    ],
)
def test_a_key_becomes_a_file_beside_its_secret(world: World, value: str | bytes, path: str, child: str) -> None:
    answer = world.driver.mount(_pod(world, value, path, "secretsmanager"))
    parent = value.decode() if isinstance(value, bytes) else value
    assert texts(answer) == {"TestSecret1": parent, "child": child}
    assert answer.versions == {"TestSecret1": "1", "child": "1"}
