"""The network and the control group that the node lives in; nothing in them is the machine's own.

The network namespace is made by `__main__`. It has one address for the node, one for the service `kubernetes`, which
therefore needs no kube-proxy, and the bridge of the pods. Nothing leads out of it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Final

from tests.e2e.control_plane import SERVICE_ADDRESS

#: Set by `__main__`: name of the control group, and the sign that the namespaces are there.
CONTROL_GROUP_VARIABLE: Final = "LOCKSTEP_NODE_CONTROL_GROUP"

NODE_ADDRESS: Final = "10.90.0.2"
POD_RANGE: Final = "10.244.0.0/24"

_GROUPS: Final = Path("/sys/fs/cgroup")
_CHUNK: Final = 65536


def groups_named(name: str) -> tuple[Path, ...]:
    """Return the folders of a control group: one per controller (version 1), or the one of version 2."""
    return tuple(path for path in (_GROUPS / name, *_GROUPS.glob(f"*/{name}")) if path.is_dir())


def make_control_group() -> str:
    """Make the run's control group under every controller and return its name; `__main__` removes it."""
    name = os.environ[CONTROL_GROUP_VARIABLE]
    if (_GROUPS / "cgroup.controllers").exists():
        (_GROUPS / name).mkdir(exist_ok=True)
        return name
    mounted = {line.split(" ")[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()}
    for controller in _GROUPS.iterdir():
        if controller.is_dir() and not controller.is_symlink() and str(controller) in mounted:
            group = controller / name
            group.mkdir(exist_ok=True)
            _inherit_cpus(group)
    return name


def _inherit_cpus(group: Path) -> None:
    """Give a new group of version 1 the processors and memory of its parent; without, nothing can join it."""
    for setting in ("cpuset.cpus", "cpuset.mems"):
        if (group / setting).exists() and not (group / setting).read_text(encoding="ascii").strip():
            (group / setting).write_text((group.parent / setting).read_text(encoding="ascii"), encoding="ascii")


def make_network() -> None:
    """Give this namespace its addresses."""
    for words in (
        "link set lo up",
        "link add node0 type bridge",
        "link set node0 up",
        f"address add {NODE_ADDRESS}/24 dev node0",
        f"address add {SERVICE_ADDRESS}/32 dev node0",
        "route add default dev node0",
    ):
        subprocess.run(["ip", *words.split(" ")], check=True)  # noqa: S603, S607 - iproute2, wherever it is


def forward(port: int, target_port: int) -> str:
    """Pass connections to the node's address on to a server on loopback; return the URL for containers.

    It lasts as long as this process.
    """
    listener = socket.create_server((NODE_ADDRESS, port), backlog=128)
    threading.Thread(target=_accept, args=(listener, target_port), name="forward", daemon=True).start()
    return f"http://{NODE_ADDRESS}:{port}"


def _accept(listener: socket.socket, target_port: int) -> None:
    with listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, target_port), name="forwarded", daemon=True).start()


def _serve(client: socket.socket, target_port: int) -> None:
    """Carry one connection; when nobody serves, the client sees it end."""
    with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target_port)) as server:
        back = threading.Thread(target=_pump, args=(server, client), name="forwarded-back", daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
