"""Whatever breaks, a mount ends in a final status, in time, and with the cause.

After a status that is not final driver 1.6 starts the pod with an empty directory, so no failure path may end in one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import grpc
import pytest

from provider_runtime.csi_v1alpha1 import service_pb2
from provider_runtime.grpc_server import ProviderService, _Record, derive_answer_seconds
from provider_runtime.mounting import Mounter
from tests.fakes.aws import ASSUME_ROLE, GET_PARAMETERS, GET_SECRET, FakeAws, FakeParameter, FakeSecret, Fault
from tests.fakes.daemons import DaemonProcess, ThreadedDaemon, socket_directory
from tests.fakes.driver import FAKE_REGION, FINAL_CODES, Answer, DriverClient, Mounting, Pod, with_parameters
from tests.fakes.patience import LASTING_SECONDS, MOMENTS_SECONDS, until, wait_until
from tests.fakes.tokens import make_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.conftest import World

SECRET = "- {objectName: TestSecret1, objectType: secretsmanager}\n"
BOTH = Pod(objects=SECRET + "- {objectName: TestParm1, objectType: ssmparameter}\n")


@pytest.fixture(autouse=True)
def _values(request: pytest.FixtureRequest) -> None:
    if "world" in request.fixturenames:
        _fill(request.getfixturevalue("world").aws)


def _fill(aws: FakeAws) -> None:
    aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value="parm1")


AWS_FAULTS = {
    "denied": (Fault(code="AccessDeniedException", message="not allowed"), "PERMISSION_DENIED", "not allowed"),
    "no kms right": (
        Fault(code="AccessDeniedException", message="Access to KMS is not allowed"),
        "PERMISSION_DENIED",
        "kms:Decrypt",
    ),
    "decryption": (Fault(code="DecryptionFailure", message="cannot decrypt"), "PERMISSION_DENIED", "kms:Decrypt"),
    "throttled": (Fault(code="ThrottlingException", message="Rate exceeded"), "FAILED_PRECONDITION", "Rate exceeded"),
    "broken": (Fault(status=500, code="InternalServiceError", message="oops"), "FAILED_PRECONDITION", "500: Internal"),
    "unavailable": (Fault(status=503, code="ServiceUnavailable", message=""), "FAILED_PRECONDITION", "503"),
    "hung up": (Fault(status=0), "FAILED_PRECONDITION", "ConnectionClosedError"),
    "bad request": (Fault(code="InvalidRequestException", message="marked deleted"), "INVALID_ARGUMENT", "marked"),
    "unknown code": (
        Fault(status=418, code="Teapot", message="short and stout"),
        "INVALID_ARGUMENT",
        "short and stout",
    ),
    "expired": (Fault(code="ExpiredTokenException", message="token expired"), "PERMISSION_DENIED", "token expired"),
}


@pytest.mark.parametrize("action", [GET_SECRET, GET_PARAMETERS])
@pytest.mark.parametrize("kind", AWS_FAULTS)
def test_every_fault_of_aws_gives_a_final_status_with_its_cause(world: World, kind: str, action: str) -> None:
    fault, code, cause = AWS_FAULTS[kind]
    world.aws.fail(action, fault)
    answer = world.driver.mount(BOTH)
    assert answer.code.name == code
    assert answer.code in FINAL_CODES
    assert cause in answer.text
    assert "arn:aws:iam::111122223333:role/fakeRole" in answer.text or code == "FAILED_PRECONDITION"
    assert FAKE_REGION in answer.text
    assert "Fix: " in answer.text
    assert not answer.files


def test_a_throttled_call_is_tried_again_inside_the_mount(world: World) -> None:
    world.aws.fail(GET_SECRET, Fault(code="ThrottlingException"), times=2)
    assert world.driver.mount(BOTH).is_ok
    assert world.aws.count(GET_SECRET) == 3


def test_stale_credentials_are_exchanged_once_more(world: World) -> None:
    pod = with_parameters(Pod(objects=SECRET, service_account="stale", tokens={"sts.amazonaws.com": "stale-token"}))
    assert world.driver.mount(pod).is_ok
    world.aws.fail(GET_SECRET, Fault(code="ExpiredTokenException", message="expired"), times=1)
    assert world.driver.mount(pod).is_ok
    assert world.aws.count(ASSUME_ROLE) == 2


STS_FAULTS = {
    "AccessDenied": (Fault(status=403, code="AccessDenied", message="Not authorized"), "PERMISSION_DENIED", 1),
    "InvalidIdentityToken": (
        Fault(code="InvalidIdentityToken", message="No OpenIDConnect provider"),
        "PERMISSION_DENIED",
        3,
    ),
    "ExpiredTokenException": (Fault(code="ExpiredTokenException", message="expired"), "PERMISSION_DENIED", 1),
    "Throttling": (Fault(code="Throttling", message="Rate exceeded"), "FAILED_PRECONDITION", 3),
    "broken": (Fault(status=503, code="ServiceUnavailable", message="later"), "FAILED_PRECONDITION", 3),
}


@pytest.mark.parametrize("kind", STS_FAULTS)
def test_every_fault_of_sts_names_role_account_and_audience(world: World, kind: str) -> None:
    fault, code, attempts = STS_FAULTS[kind]
    world.aws.fail(ASSUME_ROLE, fault)
    account = f"sts-{kind.lower()}"
    answer = world.driver.mount(Pod(objects=SECRET, service_account=account, tokens={"sts.amazonaws.com": account}))
    assert answer.code.name == code
    assert "failed to refresh cached credentials" in answer.text
    assert fault.message in answer.text
    for part in ("role/fakeRole", f"system:serviceaccount:fakeNS:{account}", "aud sts.amazonaws.com"):
        assert part in answer.text
    assert world.aws.count(ASSUME_ROLE) == attempts
    assert world.aws.count(GET_SECRET) == 0


def test_all_failing_objects_are_reported_at_once(world: World) -> None:
    objects = "".join(f"- {{objectName: missing{number}, objectType: secretsmanager}}\n" for number in range(4))
    answer = world.driver.mount(Pod(objects=SECRET + objects))
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert all(f"missing{number}" in answer.text for number in range(4))


def test_all_kinds_of_failing_objects_are_reported_at_once(world: World) -> None:
    """Of either store, and by their values."""
    objects = """
