"""What the real Kubernetes provider finds around it: an API server, a chart repository, tokens, and hooks that end.

The program is unchanged, so everything is where its own settings point: the kubeconfig that it renders asks `aws eks
get-token` for a token, and the release is fetched over https. The `aws` on PATH is a script here, and the repository is
one chart, packed from the driver's Go module, on loopback. No pod runs; the driver's hook is a Job, which is declared
done by whoever plays kubelet (`JobsThatEnd`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import http.server
import io
import ipaddress
import json
import ssl
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Self

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e import toolbox
from tests.e2e.kubernetes_api import ApiError, KubernetesApi

_POLL_SECONDS: Final = 0.2

_TOKEN_COMMAND: Final = """#!/bin/sh
echo "$@" >> '{log}'
cat '{credential}'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCommand:
    """An `aws` that knows one command and writes down how it was called."""

    log: Path

    @classmethod
    def write(cls, folder: Path, token: str) -> TokenCommand:
        """Write it into a folder that is on PATH."""
        credential = folder / "credential.json"
        document = {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "kind": "ExecCredential",
            "status": {"token": token},
        }
        credential.touch(mode=0o600)
        credential.write_text(json.dumps(document), encoding="utf-8")
        program, log = folder / "aws", folder / "aws.log"
        program.write_text(_TOKEN_COMMAND.format(log=log, credential=credential), encoding="utf-8")
        program.chmod(0o755)
        return cls(log=log)

    def calls(self) -> set[str]:
        """Return the arguments that it was called with."""
        return set(self.log.read_text(encoding="utf-8").splitlines())


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRepository:
    """A Helm repository with the driver's chart. `authority` is the file of the certificate that it is known by."""

    url: str
    authority: Path


@contextmanager
def serve_chart(folder: Path) -> Iterator[ChartRepository]:
    """Pack the driver's chart into a folder and serve that over https on loopback."""
    files = folder / "charts"
    files.mkdir(parents=True)
    chart = yaml.safe_load((toolbox.chart() / "Chart.yaml").read_text(encoding="utf-8"))
    packed = _pack(toolbox.chart(), str(chart["name"]))
    name = f"{chart['name']}-{chart['version']}.tgz"
    (files / name).write_bytes(packed)
    entry = {**chart, "urls": [name], "digest": hashlib.sha256(packed).hexdigest(), "created": "2026-01-01T00:00:00Z"}
    index = {"apiVersion": "v1", "generated": "2026-01-01T00:00:00Z", "entries": {chart["name"]: [entry]}}
    (files / "index.yaml").write_text(yaml.safe_dump(index), encoding="utf-8")

    certificate, key = _certify(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietFiles, directory=str(files)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name="chart-repository", daemon=True)
    thread.start()
    try:
        yield ChartRepository(url=f"https://127.0.0.1:{server.server_port}", authority=certificate)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of the base
        """Say nothing."""


def _pack(chart: Path, name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(chart.rglob("*")):
            if path.is_file():
                archive.add(path, arcname=f"{name}/{path.relative_to(chart)}")
    return buffer.getvalue()


def _certify(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chart repository of tests")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "repository.crt", folder / "repository.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


@dataclass(slots=True, kw_only=True)
class JobsThatEnd:
    """Plays kubelet for Jobs: each one that appears is declared done. A context manager.

    Attributes:
        seen: Namespace and name of every Job, in order.
    """

    api: KubernetesApi
    seen: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="jobs-that-end", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            for job in self.api.call("GET", "/apis/batch/v1/jobs")["items"]:
                if not (job.get("status") or {}).get("completionTime"):
                    self._end(job["metadata"]["namespace"], job["metadata"]["name"])

    def _end(self, namespace: str, name: str) -> None:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [
            {"type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now, "reason": "Played"}
            for kind in ("SuccessCriteriaMet", "Complete")
        ]
        status = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}/status"
        try:
            self.api.merge_patch(path, {"status": status})
        except ApiError as error:
            # Gone by now, or written to by a controller at this moment: the next round sees.
            if error.status not in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.CONFLICT}:
                raise
        else:
            self.seen.append(f"{namespace}/{name}")
