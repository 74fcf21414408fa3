"""Drivers 1.4 to 1.6: what differs between them in a mount, and that a volume gets the same files from each.

Up to 1.5 a reconciler sends the versions that it knows, and the client's authority is made from the socket's path.
From 1.6 on kubelet republishes, no version is ever sent, and on Kubernetes 1.35 the token stands in `secrets` too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.vectors import texts
from tests.fakes.aws import DESCRIBE_SECRET, GET_PARAMETERS, GET_SECRET, FakeParameter, FakeSecret
from tests.fakes.driver import FAKE_REGION, Answer, Pod, VolumeDriver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.contract.conftest import World
    from tests.fakes.aws import FakeAws

OBJECTS: Final = (
    "- {objectName: TestSecret1, objectType: secretsmanager}\n- {objectName: TestParm1, objectType: ssmparameter}\n"
)
_PATH: Final = "%2Fvar%2Frun%2Fsecrets-store-csi-providers%2Faws.sock"
_TOKENS: Final = json.dumps({"sts.amazonaws.com": {"token": "fakeToken"}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A driver, by what it does otherwise than the others.

    Args:
        sends_versions: Whether a rotation tells which versions the volume has.
        authority: What its client calls the provider.
        secrets: The request's `secrets`.
    """

    sends_versions: bool
    authority: str
    secrets: str = "null"


RELEASES: Final = {
    "1.4": Release(sends_versions=True, authority=_PATH),
    "1.5": Release(sends_versions=True, authority=_PATH),
    "1.6": Release(sends_versions=False, authority="localhost"),
    "1.6 on Kubernetes 1.35": Release(
        sends_versions=False,
        authority="localhost",
        secrets=json.dumps({"csi.storage.k8s.io/serviceAccount.tokens": _TOKENS}),
    ),
}


@dataclass(slots=True, kw_only=True)
class Node:
    """One volume that a driver of some release mounts again and again."""

    aws: FakeAws
    driver: VolumeDriver
    release: Release
    versions: tuple[tuple[str, str], ...] = field(default=())

    def rotate(self) -> Answer:
        """Mount as this release does it; calls are counted anew."""
        self.aws.calls.clear()
        answer = self.driver.mount(Pod(objects=OBJECTS, versions=self.versions, secrets=self.release.secrets))
        assert answer.is_ok, answer.text
        assert set(answer.versions) == {"TestSecret1", "TestParm1"}, "a driver refuses an answer without versions"
        self.versions = tuple(answer.versions.items()) if self.release.sends_versions else ()
        return answer

    def calls(self) -> tuple[int, int, int]:
        """DescribeSecret, GetSecretValue, GetParameters since the last mount began."""
        count = self.aws.count
        return count(DESCRIBE_SECRET), count(GET_SECRET), count(GET_PARAMETERS)


def _put(aws: FakeAws, version: int) -> None:
    aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=f"secret v{version}", version_id=f"v{version}")
    aws.stages[FAKE_REGION, "TestSecret1"] = {f"v{version}": ["AWSCURRENT"]}
    aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value=f"parm v{version}", version=version)


@pytest.fixture(params=RELEASES)
def node(request: pytest.FixtureRequest, either_world: World, tmp_path: Path) -> Iterator[Node]:
    """Each release in each write mode."""
    either = either_world.driver
    assert isinstance(either, VolumeDriver)
    release = RELEASES[request.param]
    _put(either_world.aws, 1)
    with VolumeDriver(either_world.socket, tmp_path, writes=either.is_writer, authority=release.authority) as driver:
        yield Node(aws=either_world.aws, driver=driver, release=release)


def test_each_release_delivers_and_rotates_with_the_calls_that_it_allows(node: Node) -> None:
    assert texts(node.rotate()) == {"TestSecret1": "secret v1", "TestParm1": "parm v1"}
    assert node.calls() == (0, 1, 1)
    assert texts(node.rotate()) == {"TestSecret1": "secret v1", "TestParm1": "parm v1"}
    assert node.calls() == ((1, 0, 1) if node.release.sends_versions else (0, 1, 1))
    _put(node.aws, 2)
    rotated = node.rotate()
    assert texts(rotated) == {"TestSecret1": "secret v2", "TestParm1": "parm v2"}
    assert rotated.versions == {"TestSecret1": "v2", "TestParm1": "2"}
    assert node.calls() == ((1, 1, 1) if node.release.sends_versions else (0, 1, 1))


@pytest.mark.parametrize("secrets", ["null", "{}", "", '{"user": "of nodePublishSecretRef"}'])
def test_what_stands_in_secrets_does_not_matter(either_world: World, secrets: str) -> None:
    _put(either_world.aws, 1)
    answer = either_world.driver.mount(Pod(objects=OBJECTS, secrets=secrets))
    assert texts(answer) == {"TestSecret1": "secret v1", "TestParm1": "parm v1"}
