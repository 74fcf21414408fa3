"""What nobody may do: dial the socket, find memory in a core dump, or hold a worker for ever."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provider_runtime import hardening
from provider_runtime.aws_clients import AwsClients, AwsService, acting_as
from provider_runtime.blocking_calls import BlockingCalls, DeadlinePassed, QueueFull
from provider_runtime.config import parse_settings
from provider_runtime.daemon import SystemClock
from provider_runtime.ports import AwsCredentials
from provider_runtime.redaction import SecretText
from tests.fakes.aws import GET_SECRET, FakeAws, FakeSecret, Fault
from tests.fakes.daemons import DaemonProcess, socket_directory
from tests.fakes.patience import LASTING_SECONDS, MOMENTS_SECONDS, PATIENCE_SECONDS, until, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-west-1"
URL = "http://127.0.0.1:9"
STRANGER = 12_345
_CONNECT = """
import os, socket, sys
os.setgid(int(sys.argv[2])); os.setgroups([]); os.setuid(int(sys.argv[2]))
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except OSError as error:
    print(type(error).__name__)
else:
    print("connected")
"""


_HARDEN = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
from provider_runtime.hardening import harden_process
PR_GET_DUMPABLE = 3
print(harden_process(), ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
"""


def _connect_as(user_id: int, path: Path) -> str:
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-I", "-c", _CONNECT, str(path), str(user_id)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user id needs root")
def test_another_user_cannot_dial_the_socket_by_either_of_its_names() -> None:
    with socket_directory() as directory, DaemonProcess(directory, url=URL) as daemon:
        daemon.wait_for("serving on")
        directory.chmod(0o755)  # so that only the socket's own mode stands in the way
        names = sorted(directory.iterdir())
        assert len(names) == 2
        for name in names:
            assert _connect_as(STRANGER, name) == "PermissionError"
            assert _connect_as(0, name) == "connected"


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user id needs root")
def test_the_socket_is_private_before_it_has_its_public_name() -> None:
    """Watched from its first moment on: no name of it was ever open to somebody else."""
    with socket_directory() as directory:
        directory.chmod(0o755)
        modes: set[int] = set()
        with DaemonProcess(directory, url=URL) as daemon:

            def is_public() -> bool:
                nonlocal modes
                modes |= {name.stat().st_mode & 0o777 for name in directory.glob(".*.sock")}
                return daemon.path.exists()

            wait_until(is_public, "the socket has its name", every=0.001)
            modes |= {name.stat().st_mode & 0o777 for name in directory.iterdir()}
    assert all(mode & 0o077 == 0 for mode in modes), [oct(mode) for mode in modes]


