"""The place in front of AWS: what it passes on, what it breaks, and what its journal says about either."""

from __future__ import annotations

import base64
import gc
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.emulator import make_client
from tests.chaos.faulty_aws import Fault, FaultyAws
from tests.chaos.model import Ages, Answer, Call, Model
from tests.chaos.plan import FaultKind
from tests.chaos.watching import OutOfOrder, find_leak, parse_mounts
from tests.chaos.world import MARK, PARAMETERS, Identity, render_value
from tests.fakes.aws import FakeAws, FakeParameter, FakeSecret
from tests.fakes.tokens import make_token

REGION = "eu-west-1"
WHO = Identity(subject="system:serviceaccount:chaos-a:alpha", role="alpha")


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    """Serve one secret and one parameter."""
    with FakeAws() as running:
        running.secrets[REGION, "chaos/alpha"] = FakeSecret(value=render_value("chaos/alpha", 3))
        running.parameters[REGION, PARAMETERS[0]] = FakeParameter(value=render_value(PARAMETERS[0], 5))
        yield running


@pytest.fixture(scope="module")
def place(aws: FakeAws) -> Iterator[FaultyAws]:
    """Stand in front of it."""
    with FaultyAws(upstream=aws.url, model=Model(Ages(longest=1, max_stale=1))) as running:
        yield running


@pytest.fixture(scope="module")
def made(place: FaultyAws) -> Iterator[dict[str, Any]]:
    """Make clients of a session that was given out through the place: a second of CPU, so once."""
    sts = make_client("sts", REGION, endpoint=place.endpoint, access_key="none", secret_key="none")
    session = sts.assume_role_with_web_identity(
        RoleArn="arn:aws:iam::111122223333:role/team/alpha",
        RoleSessionName="chaos",
        WebIdentityToken=make_token("chaos-a", "alpha"),
    )["Credentials"]
    clients = {
        service: make_client(
            service,
            REGION,
            endpoint=place.endpoint,
            access_key=session["AccessKeyId"],
            secret_key=session["SecretAccessKey"],
            session_token=session["SessionToken"],
        )
        for service in ("secretsmanager", "ssm")
    }
    yield clients
    for each in (sts, *clients.values()):
        each.close()


@pytest.fixture
def clients(place: FaultyAws, made: dict[str, Any]) -> Callable[[str], Any]:
    """Begin a new journal, and return clients by service."""
    place.begin(Model(Ages(longest=1, max_stale=1)), 0)
    return made.__getitem__


def _journal(place: FaultyAws) -> list[Call]:
    return place.model._calls[WHO]


def test_an_exchange_says_whose_the_session_is(place: FaultyAws, made: dict[str, Any]) -> None:
    assert made
    (exchange,) = [call for call in place.model._calls[WHO] if not call.objects]
    assert exchange.answer is Answer.OTHER
    assert {WHO} == set(place._identities.values())
    assert place.session_secrets


def test_a_call_is_passed_on_and_the_journal_says_whose_it_was_and_what_was_given(
    place: FaultyAws, clients: Callable[[str], Any]
) -> None:
    assert clients("secretsmanager").get_secret_value(SecretId="chaos/alpha")["SecretString"] == render_value(
        "chaos/alpha", 3
    )
    clients("ssm").get_parameters(Names=[PARAMETERS[0], "/gone"], WithDecryption=True)
    secret, parameters = _journal(place)
    assert (secret.objects, secret.numbers, secret.answer) == (("chaos/alpha",), {"chaos/alpha": 3}, Answer.VALUES)
    assert parameters.numbers == {PARAMETERS[0]: 5}
    assert parameters.missing == ("/gone",)
    assert all(call.began < call.ended < time.monotonic() for call in _journal(place))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.ERROR, "InternalServiceError"),
        (FaultKind.THROTTLE, "ThrottlingException"),
        (FaultKind.STALE_SESSION, "ExpiredTokenException"),
    ],
)
def test_a_fault_answers_in_awss_place_and_is_a_disturbance(
    place: FaultyAws, clients: Callable[[str], Any], kind: FaultKind, code: str
) -> None:
    client = clients("secretsmanager")
    place.set_fault("secretsmanager", Fault(kind=kind, share=1.0))
    with pytest.raises(ClientError, match=code):
        client.get_secret_value(SecretId="chaos/alpha")
    assert all(call.answer is Answer.DISTURBED for call in _journal(place))
    place.set_fault("secretsmanager", None)
    client.get_secret_value(SecretId="chaos/alpha")
    assert _journal(place)[-1].answer is Answer.VALUES


def test_a_connection_that_is_reset_is_a_disturbance(place: FaultyAws, clients: Callable[[str], Any]) -> None:
    client = clients("ssm")
    place.set_fault("ssm", Fault(kind=FaultKind.RESET, share=1.0))
    with pytest.raises(BotoCoreError):
        client.get_parameters(Names=[PARAMETERS[0]])
    assert {call.answer for call in _journal(place)} == {Answer.DISTURBED}


class _OneAnswer(socketserver.StreamRequestHandler):
    """Answers one request, and closes the connection without a word."""

    connections: ClassVar[int] = 0

    def handle(self) -> None:
        type(self).connections += 1
        while self.rfile.readline() != b"\r\n":
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def test_a_connection_that_aws_has_closed_since_is_made_anew_and_none_is_left_open() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), _OneAnswer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        upstream = f"http://127.0.0.1:{server.server_address[1]}"
        with FaultyAws(upstream=upstream, model=Model(Ages(longest=1, max_stale=1))) as place:
            port = int(place.endpoint.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
                for _ in range(3):
                    caller.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    assert caller.recv(1024).endswith(b"{}")
        server.shutdown()
        thread.join()
    assert _OneAnswer.connections == 3
    gc.collect()  # a connection that was left open says so now, and fails the test


def test_a_denial_of_aws_itself_is_one_in_the_journal(
    aws: FakeAws, place: FaultyAws, clients: Callable[[str], Any]
) -> None:
    client = clients("secretsmanager")
    aws.denied_roles.add("arn:aws:iam::111122223333:role/team/alpha")
    try:
        with pytest.raises(ClientError, match="AccessDenied"):
            client.get_secret_value(SecretId="chaos/alpha")
    finally:
        aws.denied_roles.clear()
    assert _journal(place)[-1].refuses("chaos/alpha")


def test_a_value_or_a_token_in_a_text_is_found_in_any_place_of_base64() -> None:
    assert find_leak("nothing here", ("signature-of-a-token",)) == ""
    assert find_leak(f"password={MARK}:x", ()) == "a value"
    assert find_leak("eyJ.signature-of-a-token", ("signature-of-a-token",)) == "a token or credential"

    for pad in range(3):
        assert find_leak(base64.b64encode(b"z" * pad + render_value("chaos/alpha", 1).encode()).decode(), ())


def test_mounts_are_read_from_the_providers_lines() -> None:
    line = '{"event": "mount failed", "outcome": "INTERNAL", "pod": "a/b", "seconds": 0.1}'
    assert list(parse_mounts(f'{{"event": "draining"}}\n{line}\nplain text\n')) == ["a/b"]


def test_what_is_out_of_order_is_so_until_it_ends() -> None:
    disorder = OutOfOrder()
    before = time.monotonic()
    disorder.begin("disk")
    between = time.monotonic()
    assert disorder.was_any(between, between)
    assert disorder.was_throughout("disk", between, between + 100)
    disorder.end("disk")
    after = time.monotonic() + 1
    assert disorder.was("disk", before, after)
    assert not disorder.was("disk", after, after)
    assert not disorder.was_throughout("disk", between, after)
