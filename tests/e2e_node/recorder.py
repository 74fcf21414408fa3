"""A CSI driver that writes down what kubelet asks of it, and fails where a volume tells it to.

It registers on the node as any driver does. The attribute `firstCode` of a volume names the status that its first
publish is answered with; the target's folder is made before, as a driver does that fails half way.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc

from tests.e2e.csi_driver import messages, wait_for
from tests.e2e_node.machine import Machine

NAME: Final = "recorder.lockstep.example"
FIRST_CODE: Final = "firstCode"
FIRST_TEXT: Final = "asked to fail"

_KUBELET: Final = Path("/var/lib/kubelet")
_SOCKET: Final = _KUBELET / "plugins" / "recorder" / "csi.sock"
_REGISTRATION: Final = _KUBELET / "plugins_registry" / "recorder-reg.sock"
_CSI: Final = "csi.v1.Node"

registration, _ = grpc.protos_and_services("tests/e2e_node/registration.proto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One publish.

    Attributes:
        request: As it came.
        at_seconds: Monotonic time of its arrival.
        deadline_seconds: How long kubelet would wait.
        had_target: Whether the target's folder was there before.
        parent_mode: Of the folder that the target is in.
    """

    request: Any
    at_seconds: float
    deadline_seconds: float
    had_target: bool
    parent_mode: int


@dataclass(slots=True, kw_only=True)
class Recorder:
    """The driver's calls by target path, in order of arrival."""

    machine: Machine
    calls: dict[str, list[Call]] = field(default_factory=dict)
    is_registered: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on_node(self, path: str) -> Path:
        """Return a path of the node as this process reaches it."""
        return self.machine.root / path.lstrip("/")

    def publish(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 - generated messages
        """Write down; fail the first time if the volume says so."""
        target = self.on_node(request.target_path)
        call = Call(
            request=request,
            at_seconds=time.monotonic(),
            deadline_seconds=context.time_remaining(),
            had_target=target.exists(),
            parent_mode=target.parent.stat().st_mode & 0o7777,
        )
        with self._lock:
            known = self.calls.setdefault(request.target_path, [])
            known.append(call)
            is_first = len(known) == 1
        target.mkdir(exist_ok=True)
        code = request.volume_context.get(FIRST_CODE)
        if is_first and code:
            context.abort(grpc.StatusCode[code], FIRST_TEXT)
        return messages.NodePublishVolumeResponse()

    def unpublish(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Remove the folder."""
        del context
        with contextlib.suppress(FileNotFoundError):
            self.on_node(request.target_path).rmdir()
        return messages.NodeUnpublishVolumeResponse()

    def notify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        """Hear that kubelet knows the driver, or why it does not."""
        del context
        self.is_registered = request.plugin_registered
        return registration.RegistrationStatusResponse()


@contextlib.contextmanager
def recording_driver(machine: Machine, node_name: str) -> Iterator[Recorder]:
    """Serve the driver on the node and register it; afterwards it is gone."""
    recorder = Recorder(machine=machine)
    info = registration.PluginInfo(type="CSIPlugin", name=NAME, endpoint=str(_SOCKET), supported_versions=["1.0.0"])
    calls = {
        f"/{_CSI}/NodePublishVolume": (messages.NodePublishVolumeRequest, recorder.publish),
        f"/{_CSI}/NodeUnpublishVolume": (messages.NodeUnpublishVolumeRequest, recorder.unpublish),
        f"/{_CSI}/NodeGetCapabilities": (
            messages.NodeGetCapabilitiesRequest,
            lambda _request, _context: messages.NodeGetCapabilitiesResponse(),
        ),
        f"/{_CSI}/NodeGetInfo": (
            messages.NodeGetInfoRequest,
            lambda _request, _context: messages.NodeGetInfoResponse(node_id=node_name),
        ),
        "/pluginregistration.Registration/GetInfo": (registration.InfoRequest, lambda _request, _context: info),
        "/pluginregistration.Registration/NotifyRegistrationStatus": (registration.RegistrationStatus, recorder.notify),
    }
    sockets = [recorder.on_node(str(path)) for path in (_SOCKET, _REGISTRATION)]
    sockets[0].parent.mkdir(parents=True, exist_ok=True)
    servers = []
    try:
        for socket in sockets:
            server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
            server.add_generic_rpc_handlers([_Handlers(calls)])
            server.add_insecure_port(f"unix:{socket}")
            server.start()
            servers.append(server)
        wait_for(lambda: recorder.is_registered, seconds=60, what="kubelet to register the recorder")
        yield recorder
    finally:
        for server in servers:
            server.stop(0).wait()
        for socket in sockets:
            socket.unlink(missing_ok=True)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    def __init__(self, calls: dict[str, tuple[Any, Any]]) -> None:
        self._calls = calls

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        found = self._calls.get(handler_call_details.method)
        if found is None:
            return None
        request, answer = found
        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=request.FromString, response_serializer=lambda reply: reply.SerializeToString()
        )
