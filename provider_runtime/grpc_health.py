"""The gRPC health service (grpc.health.v1) on the provider's own socket, for tools that probe a socket and not a port.

Not done here: HTTP probes (`health`), deciding whether the socket is served (`observers`).

No generated code: a HealthCheckRequest is one text and a HealthCheckResponse one number, each with field number 1, so
that on the wire they are protobuf's own StringValue and UInt32Value.
Source: grpc/health/v1/health.proto (grpc-proto); "" asks for the server as a whole; Check answers NOT_FOUND for a
service that it does not know, Watch answers SERVICE_UNKNOWN and stays open.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.wrappers_pb2 import StringValue, UInt32Value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SERVICE: Final = "grpc.health.v1.Health"
KNOWN_SERVICES: Final = frozenset({"", "v1alpha1.CSIDriverProvider"})
_LOOK_SECONDS: Final = 1.0


class HealthStatus(IntEnum):
    """HealthCheckResponse.ServingStatus."""

    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


class GrpcHealth:
    """The service.

    Args:
        is_serving: Whether a driver that dials reaches this instance.
        is_ending: Whether the instance drains: then a watcher's stream ends, so that it does not delay the end.
    """

    def __init__(self, *, is_serving: Callable[[], bool], is_ending: Callable[[], bool]) -> None:
        self._is_serving = is_serving
        self._is_ending = is_ending

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """Return what `server.add_generic_rpc_handlers` takes."""
        codec: dict[str, Any] = {
            "request_deserializer": StringValue.FromString,
            "response_serializer": UInt32Value.SerializeToString,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self.check, **codec),
                "Watch": grpc.unary_stream_rpc_method_handler(self.watch, **codec),
            },
        )

    async def check(self, request: StringValue, context: grpc.aio.ServicerContext[Any, Any]) -> UInt32Value:
        """Answer once."""
        if request.value not in KNOWN_SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return UInt32Value(value=self._status(request.value))

    async def watch(
        self, request: StringValue, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[UInt32Value]:
        """Answer now and at every change, until the caller leaves or the instance ends."""
        del context
        told: HealthStatus | None = None
        while True:
            status = self._status(request.value)
            if status is not told:
                yield UInt32Value(value=status)
                told = status
            if self._is_ending():
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _status(self, service: str) -> HealthStatus:
        if service not in KNOWN_SERVICES:
            return HealthStatus.SERVICE_UNKNOWN
        return HealthStatus.SERVING if self._is_serving() else HealthStatus.NOT_SERVING
