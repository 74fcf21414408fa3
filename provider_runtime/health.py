"""One small HTTP listener: /metrics, /livez, /readyz. Plain text, GET and HEAD only, nothing secret behind it.

Not done here: what is measured (`metrics`), whether the socket is served (`socket_takeover`).

It runs on the daemon's own event loop, so that an answer proves that the loop turns: a listener in a thread of its own
would call a stuck daemon alive. It is bounded against whoever reaches the pod: a short request, a short time, few
connections. A port that is in use never stops the provider: mounts matter more; it is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provider_runtime.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider_runtime.observability_settings import ListenAddress

_REQUEST_LIMIT_BYTES: Final = 8_192
_REQUEST_SECONDS: Final = 5.0
_CONNECTION_LIMIT: Final = 32
_RETRY_SECONDS: Final = 5.0
_TEXT_TYPE: Final = "text/plain; charset=utf-8"
_REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Unavailable"}
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer."""

    status: int
    body: bytes
    content_type: str = _TEXT_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A named condition of /livez or /readyz; `check` is quick and says whether it holds."""

    name: str
    check: Callable[[], bool]


def render_probes(probes: tuple[Probe, ...]) -> Page:
    """Render one line per condition; 200 if all hold, else 503. A check that fails does not hold."""
    outcomes = [(probe.name, _holds(probe)) for probe in probes]
    text = "".join(f"{'ok' if holds else 'failed'} {name}\n" for name, holds in outcomes)
    return Page(status=200 if all(holds for _, holds in outcomes) else 503, body=text.encode())


class HealthListener:
    """The listener.

    Args:
        address: Where; port 0 takes any free port, see `port`.
        pages: Path → renderer, called in the event loop.
    """

    def __init__(self, address: ListenAddress, pages: Mapping[str, Callable[[], Page]]) -> None:
        self._address = address
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._connections = 0

    @property
    def port(self) -> int | None:
        """The bound port; None while there is none."""
        if self._server is None or not self._server.sockets:
            return None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def open(self) -> bool:
        """Bind and listen; return whether that worked, and log it if not."""
        host = self._address.host or None
        try:
            self._server = await asyncio.start_server(
                self._serve, host, self._address.port, limit=_REQUEST_LIMIT_BYTES, reuse_address=True
            )
        except OSError as error:
            log_event(
                _LOG,
                logging.WARNING,
                f"/metrics, /livez and /readyz are not served: {self._place()}: {error.strerror or error}. "
                "Fix: free the port or choose another with --metrics-address",
            )
            return False
        return True

    async def serve(self) -> None:
        """Open, again and again until it works, then wait to be cancelled; close at the end."""
        try:
            is_open = await self.open()
            while not is_open:
                await asyncio.sleep(_RETRY_SECONDS)
                is_open = await self.open()
            log_event(_LOG, logging.INFO, f"metrics and probes on {self._place()}", port=self.port or 0)
            await asyncio.get_running_loop().create_future()  # ends by being cancelled
        finally:
            self.close()

    def close(self) -> None:
        """Take no more connections."""
        if self._server is not None:
            self._server.close()

    def answer(self, head: bytes) -> Page:
        """Answer one request by its first line; the rest of it does not matter."""
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004  # method, target, version
            return Page(status=400, body=b"bad request\n")
        if words[0] not in {"GET", "HEAD"}:
            return Page(status=405, body=b"only GET and HEAD\n")
        page = self._pages.get(words[1].partition("?")[0])
        return page() if page is not None else Page(status=404, body=b"not found\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= _CONNECTION_LIMIT:
                async with asyncio.timeout(_REQUEST_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(_render(self.answer(head), with_body=not head.startswith(b"HEAD ")))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # whoever it was neither asks nor listens; nothing is kept for them
        finally:
            self._connections -= 1
            writer.close()

    def _place(self) -> str:
        return f"{self._address.host or '*'}:{self._address.port}"


def _holds(probe: Probe) -> bool:
    try:
        return probe.check()
    except OSError:
        return False


def _render(page: Page, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\nContent-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + (page.body if with_body else b"")
