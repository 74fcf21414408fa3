"""Vectors R0 to R4 of the contract, and what else a driver before 1.6 meets: it sends the versions that it knows.

The version list of each answer feeds the next request, and the volume holds what the mount before left there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from tests.contract.conftest import World
from tests.fakes.aws import DESCRIBE_SECRET, GET_PARAMETERS, GET_SECRET, FakeParameter, FakeSecret, Fault
from tests.fakes.driver import FAKE_BACKUP_REGION, FAKE_REGION, Answer, Pod, VolumeDriver

if TYPE_CHECKING:
    from pathlib import Path

CLASS = """
- {objectName: TestSecret1, objectType: secretsmanager}
- {objectName: TestSecret2, objectType: secretsmanager, objectVersionLabel: custom}
- {objectName: TestSecret3, objectType: secretsmanager, objectVersion: TestSecret3-1}
- objectName: TestSecretJSON
  objectType: secretsmanager
  jmesPath: [{path: username, objectAlias: username}]
- {objectName: TestParm1, objectType: ssmparameter, objectVersionLabel: current}
- {objectName: TestParm2, objectType: ssmparameter, objectVersion: "1"}
""" + "".join(f"- {{objectName: TestParm{number}, objectType: ssmparameter}}\n" for number in range(3, 12))


@pytest.fixture
def world(either_world: World) -> World:
    """Every vector runs in both write modes."""
    return either_world


@dataclass(slots=True)
class Volume:
    """One volume over several mounts."""

    world: World
    objects: str = CLASS
    parameters: dict[str, str] = field(default_factory=dict)
    versions: tuple[tuple[str, str], ...] = ()

    def mount(self) -> Answer:
        """Mount with the versions of the last answer; calls are counted anew."""
        self.world.aws.calls.clear()
        pod = Pod(objects=self.objects, parameters=self.parameters, versions=self.versions)
        answer = self.world.driver.mount(pod)
        assert answer.is_ok, answer.text
        self.versions = tuple(answer.versions.items())
        return answer

    def calls(self) -> tuple[int, int, int]:
        """DescribeSecret, GetSecretValue, GetParameters since the last mount began."""
        count = self.world.aws.count
        return count(DESCRIBE_SECRET), count(GET_SECRET), count(GET_PARAMETERS)


def _set_secret(world: World, name: str, version: int, value: str | bytes, *, selector: str = "") -> None:
    key = f"{name}:{selector}" if selector else name
    world.aws.secrets[FAKE_REGION, key] = FakeSecret(value=value, version_id=f"{name}-{version}")
    world.aws.stages[FAKE_REGION, name] = {f"{name}-{version}": [selector or "AWSCURRENT"]}


def _set_parameter(world: World, number: int, version: int) -> None:
    selector = {1: ":current", 2: f":{version}"}.get(number, "")
    value = FakeParameter(value=f"parm{number} v{version}", version=version)
    world.aws.parameters[FAKE_REGION, f"TestParm{number}{selector}"] = value


def _first_state(world: World) -> None:
    _set_secret(world, "TestSecret1", 1, b"secret1 v1")
    _set_secret(world, "TestSecret2", 1, "secret2 v1", selector="custom")
    _set_secret(world, "TestSecret3", 1, "secret3 v1", selector="TestSecret3-1")
    _set_secret(world, "TestSecretJSON", 1, '{"username":"SecretsManagerUser"}')
    for number in range(1, 12):
        _set_parameter(world, number, 1)


@pytest.mark.vector("R0", "R1", "R2", "R3", "R4")
def test_r0_to_r4_only_what_changed_is_read_again(world: World) -> None:
    _first_state(world)
    volume = Volume(world)
    r0 = volume.mount()
    assert volume.calls() == (0, 4, 2)
    assert len(r0.files) == 16
    assert r0.versions["TestSecret1"] == "TestSecret1-1"
    assert r0.versions["TestSecretJSON"] == r0.versions["username"] == "TestSecretJSON-1"
    assert r0.versions["TestParm1"] == "1"

    r1 = volume.mount()
    assert volume.calls() == (3, 0, 2), "the pinned secret costs no call"
    assert (r1.files, r1.versions) == (r0.files, r0.versions)

    _set_secret(world, "TestSecret1", 2, "secret1 v2")
    world.aws.stages[FAKE_REGION, "TestSecret2"] = {"TestSecret2-1": ["custom"], "TestSecret2-2": ["AWSCURRENT"]}
    _set_secret(world, "TestSecretJSON", 2, '{"username":"SecretsManagerUser2"}')
    for number in (1, *range(4, 12)):
        _set_parameter(world, number, 2)
    r2 = volume.mount()
    assert volume.calls() == (3, 2, 2)
    assert r2.files["TestSecret1"][0] == b"secret1 v2"
    assert r2.files["TestSecret2"] == r1.files["TestSecret2"]
    assert r2.files["TestSecret3"] == r1.files["TestSecret3"]
    assert r2.files["username"][0] == b"SecretsManagerUser2"
    assert r2.files["TestParm4"][0] == b"parm4 v2"
    assert r2.versions["TestParm4"] == "2"

    _set_secret(world, "TestSecret2", 2, "secret2 v2", selector="custom")
    r3 = volume.mount()
    assert volume.calls() == (3, 1, 2)
    assert {name for name in r3.files if r3.files[name] != r2.files[name]} == {"TestSecret2"}

    _set_secret(world, "TestSecret3", 2, "secret3 v2", selector="TestSecret3-2")
    for number in (2, 3):
        _set_parameter(world, number, 2)
    volume.objects = CLASS.replace("TestSecret3-1", "TestSecret3-2").replace('objectVersion: "1"', 'objectVersion: "2"')
    r4 = volume.mount()
    assert volume.calls() == (3, 1, 2)
    assert {name for name in r4.files if r4.files[name] != r3.files[name]} == {"TestSecret3", "TestParm2", "TestParm3"}
    assert r4.versions["TestSecret3"] == "TestSecret3-2"


@pytest.mark.vector("X30")
def test_x30_a_file_that_vanished_is_fetched_again(world: World) -> None:
    _first_state(world)
    volume = Volume(world)
    r0 = volume.mount()
    driver = world.driver
    assert isinstance(driver, VolumeDriver)
    (driver.volume / "TestSecret1").unlink()
    (driver.volume / "TestSecret3").unlink()
    again = volume.mount()
    assert again.files == r0.files
    assert volume.calls()[1] == 2, "the two that are gone, nothing else"


@pytest.mark.vector("X31")
def test_x31_what_the_class_no_longer_lists_goes_with_its_version(world: World) -> None:
    _first_state(world)
    volume = Volume(world)
    volume.mount()
    volume.objects = CLASS.replace("- {objectName: TestSecret1, objectType: secretsmanager}\n", "")
    answer = volume.mount()
    assert "TestSecret1" not in answer.versions
    assert "TestSecret1" not in answer.files


@pytest.mark.vector("X38", "X39", "X40")
def test_x38_x39_x40_the_backup_region_takes_no_part_in_a_remount(world: World) -> None:
    """Ours: upstream's list of versions belongs to whichever region was asked last, so its polls never settle."""
    _first_state(world)
    world.aws.secrets[FAKE_BACKUP_REGION, "TestSecret1"] = FakeSecret(value="another", version_id="backup-1")
    volume = Volume(world, parameters={"failoverRegion": FAKE_BACKUP_REGION})
    r0 = volume.mount()
    r1 = volume.mount()
    assert volume.calls() == (3, 0, 2)
    assert r1.versions == r0.versions
    assert not [call for call in world.aws.calls if call.region == FAKE_BACKUP_REGION]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(code="AccessDeniedException", message="no DescribeSecret"),
        Fault(status=500, code="InternalServiceError", message="oops"),
    ],
)
def test_a_check_that_fails_decides_nothing_the_read_does(world: World, fault: Fault) -> None:
    _first_state(world)
    volume = Volume(world)
    r0 = volume.mount()
    world.aws.fail(DESCRIBE_SECRET, fault)
    assert volume.mount().files == r0.files
    assert volume.calls() == (3, 3, 2)