def test_core_dumps_are_off_and_new_files_are_private() -> None:
    with socket_directory() as directory, DaemonProcess(directory, url=URL) as daemon:
        daemon.wait_for("serving on")
        process = Path(f"/proc/{daemon.pid}")
        limits = process.joinpath("limits").read_text("utf-8")
        (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
        assert core[-3:-1] == ["0", "0"], "soft and hard"
        assert "Umask:\t0077" in process.joinpath("status").read_text("utf-8")
        # Not dumpable: its /proc entries belong to root whoever runs it, and core_pattern pipes get nothing either.
        dumpable = subprocess.run(  # noqa: S603
            [
                sys.executable,
                "-I",
                "-c",
                _HARDEN,
                str(Path(__file__).resolve().parents[3]),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert dumpable.stdout.strip() == "() 0"


def test_an_image_without_ctypes_costs_a_warning_and_not_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    (problem,) = hardening._forbid_dumps()
    assert "ctypes" in problem


def _credentials() -> AwsCredentials:
    return AwsCredentials(
        access_key_id="AKID", secret_access_key=SecretText("s"), session_token=SecretText("t"), expires_at=0
    )


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with FakeAws() as aws:
        yield aws


@pytest.mark.parametrize(
    "fault",
    [Fault(hang_seconds=LASTING_SECONDS), Fault(drip_seconds=LASTING_SECONDS), Fault(endless=True, hang_seconds=0)],
    ids=["half-open", "slow drip", "endless body"],
)
async def test_a_peer_that_never_ends_costs_one_worker_until_the_deadline_and_no_longer(
    aws: FakeAws, fault: Fault
) -> None:
    """The thread itself comes back: not only its mount is answered."""
    clock = SystemClock()
    calls = BlockingCalls(workers=4, clock=clock)
    clients = AwsClients(parse_settings([], {"AWS_ENDPOINT_URL": aws.url}).aws, pool_size=4)
    aws.secrets[REGION, "good"] = FakeSecret(value="v")
    clients.client(AwsService.SECRETS_MANAGER, REGION)
    aws.fail(GET_SECRET, fault, times=3)

    def read() -> object:
        with acting_as(_credentials()):
            return clients.client(AwsService.SECRETS_MANAGER, REGION).get_secret_value(SecretId="good")["SecretString"]

    began = time.monotonic()
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011  # the deadline, or the size of the answer
            await calls.run(REGION, clock.monotonic() + 1.0, read)
        assert isinstance(caught.value, DeadlinePassed) or "IncompleteRead" in repr(caught.value) or fault.endless
        assert time.monotonic() - began < 3
        await until(lambda: not calls.running, "the worker comes back", seconds=began + 4 - time.monotonic())
        aws.heal()
        assert await calls.run(REGION, clock.monotonic() + PATIENCE_SECONDS, read) == "v"
    finally:
        calls.close()


async def _until_running(calls: BlockingCalls, count: int) -> None:
    await until(lambda: calls.running == count, f"{count} calls run")


async def test_a_region_that_hangs_leaves_a_quarter_of_the_workers_to_the_others() -> None:
    clock = SystemClock()
    calls = BlockingCalls(workers=4, clock=clock)
    release = threading.Event()
    try:
        hanging = [
            asyncio.create_task(
                calls.run("dead", clock.monotonic() + PATIENCE_SECONDS, lambda: release.wait(PATIENCE_SECONDS))
            )
            for _ in range(9)
        ]
        await _until_running(calls, 3)
        assert await calls.run("alive", clock.monotonic() + 5, lambda: "v") == "v"
        assert (calls.running, calls.waiting) == (3, 6)
    finally:
        release.set()
        await asyncio.gather(*hanging)
        calls.close()


async def test_a_call_that_waits_past_its_deadline_is_never_made() -> None:
    clock = SystemClock()
    calls = BlockingCalls(workers=1, clock=clock)
    release = threading.Event()
    made: list[str] = []
    try:
        running = asyncio.create_task(
            calls.run("r", clock.monotonic() + PATIENCE_SECONDS, lambda: release.wait(PATIENCE_SECONDS))
        )
        await _until_running(calls, 1)
        with pytest.raises(DeadlinePassed):
            await calls.run("r", clock.monotonic() + 0.3, lambda: made.append("late"))
    finally:
        release.set()
        await running
        calls.close()
    assert not made


async def test_a_full_queue_refuses_at_once() -> None:
    clock = SystemClock()
    calls = BlockingCalls(workers=1, clock=clock, queue_limit=1)
    release = threading.Event()
    made: list[str] = []
    end = clock.monotonic() + PATIENCE_SECONDS
    try:
        running = asyncio.create_task(calls.run("r", end, lambda: release.wait(PATIENCE_SECONDS)))
        await _until_running(calls, 1)
        waiting = asyncio.create_task(calls.run("r", end, lambda: made.append("in its turn")))
        await until(lambda: calls.waiting == 1, "a call waits")
        with pytest.raises(QueueFull):
            await calls.run("r", end, lambda: made.append("one too many"))
        assert clock.monotonic() < end - PATIENCE_SECONDS + MOMENTS_SECONDS
    finally:
        release.set()
        await asyncio.gather(running, waiting)
        calls.close()
    assert made == ["in its turn"]
