"""AWS and a Kubernetes API for measurements, as a process of their own: `python -m benchmarks.stand_in PORT [TLS...]`.

Not done here: correctness of AWS's semantics (`tests/fakes/aws`); every name exists, every caller is allowed.

Fast where it matters: one event loop, one send per answer, TCP_NODELAY (asyncio sets it), no latency but the one asked
for. Calls are counted by action. `POST /_control` with a JSON object sets latency, faults, silent regions and
rotations, and returns the counts.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import socket
import ssl
import sys
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

_SCOPE: Final = re.compile(r"Credential=[^/]+/\d+/([^/]+)/")
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_ROLE_OF_NAMESPACE: Final = re.compile(r"/api/v1/namespaces/app-(\d+)/serviceaccounts/")
IDLE_SECONDS: Final = 5.0
"""Silent connections live this long, a fraction of what AWS grants. AWS's provider leaves three behind at each mount,
and asyncio keeps a quarter of a MiB for every one with TLS: an hour's worth would be gigabytes."""
_FILLER: Final = "x" * 200
"""Secrets are small JSON documents in the field; 200 characters and a few keys are typical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an action answers instead, `times` times."""

    status: int
    code: str
    times: int


@dataclass(slots=True)
class State:
    """Everything that `/_control` can set, and what was counted."""

    latency_seconds: float = 0.0
    session_seconds: float = 900.0
    silent_regions: frozenset[str] = frozenset()
    faults: dict[str, Fault] = field(default_factory=dict)
    rotations: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    open_connections: set[Connection] = field(default_factory=set)

    def apply(self, order: dict[str, Any]) -> dict[str, Any]:
        """Apply an order and report; counts are reset after they were reported if `reset` is set."""
        self.latency_seconds = order.get("latency_seconds", self.latency_seconds)
        self.session_seconds = order.get("session_seconds", self.session_seconds)
        self.silent_regions = frozenset(order.get("silent_regions", self.silent_regions))
        self.rotations.update(order.get("rotate", []))
        self.faults |= {action: Fault(**fault) for action, fault in order.get("faults", {}).items()}
        report = {"calls": dict(self.calls), "connections": self.connections, "cpu_seconds": time.process_time()}
        if order.get("reset"):
            self.calls.clear()
            self.connections = 0
        return report

    def take_fault(self, action: str) -> Fault | None:
        """Return the fault that this call meets, and use it up."""
        fault = self.faults.get(action)
        if fault is None:
            return None
        if fault.times <= 1:
            del self.faults[action]
        else:
            self.faults[action] = Fault(status=fault.status, code=fault.code, times=fault.times - 1)
        return fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer; status 0: none, ever."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/x-amz-json-1.1"
    is_delayed: bool = True

    def encode(self) -> bytes:
        """Return head and body in one piece."""
        head = (
            f"HTTP/1.1 {self.status} OK\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\nx-amzn-RequestId: 0\r\n\r\n"
        )
        return head.encode() + self.body


