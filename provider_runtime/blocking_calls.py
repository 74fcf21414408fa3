"""A bounded place for blocking calls: worker threads that the event loop waits for, but never longer than it may.

Not done here: what is called. Python cannot stop a thread, so a call past its deadline is left behind; it makes no
further attempt (`remaining_seconds`), and its slot is free when it ends, at the latest by its own socket timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from provider_runtime.ports import Clock

_Answer = TypeVar("_Answer")

_current_deadline: ContextVar[Callable[[], float] | None] = ContextVar("blocking_call_deadline", default=None)


class DeadlinePassed(Exception):  # noqa: N818  # the caller turns it into the error that fits
    """The call did not finish in time; it may still run."""


def remaining_seconds() -> float:
    """Seconds that the call of this thread has left; infinite outside of one."""
    remaining = _current_deadline.get()
    return float("inf") if remaining is None else remaining()


class BlockingCalls:
    """Runs SDK calls in worker threads: bounded in number, bounded per region, bounded in time.

    Args:
        workers: Threads. One region gets at most three quarters of them, so that a dead region leaves room for others.
        clock: Source of monotonic time; deadlines are in it.
    """

    def __init__(self, *, workers: int, clock: Clock) -> None:
        self._executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="aws")
        self._per_region = max(1, workers - workers // 4)
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._clock = clock

    async def run(self, region: str, deadline: float, function: Callable[[], _Answer]) -> _Answer:
        """Run `function` in a worker thread and return its result.

        Args:
            region: Whose slots to use.
            deadline: Monotonic seconds. A call that has not begun by then is dropped; one that runs is left behind and
                makes no further attempt.
            function: Blocking; sees the remaining seconds through the SDK hook above.

        Raises:
            DeadlinePassed: No result in time.
            Exception: Whatever `function` raised.
        """
        slots = self._slots.setdefault(region, asyncio.Semaphore(self._per_region))
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                await slots.acquire()
        except TimeoutError as error:
            raise DeadlinePassed from error

        def bounded() -> _Answer:
            _current_deadline.set(lambda: deadline - self._clock.monotonic())
            return function()

        loop = asyncio.get_running_loop()
        try:
            work = self._executor.submit(bounded)
        except RuntimeError as error:  # the executor was shut down
            slots.release()
            raise DeadlinePassed from error
        # The slot belongs to the thread, not to the waiter: it is free when the thread is.
        work.add_done_callback(lambda _: _call_in_loop(loop, slots.release))
        answer = asyncio.wrap_future(work)
        try:
            done, _ = await asyncio.wait({answer}, timeout=max(0.0, deadline - self._clock.monotonic()))
        finally:
            work.cancel()  # only what has not begun can be cancelled
            answer.add_done_callback(_mark_seen)
        if not done:
            raise DeadlinePassed
        return answer.result()

    def close(self) -> None:
        """Take no more calls, drop those that wait, leave those that run."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _call_in_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call from a worker thread; a loop that has closed needs nothing any more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


def _mark_seen(done: asyncio.Future[Any]) -> None:
    """Take notice of a failure whose waiter has left, so that asyncio does not report it as lost."""
    if not done.cancelled():
        done.exception()
