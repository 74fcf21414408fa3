"""A real control plane: etcd, kube-apiserver, and of the controllers the garbage collector or, for a real node, all.

Users are static tokens: an admin, the node's kubelet, and the driver's service account, so that the driver has exactly
the rights of its own manifests. Service account tokens are signed by a key made for the run; the server serves its
public half, which is what the emulated STS is given.

Not done here: nodes (real_node.py, and tests/e2e_node for one with containers). On loopback the driver is a process
and its manifests are applied here; ServiceAccount admission is off, because no controller makes `default` accounts.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.e2e import toolbox
from tests.e2e.child_process import ChildProcess
from tests.e2e.kubernetes_api import ApiError, KubernetesApi

NODE: Final = "node1"
DRIVER_ACCOUNT: Final = "system:serviceaccount:kube-system:secrets-store-csi-driver"

_SERVICE_RANGE: Final = "10.96.0.0/24"
#: Of the service `kubernetes`: the first address of the range. It has to be one of the machine's, as nothing routes it.
SERVICE_ADDRESS: Final = "10.96.0.1"
_HTTPS_PORT: Final = 443
#: Below those that Linux gives to outgoing connections: one of these could take a port between its choice and its use,
#: or while a server is restarted.
_PORTS: Final = range(20_000, 32_000)
_given_ports: Final[set[int]] = set()
_PRIVATE_KEY: Final = "accounts.key"
_CUSTOM_RESOURCES: Final = tuple(
    f"/apis/secrets-store.csi.x-k8s.io/{version}/{name}"
    for version in ("v1", "v1alpha1")
    for name in ("secretproviderclasses", "secretproviderclasspodstatuses")
)
_SERVED_SECONDS: Final = 120.0


@dataclass(slots=True, kw_only=True)
class ControlPlane:
    """One control plane; a context manager.

    Attributes:
        folder: Data, keys and logs; for the owner only.
        issuer: `iss` of service account tokens, an https URL.
        collects_garbage: Whether what belongs to a pod goes with it. Off for pods that the API server never saw: their
            statuses would go at once.
        brings_driver: Whether the driver's own manifests are applied. Off where a Helm release brings them; then
            DaemonSets have a controller, and there is no node.
        node_address: An address of this machine that containers reach. The server then listens on it and on the first
            address of the service range, all controllers and the scheduler run, and nothing of the driver is applied.
    """

    folder: Path
    issuer: str
    collects_garbage: bool = True
    brings_driver: bool = True
    node_address: str | None = None
    admin: KubernetesApi = field(init=False)
    kubelet: KubernetesApi = field(init=False)
    _driver_token: str = field(init=False, default_factory=lambda: secrets.token_hex(16))
    _down: contextlib.ExitStack = field(init=False, default_factory=contextlib.ExitStack)
    api_server: ChildProcess = field(init=False)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as on_error:
            on_error.callback(self._down.close)
            etcd_url = self._start_etcd()
            self._start_api_server(etcd_url)
            if self.node_address is not None:
                self._start_controllers("*")
                self._start_scheduler()
            elif not self.brings_driver:
                self._start_controllers("garbage-collector-controller,namespace-controller,daemonset-controller")
            else:
                self._apply_driver_manifests()
                if self.collects_garbage:
                    self._start_controllers("garbage-collector-controller,namespace-controller")
            on_error.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._down.close()

    @property
    def driver_kubeconfig(self) -> Path:
        """Kubeconfig of the driver's service account."""
        return self._kubeconfig("driver", self._driver_token)

    @property
    def kubelet_kubeconfig(self) -> Path:
        """Kubeconfig of the node's kubelet."""
        return self._kubeconfig("kubelet", self.kubelet.token)

    def key_document(self) -> dict[str, object]:
        """Return the issuer's public keys, as the server publishes them (RFC 7517)."""
        keys: dict[str, object] = self.admin.call("GET", "/openid/v1/jwks")
        return keys

    def write_key_document(self, path: Path) -> None:
        """Write them to a file."""
        path.write_text(json.dumps(self.key_document()), encoding="utf-8")

    def _start_etcd(self) -> str:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        etcd = ChildProcess(
            name="etcd",
            command=[
                str(toolbox.ETCD.path),
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync=true",
            ],
            log_path=self.folder / "etcd.log",
            is_ready=lambda: _listens(client),
        )
        etcd.start()
        self._down.callback(etcd.stop)
        return client

    def _start_api_server(self, etcd_url: str) -> None:
        port = free_port() if self.node_address is None else _HTTPS_PORT
        keys = self.folder / "keys"
        keys.mkdir(mode=0o700)
        private, public = _write_key_pair(keys)
        admin, kubelet = secrets.token_hex(16), secrets.token_hex(16)
        tokens = keys / "tokens.csv"
        tokens.write_text(
            f'{admin},admin,1,"system:masters"\n'
            f'{kubelet},system:node:{NODE},2,"system:nodes"\n'
            f'{self._driver_token},{DRIVER_ACCOUNT},3,"system:serviceaccounts,system:serviceaccounts:kube-system"\n'
        )
        tokens.chmod(0o600)
        # The server makes a certificate of its own at its first start; it is its own authority.
        certificate = self.folder / "certificates" / "apiserver.crt"
        url = f"https://{self.node_address or '127.0.0.1'}:{port}"

        def is_ready() -> bool:
            if not certificate.exists():
                return False
            self.admin = KubernetesApi(url=url, certificate=certificate, token=admin)
            return self.admin.is_ready()

        self.api_server = ChildProcess(
            name="kube-apiserver",
            command=[
                str(toolbox.API_SERVER.path),
                f"--etcd-servers={etcd_url}",
                *self._place_flags(),
                f"--secure-port={port}",
                f"--cert-dir={certificate.parent}",
                f"--service-cluster-ip-range={_SERVICE_RANGE}",
                f"--service-account-issuer={self.issuer}",
                f"--service-account-key-file={public}",
                f"--service-account-signing-key-file={private}",
                "--api-audiences=kubernetes",
                "--authorization-mode=Node,RBAC",
                f"--token-auth-file={tokens}",
                "--allow-privileged=true",
            ],
            log_path=self.folder / "kube-apiserver.log",
            is_ready=is_ready,
        )
        self.api_server.start()
        self._down.callback(self.api_server.stop)
        self.kubelet = self.admin.as_user(kubelet)

    def _place_flags(self) -> list[str]:
        if self.node_address is None:
            return ["--bind-address=127.0.0.1", "--disable-admission-plugins=ServiceAccount"]
        return ["--bind-address=0.0.0.0", f"--advertise-address={self.node_address}"]

    def _apply_driver_manifests(self) -> None:
        """Apply what the driver ships: its custom resources and its rights, those for copying Secrets included."""
        for path in sorted(toolbox.manifests().iterdir()):
            for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                if manifest:
                    self.admin.apply(manifest)
        self.admin.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        self._wait_for_custom_resources()

    def _wait_for_custom_resources(self) -> None:
        """Wait until the server serves what the driver defines: it does a moment after it has the definitions."""
        deadline = time.monotonic() + _SERVED_SECONDS
        for path in _CUSTOM_RESOURCES:
            while not self._is_served(path):
                assert time.monotonic() < deadline, f"{path} is not served after {_SERVED_SECONDS:g} s"
                time.sleep(0.05)

    def _is_served(self, path: str) -> bool:
        try:
            return self.admin.find(path) is not None
        except ApiError:  # its storage is being made
            return False

    def _start_controllers(self, names: str) -> None:
        manager = ChildProcess(
            name="kube-controller-manager",
            command=[
                str(toolbox.CONTROLLER_MANAGER.path),
                f"--kubeconfig={self._kubeconfig('admin', self.admin.token)}",
                f"--controllers={names}",
                # What pods need to call the server: a token of their account, and the server's certificate.
                f"--service-account-private-key-file={self.folder / 'keys' / _PRIVATE_KEY}",
                f"--root-ca-file={self.admin.certificate}",
                "--leader-elect=false",
                "--secure-port=0",
            ],
            log_path=self.folder / "kube-controller-manager.log",
            is_ready=lambda: True,
        )
        manager.start()
        self._down.callback(manager.stop)

    def _start_scheduler(self) -> None:
        scheduler = ChildProcess(
            name="kube-scheduler",
            command=[
                str(toolbox.SCHEDULER.path),
                f"--kubeconfig={self._kubeconfig('admin', self.admin.token)}",
                "--leader-elect=false",
                "--secure-port=0",
            ],
            log_path=self.folder / "kube-scheduler.log",
            is_ready=lambda: True,
        )
        scheduler.start()
        self._down.callback(scheduler.stop)

    def _kubeconfig(self, name: str, token: str) -> Path:
        path = self.folder / "keys" / f"{name}.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "e2e",
                    "cluster": {"server": self.admin.url, "certificate-authority": str(self.admin.certificate)},
                }
            ],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": "e2e", "user": name}}],
            "current-context": name,
        }
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        path.chmod(0o600)
        return path


def free_port() -> int:
    """Return a loopback port that nothing listens on now; another one each time."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            if port not in _given_ports and probe.connect_ex(("127.0.0.1", port)):
                _given_ports.add(port)
                return port


def _listens(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


def _write_key_pair(folder: Path) -> tuple[Path, Path]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, public = folder / _PRIVATE_KEY, folder / "accounts.pub"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public
