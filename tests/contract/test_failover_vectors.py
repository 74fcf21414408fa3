"""Vectors F01 to F25 of the contract, two regions, through a real socket, in both write modes.

The backup region is asked for what the primary could not answer, and for nothing else: F04 and F17 to F19 are ours.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes.aws import GET_PARAMETERS, GET_SECRET, FakeParameter, FakeSecret, Fault
from tests.fakes.driver import FAKE_BACKUP_REGION, FAKE_REGION, FINAL_CODES, Answer, Pod

if TYPE_CHECKING:
    from tests.contract.conftest import World

BROKEN = Fault(status=500, code="InternalServiceError", message="oops")
REFUSED = Fault(status=400, code="InvalidRequestException", message="told to refuse")
BAD_KEY = Fault(status=400, code="InvalidKeyId", message="told to refuse")
BOTH_REGIONS = (FAKE_REGION, FAKE_BACKUP_REGION)


@pytest.fixture
def world(either_world: World) -> World:
    """Every vector runs in both write modes."""
    return either_world


def _secrets(*numbers: int) -> str:
    return "".join(f"- {{objectName: TestSecret{number}, objectType: secretsmanager}}\n" for number in numbers)


def _parameters(*numbers: int) -> str:
    return "".join(f"- {{objectName: TestParm{number}, objectType: ssmparameter}}\n" for number in numbers)


def _pod(objects: str) -> Pod:
    return Pod(objects=objects, parameters={"failoverRegion": FAKE_BACKUP_REGION})


def _fill(world: World, region: str, *, secrets: int = 2, parameters: int = 20, mark: str = "") -> None:
    for number in range(1, secrets + 1):
        world.aws.secrets[region, f"TestSecret{number}"] = FakeSecret(value=f"secret{number}{mark}")
    for number in range(1, parameters + 1):
        world.aws.parameters[region, f"TestParm{number}"] = FakeParameter(value=f"parm{number}{mark}")


def _counts(world: World, action: str) -> tuple[int, int]:
    return world.aws.count(action, FAKE_REGION), world.aws.count(action, FAKE_BACKUP_REGION)


def _texts(answer: Answer) -> dict[str, str]:
    assert answer.is_ok, answer.text
    return {path: contents.decode() for path, (contents, _) in answer.files.items()}


def _assert_refused(answer: Answer, fragment: str) -> None:
    assert fragment in answer.text
    assert answer.code in FINAL_CODES


@pytest.mark.vector("F01", "F12")
@pytest.mark.parametrize("vector", ["F01", "F12"])
def test_f01_f12_a_secret_comes_from_the_backup_when_the_primary_is_broken(world: World, vector: str) -> None:
    del vector
    _fill(world, FAKE_BACKUP_REGION)
    world.aws.fail(GET_SECRET, BROKEN, region=FAKE_REGION)
    assert _texts(world.driver.mount(_pod(_secrets(1)))) == {"TestSecret1": "secret1"}
    assert _counts(world, GET_SECRET) == (1, 1)


@pytest.mark.vector("F02", "F15")
@pytest.mark.parametrize("vector", ["F02", "F15"])
def test_f02_f15_a_parameter_comes_from_the_backup_when_the_primary_is_broken(world: World, vector: str) -> None:
    del vector
    _fill(world, FAKE_BACKUP_REGION)
    world.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    assert _texts(world.driver.mount(_pod(_parameters(1)))) == {"TestParm1": "parm1"}
    assert _counts(world, GET_PARAMETERS) == (1, 1)


@pytest.mark.vector("F03")
def test_f03_both_stores_come_from_the_backup(world: World) -> None:
    _fill(world, FAKE_BACKUP_REGION)
    world.aws.fail(GET_SECRET, BROKEN, region=FAKE_REGION)
    world.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    answer = world.driver.mount(_pod(_secrets(1) + _parameters(1)))
    assert _texts(answer) == {"TestSecret1": "secret1", "TestParm1": "parm1"}


@pytest.mark.vector("F04")
def test_f04_the_backup_is_not_asked_when_the_primary_answers(world: World) -> None:
    """Ours: upstream asks both, and answers with the backup's version."""
    _fill(world, FAKE_REGION)
    world.aws.secrets[FAKE_BACKUP_REGION, "TestSecret1"] = FakeSecret(value="other", version_id="other")
    world.aws.parameters[FAKE_BACKUP_REGION, "TestParm1"] = FakeParameter(value="other", version=9)
    answer = world.driver.mount(_pod(_secrets(1) + _parameters(1)))
    assert _texts(answer) == {"TestSecret1": "secret1", "TestParm1": "parm1"}
    assert answer.versions == {"TestSecret1": "1", "TestParm1": "1"}
    assert not [call for call in world.aws.calls if call.region == FAKE_BACKUP_REGION]


