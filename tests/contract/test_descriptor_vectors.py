"""Vectors V01 to V50 of the contract: every rule of the objects document, through a real socket.

The region is us-west-2 unless a vector names its regions. A refused document costs no call; an accepted one is mounted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.vectors import assert_refused, case, texts
from tests.fakes.aws import GET_PARAMETERS, GET_SECRET, FakeParameter, FakeSecret
from tests.fakes.driver import Pod

if TYPE_CHECKING:
    from tests.contract.conftest import World

W1, W2, E2 = "us-west-1", "us-west-2", "us-east-2"
REGION: Final = W2


def _arn(service: str = "secretsmanager", region: str = W2, name: str = "secret1-abc123") -> str:
    return f"arn:aws:{service}:{region}:111122223333:secret:{name}"


SECRET_ARN: Final = _arn()
PARAMETER_ARN: Final = f"arn:aws:ssm:{REGION}:111122223333:parameter/secret1"


@pytest.fixture
def world(either_world: World) -> World:
    """Every vector runs in both write modes."""
    return either_world


def _parameter(*fields: str) -> str:
    return f"- {{objectType: ssmparameter, {', '.join(fields)}}}\n"


def _secret(*fields: str) -> str:
    return f"- {{objectType: secretsmanager, {', '.join(fields)}}}\n"


def _pod(objects: str, regions: tuple[str, ...] = (W2,), **parameters: str) -> Pod:
    more = {"failoverRegion": regions[1]} if len(regions) > 1 else {}
    return Pod(objects=objects, region=regions[0], parameters=more | parameters)


def _failing_over(name: str, failover: str, *fields: str) -> str:
    rest = "".join(f", {field}" for field in fields)
    return f'- {{objectName: "{name}", failoverObject: {{objectName: "{failover}"}}{rest}}}\n'


ALIAS: Final = "objectAlias: test"
DIFFERENT_VERSION: Final = 'failoverObject: {objectName: Q, objectVersion: "2"}'
SAME_VERSION: Final = 'failoverObject: {objectName: Q, objectVersion: "1"}'
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
    "V38": (f'- {{objectName: "{_arn(region=W1)}", objectAlias: test}}\n', f"ARN region must match region {W2}"),
    "V47 letters": (_secret(NAME, "filePermission: abc9"), "Invalid File Permission: abc9"),
    "V47 three": (_secret(NAME, 'filePermission: "000"'), "Invalid File Permission: 000"),
    "V47 five": (_secret(NAME, 'filePermission: "00000"'), "Invalid File Permission: 00000"),
    "V49 object": (_secret(NAME, "filePermission: abcd"), "Invalid File Permission: abcd"),
    "V49 key": (
        _secret(NAME, "jmesPath: [{path: a, objectAlias: b, filePermission: efgh}]"),
        "Invalid File Permission: efgh",
    ),
    "V50 yaml": ("not valid yaml [", "Failed to load SecretProviderClass"),
    "V50 mode": (_secret(NAME, 'filePermission: "9999"'), "Invalid File Permission: 9999"),
}


@pytest.mark.parametrize(
    ("objects", "fragment"),
    [case(vector[:3], *values, note=vector[4:]) for vector, values in REFUSED.items()],
)
def test_a_document_that_breaks_a_rule_is_refused_with_upstreams_words(
    world: World, objects: str, fragment: str
) -> None:
    assert_refused(world.driver.mount(_pod(objects)), fragment)
    assert not world.aws.calls, "a refused document costs no call"


@pytest.mark.parametrize(
    ("objects", "regions", "fragment"),
    [
        case("V32", _failing_over(_arn(region=W1), SECRET_ARN), (W1, W2), "object alias must be specified"),
        case("V33", _failing_over(_arn(region=W1), "MySecret", ALIAS), (W1, W2), "Must use objectType"),
        case("V34", _failing_over("MySecret", _arn(region=W1), ALIAS), (W2, W1), "Must use objectType"),
        case(
            "V35",
            _failing_over(_arn(region=W1), _arn("bad"), ALIAS, "objectType: secretsmanager"),
            (W1, W2),
            "objectType does not match ARN",
        ),
        case("V36", _failing_over(_arn(region=W1), _arn("bad"), ALIAS), (W1, W2), "Invalid service in ARN: bad"),
        case("V39", _failing_over(_arn(region=W1), SECRET_ARN, ALIAS), (W1, E2), f"ARN region must match region {E2}"),
        case(
            "V40",
            _failing_over(_arn(region=W1), SECRET_ARN, ALIAS),
            (W1,),
            "failover object allowed only when failover region is defined",
        ),
        case(
            "V41",
            _parameter(NAME, ALIAS, 'failoverObject: {objectName: Q, objectVersion: "1", objectVersionLabel: blue}'),
            (W1, W2),
            "can not specify both",
        ),
        case("V43", _parameter(NAME, ALIAS, 'objectVersion: "1"', DIFFERENT_VERSION), (W1, W2), "versions must match"),
    ],
)
def test_a_failover_object_that_breaks_a_rule_is_refused_with_upstreams_words(
    world: World, objects: str, regions: tuple[str, ...], fragment: str
) -> None:
    assert_refused(world.driver.mount(_pod(objects, regions)), fragment)
    assert not world.aws.calls


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


@pytest.mark.parametrize(
    ("objects", "regions", "names"),
    [
        *(case(vector, objects, (W2,), names) for vector, (objects, names) in ACCEPTED.items()),
        case("V37", _failing_over(_arn(region=W1), SECRET_ARN, ALIAS), (W1, W2), {"test"}),
        case("V42", _parameter(NAME, ALIAS, "failoverObject: {objectName: Q}"), (W1, W2), {"test"}),
        case("V44", _parameter(NAME, ALIAS, 'objectVersion: "1"', SAME_VERSION), (W1, W2), {"test"}),
    ],
)
def test_a_document_within_the_rules_is_mounted(
    world: World, objects: str, regions: tuple[str, ...], names: set[str]
) -> None:
    for name in ("secret1", _arn(region=regions[0])):
        world.aws.secrets[regions[0], name] = FakeSecret(value="value")
    for name in ("secret1", "secret1:1", "parm1", PARAMETER_ARN):
        world.aws.parameters[regions[0], name] = FakeParameter(value="value")
    assert set(texts(world.driver.mount(_pod(objects, regions)))) == names


@pytest.mark.vector("V23")
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


@pytest.mark.vector("V27")
def test_v27_the_type_names_are_the_two_of_the_contract(world: World) -> None:
    answer = world.driver.mount(Pod(objects="- {objectName: SomeSecret, objectType: x}\n", region=REGION))
    assert "ssmparameter" in answer.text
    assert "secretsmanager" in answer.text


@pytest.mark.vector("V28")
def test_v28_a_translation_of_two_characters_names_the_rule(world: World) -> None:
    answer = world.driver.mount(Pod(objects=_secret(NAME), region=REGION, parameters={"pathTranslation": "--"}))
    assert "must be either" in answer.text


_LEAVING_ARNS = ("secret:/../pathTest", "secret:mypath/../../x", "secret:mypath/..")
_LEAVING_NAMES = ("../mypath", "mypath/../../param", "mypath/..")


@pytest.mark.vector("V30")
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


@pytest.mark.vector("V31")
@pytest.mark.parametrize("name", ["/..mypath", "..mypath", "mypath../param", "mypath.."])
@pytest.mark.parametrize("kind", ["secretsmanager", "ssmparameter", "arn"])
def test_v31_dots_that_are_no_element_of_their_own_are_accepted(
    quick_driver_writes_world: World, name: str, kind: str
) -> None:
    """The provider accepts them as upstream does; the driver itself then refuses a path that begins with `..`."""
    world = quick_driver_writes_world
    world.aws.reset()
    arn = f"arn:aws:secretsmanager:{REGION}:111122223333:secret:{name}"
    world.aws.secrets[REGION, arn] = world.aws.secrets[REGION, name] = FakeSecret(value="value")
    world.aws.parameters[REGION, name] = FakeParameter(value="value")
    objects = f'- objectName: "{arn}"\n' if kind == "arn" else f'- {{objectName: "{name}", objectType: {kind}}}\n'
    answer = world.driver.mount(Pod(objects=objects, region=REGION, parameters={"pathTranslation": "False"}))
    assert list(answer.files) == [arn if kind == "arn" else name.lstrip("/")]


@pytest.mark.vector("V45")
def test_v45_a_permission_of_its_own_wins_over_the_requests(world: World) -> None:
    world.aws.secrets[REGION, "plain"] = world.aws.secrets[REGION, "own"] = FakeSecret(value="value")
    objects = _secret("objectName: plain") + _secret("objectName: own", 'filePermission: "0600"')
    files = world.driver.mount(_pod(objects)).files
    assert {path: mode for path, (_, mode) in files.items()} == {"plain": 0o644, "own": 0o600}


@pytest.mark.vector("V46")
def test_v46_the_request_may_ask_for_another_mode(world: World) -> None:
    world.aws.secrets[REGION, "secret1"] = FakeSecret(value="value")
    answer = world.driver.mount(replace(_pod(_secret(NAME)), permission="511"))
    assert answer.files == {"secret1": (b"value", 0o777)}


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        case("V47", "", 0o644, note="empty"),
        case("V47", "0600", 0o600, note="four digits"),
        case("V50", "0777", 0o777, note="all"),
        case("V50", "0000", 0, note="none"),
    ],
)
def test_a_permission_of_four_octal_digits_is_the_files_mode(
    quick_driver_writes_world: World, text: str, mode: int
) -> None:
    """Not on disk: nobody but root could read a file of mode 0000 back."""
    world = quick_driver_writes_world
    world.aws.reset()
    world.aws.secrets[REGION, "secret1"] = FakeSecret(value="value")
    answer = world.driver.mount(_pod(_secret(NAME, f'filePermission: "{text}"')))
    assert answer.files == {"secret1": (b"value", mode)}


@pytest.mark.vector("V48")
@pytest.mark.parametrize(
    ("parent", "own", "mode"), [("", "", 0o644), ("0600", "", 0o600), ("0600", "0777", 0o777), ("", "0777", 0o777)]
)
def test_v48_a_json_key_takes_its_own_mode_then_its_parents_then_the_default(
    world: World, parent: str, own: str, mode: int
) -> None:
    world.aws.secrets[REGION, "secret1"] = FakeSecret(value='{"a": "value"}')
    keys = f'jmesPath: [{{path: a, objectAlias: b, filePermission: "{own}"}}]'
    answer = world.driver.mount(_pod(_secret(NAME, f'filePermission: "{parent}"', keys)))
    assert answer.files["b"] == (b"value", mode)
