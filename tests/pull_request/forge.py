"""A stand-in of GitHub's API on a loopback port: pages, labels, rate limits, deleted comments, size limits."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "token-of-the-test"
BOT = "github-actions[bot]"


@dataclass
class Forge:
    """What the stand-in knows, and how it misbehaves.

    Attributes:
        failures: Answers (status, headers) that come before any real one.
        vanished: Comments that are listed and are gone when they are updated.
        longest: Characters of the longest comment that is taken.
    """

    comments: dict[int, tuple[str, str]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    vanished: set[int] = field(default_factory=set)
    longest: int = 65_536
    address: str = ""

    def say(self, body: str, author: str = BOT) -> int:
        """Add a comment and return its number."""
        number = max(self.comments, default=0) + 1
        self.comments[number] = (author, body)
        return number

    def bodies(self, author: str = BOT) -> list[str]:
        """Return the comments of somebody, in order."""
        return [body for name, body in self.comments.values() if name == author]


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _answer(self, status: int, body: object = None, headers: dict[str, str] | None = None) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _body(self) -> dict[str, object]:
        size = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(size)) if size else {}

    def _handle(self) -> None:
        forge, body = self.forge, self._body()
        path, _, query = self.path.partition("?")
        forge.calls.append(f"{self.command} {path}")
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401)
        elif forge.failures:
            status, headers = forge.failures.pop(0)
            self._answer(status, {"message": "no"}, headers)
        elif "/labels" in path:
            self._labels(path, body)
        elif self.command == "GET":
            self._list(query)
        else:
            self._comment(path, str(body.get("body", "")))

    def _labels(self, path: str, body: dict[str, object]) -> None:
        name = urllib.parse.unquote(path.rpartition("/")[2])
        if self.command == "POST":
            self.forge.labels.update(map(str, body["labels"]))  # type: ignore[call-overload]
            self._answer(200, [])
        elif name in self.forge.labels:
            self.forge.labels.discard(name)
            self._answer(200, [])
        else:
            self._answer(404)

    def _list(self, query: str) -> None:
        asked = urllib.parse.parse_qs(query)
        page, size = int(asked["page"][0]), int(asked["per_page"][0])
        items = [
            {"id": n, "body": text, "user": {"login": who}} for n, (who, text) in sorted(self.forge.comments.items())
        ]
        link = f'<{self.forge.address}/next>; rel="next"' if len(items) > page * size else ""
        self._answer(200, items[(page - 1) * size : page * size], {"Link": link} if link else None)

    def _comment(self, path: str, body: str) -> None:
        forge, last = self.forge, path.rpartition("/")[2]
        number = int(last) if last.isdigit() else 0
        if len(body) > forge.longest:
            self._answer(422)
        elif self.command == "POST":
            self._answer(201, {"id": forge.say(body)})
        elif number not in forge.comments or number in forge.vanished:
            forge.comments.pop(number, None)
            self._answer(404)
        elif self.command == "DELETE":
            del forge.comments[number]
            self._answer(204)
        else:
            forge.comments[number] = (forge.comments[number][0], body)
            self._answer(200, {"id": number})

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - the base's names


@contextmanager
def serve_forge() -> Iterator[Forge]:
    """Serve a forge for the time of the context."""
    forge = Forge()
    handler = type("Handler", (_Handler,), {"forge": forge})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    forge.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
