"""Vectors A01 to A30 of the contract, one region, through a real socket.

Calls are counted: on success they bind exactly, on failure they are upper bounds. `D` vectors expect the files in the
answer, `W` vectors on disk.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes.aws import GET_PARAMETERS, GET_SECRET, FakeParameter, FakeSecret, Fault, object_of
from tests.fakes.driver import FAKE_BACKUP_REGION, FAKE_REGION, FINAL_CODES, Answer, Pod, with_parameters

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import World

J1 = '{"dbUser":{"username":"SecretsManagerUser","password":"SecretsManagerPassword"}}'
CREDENTIALS = json.dumps({"username": "SecretsManagerUser", "password": "SecretsManagerPassword"})
SECRET = "- {objectName: TestSecret1, objectType: secretsmanager}\n"
PARAMETER = "- {objectName: TestParm1, objectType: ssmparameter}\n"
A05 = Pod(objects=SECRET + PARAMETER)
UNMODELLED = Fault(status=400, code="AccessDeniedException", message="not authorized")


@pytest.fixture
def world(either_world: World) -> World:
    """Every vector runs in both write modes, those of one mode ask for it by name."""
    return either_world


def _fill(world: World) -> None:
    world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    world.aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value="parm1")


def _assert_calls(world: World, *, secrets: int, parameters: int) -> None:
    counted = (world.aws.count(GET_SECRET), world.aws.count(GET_PARAMETERS))
    assert counted == (secrets, parameters)


def _assert_refused(answer: Answer, fragment: str) -> None:
    assert fragment in answer.text
    assert answer.code in FINAL_CODES
    assert not answer.files


@pytest.mark.vector("A01")
def test_a01_a_permission_of_its_own(world: World) -> None:
    world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=J1)
    pod = Pod(objects='- {objectName: TestSecret1, objectType: secretsmanager, filePermission: "0600"}')
    answer = world.driver.mount(pod)
    assert answer.files == {"TestSecret1": (J1.encode(), 0o600)}
    assert answer.versions == {"TestSecret1": "1"}
    _assert_calls(world, secrets=1, parameters=0)


@pytest.mark.vector("A02")
def test_a02_a_permission_that_is_not_octal(world: World) -> None:
    pod = Pod(objects='- {objectName: TestSecret1, objectType: secretsmanager, filePermission: "0900"}')
    _assert_refused(world.driver.mount(pod), "Invalid File Permission: 0900")
    _assert_calls(world, secrets=0, parameters=0)


_A03 = """
- objectName: TestSecret1
  objectType: secretsmanager
  filePermission: "0600"
  jmesPath:
  - {path: dbUser.username, objectAlias: username, filePermission: "%s"}
  - {path: dbUser.password, objectAlias: password}
