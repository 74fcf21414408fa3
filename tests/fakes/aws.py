"""AWS over HTTP on loopback: Secrets Manager, Parameter Store, STS, the Pod Identity agent and a Kubernetes API.

State is per region; every call is recorded; any action can be told to deny, throttle, break, hang or answer slowly. One
server plays all services, as `AWS_ENDPOINT_URL` expects. Signatures are not checked, but the access key is mapped back
to the role that STS gave it to, so that a test can see on whose behalf a read came.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

GET_SECRET = "GetSecretValue"
GET_PARAMETERS = "GetParameters"
DESCRIBE_SECRET = "DescribeSecret"
ASSUME_ROLE = "AssumeRoleWithWebIdentity"
CHAIN_ROLE = "AssumeRole"
AGENT = "PodIdentityAgent"
KUBERNETES = "Kubernetes"
_PARAMETER = re.compile(r"(arn(?::[^:]*){4}:parameter/)?([^:]*)(?::(.*))?")
_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeSecret:
    """One version of one secret; bytes make it a SecretBinary."""

    value: str | bytes
    version_id: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeParameter:
    """One parameter."""

    value: str
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an action answers instead of a value; `hang_seconds` first, then `status` (0: close the connection)."""

    status: int = 400
    code: str = "AccessDeniedException"
    message: str = "denied by the test"
    hang_seconds: float = 0.0
    drip_seconds: float = 0.0
    """Instead of an answer: its head, then a byte now and then."""
    endless: bool = False
    """Instead of an answer: its head, then bytes without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that arrived."""

    action: str
    region: str
    target: str
    role: str
    body: dict[str, Any]
    headers: dict[str, str]
    is_proxied: bool = False
    """Whether it was sent as to a proxy, with a whole address in its first line."""


