"""Vectors X06 to X24, X32, X33, X35, X41 and X43 of the contract: what upstream's source says about odd documents.

Scalars are read as YAML 1.1 and Go read them, field names match in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.vectors import assert_refused, case, texts
from tests.fakes.aws import GET_PARAMETERS, GET_SECRET, FakeParameter, FakeSecret, Fault
from tests.fakes.driver import FAKE_BACKUP_REGION, FAKE_REGION, Pod

if TYPE_CHECKING:
    from tests.contract.conftest import World

SECRET_ARN: Final = f"arn:aws:secretsmanager:{FAKE_REGION}:111122223333:secret:A-abc123"


@pytest.fixture
def world(either_world: World) -> World:
    """Every vector runs in both write modes; both stores hold a few values, named after themselves."""
    aws = either_world.aws
    for name in ("A", "/A", "B", "a/b", "a_b", SECRET_ARN):
        aws.secrets[FAKE_REGION, name] = FakeSecret(value=f"secret {name}")
    aws.secrets[FAKE_REGION, "JSON"] = FakeSecret(value='{"user": "user", "A": "key"}')
    for name, version in {"P": 1, "P:3": 3, "P:8": 8, "P:true": 4, "P:1000": 5, "P:0.5": 6}.items():
        aws.parameters[FAKE_REGION, name] = FakeParameter(value=name, version=version)
    return either_world


def _secret(name: str = "A", *fields: str) -> str:
    return f'- {{objectName: "{name}", objectType: secretsmanager{"".join(f", {field}" for field in fields)}}}\n'


def _parameter(name: str = "P", *fields: str) -> str:
    return _secret(name, *fields).replace("secretsmanager", "ssmparameter")


def _key(alias: str) -> str:
    return f'jmesPath: [{{path: user, objectAlias: "{alias}"}}]'


OFF: Final = {"pathTranslation": "False"}
LABEL: Final = "objectVersionLabel: L"


@pytest.mark.parametrize(
    ("objects", "parameters", "fragment"),
    [
        case("X06", "", {}, "parameters.objects: objects is empty", note="text"),
        case("X06", "[]", {}, "SecretProviderClass fakeNS/fakeClass", note="list"),
        case("X06", "null", {}, "objects is empty", note="null"),
        case("X09", _secret("A", "filePermission: 0600"), {}, "Invalid File Permission: 384 (unquoted 0600 is"),
        case(
            "X14",
            _parameter("arn:aws:bad:fakeRegion:111122223333:parameter/P"),
            {},
            "objectType does not match ARN",
        ),
        case("X16", _secret("A") + _secret("A", LABEL), {}, "file name 'A' is already used by objects[0]"),
        case("X17", _secret() + _secret("A", "objectAlias: b") + _secret(), {}, "file name 'A' is already used"),
        case("X18", _secret("A") + _secret("B", "objectAlias: A"), {}, "file name 'A' is already used", note="alias"),
        case("X18", _secret("a/b") + _secret("a_b"), {}, "file name 'a_b' is already used", note="translated"),
        case("X19", _secret("JSON", _key("JSON")), {}, "file name 'JSON' is already used by objects[0]"),
        case("X20", _secret("JSON", _key("../x")), OFF, "path can not contain ../: ../x"),
        case("X21", _secret("A", 'objectAlias: ".."'), OFF, "file name '..' is no file name"),
    ],
)
def test_a_document_that_upstream_takes_is_refused_on_purpose(
    world: World, objects: str, parameters: dict[str, str], fragment: str
) -> None:
    assert_refused(world.driver.mount(Pod(objects=objects, parameters=parameters)), fragment, "Fix: ")
    assert not world.aws.calls, "before anything is read"


@pytest.mark.parametrize(
    ("objects", "parameters", "fragment"),
    [
        case("X07", "hello", {}, "Failed to load SecretProviderClass", note="scalar"),
        case("X07", "objectName: A", {}, "Failed to load SecretProviderClass", note="mapping"),
        case("X22", _secret("a/b"), {"pathTranslation": "é"}, "pathTranslation must be"),
    ],
)
def test_a_document_that_upstream_refuses_is_refused(
    world: World, objects: str, parameters: dict[str, str], fragment: str
) -> None:
    assert_refused(world.driver.mount(Pod(objects=objects, parameters=parameters)), fragment)
    assert not world.aws.calls


UNUSUAL_KEYS: Final = "- {ObjectName: JSON, OBJECTTYPE: secretsmanager, JmesPath: [{Path: user, ObjectAlias: u}]}"


@pytest.mark.parametrize(
    ("objects", "parameters", "expected"),
    [
        case("X08", UNUSUAL_KEYS, {}, {"JSON": '{"user": "user", "A": "key"}', "u": "user"}),
        case("X11", _parameter("P", "objectVersion: 3"), {}, {"P": "P:3"}, note="decimal"),
        case("X11", _parameter("P", "objectVersion: 010"), {}, {"P": "P:8"}, note="octal"),
        case("X11", _parameter("P", "objectVersion: 0x8"), {}, {"P": "P:8"}, note="hexadecimal"),
        case("X11", _parameter("P", "objectVersionLabel: on"), {}, {"P": "P:true"}, note="word"),
        case("X11", _parameter("P", "objectVersionLabel: 1e3"), {}, {"P": "P:1000"}, note="exponent"),
        case("X11", _parameter("P", "objectVersionLabel: 0.50"), {}, {"P": "P:0.5"}, note="fraction"),
        case("X12", _secret("A", "objectAlias: y"), {}, {"true": "secret A"}),
        case("X12", _secret("A", 'objectAlias: "y"'), {}, {"y": "secret A"}, note="quoted"),
        case("X12", _secret("A", "objectAlias: 1:30"), {}, {"1:30": "secret A"}, note="no base 60"),
        case("X12", _secret("A", "objectAlias: 2026-01-02"), {}, {"2026-01-02": "secret A"}, note="no date"),
        case(
            "X15",
            _secret("A", "objectAlias: B") + _secret("A", LABEL),
            {},
            {"A": "secret A", "B": "secret A"},
        ),
        case("X22", _secret("/A"), {"pathTranslation": "FALSE"}, {"A": "secret /A"}, note="off"),
        case("X43", f"---\n{_secret('A')}---\n{_secret('B')}", {}, {"A": "secret A"}),
    ],
)
def test_an_unusual_document_is_read_as_upstream_reads_it(
    world: World, objects: str, parameters: dict[str, str], expected: dict[str, str]
) -> None:
    assert texts(world.driver.mount(Pod(objects=objects, parameters=parameters))) == expected


@pytest.mark.vector("X10")
def test_x10_bits_beyond_0777_are_dropped(world: World) -> None:
    objects = _secret("A", 'filePermission: "1777"')
    assert world.driver.mount(Pod(objects=objects)).files == {"A": (b"secret A", 0o777)}


@pytest.mark.vector("X13")
def test_x13_the_service_ssmparameter_of_an_arn_is_parameter_store(world: World) -> None:
    arn = f"arn:aws:ssmparameter:{FAKE_REGION}:111122223333:parameter/P"
    world.aws.parameters[FAKE_REGION, arn] = FakeParameter(value="value")
    assert texts(world.driver.mount(Pod(objects=f'- {{objectName: "{arn}", objectAlias: p}}\n'))) == {"p": "value"}
    assert world.aws.count(GET_PARAMETERS) == 1


@pytest.mark.vector("X23")
def test_x23_a_failover_object_without_name_still_gives_its_label(world: World) -> None:
    world.aws.fail(GET_SECRET, Fault(status=500, code="InternalServiceError"), region=FAKE_REGION)
    world.aws.secrets[FAKE_BACKUP_REGION, "A"] = FakeSecret(value="current")
    world.aws.secrets[FAKE_BACKUP_REGION, "A:L"] = FakeSecret(value="labelled")
    pod = Pod(
        objects=_secret("A", "failoverObject: {objectVersionLabel: L}"),
        parameters={"failoverRegion": FAKE_BACKUP_REGION},
    )
    assert texts(world.driver.mount(pod)) == {"A": "labelled"}


@pytest.mark.vector("X24")
def test_x24_an_arn_without_failover_object_is_asked_for_in_the_second_region(world: World) -> None:
    world.aws.fail(GET_SECRET, Fault(status=500, code="InternalServiceError"), region=FAKE_REGION)
    pod = Pod(objects=f'- objectName: "{SECRET_ARN}"\n', parameters={"failoverRegion": FAKE_BACKUP_REGION})
    answer = world.driver.mount(pod)
    assert_refused(answer, f"{FAKE_BACKUP_REGION}: Failed fetching secret {SECRET_ARN}: 400: ResourceNotFound")
    assert [call.target for call in world.aws.calls if call.region == FAKE_BACKUP_REGION] == [SECRET_ARN]


@pytest.mark.vector("X32")
def test_x32_a_parameters_name_may_hold_its_selector(world: World) -> None:
    answer = world.driver.mount(Pod(objects=_parameter("P:3")))
    assert texts(answer) == {"P:3": "P:3"}
    assert answer.versions == {"P:3": "3"}


@pytest.mark.vector("X33")
def test_x33_one_parameter_under_two_labels_gives_two_files(world: World) -> None:
    for label, version in (("old", 1), ("new", 2)):
        world.aws.parameters[FAKE_REGION, f"P:{label}"] = FakeParameter(value=label, version=version)
    objects = "".join(
        _parameter("P", f"objectVersionLabel: {label}", f"objectAlias: {alias}")
        for label, alias in (("old", "one"), ("new", "two"))
    )
    answer = world.driver.mount(Pod(objects=objects))
    assert texts(answer) == {"one": "old", "two": "new"}
    assert answer.versions == {"one": "1", "two": "2"}
    assert world.aws.count(GET_PARAMETERS) == 1


@pytest.mark.parametrize(
    ("resource", "field", "selector"),
    [("P", "", ""), ("P", "objectVersion: 3", ":3"), ("app/db", "", ""), ("app/db", "objectVersionLabel: L", ":L")],
)
def test_a_parameter_may_be_named_by_its_arn(world: World, resource: str, field: str, selector: str) -> None:
    """AWS answers with the parameter's name, which is not what was asked for, and its ARN without selector."""
    arn = f"arn:aws:ssm:{FAKE_REGION}:111122223333:parameter/{resource}"
    world.aws.parameters[FAKE_REGION, arn + selector] = FakeParameter(value="by arn", version=3)
    world.aws.parameters[FAKE_REGION, "Q"] = FakeParameter(value="by name")
    objects = f'- {{objectName: "{arn}", objectAlias: file{"" if not field else ", " + field}}}\n' + _parameter("Q")
    answer = world.driver.mount(Pod(objects=objects))
    assert texts(answer) == {"file": "by arn", "Q": "by name"}
    assert answer.versions["file"] == "3"