"""


@pytest.mark.vector("A03")
def test_a03_json_keys_inherit_or_set_their_mode(world: World) -> None:
    world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=J1)
    answer = world.driver.mount(Pod(objects=_A03 % "0777"))
    assert answer.files == {
        "TestSecret1": (J1.encode(), 0o600),
        "username": (b"SecretsManagerUser", 0o777),
        "password": (b"SecretsManagerPassword", 0o600),
    }
    assert answer.versions == {"TestSecret1": "1", "username": "1", "password": "1"}
    _assert_calls(world, secrets=1, parameters=0)


@pytest.mark.vector("A04")
def test_a04_a_json_key_with_a_permission_that_is_not_octal(world: World) -> None:
    _assert_refused(world.driver.mount(Pod(objects=_A03 % "a987")), "Invalid File Permission: a987")
    _assert_calls(world, secrets=0, parameters=0)


@pytest.mark.vector("A05", "A06")
@pytest.mark.parametrize("parameters", [{}, {"usePodIdentity": "false"}], ids=["A05", "A06"])
def test_a05_a06_a_secret_and_a_parameter(world: World, parameters: dict[str, str]) -> None:
    _fill(world)
    answer = world.driver.mount(with_parameters(A05, **parameters))
    assert answer.files == {"TestSecret1": (b"secret1", 0o644), "TestParm1": (b"parm1", 0o644)}
    _assert_calls(world, secrets=1, parameters=1)


@pytest.mark.vector("A07")
def test_a07_the_failover_region_answers_when_the_primary_is_broken(world: World) -> None:
    """Upstream's vector fails the primary with anything unmodelled; a denial would not move on here."""
    _fill(world)
    world.aws.fail(GET_SECRET, Fault(status=500, code="InternalFailure"), region=FAKE_REGION)
    world.aws.secrets[FAKE_BACKUP_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    answer = world.driver.mount(with_parameters(A05, failoverRegion=FAKE_BACKUP_REGION))
    assert answer.files == {"TestSecret1": (b"secret1", 0o644), "TestParm1": (b"parm1", 0o644)}
    assert world.aws.count(GET_SECRET, FAKE_BACKUP_REGION) == 1
    assert world.aws.count(GET_PARAMETERS) == 1


@pytest.mark.vector("A07")
def test_a07_a_denial_is_never_carried_to_the_failover_region(world: World) -> None:
    _fill(world)
    world.aws.fail(GET_SECRET, UNMODELLED, region=FAKE_REGION)
    world.aws.secrets[FAKE_BACKUP_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    answer = world.driver.mount(with_parameters(A05, failoverRegion=FAKE_BACKUP_REGION))
    _assert_refused(answer, "Failed to fetch secret from all regions: TestSecret1")
    assert world.aws.count(GET_SECRET, FAKE_BACKUP_REGION) == 0


@pytest.mark.vector("A08")
def test_a08_json_keys_of_a_secret_and_of_a_parameter(world: World) -> None:
    world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=J1)
    world.aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value=J1.replace("SecretsManager", "Parameter"))
    objects = """
- objectName: TestSecret1
  objectType: secretsmanager
  jmesPath: [{path: dbUser.username, objectAlias: username}, {path: dbUser.password, objectAlias: password}]
- objectName: TestParm1
  objectType: ssmparameter
  jmesPath: [{path: dbUser.username, objectAlias: ssmUsername}, {path: dbUser.password, objectAlias: ssmPassword}]
"""
    answer = world.driver.mount(Pod(objects=objects))
    texts = {name: contents.decode() for name, (contents, _) in answer.files.items()}
    assert texts == {
        "TestSecret1": J1,
        "username": "SecretsManagerUser",
        "password": "SecretsManagerPassword",
        "TestParm1": J1.replace("SecretsManager", "Parameter"),
        "ssmUsername": "ParameterUser",
        "ssmPassword": "ParameterPassword",
    }
    _assert_calls(world, secrets=1, parameters=1)


@pytest.mark.vector("A09")
def test_a09_an_arn_tells_the_type(world: World) -> None:
    arn = f"arn:aws:secretsmanager:{FAKE_REGION}:111122223333:secret:geheimnis-ABc123"
    world.aws.secrets[FAKE_REGION, arn] = FakeSecret(value=CREDENTIALS)
    objects = f"""
- objectName: "{arn}"
  objectAlias: TestSecret1
  jmesPath: [{{path: username, objectAlias: username}}]
"""
    answer = world.driver.mount(Pod(objects=objects))
    assert answer.files == {
        "TestSecret1": (CREDENTIALS.encode(), 0o644),
        "username": (b"SecretsManagerUser", 0o644),
    }
    _assert_calls(world, secrets=1, parameters=0)


@pytest.mark.vector("A10")
def test_a10_binary_secrets_are_written_as_they_are(world: World) -> None:
    _fill(world)
    world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=b"BinarySecret\x00\xff")
    assert world.driver.mount(A05).files["TestSecret1"] == (b"BinarySecret\x00\xff", 0o644)
    _assert_calls(world, secrets=1, parameters=1)


@pytest.mark.vector("A11")
def test_a11_parameters_come_in_batches_of_ten_and_in_any_order(world: World) -> None:
    """The fake answers in the order of a hash, so position tells nothing."""
    world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    world.aws.secrets[FAKE_REGION, "TestSecret2"] = FakeSecret(value=b"BinarySecret")
    objects = SECRET + SECRET.replace("1", "2")
    for number in range(1, 12):
        world.aws.parameters[FAKE_REGION, f"TestParm{number}"] = FakeParameter(value=f"parm{number}")
        objects += PARAMETER.replace("1", str(number))
    answer = world.driver.mount(Pod(objects=objects))
    assert len(answer.files) == 13
    assert all(answer.files[f"TestParm{number}"][0] == f"parm{number}".encode() for number in range(1, 12))
    _assert_calls(world, secrets=2, parameters=2)
    sizes = sorted(len(call.body["Names"]) for call in world.aws.calls if call.action == GET_PARAMETERS)
    assert sizes == [1, 10]