def test_versions_with_a_digest_of_the_shape_are_recognised_too(world: World) -> None:
    _first_state(world)
    volume = Volume(world, parameters={"objectVersions": "content"})
    r0 = volume.mount()
    assert volume.mount().versions == r0.versions
    assert volume.calls() == (3, 0, 2)


def test_a_decoded_file_is_no_source_for_the_value(world: World) -> None:
    """What is on disk was decoded once already."""
    _set_secret(world, "TestSecret1", 1, "aGVsbG8=")
    volume = Volume(world, objects="- {objectName: TestSecret1, objectType: secretsmanager, encoding: base64}\n")
    assert volume.mount().files["TestSecret1"][0] == b"hello"
    assert volume.mount().files["TestSecret1"][0] == b"hello"
    assert volume.calls() == (0, 1, 0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("encoding: base64", "jmesPath: []"),
        ("objectAlias: other, jmesPath: [{path: user, objectAlias: file}]", "objectAlias: file"),
    ],
    ids=["what was decoded", "what was one key"],
)
def test_a_file_that_held_something_else_is_no_source_when_the_class_changes(
    world: World, before: str, after: str
) -> None:
    """The secret and its version stay the same; only what the file of this name holds has changed."""
    value = "aGVsbG8=" if "base64" in before else '{"user": "u"}'
    _set_secret(world, "TestSecret1", 1, value)
    volume = Volume(world, objects=f"- {{objectName: TestSecret1, objectType: secretsmanager, {before}}}\n")
    volume.mount()
    volume.objects = f"- {{objectName: TestSecret1, objectType: secretsmanager, {after}}}\n"
    assert value.encode() in {contents for contents, _ in volume.mount().files.values()}
    assert volume.mount().files.keys() == {"file" if "Alias" in after else "TestSecret1"}
    assert volume.calls() == (1, 0, 0)


