"""The process of a Pulumi plugin: a gRPC server on loopback whose port is the first line that it prints.

It ends with the process that started it, however that ended: an engine that was killed must not leave plugins behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Final

import grpc

_WORKERS: Final = 16
_POLL_SECONDS: Final = 0.5
#: Pulumi's own limit for one message.
_LIMIT_BYTES: Final = 400 * 1024 * 1024


def serve_until_orphaned(add_services: Callable[[grpc.Server], object]) -> None:
    """Serve until the starting process is gone or asks for an end (SIGTERM, SIGINT)."""
    parent = os.getppid()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    options = (("grpc.max_receive_message_length", _LIMIT_BYTES), ("grpc.max_send_message_length", _LIMIT_BYTES))
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=_WORKERS), options=options)
    add_services(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == parent and not stopped.wait(_POLL_SECONDS):
        pass
    server.stop(grace=None).wait()