- {objectName: missing, objectType: secretsmanager}
- {objectName: /missing/too, objectType: ssmparameter}
- {objectName: TestSecret1, objectType: secretsmanager, encoding: base64}
- {objectName: TestParm1, objectType: ssmparameter, jmesPath: [{path: a, objectAlias: b}]}
"""
    answer = world.driver.mount(Pod(objects=objects))
    assert answer.code is grpc.StatusCode.NOT_FOUND, "the first one's"
    assert answer.text.startswith("4 problems: (1) ")
    for part in ("Failed fetching secret missing", "invalid parameters: /missing/too", "LSP406", "LSP401"):
        assert part in answer.text


def test_many_problems_in_many_scripts_still_fit_the_headers_that_carry_a_status(world: World) -> None:
    """It travels percent-encoded in a header of limited size; past that the client itself says RESOURCE_EXHAUSTED."""
    name = "\u5bc6" * 40
    objects = "".join(f"- {{objectName: {name}{number}, objectType: secretsmanager}}\n" for number in range(300))
    answer = world.driver.mount(Pod(objects=objects))
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert "more problems)" in answer.text


@pytest.mark.parametrize(
    ("token", "fragment"),
    [
        (make_token("fakeNS", "another"), "it belongs to system:serviceaccount:fakeNS:another"),
        (make_token("fakeNS", "fakeSvcAcc", audience="vault"), "its audience is vault"),
        (make_token("fakeNS", "fakeSvcAcc", lifetime_seconds=-1), "it expired at"),
    ],
)
def test_a_token_that_is_not_the_pods_own_is_refused_before_aws(world: World, token: str, fragment: str) -> None:
    answer = world.driver.mount(Pod(objects=SECRET, tokens={"sts.amazonaws.com": token}))
    assert answer.code is grpc.StatusCode.UNAUTHENTICATED
    assert fragment in answer.text
    assert not world.aws.calls


@pytest.mark.parametrize(
    "request_",
    [
        service_pb2.MountRequest(),
        service_pb2.MountRequest(target_path="/x", attributes="not json", permission="420"),
        service_pb2.MountRequest(target_path="/x", attributes="[" * 100_000, permission="420"),
        service_pb2.MountRequest(target_path="/x", attributes='{"a": "\\ud800"}', permission="420"),
        service_pb2.MountRequest(target_path="/x", attributes="x" * 5_000_000, permission="420"),
        service_pb2.MountRequest(target_path="/x", attributes="x" * 20_000_000, permission="420"),
    ],
    ids=["empty", "no json", "deep", "surrogate", "5 MB", "20 MB"],
)
def test_a_request_that_makes_no_sense_is_an_invalid_argument(world: World, request_: service_pb2.MountRequest) -> None:
    """The 5 MB one is larger than gRPC's own limit, which would answer RESOURCE_EXHAUSTED."""
    assert world.driver.send(request_).code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_region_that_is_no_host_name_never_reaches_a_client(world: World) -> None:
    answer = world.driver.mount(Pod(objects=SECRET, region="evil.example/#"))
    assert answer.code in FINAL_CODES
    assert "is no region name" in answer.text
    assert not world.aws.calls


