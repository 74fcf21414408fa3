"""What runs on the node's machine: containerd with its network, and kubelet; and a look into containers.

Settings that differ from a usual node's, and why: no swap check and cgroup version 1 allowed (this machine's kernel),
`restrict_oom_score_adj` (a machine without CAP_SYS_RESOURCE), no iptables chains (no services but `kubernetes`), no
image garbage collection (images cannot be pulled again), kubelet's own server closed (nobody asks it).
"""

from __future__ import annotations

import http
import http.client
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from tests.e2e import toolbox
from tests.e2e.child_process import ChildProcess, ProcessDiedError
from tests.e2e.control_plane import NODE
from tests.e2e_node.enclosure import NODE_ADDRESS, POD_RANGE
from tests.e2e_node.images import Image
from tests.e2e_node.machine import Machine, MachineError
from tests.e2e_node.node_images import PAUSE

_SOCKET: Final = "/run/containerd/containerd.sock"
_CONTAINERD: Final = f"""version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"""
#: Of kubelet's own health, on loopback. Source: KubeletConfiguration, healthzPort.
_KUBELET_HEALTH_PORT: Final = 10248
#: How often kubelet is started again before its end counts.
_STARTS: Final = 10
_NETWORK: Final = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_RANGE}]], "routes": [{"dst": "0.0.0.0/0"}]},
        }
    ],
}
_KUBELET: Final = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "address": "127.0.0.1",
    "cgroupDriver": "cgroupfs",
    "containerRuntimeEndpoint": f"unix://{_SOCKET}",
    "enableServer": True,
    "evictionHard": {},
    "failCgroupV1": False,
    "failSwapOn": False,
    "imageGCHighThresholdPercent": 100,
    "imageGCLowThresholdPercent": 99,
    "makeIPTablesUtilChains": False,
}


@dataclass(slots=True, kw_only=True)
class NodeServices:
    """containerd and kubelet of one machine.

    Attributes:
        machine: Booted.
        kubeconfig: Of kubelet.
        control_group: Below which pods get their groups.
        log_dir: Where both log to, outside of the machine.
    """

    machine: Machine
    kubeconfig: Path
    control_group: str
    log_dir: Path
    _containerd: ChildProcess | None = field(default=None, init=False)
    _kubelet: ChildProcess | None = field(default=None, init=False)
    _exec_ids: Iterator[int] = field(default_factory=itertools.count, init=False)

    def start_containerd(self) -> None:
        """Write the settings and start containerd."""
        etc = self.machine.root / "etc"
        _write(etc / "containerd" / "config.toml", _CONTAINERD)
        _write(etc / "cni" / "net.d" / "10-pods.conflist", json.dumps(_NETWORK))
        _write(
            etc / "kubernetes" / "kubelet.yaml", yaml.safe_dump({**_KUBELET, "cgroupRoot": f"/{self.control_group}"})
        )
        _write(etc / "kubernetes" / "kubelet.kubeconfig", self.kubeconfig.read_text(encoding="utf-8"))
        self._containerd = ChildProcess(
            name="containerd",
            command=self.machine.command("containerd", "--config=/etc/containerd/config.toml"),
            log_path=self.log_dir / "containerd.log",
            is_ready=self._containerd_answers,
        )
        self._containerd.start()

    def start_kubelet(self) -> None:
        """Start kubelet, and again while containerd is not ready for it, as an init system does; the node registers."""
        self._kubelet = ChildProcess(
            name="kubelet",
            command=self.machine.command(
                str(toolbox.KUBELET.path),
                "--config=/etc/kubernetes/kubelet.yaml",
                "--kubeconfig=/etc/kubernetes/kubelet.kubeconfig",
                f"--hostname-override={NODE}",
                f"--node-ip={NODE_ADDRESS}",
            ),
            log_path=self.log_dir / "kubelet.log",
            is_ready=lambda: _is_healthy(_KUBELET_HEALTH_PORT),
        )
        for _ in range(_STARTS):
            try:
                return self._kubelet.start()
            except ProcessDiedError:  # "server is not initialized yet"
                time.sleep(1)
        return self._kubelet.start()

    def lose_power(self) -> None:
        """End both, every container and the machine."""
        self.machine.lose_power()
        for process in (self._kubelet, self._containerd):
            if process is not None:
                process.stop()

    def boot(self) -> None:
        """Boot the machine again, as its init system would."""
        self.machine.boot()
        self.start_containerd()
        self.start_kubelet()

    def load(self, image: Image) -> None:
        """Import an image under the name that pods use."""
        # On a disk of the machine: what changes below its root's lowest layer may be seen there or not.
        path = Path("/var/lib/containerd/import.tar")
        archive = self.machine.root / path.relative_to("/")
        image.write(archive)
        self._ctr("images", "import", "--no-unpack", str(path))
        archive.unlink()

    def run_in(self, container_id: str, *words: str) -> str:
        """Run a command in a container and return what it printed; `container_id` may have its scheme in front."""
        name = f"test-{next(self._exec_ids)}"
        return self._ctr("tasks", "exec", "--exec-id", name, container_id.rpartition("/")[2], *words)

    def running(self) -> frozenset[str]:
        """Return the ids of every running container, those of the pods themselves included."""
        lines = self._ctr("tasks", "list").splitlines()[1:]
        return frozenset(line.split()[0] for line in lines if "RUNNING" in line)

    def pod_log(self, uid: str) -> str:
        """Return what the last container of a pod printed so far, or "" before there is one."""
        paths = sorted((self.machine.root / "var/log/pods").glob(f"*_{uid}/*/*.log"), key=lambda path: int(path.stem))
        return paths[-1].read_text(encoding="utf-8") if paths else ""

    def logs(self) -> dict[str, str]:
        """Return the logs of kubelet, containerd and every container since the node's first boot, by their place."""
        found = {process.name: process.log() for process in (self._kubelet, self._containerd) if process is not None}
        for path in sorted((self.machine.root / "var/log/pods").glob("*/*/*.log")):
            found["/".join(path.parts[-3:])] = path.read_text(encoding="utf-8", errors="replace")
        return found

    def _ctr(self, *words: str) -> str:
        return self.machine.run("ctr", f"--address={_SOCKET}", "--namespace=k8s.io", *words)

    def _containerd_answers(self) -> bool:
        try:
            self._ctr("version")
        except MachineError:
            return False
        return True


def _is_healthy(port: int) -> bool:
    """Ask an address that the machine shares with this process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
