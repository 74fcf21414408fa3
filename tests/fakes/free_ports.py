"""Ports of loopback for servers that cannot choose their own and say which.

A port that the system gave (port 0) and that was given back can be anybody's next: another worker's server, or an
outgoing connection. These lie below those that Linux gives out, and two workers rarely draw the same.
"""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

_PORTS: Final = range(20_000, 32_000)
_given: Final[set[int]] = set()


def free_port() -> int:
    """Return a port on which nobody listens, each only once."""
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if port not in _given:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                _given.add(port)
                return port
    raise AssertionError(f"no port of {_PORTS.start} to {_PORTS.stop} is free")