_POD_PATH = "/api/v1/namespaces/fakeNS/pods/{name}"
_NODE_PATH = "/api/v1/nodes/node-of-{name}"


@pytest.mark.vector("A12", "A13", "A14")
@pytest.mark.parametrize(
    ("name", "present"),
    [("a12", ()), ("a13", ("pod",)), ("a14", ("pod", "node"))],
    ids=["A12", "A13", "A14"],
)
def test_a12_a13_a14_a_region_that_cannot_be_looked_up(world: World, name: str, present: tuple[str, ...]) -> None:
    """The pod is absent, its node is absent, the node has no label."""
    _fill(world)
    if "pod" in present:
        world.aws.cluster[_POD_PATH.format(name=name)] = object_of(spec={"nodeName": f"node-of-{name}"})
    if "node" in present:
        world.aws.cluster[_NODE_PATH.format(name=name)] = object_of(metadata={"labels": {}})
    answer = world.driver.mount(Pod(objects=SECRET, region="", name=name))
    _assert_refused(answer, "failed to retrieve region")
    _assert_calls(world, secrets=0, parameters=0)


@pytest.mark.vector("A15")
def test_a15_an_empty_permission(world: World) -> None:
    answer = world.driver.mount(Pod(objects=SECRET, permission=""))
    _assert_refused(answer, "failed to unmarshal file permission")


@pytest.mark.vector("A16")
@pytest.mark.parametrize("annotations", [{}, {"eks.amazonaws.com/role-arn": ""}])
def test_a16_a_service_account_without_role(world: World, annotations: dict[str, str]) -> None:
    account = "/api/v1/namespaces/fakeNS/serviceaccounts/roleless"
    world.aws.cluster[account] = object_of(metadata={"annotations": annotations})
    answer = world.driver.mount(Pod(objects=SECRET, role_arn="", service_account="roleless"))
    _assert_refused(answer, "An IAM role must be associated")


@pytest.mark.vector("A17")
def test_a17_a_word_that_is_no_go_boolean(world: World) -> None:
    answer = world.driver.mount(with_parameters(A05, usePodIdentity="yes"))
    _assert_refused(answer, "failed to parse usePodIdentity value")
    _assert_calls(world, secrets=0, parameters=0)


@pytest.mark.vector("A18")
def test_a18_an_object_without_name(world: World) -> None:
    answer = world.driver.mount(Pod(objects=f"{SECRET}- {{objectType: ssmparameter}}"))
    _assert_refused(answer, "Object name must be specified")
    _assert_calls(world, secrets=0, parameters=0)


@pytest.mark.vector("A19")
def test_a19_a_secret_that_cannot_be_read_shows_the_cause(world: World) -> None:
    _fill(world)
    world.aws.fail(GET_SECRET, UNMODELLED)
    answer = world.driver.mount(A05)
    _assert_refused(answer, "Failed to fetch secret")
    assert "AccessDeniedException: not authorized" in answer.text
    assert world.aws.count(GET_SECRET) == 1
    assert world.aws.count(GET_PARAMETERS) <= 1


@pytest.mark.vector("A20")
def test_a20_parameters_that_cannot_be_read_show_the_cause(world: World) -> None:
    _fill(world)
    world.aws.fail(GET_PARAMETERS, UNMODELLED)
    answer = world.driver.mount(A05)
    _assert_refused(answer, "Failed to fetch parameters from all regions")
    assert "AccessDeniedException: not authorized" in answer.text
    assert world.aws.count(GET_PARAMETERS) == 1
    assert world.aws.count(GET_SECRET) <= 1


@pytest.mark.vector("A21")
def test_a21_invalid_parameters_are_listed_once_each_in_order(world: World) -> None:
    _fill(world)
    world.aws.parameters[FAKE_REGION, "TestParm3"] = FakeParameter(value="parm3")
    world.aws.reported_invalid = ["FailParm2", "FailParm4", "FailParm2", "FailParm4"]
    names = ("TestParm1", "FailParm2", "TestParm3", "FailParm4")
    objects = SECRET + "".join(f"- {{objectName: {name}, objectType: ssmparameter}}\n" for name in names)
    answer = world.driver.mount(Pod(objects=objects))
    _assert_refused(answer, "400: fakeRegion: invalid parameters: FailParm2, FailParm4.")
    assert world.aws.count(GET_PARAMETERS) == 1