def test_a_link_that_leads_out_of_the_volume_is_not_followed(world: World) -> None:
    _first_state(world)
    volume = Volume(world)
    volume.mount()
    driver = world.driver
    assert isinstance(driver, VolumeDriver)
    outside = driver.volume.parent / f"{driver.volume.name}-outside"
    outside.write_text("another pod's secret")
    (driver.volume / "TestSecret1").unlink()
    (driver.volume / "TestSecret1").symlink_to(outside)
    assert volume.mount().files["TestSecret1"][0] == b"secret1 v1"


def test_driver_1_6_sends_nothing_and_every_mount_reads(world: World) -> None:
    _first_state(world)
    volume = Volume(world)
    volume.mount()
    volume.versions = ()
    volume.mount()
    assert volume.calls() == (0, 4, 2)


def test_in_provider_writes_mode_an_unchanged_file_stays_and_the_directory_moves(
    quick_provider_writes_world: World, tmp_path: Path
) -> None:
    """Contract 0.2: drivers throttle by the directory's time; inotify watchers see no needless change."""
    world = quick_provider_writes_world
    world.aws.reset()
    _first_state(world)
    with VolumeDriver(world.socket, tmp_path, writes=False) as driver:
        volume = Volume(World(aws=world.aws, driver=driver, socket=world.socket))
        volume.mount()
        before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
        moved = tmp_path.stat().st_mtime_ns
        volume.mount()
    assert len(before) == 16
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    assert tmp_path.stat().st_mtime_ns > moved


def test_an_unreadable_version_list_changes_nothing(world: World) -> None:
    _first_state(world)
    pod = Pod(objects=CLASS, versions=(("", ""), ("../x", "1"), ("TestSecret1", "unknown"), ("TestSecret1", "1")))
    assert world.driver.mount(pod).is_ok
    assert world.driver.mount(replace(pod, versions=(("TestSecret1", "x" * 5000),))).is_ok
