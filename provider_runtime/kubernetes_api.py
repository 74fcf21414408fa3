"""The Kubernetes API as a pod reaches it: one connection pool, the pod's own token, JSON in and out. Blocking.

Not done here: which objects, how often, on whose behalf (`kubernetes_lookup`, `kubernetes_events`).
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import urllib3

from provider_runtime.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS_DIRECTORY: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_CONNECTIONS: Final = 4
_FIRST_ERROR_STATUS: Final = 300


class KubernetesApiError(Exception):
    """The API could not answer, or refused; the text says why in one line."""


class KubernetesApi:
    """A client for single objects, called from worker threads.

    Args:
        address: Base URL; empty: from KUBERNETES_SERVICE_HOST and _PORT of `environment`.
        environment: Of the process.
        credentials_directory: Where `token` and `ca.crt` are; the token is read for every call, kubelet renews it.
    """

    def __init__(
        self,
        *,
        address: str = "",
        environment: Mapping[str, str] = os.environ,
        credentials_directory: str = CREDENTIALS_DIRECTORY,
    ) -> None:
        self._address = address or _address_of_cluster(environment)
        self._credentials = Path(credentials_directory)
        self._pool: urllib3.PoolManager | None = None

    def check_address(self) -> None:
        """Raise a KubernetesApiError outside of a cluster."""
        if not self._address:
            raise KubernetesApiError("not in a cluster: KUBERNETES_SERVICE_HOST is not set")

    def request(
        self, method: str, path: str, *, timeout_seconds: float, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Send one request and return the object that came back.

        Args:
            method: `GET` is tried twice, anything else once.
            path: From `render_path`.
            timeout_seconds: Of connecting and of each wait for the answer.
            body: Sent as JSON.

        Raises:
            KubernetesApiError: No cluster, no answer, no success, or no JSON object.
        """
        self.check_address()
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        token = self._credentials / "token"
        try:
            if self._address.startswith("https:"):
                headers["Authorization"] = f"Bearer {token.read_text(encoding='ascii').strip()}"
            answer = self._connections().request(
                method,
                f"{self._address}/{path}",
                headers=headers,
                body=None if body is None else json.dumps(body),
                timeout=timeout_seconds,
                retries=urllib3.Retry(1) if method == "GET" else False,
                redirect=False,
            )
            document = json.loads(answer.data)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise KubernetesApiError(f"{path}: {type(error).__name__}: {error}") from None
        if answer.status >= _FIRST_ERROR_STATUS or not isinstance(document, dict):
            message = document.get("message", "") if isinstance(document, dict) else ""
            raise KubernetesApiError(f"{path}: HTTP {answer.status}: {shown(str(message))}")
        return document

    def _connections(self) -> urllib3.PoolManager:
        if self._pool is None:
            context = None
            if self._address.startswith("https:"):
                context = ssl.create_default_context(cafile=str(self._credentials / "ca.crt"))
            self._pool = urllib3.PoolManager(num_pools=1, maxsize=_CONNECTIONS, ssl_context=context)
        return self._pool


def render_path(*parts: str) -> str:
    """Join path parts; names from attributes are quoted, so that none can leave its place in the path."""
    first, *names = parts
    return "/".join([first, *(urllib.parse.quote(name, safe="") for name in names)])


def _address_of_cluster(environment: Mapping[str, str]) -> str:
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return ""
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