def test_an_unexpected_exception_is_internal_and_its_text_stays_inside(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def explode(*_: object) -> None:
        raise RuntimeError("canary-value-in-an-exception")

    monkeypatch.setattr(Mounter, "mount", explode)
    answer = world.driver.mount(BOTH)
    assert answer.code is grpc.StatusCode.INTERNAL
    assert "incident" in answer.text
    assert "canary" not in answer.text
    incident = answer.text.split("incident ")[1].split(".")[0]
    assert any(f"incident {incident}" in record.getMessage() for record in caplog.records)


@contextlib.contextmanager
def _serve(*flags: str) -> Iterator[tuple[FakeAws, DriverClient]]:
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        ThreadedDaemon(directory, *flags, url=aws.url) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        yield aws, driver


@pytest.fixture(scope="module")
def short_world() -> Iterator[tuple[FakeAws, DriverClient]]:
    """A provider that answers within one second."""
    with _serve("--mount-timeout=1s") as (aws, driver):
        _fill(aws)
        # Builds the SDK's clients, which may outlast a second on a busy machine.
        wait_until(lambda: driver.mount(BOTH).is_ok, "a first mount succeeds")
        yield aws, driver


@pytest.fixture(scope="module")
def small_world() -> Iterator[tuple[FakeAws, DriverClient]]:
    """A provider that takes few mounts and small answers only."""
    with _serve("--max-response-bytes=5000", "--max-mounts=2") as served:
        yield served


HANG = Fault(hang_seconds=LASTING_SECONDS)


@pytest.mark.parametrize("action", [GET_SECRET, GET_PARAMETERS, ASSUME_ROLE])
@pytest.mark.parametrize("fault", [HANG, Fault(drip_seconds=LASTING_SECONDS)], ids=["hangs", "drips"])
def test_a_mount_ends_before_its_deadline_whatever_aws_does(
    short_world: tuple[FakeAws, DriverClient], action: str, fault: Fault
) -> None:
    aws, driver = short_world
    aws.reset()
    _fill(aws)
    aws.fail(action, fault)
    began = time.monotonic()
    account = f"hang-{action}-{fault.drip_seconds}"
    pod = Pod(objects=BOTH.objects, service_account=account, tokens={"sts.amazonaws.com": account})
    answer = driver.mount(pod)
    assert time.monotonic() - began < 4
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    # A tenth of the second is left to say which call it was; on a machine that is busier than that nobody can.
    assert "no answer before" in answer.text or "did not end within" in answer.text
    aws.heal()


@pytest.mark.parametrize("remaining", [0.001, 1.0, 4.0, 9.9, 10.0, 120.0])
def test_an_answer_is_due_two_seconds_before_the_callers_deadline_or_a_fifth_of_a_short_one(remaining: float) -> None:
    assert derive_answer_seconds(remaining, 1_000.0) == pytest.approx(remaining - min(2.0, remaining / 5))
    assert derive_answer_seconds(remaining, 0.0005) == 0.0005, "--mount-timeout, if that is shorter"


def test_an_answer_is_due_at_once_where_the_deadline_has_passed_and_in_our_own_time_where_there_is_none() -> None:
    assert derive_answer_seconds(0.0, 60.0) == derive_answer_seconds(-1.0, 60.0) == 0.0
    assert derive_answer_seconds(None, 60.0) == 60.0


@pytest.fixture
def patient_caller(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Answer]:
    """A caller whose deadline is a second away as the provider sees it, and 59 s later in truth.

    gRPC gives up on a call to the moment, so with a true deadline whoever the machine lets run first would win.
    """
    inner = ProviderService._answer

    async def answer(
        self: ProviderService, message: service_pb2.MountRequest, remaining_seconds: float, record: _Record
    ) -> service_pb2.MountResponse:
        # On its way gRPC rounds a deadline up, by a second at most.
        return await inner(self, message, min(1.0, remaining_seconds - (LASTING_SECONDS - 1.0)), record)

    monkeypatch.setattr(ProviderService, "_answer", answer)
    return lambda: world.driver.mount(BOTH, timeout=LASTING_SECONDS)


def test_the_answer_comes_before_the_callers_own_deadline(world: World, patient_caller: Callable[[], Answer]) -> None:
    world.aws.fail(GET_SECRET, HANG)
    began = time.monotonic()
    answer = patient_caller()
    assert time.monotonic() - began < MOMENTS_SECONDS, "neither AWS nor --mount-timeout is waited for"
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION, "our status, not gRPC's DEADLINE_EXCEEDED"
    world.aws.heal()


def test_a_mount_whose_inside_never_ends_is_answered_before_the_callers_deadline(
    monkeypatch: pytest.MonkeyPatch, patient_caller: Callable[[], Answer]
) -> None:
    """The last line of defence: it does not rely on any adapter keeping to the deadline that it was given."""

    async def sleep(*_: object) -> None:
        await asyncio.sleep(LASTING_SECONDS)

    monkeypatch.setattr(Mounter, "mount", sleep)
    answer = patient_caller()
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    found = re.search(r"the mount did not end within (\d\.\d) s", answer.text)
    assert found, answer.text
    assert float(found[1]) <= 0.8, "a fifth of the second is left for the way back"


def test_one_mount_too_many_is_refused_at_once_with_a_final_status(
    small_world: tuple[FakeAws, DriverClient],
) -> None:
    aws, driver = small_world
    aws.reset()
    aws.fail(GET_SECRET, HANG)
    running = [
        Mounting(driver, Pod(objects=SECRET, uid=str(number), tokens={"sts.amazonaws.com": f"overload-{number}"}))
        for number in range(2)
    ]
    wait_until(lambda: aws.count(GET_SECRET) == 2, "both mounts read")
    answer = driver.mount(Pod(objects=SECRET, uid="one too many"))
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "LSP501" in answer.text
    aws.heal()
    assert all(mounting.result().code in FINAL_CODES for mounting in running)


def test_an_answer_that_the_driver_could_not_receive_is_refused_with_sizes(
    small_world: tuple[FakeAws, DriverClient],
) -> None:
    aws, driver = small_world
    aws.reset()
    aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="x" * 5_000)
    answer = driver.mount(Pod(objects=SECRET, tokens={"sts.amazonaws.com": "size"}))
    assert answer.code in FINAL_CODES
    assert "TestSecret1 (5000 bytes)" in answer.text
    aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="x" * 4_900)
    assert driver.mount(Pod(objects=SECRET, uid="b", tokens={"sts.amazonaws.com": "size2"})).is_ok


