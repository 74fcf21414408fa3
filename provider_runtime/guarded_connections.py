"""HTTP connections whose reads end: at the call's deadline, and at a size that no honest answer has.

Not done here: deadlines (`blocking_calls`), which client uses them (`aws_clients`).

The SDK's timeouts are per read: a peer that sends one byte now and then never meets one, and a body without end fills
memory. So each connection says which socket its thread waits on, and each body is counted while it is read.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from urllib3.exceptions import ProtocolError

from provider_runtime.blocking_calls import watch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_LIMIT_BYTES: Final = 1024 * 1024
"""A secret has at most 64 KiB, a batch of parameters 80 KiB (AWS quotas); base64 and JSON need less than twice that."""


class _Guarded:
    """Mixin for urllib3's connections."""

    sock: socket.socket | None
    _socket_while_connecting: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]  # urllib3's
        # TLS takes the socket object over and drops it; a duplicate names the same connection during the handshake.
        self._socket_while_connecting = made.dup()
        watch_connection(self._socket_while_connecting)
        return made

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # urllib3's
            watch_connection(self.sock)
        finally:
            if self._socket_while_connecting is not None:
                self._socket_while_connecting.close()

    def request(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # botocore's signature
        if self.sock is not None:  # kept from an earlier call
            watch_connection(self.sock)
        return super().request(*arguments, **named)  # type: ignore[misc]  # botocore's

    def getresponse(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # urllib3's signature
        response = super().getresponse(*arguments, **named)  # type: ignore[misc]  # urllib3's
        stream = response.stream
        response.stream = lambda *args, **kwargs: _bounded(stream(*args, **kwargs), response)
        return response


def _bounded(chunks: Iterator[bytes], response: Any) -> Iterator[bytes]:  # noqa: ANN401  # urllib3's
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > ANSWER_LIMIT_BYTES:
            response.close()  # urllib3 closes what itself sees fail only
            raise ProtocolError(f"answer longer than {ANSWER_LIMIT_BYTES} bytes")
        yield chunk
    watch_connection(None)  # read to its end: the connection goes back to the pool


class _GuardedHTTPConnection(_Guarded, AWSHTTPConnection):  # type: ignore[misc]  # botocore's own mixin differs
    pass


class _GuardedHTTPSConnection(_Guarded, AWSHTTPSConnection):  # type: ignore[misc]  # as above
    pass


class _GuardedHTTPPool(AWSHTTPConnectionPool):
    ConnectionCls = _GuardedHTTPConnection


class _GuardedHTTPSPool(AWSHTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPSConnection


def guard_connections(client: Any) -> None:  # noqa: ANN401  # botocore makes client classes at run time
    """Let a botocore client make guarded connections only, through proxies too.

    botocore has no public door for it; a test that drips bytes fails if this one closes.
    """
    pools = {"http": _GuardedHTTPPool, "https": _GuardedHTTPSPool}
    client._endpoint.http_session._pool_classes_by_scheme.update(pools)  # noqa: SLF001
