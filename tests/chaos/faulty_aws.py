"""A place in front of emulated AWS where calls go wrong as told, and where a journal says who was answered what.

HTTP/1.1 on loopback, in a thread with an event loop of its own. A call is passed on byte for byte unless a fault takes
it. Whose call it is: the session that STS gave out names token and role (`AssumeRoleWithWebIdentity` passes here too).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import re
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from tests.chaos.model import Answer, Call, Model
from tests.chaos.plan import FaultKind
from tests.chaos.world import Identity, parse_value

LATE_SECONDS: Final = 30.0
SLOW_SECONDS: Final = 0.4

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNKED: Final = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
_SIGNED: Final = re.compile(r"(?i)\r\nauthorization: [^\r]*Credential=([^/]+)/")
_TARGET: Final = re.compile(r"(?i)\r\nx-amz-target: (?P<service>\w+)\.(?P<action>\w+)")
_ACCESS_KEY: Final = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
_SESSION_SECRETS: Final = re.compile(rb"<(?:SecretAccessKey|SessionToken)>([^<]{12,})</")
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d+)")
_REFUSALS: Final = ("AccessDenied", "ResourceNotFound")
_NOBODY: Final = Identity(subject="", role="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a share of a service's calls."""

    kind: FaultKind
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    service: str
    action: str
    access_key: str
    body: bytes
    whole: bytes

    @property
    def objects(self) -> tuple[str, ...]:
        if self.service == "sts":
            return ()
        document = json.loads(self.body)
        return tuple(document.get("Names") or [document.get("SecretId", "")])


@dataclass(slots=True, kw_only=True)
class FaultyAws:
    """The place; a context manager.

    Attributes:
        upstream: URL of emulated AWS.
        model: Its journal is written here.
        seed: Decides which calls a fault with a share below 1 hits, as far as calls come in one order.
        session_secrets: Keys and session tokens that STS gave out: none may be seen in a log.
    """

    upstream: str
    model: Model
    seed: int = 0
    session_secrets: set[str] = field(default_factory=set)
    endpoint: str = field(init=False, default="")
    _faults: dict[str, Fault] = field(init=False, default_factory=dict)
    _identities: dict[str, Identity] = field(init=False, default_factory=dict)
    _loop: asyncio.AbstractEventLoop | None = field(init=False, default=None)
    _stop: asyncio.Event | None = field(init=False, default=None)
    _ready: threading.Event = field(init=False, default_factory=threading.Event)
    _draw: random.Random = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self._draw = random.Random(self.seed)  # noqa: S311 - it must be the same again
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="faulty aws", daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the faulty place does not start"
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def set_fault(self, service: str, fault: Fault | None) -> None:
        """Let a service's calls go wrong from now on, or well again."""
        if fault is None:
            self._faults.pop(service, None)
        else:
            self._faults[service] = fault

    def begin(self, model: Model, seed: int) -> None:
        """Write another model's journal from now on, without faults."""
        self._faults.clear()
        self.model, self._draw = model, random.Random(seed)  # noqa: S311 - as above

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await _Connection(self, reader, writer).run()
            except (OSError, EOFError, asyncio.CancelledError):
                pass  # either side has gone
            finally:
                connections.discard(task)
                writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 22)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def take_fault(self, service: str) -> FaultKind | None:
        """Return the fault that this call meets."""
        fault = self._faults.get(service)
        return fault.kind if fault is not None and self._draw.random() < fault.share else None

    def identity_of(self, request: _Request) -> Identity:
        """Return on whose behalf a call is made."""
        if request.service != "sts":
            return self._identities.get(request.access_key, _NOBODY)
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        return Identity(
            subject=_subject(form.get("WebIdentityToken", "")), role=form.get("RoleArn", "").rpartition("/")[2]
        )

    def note_session(self, identity: Identity, body: bytes) -> None:
        """Remember whom a session belongs to."""
        found = _ACCESS_KEY.search(body)
        if found is not None:
            self._identities[found[1].decode()] = identity
        self.session_secrets.update(secret.decode() for secret in _SESSION_SECRETS.findall(body))