@pytest.mark.vector("F05", "F06")
@pytest.mark.parametrize(
    ("action", "objects", "fragment"),
    [
        (GET_SECRET, _secrets(2), "Failed to fetch secret from all regions: TestSecret2"),
        (GET_PARAMETERS, _parameters(2), "Failed to fetch parameters from all regions: TestParm2"),
    ],
    ids=["F05", "F06"],
)
def test_f05_f06_both_regions_broken(world: World, action: str, objects: str, fragment: str) -> None:
    world.aws.fail(action, BROKEN)
    answer = world.driver.mount(_pod(objects))
    _assert_refused(answer, fragment)
    assert all(f"{region}: " in answer.text for region in BOTH_REGIONS), "the cause of each region"
    assert _counts(world, action) == (1, 1)


@pytest.mark.vector("F07")
def test_f07_no_region_and_no_node(world: World) -> None:
    pod = Pod(objects=_secrets(1), region="", name="f07", parameters={"failoverRegion": FAKE_BACKUP_REGION})
    _assert_refused(world.driver.mount(pod), "failed to retrieve region from node")


@pytest.mark.vector("F08")
def test_f08_the_backup_is_the_primary(world: World) -> None:
    pod = Pod(objects=_secrets(1), parameters={"failoverRegion": FAKE_REGION})
    _assert_refused(world.driver.mount(pod), "failover region cannot be the same")


@pytest.mark.vector("F09")
def test_f09_no_role(world: World) -> None:
    world.aws.cluster["/api/v1/namespaces/fakeNS/serviceaccounts/f09"] = {"metadata": {}}
    pod = Pod(
        objects=_secrets(1),
        role_arn="",
        service_account="f09",
        parameters={"failoverRegion": FAKE_BACKUP_REGION},
    )
    _assert_refused(world.driver.mount(pod), "An IAM role must be associated")


@pytest.mark.vector("F10")
def test_f10_a_parameter_that_the_primary_does_not_have_ends_the_mount_there(world: World) -> None:
    world.aws.parameters[FAKE_REGION, "TestParm2"] = FakeParameter(value="parm2")
    world.aws.parameters[FAKE_BACKUP_REGION, "TestParm1"] = FakeParameter(value="parm1")
    answer = world.driver.mount(_pod(_parameters(1, 2)))
    _assert_refused(answer, "400: fakeRegion: invalid parameters: TestParm1.")
    assert _counts(world, GET_PARAMETERS) == (1, 0)


@pytest.mark.vector("F11")
def test_f11_a_refusal_of_the_primary_ends_the_mount_there(world: World) -> None:
    _fill(world, FAKE_BACKUP_REGION)
    world.aws.fail(GET_SECRET, REFUSED, region=FAKE_REGION)
    _assert_refused(world.driver.mount(_pod(_secrets(1))), "Failed fetching secret TestSecret1: 400:")
    assert _counts(world, GET_SECRET) == (1, 0)


@pytest.mark.vector("F13")
def test_f13_a_refusal_of_the_backup_names_the_backup(world: World) -> None:
    world.aws.fail(GET_SECRET, BROKEN, region=FAKE_REGION)
    world.aws.fail(GET_SECRET, REFUSED, region=FAKE_BACKUP_REGION)
    answer = world.driver.mount(_pod(_secrets(1)))
    _assert_refused(answer, "fakeBackupRegion: Failed fetching secret TestSecret1: 400:")


@pytest.mark.vector("F14")
def test_f14_a_refusal_of_the_primary_for_parameters(world: World) -> None:
    _fill(world, FAKE_BACKUP_REGION)
    world.aws.fail(GET_PARAMETERS, BAD_KEY, region=FAKE_REGION)
    _assert_refused(world.driver.mount(_pod(_parameters(1))), "fakeRegion: Failed fetching parameters: 400:")
    assert _counts(world, GET_PARAMETERS) == (1, 0)


@pytest.mark.vector("F16")
def test_f16_a_refusal_of_the_backup_for_parameters(world: World) -> None:
    world.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    world.aws.fail(GET_PARAMETERS, BAD_KEY, region=FAKE_BACKUP_REGION)
    answer = world.driver.mount(_pod(_parameters(1)))
    _assert_refused(answer, "fakeBackupRegion: Failed fetching parameters: 400:")


@pytest.mark.vector("F17", "F18", "F19")
@pytest.mark.parametrize(
    "backup_fault", [None, (GET_PARAMETERS, BAD_KEY), (GET_SECRET, REFUSED)], ids=["F17", "F18", "F19"]
)
def test_f17_f18_f19_what_the_backup_lacks_or_refuses_does_not_matter(
    world: World, backup_fault: tuple[str, Fault] | None
) -> None:
    """Ours: upstream fails a mount that its primary region had answered."""
    _fill(world, FAKE_REGION)
    if backup_fault is not None:
        world.aws.fail(*backup_fault, region=FAKE_BACKUP_REGION)
    answer = world.driver.mount(_pod(_secrets(1, 2) + _parameters(1, 2)))
    assert len(_texts(answer)) == 4
    assert (_counts(world, GET_SECRET), _counts(world, GET_PARAMETERS)) == ((2, 0), (1, 0))


