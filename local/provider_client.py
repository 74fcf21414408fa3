"""The driver's side of the provider's socket: which socket, how often, how long, and which answers count.

Not done here: what a request holds (`driver`), what becomes of the files (`atomic_writer`).

One difference from the driver: texts of errors that the client library makes itself (deadline, answer too large) are
grpcio's, not grpc-go's; their codes are the same.

Source: secrets-store-csi-driver 1.6.0, `pkg/secrets-store/provider_client.go`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import grpc

from provider_runtime.csi_v1alpha1 import service_pb2, service_pb2_grpc

SERVICE: Final = "v1alpha1.CSIDriverProvider"
MAX_RECEIVE_BYTES: Final = 4 * 1024 * 1024
"""The driver's `--max-call-recv-msg-size`."""
RETRY_INITIAL_BACKOFF_SECONDS: Final = 1.0

_PROVIDER_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{0,30}")


class CallError(Exception):
    """A Go error on its way to kubelet.

    Args:
        code: What kubelet sees; a plain error is UNKNOWN.
        message: The text on the wire, after `desc = `.
        is_status: Whether it is a gRPC status itself, not a plain error or one that wraps a status.
    """

    def __init__(self, code: grpc.StatusCode, message: str, *, is_status: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self._is_status = is_status

    @property
    def text(self) -> str:
        """What Go's Error() gives, as in logs and in errors that wrap this one."""
        return render_status(self.code, self.message) if self._is_status else self.message

    def wrapped(self, prefix: str) -> CallError:
        """Return the error with a text in front of it, under the same code (Go's `%w`)."""
        return CallError(self.code, f"{prefix}{self.text}", is_status=False)


def plain_error(message: str) -> CallError:
    """Make an error that carries no code: kubelet sees UNKNOWN."""
    return CallError(grpc.StatusCode.UNKNOWN, message, is_status=False)


def render_status(code: grpc.StatusCode, message: str) -> str:
    """Render a status as grpc-go prints it, with Go's name of the code."""
    if code is grpc.StatusCode.CANCELLED:
        name = "Canceled"
    else:
        name = "OK" if code is grpc.StatusCode.OK else "".join(word.capitalize() for word in code.name.split("_"))
    return f"rpc error: code = {name} desc = {message}"


class ProviderClients:
    """Clients by provider name; one is made at first use and kept, whatever becomes of its socket file.

    Args:
        socket_directories: Searched in this order for `<provider>.sock`.
        max_receive_bytes: A larger answer is RESOURCE_EXHAUSTED.
        retry_initial_backoff_seconds: Between the three attempts on UNAVAILABLE; tests make it short.
    """

    def __init__(
        self,
        socket_directories: Sequence[Path],
        *,
        max_receive_bytes: int = MAX_RECEIVE_BYTES,
        retry_initial_backoff_seconds: float = RETRY_INITIAL_BACKOFF_SECONDS,
    ) -> None:
        self._directories = tuple(socket_directories)
        self._options = (
            ("grpc.default_authority", "localhost"),
            ("grpc.service_config", _render_service_config(retry_initial_backoff_seconds)),
            ("grpc.max_receive_message_length", max_receive_bytes),
            ("grpc.use_local_subchannel_pool", 1),
        )
        self._channels: dict[str, grpc.Channel] = {}
        self._lock = threading.Lock()

    def mount(
        self, provider: str, request: service_pb2.MountRequest, *, deadline_seconds: float
    ) -> service_pb2.MountResponse:
        """Send one Mount and check the answer.

        Raises:
            CallError: No such provider, the provider's status, an error code in the answer, or no object versions.
        """
        stub = service_pb2_grpc.CSIDriverProviderStub(self._channel(provider))  # type: ignore[no-untyped-call]
        response: service_pb2.MountResponse
        try:
            response = stub.Mount(request, timeout=deadline_seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            _raise_status(error)
        if response.error.code:
            raise plain_error(f"mount request failed with provider error code {response.error.code}")
        if not response.object_version:
            raise plain_error("missing object versions")
        return response

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()

    def _channel(self, provider: str) -> grpc.Channel:
        with self._lock:
            if provider not in self._channels:
                self._channels[provider] = grpc.insecure_channel(
                    f"unix:{self._find_socket(provider)}", options=self._options
                )
            return self._channels[provider]

    def _find_socket(self, provider: str) -> Path:
        where = f'error connecting to provider "{provider}": '
        if not _PROVIDER_NAME.fullmatch(provider):
            raise plain_error(f'{where}invalid provider: provider "{provider}"')
        for directory in self._directories:
            if (directory / f"{provider}.sock").exists():
                return directory / f"{provider}.sock"
        raise plain_error(f'{where}provider not found: provider "{provider}"')


def _raise_status(error: grpc.RpcError) -> NoReturn:
    raise CallError(error.code(), error.details() or "", is_status=True) from None


def _render_service_config(initial_backoff_seconds: float) -> str:
    retry = {
        "maxAttempts": 3,
        "initialBackoff": f"{initial_backoff_seconds:.3f}s",
        "maxBackoff": "10s",
        "backoffMultiplier": 1.1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": [{"service": SERVICE}], "waitForReady": True, "retryPolicy": retry}]})