def test_aws_that_cannot_be_reached_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            socket_directory() as directory,
            ThreadedDaemon(directory, url=url) as daemon,
            DriverClient(daemon.path) as driver,
        ):
            answer = driver.mount(BOTH)
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "EndpointConnectionError" in answer.text
    assert "sts:AssumeRoleWithWebIdentity" in answer.text


def test_sigterm_answers_running_mounts_with_a_final_status_before_the_server_stops() -> None:
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        DaemonProcess(directory, "--shutdown-grace=300ms", url=aws.url) as daemon,
    ):
        daemon.wait_for("serving on")
        _fill(aws)
        aws.fail(GET_SECRET, HANG)
        with DriverClient(daemon.path) as driver:
            running = Mounting(driver, Pod(objects=SECRET))
            wait_until(lambda: aws.count(GET_SECRET) == 1, "the mount reads")
            daemon.signal(signal.SIGTERM)
            answer = running.result()
            assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
            assert "shutting down" in answer.text
        began = time.monotonic()
        assert daemon.wait() == 0
        assert time.monotonic() - began < 5, "threads that wait for AWS do not hold up the exit"
        assert not daemon.path.exists()


@pytest.mark.vector("X48")
def test_sigterm_lets_a_mount_finish_that_ends_within_the_grace_and_takes_no_new_one() -> None:
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        DaemonProcess(directory, "--shutdown-grace=60s", url=aws.url) as daemon,
    ):
        daemon.wait_for("serving on")
        _fill(aws)
        aws.fail(GET_SECRET, Fault(status=500, hang_seconds=LASTING_SECONDS), times=1)
        with DriverClient(daemon.path) as driver:
            running = Mounting(driver, Pod(objects=SECRET))
            wait_until(lambda: aws.count(GET_SECRET) == 1, "the mount reads")
            daemon.signal(signal.SIGTERM)
            daemon.wait_for("draining")
            late = driver.mount(Pod(objects=SECRET, uid="late"))
            assert late.code is grpc.StatusCode.FAILED_PRECONDITION
            assert "shutting down" in late.text
            aws.heal()
            assert running.result().is_ok
        assert daemon.wait() == 0
        assert not daemon.path.exists()


