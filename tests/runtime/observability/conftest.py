"""A provider with everything that watches it switched on, and what a scraper and a reader of the log see of it."""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from provider_runtime.config import LogFormat
from provider_runtime.telemetry import configure_logging
from tests.fakes.aws import FakeAws
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.driver import DriverClient
from tests.fakes.free_ports import free_port
from tests.fakes.patience import MOMENTS_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Whatever proxy or AWS setting the developer's shell has, the tests do not see it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name.upper().startswith(("AWS_", "OTEL_")) or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        yield


def wait_for_listener(port: int) -> None:
    """Wait until the listener answers; it opens beside the socket, not before it."""

    def answers() -> bool:
        with contextlib.suppress(OSError):
            fetch(port, "/livez")
            return True
        return False

    wait_until(answers, f"somebody listens on port {port}")


def fetch(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Ask the listener; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=MOMENTS_SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def parse_samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read a scrape: (name, labels) → value."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """AWS, a driver connected to the provider, its log so far and its listener's port."""

    aws: FakeAws
    driver: DriverClient
    log: io.StringIO
    port: int
    socket_path: Path

    def value(self, name: str, **labels: str) -> float:
        """Sum of all samples of a metric that carry these labels; 0 if there are none."""
        wanted = set(labels.items())
        samples = parse_samples(self.scrape())
        return sum(value for (found, has), value in samples.items() if found == name and wanted <= has)

    def scrape(self) -> str:
        """The metrics page."""
        status, text = fetch(self.port, "/metrics")
        assert status == 200
        return text

    def lines(self, event: str) -> list[str]:
        """Log lines of one event."""
        return [line for line in self.log.getvalue().splitlines() if f'"event": "{event}"' in line]


@pytest.fixture(scope="module")
def watched_once() -> Iterator[Watched]:
    """The provider, started once a module, with JSON logs."""
    stream = io.StringIO()
    port = free_port()
    level = logging.getLogger().level
    configure_logging(LogFormat.JSON, stream)
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        ThreadedDaemon(directory, f"--metrics-address=127.0.0.1:{port}", url=aws.url) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        wait_for_listener(port)
        yield Watched(aws=aws, driver=driver, log=stream, port=port, socket_path=daemon.path)
    configure_logging(LogFormat.TEXT)
    logging.getLogger().setLevel(level)


@pytest.fixture
def watched(watched_once: Watched) -> Watched:
    """The provider, AWS healthy and empty."""
    watched_once.aws.reset()
    return watched_once
