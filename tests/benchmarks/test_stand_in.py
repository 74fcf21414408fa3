"""The benchmark's stand-in: it counts, delays, fails and falls silent as told, and keeps no idle connection."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from benchmarks.stand_in import IDLE_SECONDS, Connection, State, answer

REGION = "eu-west-1"


def _head(action: str, region: str = REGION) -> str:
    return (
        "POST / HTTP/1.1\r\n"
        f"X-Amz-Target: service.{action}\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential=ASIA/20260101/{region}/service/aws4_request, more"
    )


def _ask(state: State, action: str, body: dict[str, Any], region: str = REGION) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer(state, _head(action, region), json.dumps(body).encode()).body)
    return document


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False
        self.written = b""

    def close(self) -> None:
        self.is_closed = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data


def test_calls_are_counted_by_action_until_they_are_reset() -> None:
    state = State()
    _ask(state, "GetSecretValue", {"SecretId": "a"})
    _ask(state, "GetParameters", {"Names": ["/a", "/b"]})
    assert state.apply({"reset": True})["calls"] == {"GetSecretValue": 1, "GetParameters": 1}
    assert state.apply({})["calls"] == {}


def test_a_rotation_changes_value_and_version_of_that_secret_alone() -> None:
    state = State()
    before = _ask(state, "GetSecretValue", {"SecretId": "a"})
    state.apply({"rotate": ["a"]})
    after = _ask(state, "GetSecretValue", {"SecretId": "a"})
    assert (before["VersionId"], before["SecretString"]) != (after["VersionId"], after["SecretString"])
    assert before["VersionId"] == _ask(state, "GetSecretValue", {"SecretId": "b"})["VersionId"]


def test_a_fault_is_met_as_often_as_asked_for() -> None:
    state = State()
    state.apply({"faults": {"GetSecretValue": {"status": 400, "code": "ThrottlingException", "times": 2}}})
    statuses = [answer(state, _head("GetSecretValue"), b'{"SecretId": "a"}').status for _ in range(3)]
    assert statuses == [400, 400, 200]


def test_a_silent_region_never_answers_and_its_callers_are_not_hung_up_on() -> None:
    state = State(silent_regions=frozenset({REGION}))
    connection, transport = Connection(state), _Transport()
    connection.connection_made(transport)
    body = b'{"SecretId": "a"}'
    connection.data_received(f"{_head('GetSecretValue')}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    connection.close_if_idle(1e12 + IDLE_SECONDS)
    assert (transport.written, transport.is_closed) == (b"", False)


def test_an_idle_connection_is_closed_and_a_used_one_is_not() -> None:
    state = State()
    connection, transport = Connection(state), _Transport()
    connection.connection_made(transport)
    is_closed = []
    for now in (0.0, 1e12 + IDLE_SECONDS):
        connection.close_if_idle(now)
        is_closed.append(transport.is_closed)
    assert is_closed == [False, True]
    connection.connection_lost(None)
    assert not state.open_connections


@pytest.mark.parametrize("path", ["/api/v1/namespaces/app-00007/serviceaccounts/web", "/api/v1/namespaces/x/pods/y"])
def test_the_cluster_serves_service_accounts_of_the_apps_and_nothing_else(path: str) -> None:
    reply = answer(State(), f"GET {path} HTTP/1.1\r\nHost: kubernetes", b"")
    assert reply.status == (200 if "serviceaccounts" in path else 404)
    assert (b"role/bench-00007" in reply.body) == (reply.status == 200)