@pytest.mark.vector("F20")
def test_f20_an_unknown_key_of_an_object_is_ignored(world: World) -> None:
    arn = f"arn:aws:secretsmanager:{FAKE_REGION}:111122223333:secret:geheimnis-ABc123"
    world.aws.secrets[FAKE_BACKUP_REGION, arn] = FakeSecret(value="secret1")
    world.aws.fail(GET_SECRET, BROKEN, region=FAKE_REGION)
    objects = f'- {{objectName: "{arn}", objectAlias: TestSecret1, backupArn: "{arn}"}}\n'
    assert _texts(world.driver.mount(_pod(objects))) == {"TestSecret1": "secret1"}


@pytest.mark.vector("F21")
def test_f21_a_parameter_that_the_backup_does_not_have(world: World) -> None:
    _fill(world, FAKE_REGION)
    _fill(world, FAKE_BACKUP_REGION)
    del world.aws.parameters[FAKE_BACKUP_REGION, "TestParm11"]
    world.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    answer = world.driver.mount(_pod(_secrets(1, 2) + _parameters(*range(1, 16))))
    _assert_refused(answer, "400: fakeBackupRegion: invalid parameters: TestParm11.")


@pytest.mark.vector("F22")
def test_f22_two_batches_from_the_backup(world: World) -> None:
    _fill(world, FAKE_REGION)
    _fill(world, FAKE_BACKUP_REGION)
    world.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    answer = world.driver.mount(_pod(_secrets(1, 2) + _parameters(*range(1, 16))))
    assert len(_texts(answer)) == 17
    assert (_counts(world, GET_SECRET), _counts(world, GET_PARAMETERS)) == ((2, 0), (2, 2))


@pytest.mark.vector("F23")
def test_f23_invalid_parameters_of_one_of_two_batches(world: World) -> None:
    """Ours: both batches are asked at the same time; upstream stops after the first."""
    _fill(world, FAKE_REGION)
    for number in range(6, 11):
        del world.aws.parameters[FAKE_REGION, f"TestParm{number}"]
    answer = world.driver.mount(_pod(_secrets(1, 2) + _parameters(*range(1, 16))))
    _assert_refused(
        answer,
        "400: fakeRegion: invalid parameters: TestParm6, TestParm7, TestParm8, TestParm9, TestParm10.",
    )
    assert _counts(world, GET_PARAMETERS)[0] <= 2
    assert _counts(world, GET_PARAMETERS)[1] == 0


@pytest.mark.vector("F24")
def test_f24_the_name_of_the_backup_region(world: World) -> None:
    for number in (13, 14):
        world.aws.parameters[FAKE_BACKUP_REGION, f"TestParm{number}"] = FakeParameter(value=f"parm{number}")
    world.aws.parameters[FAKE_BACKUP_REGION, "TestParm15AnotherRegion:7"] = FakeParameter(value="parm15", version=7)
    world.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    objects = _parameters(13, 14) + (
        '- {objectName: TestParm15, objectType: ssmparameter, objectVersion: "7", objectAlias: TestParm15Alias, '
        'failoverObject: {objectName: TestParm15AnotherRegion, objectVersion: "7"}}\n'
    )
    texts = _texts(world.driver.mount(_pod(objects)))
    assert texts == {"TestParm13": "parm13", "TestParm14": "parm14", "TestParm15Alias": "parm15"}


@pytest.mark.vector("F25")
def test_f25_two_secrets_and_twenty_parameters_with_keys(world: World) -> None:
    _fill(world, FAKE_REGION)
    _fill(world, FAKE_BACKUP_REGION)
    world.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    objects = _secrets(1, 2) + _parameters(*range(11, 20))
    for number in range(1, 11):
        value = json.dumps({"username": f"user{number}"})
        world.aws.parameters[FAKE_BACKUP_REGION, f"TestParm{number}"] = FakeParameter(value=value)
        keys = f"jmesPath: [{{path: username, objectAlias: username{number}}}]"
        objects += f"- {{objectName: TestParm{number}, objectType: ssmparameter, {keys}}}\n"
    world.aws.parameters[FAKE_BACKUP_REGION, "TestParm20Backup"] = FakeParameter(value="parm20")
    objects += (
        "- {objectName: TestParm20, objectType: ssmparameter, objectAlias: TestParm20, "
        "failoverObject: {objectName: TestParm20Backup}}\n"
    )
    texts = _texts(world.driver.mount(_pod(objects)))
    assert len(texts) == 32
    assert all(texts[f"username{number}"] == f"user{number}" for number in range(1, 11))
    assert texts["TestParm20"] == "parm20"
    assert _counts(world, GET_PARAMETERS) == (2, 2)
