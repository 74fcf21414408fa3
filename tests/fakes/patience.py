"""How tests wait for what must come: long enough for any machine, never without end, and with a clear failure.

What a test waits for comes in moments where nothing is wrong, so a long bound costs nothing. Where a law is about time,
the fault lasts much longer than the bound that the test itself names (`LASTING_SECONDS`), so that a stall is no race.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS: Final = 180.0
"""A process that starts, a listener that opens, a thread that ends."""
LASTING_SECONDS: Final = 60.0
"""How long a fault lasts that nobody may wait for; `FakeAws.heal` ends it."""
MOMENTS_SECONDS: Final = 30.0
"""What ends by itself ends within this: a stalled machine's moments, and well before a lasting fault does."""
_POLL_SECONDS: Final = 0.01


def wait_until(
    holds: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS, every: float = _POLL_SECONDS
) -> None:
    """Wait until it holds.

    Args:
        holds: Asked again and again, at least once.
        what: What is waited for, for the failure's text.
        seconds: The bound.
        every: Seconds between two questions.
    """
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, _late(what, seconds)
        time.sleep(every)


async def until(holds: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait as `wait_until` does, and let the event loop go on."""
    end = time.monotonic() + seconds
    while not holds():  # threads tell no event loop
        assert time.monotonic() < end, _late(what, seconds)
        await asyncio.sleep(_POLL_SECONDS)


def _late(what: str, seconds: float) -> str:
    return f"not within {seconds:.0f} s: {what}"