@pytest.mark.vector("A22", "A23")
@pytest.mark.parametrize(
    ("name", "kind"), [("../TestParm1", "ssmparameter"), ("./../TestSecret1", "secretsmanager")], ids=["A22", "A23"]
)
def test_a22_a23_a_name_that_would_leave_the_volume(world: World, name: str, kind: str) -> None:
    pod = Pod(objects=f'- {{objectName: "{name}", objectType: {kind}}}', parameters={"pathTranslation": "False"})
    _assert_refused(world.driver.mount(pod), "path can not contain")
    _assert_calls(world, secrets=0, parameters=0)


@pytest.mark.vector("A24", "A25")
@pytest.mark.parametrize(
    ("translation", "prefix"),
    [({}, "mypath_"), ({"pathTranslation": "-"}, "mypath-")],
    ids=["A24", "A25"],
)
def test_a24_a25_slashes_are_translated(world: World, translation: dict[str, str], prefix: str) -> None:
    world.aws.secrets[FAKE_REGION, "mypath/TestSecret1"] = FakeSecret(value="secret1")
    world.aws.parameters[FAKE_REGION, "mypath/TestParm1"] = FakeParameter(value="parm1")
    objects = (SECRET + PARAMETER).replace("objectName: ", "objectName: mypath/")
    answer = world.driver.mount(Pod(objects=objects, parameters=translation))
    assert answer.files == {f"{prefix}TestSecret1": (b"secret1", 0o644), f"{prefix}TestParm1": (b"parm1", 0o644)}
    _assert_calls(world, secrets=1, parameters=1)


@pytest.mark.vector("A26")
def test_a26_a_translation_of_two_characters(world: World) -> None:
    answer = world.driver.mount(with_parameters(A05, pathTranslation="--"))
    _assert_refused(answer, "pathTranslation must be")
    _assert_calls(world, secrets=0, parameters=0)


@pytest.mark.vector("A27")
def test_a27_without_translation_the_leading_slash_goes_from_the_file_only(world: World) -> None:
    world.aws.secrets[FAKE_REGION, "/TestSecret1"] = FakeSecret(value="secret1")
    world.aws.parameters[FAKE_REGION, "/TestParm1"] = FakeParameter(value="parm1")
    objects = (SECRET + PARAMETER).replace("objectName: ", "objectName: /")
    answer = world.driver.mount(Pod(objects=objects, parameters={"pathTranslation": "False"}))
    assert answer.files == {"TestSecret1": (b"secret1", 0o644), "TestParm1": (b"parm1", 0o644)}
    assert {call.target for call in world.aws.calls if call.region} == {"/TestSecret1", "/TestParm1"}
    _assert_calls(world, secrets=1, parameters=1)


@pytest.mark.vector("A28", "A29")
@pytest.mark.parametrize(
    ("name", "kind"),
    [("mypath/TestSecret1", "secretsmanager"), ("mypath/TestParm1", "ssmparameter")],
    ids=["A28", "A29"],
)
def test_a28_a29_the_provider_itself_writes_no_directories(
    writer_world: World, tmp_path: Path, name: str, kind: str
) -> None:
    writer_world.aws.secrets[FAKE_REGION, name] = FakeSecret(value="secret1")
    writer_world.aws.parameters[FAKE_REGION, name] = FakeParameter(value="parm1")
    pod = Pod(
        objects=f"- {{objectName: {name}, objectType: {kind}}}",
        parameters={"pathTranslation": "False"},
        target_path=str(tmp_path),
    )
    _assert_refused(writer_world.driver.mount(pod), "contains path separator")
    assert not list(tmp_path.iterdir())


@pytest.mark.vector("A30")
def test_a30_the_driver_writes_directories(driver_writes_world: World) -> None:
    world = driver_writes_world
    world.aws.reset()
    world.aws.secrets[FAKE_REGION, "/mypath/TestSecret1"] = FakeSecret(value="secret1")
    world.aws.parameters[FAKE_REGION, "/mypath/TestParm1"] = FakeParameter(value="parm1")
    objects = (SECRET + PARAMETER).replace("objectName: ", "objectName: /mypath/")
    answer = world.driver.mount(Pod(objects=objects, parameters={"pathTranslation": "False"}))
    assert answer.files == {"mypath/TestSecret1": (b"secret1", 0o644), "mypath/TestParm1": (b"parm1", 0o644)}
    _assert_calls(world, secrets=1, parameters=1)