def test_a_mount_that_is_just_running_out_of_time_does_not_break_the_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own deadline has struck and it has not left yet when the grace ends: neither may trip over the other."""
    leaving: list[object] = []
    cut = threading.Event()
    reschedule = asyncio.Timeout.reschedule

    def see_who_is_late(self: asyncio.Timeout, when: float | None) -> None:
        try:
            reschedule(self, when)
        except RuntimeError:
            cut.set()
            raise

    async def leave_slowly(*_: object) -> None:
        try:
            await asyncio.sleep(LASTING_SECONDS)
        finally:
            leaving.append(1)
            await until(cut.is_set, "the grace ends")

    monkeypatch.setattr(asyncio.Timeout, "reschedule", see_who_is_late)
    monkeypatch.setattr(Mounter, "mount", leave_slowly)
    with (
        socket_directory() as directory,
        ThreadedDaemon(
            directory, "--mount-timeout=500ms", "--shutdown-grace=100ms", url="http://127.0.0.1:9"
        ) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        running = [Mounting(driver, Pod(objects=SECRET, uid=str(number))) for number in range(3)]
        wait_until(lambda: len(leaving) == 3, "every mount's deadline strikes")
        daemon.ask_to_stop()
        answers = [mounting.result() for mounting in running]
        daemon.join()
    assert {answer.code for answer in answers} == {grpc.StatusCode.FAILED_PRECONDITION}, answers
    assert daemon.exit_code == 0


def test_a_second_signal_ends_the_process_at_once() -> None:
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        DaemonProcess(directory, "--shutdown-grace=60s", url=aws.url) as daemon,
    ):
        daemon.wait_for("serving on")
        aws.fail(GET_SECRET, HANG)
        with DriverClient(daemon.path) as driver:
            running = Mounting(driver, Pod(objects=SECRET))
            wait_until(lambda: aws.count(GET_SECRET) == 1, "the mount reads")
            daemon.signal(signal.SIGTERM)
            daemon.wait_for("draining")
            began = time.monotonic()
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 128 + signal.SIGTERM
            assert time.monotonic() - began < 4, "the grace is not waited for"
            running.result()


def test_after_sigkill_the_next_instance_takes_the_stale_socket_over() -> None:
    with FakeAws() as aws, socket_directory() as directory:
        _fill(aws)
        with DaemonProcess(directory, url=aws.url) as killed:
            killed.wait_for("serving on")
            killed.signal(signal.SIGKILL)
            killed.wait()
            assert killed.path.exists(), "a killed process leaves its socket"
        with ThreadedDaemon(directory, url=aws.url) as daemon, DriverClient(daemon.path) as driver:
            assert driver.mount(BOTH).is_ok


def test_a_hundred_mounts_at_once_are_all_answered() -> None:
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        ThreadedDaemon(directory, "--workers=4", url=aws.url) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        _fill(aws)
        running = [Mounting(driver, Pod(objects=BOTH.objects, uid=str(number))) for number in range(100)]
        assert all(mounting.result().is_ok for mounting in running)
        assert aws.count(GET_SECRET) == aws.count(GET_PARAMETERS) == aws.count(ASSUME_ROLE) == 1