def test_an_empty_secret_is_an_empty_file(world: World) -> None:
    world.aws.secrets[FAKE_REGION, "A"] = FakeSecret(value="")
    assert texts(world.driver.mount(Pod(objects=_secret("A")))) == {"A": ""}


def test_unknown_and_repeated_keys_are_no_mistake(world: World) -> None:
    objects = "- {objectName: B, objectName: A, objectType: secretsmanager, owner: {team: [x]}, jmesPath: []}\n"
    assert texts(world.driver.mount(Pod(objects=objects))) == {"A": "secret A"}


@pytest.mark.vector("X35")
def test_x35_version_and_label_of_a_secret_are_both_sent(world: World) -> None:
    assert world.driver.mount(Pod(objects=_secret("A", "objectVersion: V", LABEL))).is_ok
    (body,) = [call.body for call in world.aws.calls if call.action == GET_SECRET]
    assert body == {"SecretId": "A", "VersionId": "V", "VersionStage": "L"}


@pytest.mark.vector("X41")
@pytest.mark.parametrize("length", [250, 255])
def test_x41_a_long_name_can_be_written(world: World, length: int) -> None:
    name = "n" * length
    world.aws.secrets[FAKE_REGION, name] = FakeSecret(value="value")
    assert texts(world.driver.mount(Pod(objects=_secret(name)))) == {name: "value"}