class Connection(asyncio.Protocol):
    """One connection; requests on it come one after another."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._used_at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._state.connections += 1
        self._state.open_connections.add(self)
        self._transport = transport  # type: ignore[assignment]  # asyncio hands the transport that the server made

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        del exc
        self._state.open_connections.discard(self)

    def close_if_idle(self, now: float) -> None:
        """Close it when nobody used it for IDLE_SECONDS."""
        if self._transport is not None and now - self._used_at > IDLE_SECONDS:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self._buffer += data
        self._used_at = time.monotonic()
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._buffer, 0, end + 2)
            stop = end + 4 + (int(found.group(1)) if found else 0)
            if len(self._buffer) < stop:
                return
            head, body = self._buffer[:end].decode("latin-1"), self._buffer[end + 4 : stop]
            self._buffer = self._buffer[stop:]
            self._send(answer(self._state, head, body))

    def _send(self, reply: Reply) -> None:
        if reply.status == 0:
            self._used_at = math.inf  # the caller waits: it is not idle
        if reply.status == 0 or self._transport is None:
            return
        if reply.is_delayed and self._state.latency_seconds > 0:
            loop = asyncio.get_running_loop()
            loop.call_later(self._state.latency_seconds, self._transport.write, reply.encode())
        else:
            self._transport.write(reply.encode())


def answer(state: State, head: str, body: bytes) -> Reply:
    """Return the answer to one request, and count it."""
    request_line, _, rest = head.partition("\r\n")
    path = request_line.split(" ")[1]
    if path == "/_control":
        report = json.dumps(state.apply(json.loads(body))).encode()
        return Reply(body=report, is_delayed=False)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest.split("\r\n"))}
    if path.startswith("/api/"):
        state.calls["KubernetesGet"] += 1
        return _answer_cluster(path)
    if target := headers.get("x-amz-target"):
        action = target.rsplit(".", 1)[-1]
        scope = _SCOPE.search(headers.get("authorization", ""))
        region = scope.group(1) if scope else ""
    else:
        action, region = "AssumeRoleWithWebIdentity", _region_of_host(headers.get("host", ""))
    state.calls[action] += 1
    if region in state.silent_regions:
        return Reply(status=0)
    if fault := state.take_fault(action):
        return Reply(status=fault.status, body=json.dumps({"__type": fault.code, "message": "told to fail"}).encode())
    if action == "GetSecretValue":
        return _answer_secret(state, json.loads(body)["SecretId"])
    if action == "GetParameters":
        return _answer_parameters(state, json.loads(body)["Names"], region)
    return _answer_session(state, body)


def _region_of_host(host: str) -> str:
    labels = host.split(".")
    return labels[1] if len(labels) > 1 else ""


def _answer_cluster(path: str) -> Reply:
    found = _ROLE_OF_NAMESPACE.match(path)
    if found is None:
        return Reply(
            status=404, body=b'{"kind":"Status","apiVersion":"v1","code":404}', content_type="application/json"
        )
    role = f"arn:aws:iam::111122223333:role/bench-{found.group(1)}"
    document = {
        "kind": "ServiceAccount",
        "apiVersion": "v1",
        "metadata": {"name": "web", "annotations": {"eks.amazonaws.com/role-arn": role}},
    }
    return Reply(body=json.dumps(document).encode(), content_type="application/json")


def _answer_secret(state: State, name: str) -> Reply:
    rotation = state.rotations.get(name, 0)
    value = json.dumps({"name": name, "rotation": rotation, "password": _FILLER})
    version = f"{rotation:08d}-0000-4000-8000-000000000000"
    document = {"ARN": name, "Name": name, "SecretString": value, "VersionId": version, "VersionStages": ["AWSCURRENT"]}
    return Reply(body=json.dumps(document).encode())


def _answer_parameters(state: State, names: list[str], region: str) -> Reply:
    parameters = [
        {
            "Name": name,
            "Type": "String",
            "Value": f"{name} {_FILLER}",
            "Version": 1 + state.rotations.get(name, 0),
            "ARN": f"arn:aws:ssm:{region}:111122223333:parameter{name}",
            "LastModifiedDate": 1.7e9,
            "DataType": "text",
        }
        for name in names
    ]
    return Reply(body=json.dumps({"Parameters": parameters, "InvalidParameters": []}).encode())


def _answer_session(state: State, body: bytes) -> Reply:
    role = urllib.parse.parse_qs(body.decode()).get("RoleArn", [""])[0].rpartition("/")[2]
    expires = datetime.fromtimestamp(time.time() + state.session_seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA{role}</AccessKeyId>"
        "<SecretAccessKey>standin</SecretAccessKey><SessionToken>standin</SessionToken>"
        f"<Expiration>{expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
        "</AssumeRoleWithWebIdentityResponse>"
    )
    return Reply(body=text.encode(), content_type="text/xml")


def swallow_connections(address: str, port: int) -> list[socket.socket]:
    """Occupy an address so that connections to it hang: Linux drops a SYN while the accept queue is full (listen(2)).

    Returns:
        Sockets that must stay open.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(0)
    held = [listener]
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex((address, port))
        held.append(client)
    return held


async def serve(port: int, tls: tuple[str, str, str, str] | None) -> None:
    """Serve until killed; print one line when ready.

    Args:
        port: Of plain HTTP on 127.0.0.1.
        tls: Address of the TLS side, address that swallows connections, certificate file, key file; both on port 443.
    """
    state = State()
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: Connection(state), "127.0.0.1", port, backlog=1024)]
    held: list[socket.socket] = []
    if tls is not None:
        address, hole, certificate, key = tls
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        servers.append(await loop.create_server(lambda: Connection(state), address, 443, ssl=context, backlog=1024))
        held = swallow_connections(hole, 443)
    print("ready", flush=True)
    await asyncio.gather(_close_idle(state), *(server.serve_forever() for server in servers))
    del held


async def _close_idle(state: State) -> None:
    while True:
        await asyncio.sleep(1)
        now = time.monotonic()
        for connection in tuple(state.open_connections):
            connection.close_if_idle(now)


if __name__ == "__main__":
    words = sys.argv[2:]
    asyncio.run(serve(int(sys.argv[1]), (words[0], words[1], words[2], words[3]) if words else None))
