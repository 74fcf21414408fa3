"""A stand-in of the Kubernetes API over HTTP: keeps objects, answers lists page by page, takes merge patches.

It knows as much as `lockstep doctor` and `lockstep refresh` use. The tests in tests/e2e run both against the real one.
"""

from __future__ import annotations

import copy
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml

Object = dict[str, Any]


@dataclass(slots=True)
class FakeApiServer:
    """A context manager: serves on a loopback port inside the block.

    Attributes:
        collections: Path of a collection over all namespaces, `/api/v1/pods`, to its objects.
        documents: Path to a document that is no object, such as `/version`.
        forbidden: Paths that answer 403.
        tokens: Bearer tokens that are let in; empty lets everybody in.
        skew_seconds: By how much this server's clock is ahead.
        page_objects: Objects of one page.
        tls: Serves HTTPS with it, and asks for client certificates if it does.
        patched: Called with path and object after each patch: the rest of the cluster.
        requests: Method and path of everything that was asked, without query.
    """

    collections: dict[str, list[Object]] = field(default_factory=dict)
    documents: dict[str, Object] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    skew_seconds: float = 0.0
    page_objects: int = 2
    tls: ssl.SSLContext | None = None
    patched: Callable[[str, Object], None] = lambda _path, _item: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    seen_tokens: list[str] = field(default_factory=list)
    _server: ThreadingHTTPServer = field(init=False, repr=False)
    _now: Callable[[], float] = field(init=False, repr=False)

    def __enter__(self) -> Self:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                fake.answer(self, None)

            def do_PATCH(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                fake.answer(self, json.loads(self.rfile.read(length)))

            def date_time_string(self, timestamp: float | None = None) -> str:
                import time  # noqa: PLC0415

                return formatdate((timestamp or time.time()) + fake.skew_seconds, usegmt=True)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, path: Path, user: Mapping[str, Any] | None = None) -> Path:
        """Write a kubeconfig for a user of this server."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "somebody"}}],
            "users": [{"name": "somebody", "user": dict(user or {"token": "let-me-in"})}],
        }
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def find(self, collection: str, name: str) -> Object:
        """Return an object that is there."""
        return next(item for item in self.collections[collection] if item["metadata"]["name"] == name)

    def answer(self, handler: BaseHTTPRequestHandler, change: Object | None) -> None:
        """Answer one request."""
        parts = urlsplit(handler.path)
        self.requests.append((handler.command, parts.path))
        status, body = self._answer(parts.path, parse_qs(parts.query), handler.headers.get("Authorization", ""), change)
        text = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def _answer(
        self, path: str, query: Mapping[str, list[str]], authorization: str, change: Object | None
    ) -> tuple[int, Object]:
        token = authorization.removeprefix("Bearer ")
        self.seen_tokens.append(token)
        if self.tokens and token not in self.tokens:
            return 401, {"kind": "Status", "message": "Unauthorized"}
        if path in self.forbidden:
            return 403, {"kind": "Status", "message": f"{path} is forbidden"}
        if path in self.documents:
            return 200, self.documents[path]
        collection, namespace, name = split_path(path)
        if collection not in self.collections:
            return 404, {"kind": "Status", "message": "the server could not find the requested resource"}
        items = [
            item for item in self.collections[collection] if namespace in {"", item["metadata"].get("namespace", "")}
        ]
        if not name:
            return 200, self._page(items, int(query.get("continue", ["0"])[0]))
        found = next((item for item in items if item["metadata"]["name"] == name), None)
        if found is None:
            return 404, {"kind": "Status", "message": f"{name} not found"}
        wanted_uid = ((change or {}).get("metadata") or {}).get("uid", "")
        if wanted_uid and wanted_uid != found["metadata"].get("uid"):
            return 409, {"kind": "Status", "message": "Precondition failed: UID in precondition"}
        if change is not None:
            _merge(found, change)
            self.patched(path, found)
        return 200, copy.deepcopy(found)

    def _page(self, items: list[Object], start: int) -> Object:
        end = start + self.page_objects
        metadata = {"continue": str(end)} if end < len(items) else {}
        return {"kind": "List", "metadata": metadata, "items": items[start:end]}


def split_path(path: str) -> tuple[str, str, str]:
    """Return collection, namespace and name of a path; "" for what it lacks."""
    parts = path.strip("/").split("/")
    root = 2 if parts[0] == "api" else 3
    head, rest = parts[:root], parts[root:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return "/" + "/".join([*head, *rest[:1]]), namespace, rest[1] if len(rest) > 1 else ""


def _merge(item: Object, change: Object) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(item.get(key), dict):
            _merge(item[key], value)
        else:
            item[key] = value
