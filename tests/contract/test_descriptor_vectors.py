"""Vectors V01 to V31 of the contract: every rule of the objects document, through a real socket.

The region is us-west-2. A refused document costs no call; an accepted one is mounted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.fakes.aws import GET_PARAMETERS, GET_SECRET, FakeParameter, FakeSecret
from tests.fakes.driver import FINAL_CODES, Pod

if TYPE_CHECKING:
    from tests.contract.conftest import World

REGION: Final = "us-west-2"
SECRET_ARN: Final = f"arn:aws:secretsmanager:{REGION}:111122223333:secret:secret1-abc123"
PARAMETER_ARN: Final = f"arn:aws:ssm:{REGION}:111122223333:parameter/secret1"


def _parameter(*fields: str) -> str:
    return f"- {{objectType: ssmparameter, {', '.join(fields)}}}\n"


def _secret(*fields: str) -> str:
    return f"- {{objectType: secretsmanager, {', '.join(fields)}}}\n"


NAME: Final = "objectName: secret1"
REFUSED: Final = {
    "V03": ("- {}\n", "Object name must be specified"),
    "V04": ('- objectName: "arn::"\n', "Invalid ARN format"),
    "V05": (f'- objectName: "arn:aws:sts:{REGION}:111122223333:secret:x"\n', "Invalid service in ARN: sts"),
    "V06": ("- objectName: SomeSecret\n", "Must use objectType"),
    "V07": ("- {objectName: SomeSecret, objectType: sts}\n", "Invalid objectType"),
    "V08": ("- {objectName: SomeSecret, objectType: ssm}\n", "Invalid objectType"),
    "V09": (_parameter(f'objectName: "{SECRET_ARN}"'), "objectType does not match ARN"),
    "V10": (_parameter(NAME, 'objectVersion: "1"', "objectVersionLabel: blue"), "can not specify both"),
    "V11": (_parameter(NAME) * 2, "duplicate object name secret1, no object alias, and no version label"),
    "V12": (_parameter(NAME, "objectAlias: aliasOne") * 2, "duplicate object alias aliasOne, and no version label"),
    "V13": (
        _secret(NAME, "objectAlias: aliasOne", "objectVersionLabel: AWSCURRENT")
        + _secret(NAME, "objectAlias: aliasOne", "objectVersionLabel: AWSPREVIOUS"),
        "found duplicate object alias aliasOne",
    ),
    "V16": (
        _secret(NAME, "objectVersionLabel: AWSCURRENT") * 2,
        "no object alias, and duplicate version label AWSCURRENT",
    ),
    "V17": (
        _secret(NAME, "objectAlias: aliasOne", "objectVersionLabel: AWSCURRENT") * 2,
        "duplicate object alias aliasOne, and duplicate version label AWSCURRENT",
    ),
    "V19": (
        _secret(NAME, "objectAlias: aliasOne") + _secret("objectName: secret2", "objectAlias: aliasOne"),
        "found duplicate object alias aliasOne",
    ),
    "V20": (
        _secret(NAME, "objectAlias: aliasOne")
        + _secret("objectName: secret2", "jmesPath: [{path: username, objectAlias: aliasOne}]"),
        "Name already in use for objectAlias",
    ),
    "V21": (_secret(NAME, "jmesPath: [{path: username}]"), "Object alias must be specified for JMES"),
    "V22": (_secret(NAME, "jmesPath: [{objectAlias: aliasOne}]"), "Path must be specified for JMES"),
    "V24": (f"{_secret(NAME)}-\n", "Empty descriptor entry"),
    "V25": ("- {", "Failed to load SecretProviderClass"),
    "V26": ("- objectName: secret1\n", "Must use objectType"),
}


@pytest.mark.parametrize("vector", REFUSED)
def test_a_document_that_breaks_a_rule_is_refused_with_upstreams_words(world: World, vector: str) -> None:
    objects, fragment = REFUSED[vector]
    answer = world.driver.mount(Pod(objects=objects, region=REGION))
    assert fragment in answer.text
    assert answer.code in FINAL_CODES
    assert not world.aws.calls, "a refused document costs no call"


ACCEPTED: Final = {
    "V01": (f'- {{objectName: "{SECRET_ARN}", objectAlias: x}}\n', {"x"}),
    "V02": (f'- {{objectName: "{PARAMETER_ARN}", objectAlias: x}}\n', {"x"}),
    "V14": (
        _parameter(NAME, "objectAlias: aliasOne") + _parameter(NAME, "objectAlias: aliasTwo"),
        {"aliasOne", "aliasTwo"},
    ),
    "V15": (
        _secret(NAME, "objectAlias: aliasOne", "objectVersionLabel: AWSCURRENT")
        + _secret(NAME, "objectAlias: aliasTwo", "objectVersionLabel: AWSPREVIOUS"),
        {"aliasOne", "aliasTwo"},
    ),
    "V18": (
        _secret(NAME, "objectVersionLabel: AWSCURRENT") + _secret(NAME, "objectVersionLabel: AWSPREVIOUS"),
        {"secret1"},
    ),
    "V29": (
        f'- {{objectName: "{SECRET_ARN}", objectAlias: secret1}}\n' + _parameter("objectName: parm1"),
        {"secret1", "parm1"},
    ),
}


@pytest.mark.parametrize("vector", ACCEPTED)
def test_a_document_within_the_rules_is_mounted(world: World, vector: str) -> None:
    objects, names = ACCEPTED[vector]
    for name in ("secret1", SECRET_ARN):
        world.aws.secrets[REGION, name] = FakeSecret(value="value")
    for name in ("secret1", "parm1", PARAMETER_ARN):
        world.aws.parameters[REGION, name] = FakeParameter(value="value")
    answer = world.driver.mount(Pod(objects=objects, region=REGION))
    assert answer.text == ""
    assert set(answer.files) == names


def test_v23_objects_go_to_the_store_of_their_type(world: World) -> None:
    world.aws.secrets[REGION, "secret1"] = FakeSecret(value="s1")
    for name in ("secret2", "secret3"):
        world.aws.parameters[REGION, name] = FakeParameter(value=name)
    objects = (
        _secret(NAME) + _parameter("objectName: secret2") + _parameter("objectName: secret3", "objectAlias: myParm")
    )
    answer = world.driver.mount(Pod(objects=objects, region=REGION))
    assert {name: contents for name, (contents, _) in answer.files.items()} == {
        "secret1": b"s1",
        "secret2": b"secret2",
        "myParm": b"secret3",
    }
    assert [call.target for call in world.aws.calls if call.action == GET_SECRET] == ["secret1"]
    assert [call.target for call in world.aws.calls if call.action == GET_PARAMETERS] == ["secret2,secret3"]


def test_v27_the_type_names_are_the_two_of_the_contract(world: World) -> None:
    answer = world.driver.mount(Pod(objects="- {objectName: SomeSecret, objectType: x}\n", region=REGION))
    assert "ssmparameter" in answer.text
    assert "secretsmanager" in answer.text


def test_v28_a_translation_of_two_characters_names_the_rule(world: World) -> None:
    answer = world.driver.mount(Pod(objects=_secret(NAME), region=REGION, parameters={"pathTranslation": "--"}))
    assert "must be either" in answer.text


_LEAVING_ARNS = ("secret:/../pathTest", "secret:mypath/../../x", "secret:mypath/..")
_LEAVING_NAMES = ("../mypath", "mypath/../../param", "mypath/..")


@pytest.mark.parametrize(
    "objects",
    [
        *(f'- objectName: "arn:aws:secretsmanager:{REGION}:111122223333:{end}"\n' for end in _LEAVING_ARNS),
        *(_secret(f'objectName: "{name}"') for name in _LEAVING_NAMES),
        *(_parameter(f'objectName: "{name}"') for name in _LEAVING_NAMES),
    ],
)
def test_v30_a_path_that_would_leave_the_volume_is_refused(world: World, objects: str) -> None:
    answer = world.driver.mount(Pod(objects=objects, region=REGION, parameters={"pathTranslation": "False"}))
    assert "path can not contain" in answer.text
    assert not world.aws.calls


@pytest.mark.parametrize("name", ["/..mypath", "..mypath", "mypath../param", "mypath.."])
@pytest.mark.parametrize("kind", ["secretsmanager", "ssmparameter", "arn"])
def test_v31_dots_that_are_no_element_of_their_own_are_accepted(world: World, name: str, kind: str) -> None:
    """The provider accepts them as upstream does; the driver itself then refuses a path that begins with `..`."""
    arn = f"arn:aws:secretsmanager:{REGION}:111122223333:secret:{name}"
    world.aws.secrets[REGION, arn] = world.aws.secrets[REGION, name] = FakeSecret(value="value")
    world.aws.parameters[REGION, name] = FakeParameter(value="value")
    objects = f'- objectName: "{arn}"\n' if kind == "arn" else f'- {{objectName: "{name}", objectType: {kind}}}\n'
    answer = world.driver.mount(Pod(objects=objects, region=REGION, parameters={"pathTranslation": "False"}))
    assert list(answer.files) == [arn if kind == "arn" else name.lstrip("/")]
