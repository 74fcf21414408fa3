"""A rollout of the provider under load: instances overlap and end in either order, or are killed, and no mount is lost.

The load is a driver's: it keeps its connection, waits until a server is there, and calls again after UNAVAILABLE only,
as driver 1.6 does. What it gets in the end must be files, or a final status after which kubelet mounts anew; a status
that is not final would start a pod with an empty directory.
"""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import grpc
import pytest

from provider_runtime.csi_v1alpha1 import service_pb2, service_pb2_grpc
from tests.fakes.aws import FakeAws, FakeSecret
from tests.fakes.daemons import DaemonProcess, socket_directory
from tests.fakes.driver import FAKE_REGION, FINAL_CODES, KUBELET_SECONDS, Pod
from tests.fakes.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOUNTERS = 6
RETRIES = {
    "maxAttempts": 3,
    "initialBackoff": "1s",
    "maxBackoff": "10s",
    "backoffMultiplier": 1.1,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
OPTIONS = (
    ("grpc.default_authority", "localhost"),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 1),
    (
        "grpc.service_config",
        json.dumps({"methodConfig": [{"name": [{}], "waitForReady": True, "retryPolicy": RETRIES}]}),
    ),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
)


class Load:
    """Mounts from several threads over one channel; without pause, so that the moment of a server's end is hit."""

    def __init__(self, socket_path: Path) -> None:
        self._channel = grpc.insecure_channel(f"unix:{socket_path}", options=OPTIONS)
        self._stub = service_pb2_grpc.CSIDriverProviderStub(self._channel)  # type: ignore[no-untyped-call]
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._mount, args=(number,)) for number in range(MOUNTERS)]
        self.codes: list[grpc.StatusCode] = []

    def _mount(self, number: int) -> None:
        objects = "- {objectName: db, objectType: secretsmanager}\n"
        request = Pod(objects=objects, uid=str(number), tokens={"sts.amazonaws.com": f"load-{number}"}).request()
        while not self._is_over.is_set():
            try:
                response: service_pb2.MountResponse = self._stub.Mount(request, timeout=KUBELET_SECONDS)
                assert [file.contents for file in response.files] == [b"value"]
                self.codes.append(grpc.StatusCode.OK)
            except grpc.RpcError as error:
                self.codes.append(error.code())

    @property
    def mounted(self) -> int:
        """Mounts that got their files."""
        return self.codes.count(grpc.StatusCode.OK)

    def wait_for_more(self, count: int = 3 * MOUNTERS) -> None:
        """Wait until `count` more mounts got their files."""
        goal = self.mounted + count
        wait_until(lambda: self.mounted >= goal, "mounts succeed")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self._channel.close()


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with FakeAws() as aws:
        aws.secrets[FAKE_REGION, "db"] = FakeSecret(value="value")
        yield aws


@pytest.fixture
def start(aws: FakeAws) -> Iterator[Callable[[], DaemonProcess]]:
    """Start instances on one socket directory; whichever still run at the end are killed."""
    running: list[DaemonProcess] = []
    with socket_directory() as directory:

        def start_one() -> DaemonProcess:
            daemon = DaemonProcess(directory, "--shutdown-grace=60s", "--first-mount-max-age=0s", url=aws.url)
            running.append(daemon)
            daemon.wait_for("serving on")
            return daemon

        try:
            yield start_one
        finally:
            for daemon in running:
                daemon.__exit__()


def _check(load: Load) -> None:
    """Every mount ended in files, or in a final status that says that the instance was leaving."""
    others = [code for code in load.codes if code is not grpc.StatusCode.OK]
    assert set(others) <= FINAL_CODES, others


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["asked to stop", "killed"])
def test_the_older_instance_ends_first(start: Callable[[], DaemonProcess], ending: signal.Signals) -> None:
    older = start()
    with Load(older.path) as load:
        load.wait_for_more()
        newer = start()
        load.wait_for_more()
        older.signal(ending)
        assert older.wait() == (0 if ending is signal.SIGTERM else -signal.SIGKILL)
        load.wait_for_more()
        assert newer.path.exists()
    _check(load)
    assert ending is signal.SIGKILL or set(load.codes) == {grpc.StatusCode.OK}, "an orderly update costs no mount"


def test_the_newer_instance_ends_first(start: Callable[[], DaemonProcess]) -> None:
    """A rollout that is taken back: the older instance has lost the name, and takes it again within a second."""
    older = start()
    with Load(older.path) as load:
        newer = start()
        load.wait_for_more()
        newer.signal(signal.SIGTERM)
        assert newer.wait() == 0
        older.wait_for("put")
        load.wait_for_more()
        with Load(older.path) as fresh:  # a driver that dials only now
            fresh.wait_for_more()
    _check(load)
    _check(fresh)


def test_one_instance_after_the_other_as_a_daemon_set_replaces_them(start: Callable[[], DaemonProcess]) -> None:
    """Without overlap nobody serves for a moment: the driver waits for the name, and gets its files."""
    older = start()
    with Load(older.path) as load:
        load.wait_for_more()
        older.signal(signal.SIGTERM)
        assert older.wait() == 0
        start()
        load.wait_for_more()
    _check(load)
