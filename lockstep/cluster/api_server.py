"""Asks the Kubernetes API: one class that can only read, and one beside it that can also patch.

Not done here: watching, discovery, typed objects. Objects are plain mappings, as the API's JSON has them. A redirect is
an error, so that credentials go to the kubeconfig's server only.
"""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3

from lockstep.cluster.credential_plugins import run_plugin
from lockstep.cluster.kubeconfig import ClusterAccess, User
from lockstep.input_errors import InputError

Json = Mapping[str, Any]

_TIMEOUT: Final = urllib3.Timeout(connect=10, read=30)
_PAGE_OBJECTS: Final = 500
_FIRST_ERROR: Final = 300
_UNAUTHORIZED: Final = 401
NOT_FOUND: Final = 404


class ApiError(Exception):
    """The API server did not give what was asked for.

    Attributes:
        status: HTTP status; 0 when it could not be reached.
        reason: Its own words.
    """

    def __init__(self, path: str, status: int, reason: str) -> None:
        super().__init__(f"{path}: {status} {reason}" if status else f"{path}: {reason}")
        self.status = status
        self.reason = reason


class ClusterReader:
    """Reads a cluster. There is no way to change anything through it.

    Args:
        access: Of the kubeconfig. A plugin runs at the first request, and again when its credentials expired.
    """

    def __init__(self, access: ClusterAccess) -> None:
        self.access = access
        self._user: User | None = None
        self._pool: urllib3.PoolManager | None = None

    def get(self, path: str) -> Json:
        """Return the JSON at a path.

        Raises:
            ApiError: It was refused, is not there, or the server cannot be reached.
            InputError: KUB004, the credential plugin failed.
        """
        return self.get_with_headers(path)[0]

    def get_with_headers(self, path: str) -> tuple[Json, Mapping[str, str]]:
        """Return the JSON at a path and the headers of the answer; raises as `get`."""
        return self._ask("GET", path)

    def listed(self, path: str) -> tuple[Json, ...]:
        """Return all objects of a collection, page by page; raises as `get`."""
        return tuple(self._pages(path))

    def find(self, path: str) -> Json | None:
        """Return an object, or None when there is none; raises as `get`."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.clear()

    def _pages(self, path: str) -> Iterator[Json]:
        token = ""
        while True:
            query = {"limit": str(_PAGE_OBJECTS), **({"continue": token} if token else {})}
            page = self.get(f"{path}{'&' if '?' in path else '?'}{urlencode(query)}")
            yield from page.get("items") or ()
            token = str((page.get("metadata") or {}).get("continue") or "")
            if not token:
                return

    def _ask(
        self, method: str, path: str, body: Json | None = None, content_type: str = ""
    ) -> tuple[Json, Mapping[str, str]]:
        answer = self._send(method, path, body, content_type)
        if answer.status == _UNAUTHORIZED and self.access.user.plugin:
            self._user = self._pool = None
            answer = self._send(method, path, body, content_type)
        if answer.status >= _FIRST_ERROR:
            raise ApiError(path, answer.status, _message(answer.data))
        try:
            parsed = json.loads(answer.data)
        except ValueError:
            parsed = None
        if not isinstance(parsed, Mapping):
            raise ApiError(path, answer.status, "the answer is no JSON object: is this a Kubernetes API?")
        return parsed, answer.headers

    def _send(self, method: str, path: str, body: Json | None, content_type: str) -> urllib3.BaseHTTPResponse:
        user = self._credentials()
        if self._pool is None:
            self._pool = _checked_pool(replace(self.access, user=user))
        token = self._token(user)
        headers = {"Accept": "application/json", "User-Agent": "lockstep"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Content-Type": content_type} if body is not None else {}
        text = None if body is None else json.dumps(body).encode()
        try:
            return self._pool.request(
                method, f"{self.access.server}{path}", body=text, headers=headers, timeout=_TIMEOUT, redirect=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(path, 0, f"{self.access.server} cannot be reached ({error})") from None

    def _token(self, user: User) -> str:
        """Return the bearer token, checked here: what the HTTP library says of a bad header quotes it."""
        file = user.token_file
        token = (file.read_text(encoding="utf-8", errors="replace") if file else user.token).strip()
        if not token.isascii() or not token.isprintable():
            raise InputError(
                f"kubeconfig context {self.access.context}: the token of its user is none. "
                "A token is one line of printable ASCII. Fix: correct it. [KUB003]"
            )
        return token

    def _credentials(self) -> User:
        if self._user is None:
            plugin = self.access.user.plugin
            has_others = self.access.user.token or self.access.user.token_file or self.access.user.certificate
            self._user = run_plugin(plugin, self.access) if plugin and not has_others else self.access.user
        return self._user


class ClusterWriter(ClusterReader):
    """Reads a cluster and can merge into an object."""

    def merge(self, path: str, change: Json) -> Json:
        """Merge a change into an object (JSON merge patch) and return what became of it; raises as `get`."""
        return self._ask("PATCH", path, change, "application/merge-patch+json")[0]


def _checked_pool(access: ClusterAccess) -> urllib3.PoolManager:
    try:
        return _pool(access)
    except (ssl.SSLError, UnicodeError, ValueError) as error:
        raise InputError(
            f"kubeconfig context {access.context}: a certificate or proxy of it cannot be used ({error}). "
            "Certificates are PEM. Fix: correct it. [KUB003]"
        ) from None


def _pool(access: ClusterAccess) -> urllib3.PoolManager:
    options: dict[str, Any] = {"retries": False, "ssl_context": _ssl_context(access)}
    if access.server_name:
        options |= {"server_hostname": access.server_name, "assert_hostname": access.server_name}
    proxy = access.proxy or _proxy_of_environment(access.server)
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def _proxy_of_environment(server: str) -> str:
    parts = urlsplit(server)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return urllib.request.getproxies().get(parts.scheme, "")


def _ssl_context(access: ClusterAccess) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=access.authority.decode() if access.authority else None)
    if access.is_unverified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.user.certificate:
        # Only files can be loaded; they are the owner's alone and gone at once.
        with tempfile.TemporaryDirectory(prefix="lockstep-") as folder:
            path = Path(folder) / "client.pem"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(access.user.certificate + b"\n" + access.user.key)
            # Without a password OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(path, password="")
    return context


def _message(data: bytes) -> str:
    """Return what a Status object says, else the beginning of the text."""
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return " ".join(data.decode("utf-8", "replace").split())[:200]