class _Connection:
    """One connection from the provider, with one to AWS behind it."""

    def __init__(self, place: FaultyAws, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._place = place
        self._reader = reader
        self._writer = writer
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        try:
            while True:
                head, body, whole = await _read_message(self._reader)
                if not await self._answer(_parse_request(head, body, whole)):
                    return
        finally:
            self._close_upstream()

    async def _answer(self, request: _Request) -> bool:
        """Answer one call; False closes the connection."""
        call = Call(identity=self._place.identity_of(request), objects=request.objects, began=time.monotonic())
        self._place.model.note_call(call)
        fault = self._place.take_fault(request.service)
        match fault:
            case FaultKind.SILENT:
                await self._reader.read(1)  # until the caller gives up
                call.ended = time.monotonic()
                return False
            case FaultKind.RESET:
                self._writer.transport.abort()
                call.ended = time.monotonic()
                return False
            case FaultKind.LATE | FaultKind.SLOW:
                await asyncio.sleep(LATE_SECONDS if fault is FaultKind.LATE else SLOW_SECONDS)
            case FaultKind.ERROR | FaultKind.THROTTLE | FaultKind.STALE_SESSION | FaultKind.REFUSE:
                answer = _fault_answer(fault, request.service)
                call.answer = Answer.DENIED if fault is FaultKind.REFUSE else Answer.DISTURBED
                await self._send(call, answer)
                return True
        head, body, whole = await self._ask(request.whole)
        self._note_answer(call, request, head, body)
        if fault in {FaultKind.LATE, FaultKind.SLOW}:
            call.answer = call.answer if call.answer is not Answer.OTHER else Answer.DISTURBED
        await self._send(call, whole)
        return True

    async def _send(self, call: Call, answer: bytes) -> None:
        call.ended = time.monotonic()
        self._writer.write(answer)
        await self._writer.drain()

    async def _ask(self, whole: bytes) -> tuple[bytes, bytes, bytes]:
        """Ask AWS, again where it has closed the connection since the last call; that is no fault of the plan's."""
        if self._upstream is not None:
            try:
                return await self._exchange(whole, *self._upstream)
            except (ConnectionError, EOFError):
                self._close_upstream()
        host, _, port = self._place.upstream.rpartition("//")[2].partition(":")
        self._upstream = await asyncio.open_connection(host, int(port), limit=1 << 22)
        return await self._exchange(whole, *self._upstream)

    @staticmethod
    async def _exchange(
        whole: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[bytes, bytes, bytes]:
        writer.write(whole)
        return await _read_message(reader)

    def _close_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream[1].close()
            self._upstream = None

    def _note_answer(self, call: Call, request: _Request, head: bytes, body: bytes) -> None:
        """Fill in the journal before the answer is on its way: whatever the provider does next, it is there."""
        status = _STATUS.match(head)
        if status is not None and status[1] == b"200":
            if request.service == "sts":
                self._place.note_session(call.identity, body)
                call.answer = Answer.OTHER
            else:
                call.numbers.update(_numbers(body) if request.action != "DescribeSecret" else {})
                self._place.model.note_values(call)
                call.missing = _missing(body) if request.action == "GetParameters" else ()
                call.answer = Answer.VALUES if call.numbers else Answer.OTHER
        else:
            text = body.decode("utf-8", "replace")
            call.answer = Answer.DENIED if any(word in text for word in _REFUSALS) else Answer.OTHER


async def _read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes, bytes]:
    """Read one request or answer; return head, body and the whole as it came."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if length is not None:
        body = await reader.readexactly(int(length[1]))
        return head, body, head + body
    if not _CHUNKED.search(head):
        return head, b"", head
    body, whole = b"", head
    while True:
        line = await reader.readline()
        chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
        body, whole = body + chunk[:-2], whole + line + chunk
        if len(chunk) == 2:
            return head, body, whole


def _parse_request(head: bytes, body: bytes, whole: bytes) -> _Request:
    text = head.decode("latin-1")
    target, signed = _TARGET.search(text), _SIGNED.search(text)
    service, action = (target["service"], target["action"]) if target else ("", "")
    return _Request(
        service={"": "sts", "AmazonSSM": "ssm"}.get(service, service),
        action=action,
        access_key=signed[1] if signed else "",
        body=body,
        whole=whole,
    )


def _fault_answer(fault: FaultKind, service: str) -> bytes:
    status, code = {
        FaultKind.ERROR: (503, "ServiceUnavailable") if service == "sts" else (500, "InternalServiceError"),
        FaultKind.THROTTLE: (400, "ThrottlingException" if service != "sts" else "Throttling"),
        FaultKind.STALE_SESSION: (400, "ExpiredTokenException"),
        FaultKind.REFUSE: (403, "AccessDenied"),
    }[fault]
    if service == "sts":
        kind = "text/xml"
        body = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            f"<Code>{code}</Code><Message>told to fail</Message></Error><RequestId>0</RequestId></ErrorResponse>"
        )
    else:
        kind, body = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": "told to fail"})
    head = f"HTTP/1.1 {status} No\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def _numbers(body: bytes) -> Mapping[str, int]:
    document = json.loads(body)
    values = [item.get("Value", "") for item in document.get("Parameters", ())]
    found = [parse_value(value) for value in [*values, document.get("SecretString", "")]]
    return dict(item for item in found if item is not None)


def _missing(body: bytes) -> tuple[str, ...]:
    return tuple(json.loads(body).get("InvalidParameters", ()))


def _subject(token: str) -> str:
    with contextlib.suppress(ValueError, IndexError, AttributeError):
        payload = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).get("sub", ""))
    return ""
