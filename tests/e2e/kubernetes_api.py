"""A client of the real API server for tests: plain manifests, one bearer token, the server's own certificate.

Not done here: watching. Tests poll what they wait for, within a bound.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import urllib3

Manifest = Mapping[str, Any]

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_FIRST_ERROR: Final = 400

#: Kind → plural name in paths, for kinds whose plural is not simply kind + "s".
_PLURALS: Final = {
    "secretproviderclass": "secretproviderclasses",
    "secretproviderclasspodstatus": "secretproviderclasspodstatuses",
}
_CLUSTER_WIDE: Final = frozenset(
    {
        "Namespace",
        "Node",
        "CSIDriver",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "PriorityClass",
    }
)


class ApiError(Exception):
    """The API server refused.

    Attributes:
        status: HTTP status.
        reason: The `Status` object's message.
    """

    def __init__(self, method: str, path: str, status: int, reason: str) -> None:
        super().__init__(f"{method} {path}: {status} {reason}")
        self.status = status
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class KubernetesApi:
    """One user of one API server.

    Attributes:
        url: `https://127.0.0.1:<port>`.
        certificate: The authority that signed the server's certificate.
        token: Bearer token; decides who asks.
    """

    url: str
    certificate: Path
    token: str
    _pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        """Make the connection pool."""
        self._pool = urllib3.PoolManager(ca_certs=str(self.certificate), cert_reqs="CERT_REQUIRED", retries=False)

    def as_user(self, token: str) -> KubernetesApi:
        """Return a client for another user of the same server."""
        return KubernetesApi(url=self.url, certificate=self.certificate, token=token)

    def is_ready(self) -> bool:
        """Say whether the server is up and has made the namespace `default`."""
        try:
            return self.call("GET", "/readyz", is_text=True) == "ok" and bool(
                self.call("GET", "/api/v1/namespaces/default")
            )
        except (ApiError, urllib3.exceptions.HTTPError, OSError):
            return False

    def merge_patch(self, path: str, change: Manifest) -> Any:  # noqa: ANN401 - JSON
        """Change an object (RFC 7386: None takes a field away), and return it; raises like `call`."""
        return self.call("PATCH", path, change, content_type="application/merge-patch+json")

    def call(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        content_type: str = "application/json",
        is_text: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON
        """Ask the server.

        Raises:
            ApiError: It answered with an error.
        """
        answer = self._pool.request(
            method,
            f"{self.url}{path}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": content_type},
            timeout=urllib3.Timeout(connect=60, read=120),
        )
        text = answer.data.decode()
        if answer.status >= _FIRST_ERROR:
            raise ApiError(method, path, answer.status, _message(text))
        return text if is_text else json.loads(text)

    def apply(self, manifest: Manifest) -> Any:  # noqa: ANN401 - JSON
        """Create an object, or change it to what the manifest says (server-side apply)."""
        path = f"{object_path(manifest)}?fieldManager=lockstep-tests&force=true"
        return self.call("PATCH", path, manifest, content_type="application/apply-patch+yaml")

    def create(self, manifest: Manifest) -> Any:  # noqa: ANN401 - JSON
        """Create an object and return what the server made of it."""
        return self.call("POST", object_path(manifest, is_collection=True), manifest)

    def find(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return an object, or None when there is none."""
        try:
            return self.call("GET", path)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def delete(self, path: str) -> None:
        """Delete an object at once; nothing happens when there is none."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        try:
            self.call("DELETE", path, body)
        except ApiError as error:
            if error.status not in {_NOT_FOUND, _CONFLICT}:
                raise


def object_path(manifest: Manifest, *, is_collection: bool = False) -> str:
    """Return the path of an object, or of the collection that it is in."""
    version, kind = str(manifest["apiVersion"]), str(manifest["kind"])
    metadata = manifest["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = _PLURALS.get(kind.lower(), _plural(kind.lower()))
    place = "" if kind in _CLUSTER_WIDE else f"/namespaces/{metadata.get('namespace', 'default')}"
    collection = f"{root}{place}/{plural}"
    return collection if is_collection else f"{collection}/{metadata['name']}"


def _plural(kind: str) -> str:
    return f"{kind.removesuffix('y')}ies" if kind.endswith("cy") else f"{kind}s"


def _message(text: str) -> str:
    try:
        return str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        return text