@dataclass(slots=True)
class FakeAws:
    """The server and its state; use as a context manager."""

    secrets: dict[tuple[str, str], FakeSecret] = field(default_factory=dict)
    parameters: dict[tuple[str, str], FakeParameter] = field(default_factory=dict)
    stages: dict[tuple[str, str], dict[str, list[str]]] = field(default_factory=dict)
    """(region, secret) → version id → stages, as DescribeSecret tells them."""
    reported_invalid: list[str] | None = None
    """When set, GetParameters calls exactly these names invalid, in this order, repeats included."""
    external_ids: dict[str, str] = field(default_factory=dict)
    """Role → the external id without which it cannot be assumed from another role."""
    cluster: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Kubernetes path → object."""
    calls: list[Call] = field(default_factory=list)
    session_seconds: float = 900.0
    faults: dict[tuple[str, str], list[tuple[Fault, int]]] = field(default_factory=dict)
    denied_roles: set[str] = field(default_factory=set)
    roles: dict[str, str] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    _servers: list[ThreadingHTTPServer] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Base URL of every service."""
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def second_url(self) -> str:
        """The same at IPv6's loopback address; where the machine has none, at another address of IPv4's."""
        host, port = self._servers[1].server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def count(self, action: str, region: str = "") -> int:
        """Calls of an action, in one region or in all."""
        return sum(1 for call in self.calls if call.action == action and region in {"", call.region})

    def fail(self, action: str, fault: Fault, *, region: str = "", times: int = 1_000_000) -> None:
        """Let the next `times` calls of an action fail, in one region or in all."""
        self.faults.setdefault((action, region), []).append((fault, times))

    def heal(self) -> None:
        """Take all faults back and let hanging answers go."""
        self.faults.clear()
        self.denied_roles.clear()
        self.released.set()

    def reset(self) -> None:
        """Forget state, calls and faults."""
        self.heal()
        self.released = threading.Event()
        for part in (self.secrets, self.parameters, self.cluster, self.calls, self.stages, self.external_ids):
            part.clear()
        self.reported_invalid = None
        self.session_seconds = 900.0

    def take_fault(self, action: str, region: str) -> Fault | None:
        """Return the fault that this call meets, and use it up."""
        for key in ((action, region), (action, "")):
            waiting = self.faults.get(key, [])
            if waiting:
                fault, times = waiting[0]
                waiting[0] = (fault, times - 1)
                if times <= 1:
                    waiting.pop(0)
                return fault
        return None

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"aws": self})
        self._servers = [_Server(("127.0.0.1", 0), handler), _serve_elsewhere(handler)]
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}) for server in self._servers
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: a client that gave up is part of many tests."""


class _Ipv6Server(_Server):
    address_family = socket.AF_INET6


def _serve_elsewhere(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        return _Ipv6Server(("::1", 0), handler)
    except OSError:
        return _Server(("127.0.0.2", 0), handler)


class _Handler(BaseHTTPRequestHandler):
    aws: ClassVar[FakeAws]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Write nothing."""

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        if path == "/v1/credentials":
            self._agent()
        else:
            self._kubernetes(urllib.parse.unquote(path))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        target = self.headers.get("X-Amz-Target", "")
        if target:
            self._json_service(target.rsplit(".", 1)[-1], json.loads(raw))
        else:
            body = dict(urllib.parse.parse_qsl(raw.decode()))
            if body["Action"] == CHAIN_ROLE:
                self._chain(body)
            else:
                self._sts(body)

    def _json_service(self, action: str, body: dict[str, Any]) -> None:
        role, region = self._signer()
        names = body.get("Names") or [body.get("SecretId", "")]
        self._record(action, region, ",".join(names), role, body)
        if self._broke(action, region):
            return
        if role in self.aws.denied_roles:
            message = f"User: {role} is not authorized to perform: {action}"
            self._send_json(400, {"__type": "AccessDeniedException", "message": message})
        elif action == GET_SECRET:
            self._get_secret(region, body)
        elif action == DESCRIBE_SECRET:
            self._send_json(200, {"VersionIdsToStages": self.aws.stages.get((region, body["SecretId"]), {})})
        else:
            self._get_parameters(region, body["Names"])

    def _signer(self) -> tuple[str, str]:
        """Return role and region of a signed call."""
        scope = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", self.headers["Authorization"])
        assert scope is not None
        access_key, region = scope.groups()
        return self.aws.roles.get(access_key, access_key), region

    def _get_secret(self, region: str, body: dict[str, Any]) -> None:
        name = body["SecretId"]
        found = None
        for selector in (body.get("VersionId"), body.get("VersionStage")):
            found = found or self.aws.secrets.get((region, f"{name}:{selector}"))
        found = found or self.aws.secrets.get((region, name))
        if found is None:
            message = "Secrets Manager can't find the specified secret."
            self._send_json(400, {"__type": "ResourceNotFoundException", "message": message})
            return
        key = "SecretBinary" if isinstance(found.value, bytes) else "SecretString"
        value = base64.b64encode(found.value).decode() if isinstance(found.value, bytes) else found.value
        self._send_json(200, {"Name": name, "ARN": name, "VersionId": found.version_id, key: value})

    def _get_parameters(self, region: str, names: list[str]) -> None:
        found = [name for name in names if (region, name) in self.aws.parameters]
        invalid = self.aws.reported_invalid
        if invalid is None:
            invalid = [name for name in names if name not in found]
        parameters = []
        for name in sorted(found, key=lambda one: hashlib.sha256(one.encode()).digest()):
            parameter, parts = self.aws.parameters[region, name], _PARAMETER.fullmatch(name)
            assert parts is not None
            prefix, plain, selector = parts.groups()
            # As AWS answers: an ARN's resource has no leading slash, its hierarchical name has one.
            entry = {"Name": f"/{plain}" if prefix and "/" in plain else plain, "Type": "String"}
            entry |= {"Value": parameter.value, "Version": parameter.version, "LastModifiedDate": 1.7e9}
            entry["ARN"] = f"{prefix or f'arn:aws:ssm:{region}:111122223333:parameter/'}{plain.lstrip('/')}"
            if selector:
                entry["Selector"] = f":{selector}"
            parameters.append(entry)
        self._send_json(200, {"Parameters": parameters, "InvalidParameters": invalid})

    def _sts(self, body: dict[str, str]) -> None:
        role = body.get("RoleArn", "")
        self._record(ASSUME_ROLE, "", role, role, body)
        fault = self.aws.take_fault(ASSUME_ROLE, "")
        if fault is not None:
            self._refuse_sts(fault)
        else:
            self._send_session(ASSUME_ROLE, role)

    def _chain(self, body: dict[str, str]) -> None:
        role, (caller, region) = body["RoleArn"], self._signer()
        self._record(CHAIN_ROLE, region, role, caller, body)
        fault = self.aws.take_fault(CHAIN_ROLE, region)
        if fault is not None:
            self._refuse_sts(fault)
        elif self.aws.external_ids.get(role, "") != body.get("ExternalId", ""):
            message = f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role}"
            self._refuse_sts(Fault(status=403, code="AccessDenied", message=message))
        else:
            self._send_session(CHAIN_ROLE, role)

    def _refuse_sts(self, fault: Fault) -> None:
        if self._wait(fault):
            text = (
                f'<ErrorResponse xmlns="{_STS_NAMESPACE}"><Error><Type>Sender</Type><Code>{fault.code}</Code>'
                f"<Message>{fault.message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            )
            self._send(fault.status, "text/xml", text.encode())

    def _send_session(self, action: str, role: str) -> None:
        session = self._session(role)
        text = (
            f'<{action}Response xmlns="{_STS_NAMESPACE}"><{action}Result><Credentials>'
            f"<AccessKeyId>{session['AccessKeyId']}</AccessKeyId>"
            f"<SecretAccessKey>{session['SecretAccessKey']}</SecretAccessKey>"
            f"<SessionToken>{session['Token']}</SessionToken><Expiration>{session['Expiration']}</Expiration>"
            f"</Credentials></{action}Result></{action}Response>"
        )
        self._send(200, "text/xml", text.encode())

    def _agent(self) -> None:
        token = self.headers.get("Authorization", "")
        self._record(AGENT, "", token, "", {})
        fault = self.aws.take_fault(AGENT, "")
        if fault is not None:
            if self._wait(fault):
                self._send(fault.status, "text/plain", fault.message.encode())
            return
        self._send_json(200, self._session(f"association-of-{hashlib.sha256(token.encode()).hexdigest()[:8]}"))

    def _kubernetes(self, path: str) -> None:
        self._record(KUBERNETES, "", path, "", {})
        found = self.aws.cluster.get(path)
        missing = {"kind": "Status", "message": f"{path} not found"}
        self._send_json(200 if found is not None else 404, found if found is not None else missing)

    def _session(self, role: str) -> dict[str, str]:
        key = f"ASIA{hashlib.sha256(f'{role}{len(self.aws.roles)}'.encode()).hexdigest()[:16].upper()}"
        self.aws.roles[key] = role
        expires = datetime.fromtimestamp(time.time() + self.aws.session_seconds, tz=UTC)
        return {
            "AccessKeyId": key,
            "SecretAccessKey": "canary-secret-access-key",
            "Token": "canary-session-token",
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _record(self, action: str, region: str, target: str, role: str, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(
            action=action,
            region=region,
            target=target,
            role=role,
            body=body,
            headers=headers,
            is_proxied=not self.path.startswith("/"),
        )
        self.aws.calls.append(call)

    def _broke(self, action: str, region: str) -> bool:
        fault = self.aws.take_fault(action, region)
        if fault is None:
            return False
        if self._wait(fault):
            self._send_json(fault.status, {"__type": fault.code, "message": fault.message})
        return True

    def _wait(self, fault: Fault) -> bool:
        """Hang as told; return whether an answer shall follow."""
        released = self.aws.released
        if fault.hang_seconds:
            released.wait(fault.hang_seconds)
        if fault.drip_seconds:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
            end = time.monotonic() + fault.drip_seconds
            while time.monotonic() < end and not released.wait(0.05):
                self.wfile.write(b"{")
                self.wfile.flush()
        if fault.endless:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
            while not released.is_set():
                self.wfile.write(b"{" * 65_536)
        elif fault.status and not fault.drip_seconds:
            return True
        self.close_connection = True
        return False

    def _send_json(self, status: int, document: object) -> None:
        self._send(status, "application/x-amz-json-1.1", json.dumps(document).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amzn-RequestId", f"request-{len(self.aws.calls)}")
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()


def object_of(**members: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """Spell a Kubernetes object."""
    return members
