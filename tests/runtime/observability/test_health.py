"""The HTTP listener: what it answers, and what it does with peers that want something else."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from provider_runtime.health import HealthListener, Page, Probe, render_probes
from provider_runtime.observability_settings import ListenAddress, parse_observability
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.free_ports import free_port
from tests.fakes.patience import until
from tests.runtime.observability.conftest import Watched, fetch

if TYPE_CHECKING:
    from collections.abc import Callable


def _listener(port: int = 0) -> HealthListener:
    pages: dict[str, Callable[[], Page]] = {"/page": lambda: Page(status=200, body=b"hello\n")}
    return HealthListener(ListenAddress(host="127.0.0.1", port=port), pages)


async def _exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET /page HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /page?x=y HTTP/1.0\r\nHost: a\r\n\r\n", b"200"),
        (b"GET /other HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /page HTTP/1.1\r\n\r\n", b"405"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"\xff\xfe \x00 \x01\r\n\r\n", b"400"),
    ],
)
async def test_each_request_gets_one_answer_and_the_connection_ends(request_text: bytes, status: bytes) -> None:
    listener = _listener()
    assert await listener.open()
    answer = await _exchange(listener.port or 0, request_text)
    assert answer.startswith(b"HTTP/1.1 " + status)
    listener.close()


async def test_a_head_request_gets_no_body() -> None:
    listener = _listener()
    assert await listener.open()
    answer = await _exchange(listener.port or 0, b"HEAD /page HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 6" in answer
    assert answer.endswith(b"\r\n\r\n")
    listener.close()


async def test_an_endless_request_is_cut_off() -> None:
    listener = _listener()
    assert await listener.open()
    assert await _exchange(listener.port or 0, b"GET /" + b"x" * 100_000) == b""
    listener.close()


async def test_a_silent_peer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider_runtime.health._REQUEST_SECONDS", 0.05)
    listener = _listener()
    assert await listener.open()
    assert await _exchange(listener.port or 0, b"GET /page") == b""
    listener.close()


async def test_more_connections_than_allowed_are_closed_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider_runtime.health._CONNECTION_LIMIT", 0)
    listener = _listener()
    assert await listener.open()
    assert await _exchange(listener.port or 0, b"GET /page HTTP/1.1\r\n\r\n") == b""
    listener.close()


async def test_a_port_in_use_is_tried_again_until_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider_runtime.health._RETRY_SECONDS", 0.02)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port()))
        holder.listen()
        listener = _listener(holder.getsockname()[1])
        assert not await listener.open()
        serving = asyncio.create_task(listener.serve())
        await asyncio.sleep(0.05)
        assert not listener.port
    await until(lambda: listener.port is not None, "the listener opens")
    serving.cancel()
    assert (await asyncio.gather(serving, return_exceptions=True))[0] is not None


def test_one_condition_that_does_not_hold_is_503_and_named() -> None:
    def break_down() -> bool:
        raise OSError("no such directory")

    page = render_probes((Probe(name="loop", check=lambda: True), Probe(name="socket", check=break_down)))
    assert page.status == 503
    assert page.body == b"ok loop\nfailed socket\n"


def test_alive_and_ready_while_the_socket_is_ours_and_neither_when_it_is_taken(watched: Watched) -> None:
    assert fetch(watched.port, "/livez") == (200, "ok event-loop\nok socket\n")
    assert fetch(watched.port, "/readyz") == (200, "ok socket\n")
    assert watched.value("lockstep_provider_socket_served") == 1
    kept = watched.socket_path.with_suffix(".kept")
    watched.socket_path.rename(kept)
    watched.socket_path.touch()  # a name that nobody serves; the daemon leaves what is not its own alone
    try:
        assert fetch(watched.port, "/readyz") == (503, "failed socket\n")
        assert fetch(watched.port, "/livez")[0] == 503, "a restart would publish the socket anew"
        assert watched.value("lockstep_provider_socket_served") == 0
    finally:
        kept.rename(watched.socket_path)
    assert fetch(watched.port, "/livez")[0] == 200


def test_a_listener_that_cannot_bind_does_not_keep_the_provider_from_serving() -> None:
    with socket.socket() as holder, socket_directory() as directory:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with ThreadedDaemon(directory, f"--metrics-address=127.0.0.1:{port}", url="http://127.0.0.1:1") as daemon:
            assert daemon.path.is_socket()
    assert daemon.exit_code == 0


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        (":8989", ListenAddress(host="", port=8989)),
        ("0.0.0.0:1", ListenAddress(host="0.0.0.0", port=1)),  # noqa: S104  # a text to be read
        ("[::1]:65535", ListenAddress(host="::1", port=65535)),
        ("localhost:0", ListenAddress(host="localhost", port=0)),
    ],
)
def test_addresses_are_written_as_go_programs_take_them(text: str, address: ListenAddress | None) -> None:
    problems: list[str] = []
    assert parse_observability(_texts(text), problems).metrics_address == address
    assert not problems


@pytest.mark.parametrize("text", ["8989", "host", ":", ":65536", "::1:80", "a b:1", "http://a:1", ":٣"])
def test_what_is_no_address_is_a_problem(text: str) -> None:
    problems: list[str] = []
    assert parse_observability(_texts(text), problems).metrics_address is None
    assert "metrics-address" in problems[0]


def _texts(address: str) -> dict[str, str]:
    return {"metrics-address": address, "audit-log": "all", "tracing": "false", "kubernetes-events": "false"}
