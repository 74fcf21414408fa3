"""One provider for all vectors: real flags, real socket, real gRPC, `--cache=off`, AWS played on loopback."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.fakes.aws import FakeAws
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.driver import DriverClient, VolumeDriver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """AWS, and a driver connected to the provider."""

    aws: FakeAws
    driver: DriverClient
    socket: Path


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Whatever proxy or AWS setting the developer's shell has, the tests do not see it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        yield


def serve(*flags: str, **environment: str) -> Iterator[World]:
    """Serve one provider with these flags and this environment, for a fixture."""
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        ThreadedDaemon(directory, "--cache=off", *flags, url=aws.url, environment=environment) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        yield World(aws=aws, driver=driver, socket=daemon.path)


@pytest.fixture(scope="session")
def driver_writes_world() -> Iterator[World]:
    """The provider in driver-writes mode, started once."""
    yield from serve()


@pytest.fixture(scope="session")
def provider_writes_world() -> Iterator[World]:
    """The provider in provider-writes mode, started once."""
    yield from serve("--driver-writes-secrets=false")


@pytest.fixture(scope="session")
def quick_driver_writes_world() -> Iterator[World]:
    """As `driver_writes_world`, one attempt per call: vectors count calls, and pauses between attempts cost time."""
    yield from serve(AWS_MAX_ATTEMPTS="1")


@pytest.fixture(scope="session")
def quick_provider_writes_world() -> Iterator[World]:
    """As above in provider-writes mode."""
    yield from serve("--driver-writes-secrets=false", AWS_MAX_ATTEMPTS="1")


@pytest.fixture(params=["D", "W"])
def either_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """One write mode after the other, one attempt per call; the driver keeps a volume of its own."""
    is_driver = request.param == "D"
    found: World = request.getfixturevalue(f"quick_{'driver' if is_driver else 'provider'}_writes_world")
    found.aws.reset()
    with VolumeDriver(found.socket, tmp_path, writes=is_driver) as driver:
        yield World(aws=found.aws, driver=driver, socket=found.socket)


@pytest.fixture
def world(driver_writes_world: World) -> World:
    """Driver-writes mode (D), AWS empty and healthy."""
    driver_writes_world.aws.reset()
    return driver_writes_world


@pytest.fixture
def writer_world(provider_writes_world: World) -> World:
    """Provider-writes mode (W), AWS empty and healthy."""
    provider_writes_world.aws.reset()
    return provider_writes_world
