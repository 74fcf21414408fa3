"""A bounded place for blocking calls: worker threads that the event loop waits for, but never longer than it may.

Not done here: what is called. Python cannot stop a thread, so a call past its deadline is cut off from its peer
instead: it makes no further attempt (`remaining_seconds`), and the connection that it reads from is shut down
(`watch_connection`), so that a peer that drips bytes or stays silent costs one thread until the deadline and no longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from provider_runtime.ports import Clock

_Answer = TypeVar("_Answer")

QUEUE_LIMIT: Final = 20_000
"""Calls that may wait for a thread; ten classes of two thousand secrets. One more is refused at once."""


class DeadlinePassed(Exception):  # noqa: N818  # the caller turns it into the error that fits
    """The call did not finish in time; its connection has been shut down."""


class QueueFull(Exception):  # noqa: N818  # as above
    """More calls wait than could be answered in time."""


class _Call:
    """One blocking call: how long it may take, and which connection it reads from."""

    def __init__(self, remaining: Callable[[], float]) -> None:
        self.remaining = remaining
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._is_cut = False

    def watch(self, connection: socket.socket | None) -> None:
        with self._lock:
            self._connection = connection
            if self._is_cut:
                self._shut()

    def cut(self) -> None:
        """Wake the thread: whatever it reads from ends now."""
        with self._lock:
            self._is_cut = True
            self._shut()

    def _shut(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                # The base class's method: a TLS socket's own would touch state that the reading thread uses.
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)


_current_call: ContextVar[_Call | None] = ContextVar("blocking_call", default=None)


def remaining_seconds() -> float:
    """Seconds that the call of this thread has left; infinite outside of one."""
    call = _current_call.get()
    return float("inf") if call is None else call.remaining()


def watch_connection(connection: socket.socket | None) -> None:
    """Tell which connection this thread reads from now, so that it is shut down at the deadline; None: from none."""
    call = _current_call.get()
    if call is not None:
        call.watch(connection)


class BlockingCalls:
    """Runs SDK calls in worker threads: bounded in number, bounded per region, bounded in time.

    Args:
        workers: Threads. One region gets at most three quarters of them, so that a dead region leaves room for others.
        clock: Source of monotonic time; deadlines are in it.
        queue_limit: Calls that may wait for a thread.
    """

    def __init__(self, *, workers: int, clock: Clock, queue_limit: int = QUEUE_LIMIT) -> None:
        self._executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="aws")
        self._per_region = max(1, workers - workers // 4)
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._clock = clock
        self._queue_limit = queue_limit
        self._waiting = 0
        self._running = 0

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return self._waiting

    @property
    def running(self) -> int:
        """Calls whose thread has not come back."""
        return self._running

    async def run(self, region: str, deadline: float, function: Callable[[], _Answer]) -> _Answer:
        """Run `function` in a worker thread and return its result.

        Args:
            region: Whose slots to use.
            deadline: Monotonic seconds. A call that has not begun by then is dropped; one that runs is cut off from its
                peer and makes no further attempt.
            function: Blocking; sees the remaining seconds through the SDK hook above.

        Raises:
            DeadlinePassed: No result in time.
            QueueFull: Too many calls wait already.
            Exception: Whatever `function` raised.
        """
        slots = self._slots.setdefault(region, asyncio.Semaphore(self._per_region))
        await self._take_slot(slots, deadline)
        call = _Call(lambda: deadline - self._clock.monotonic())

        def bounded() -> _Answer:
            _current_call.set(call)
            try:
                return function()
            finally:
                call.watch(None)
                _current_call.set(None)

        loop = asyncio.get_running_loop()
        try:
            work = self._executor.submit(bounded)
        except RuntimeError as error:  # the executor was shut down
            slots.release()
            raise DeadlinePassed from error
        self._running += 1
        # The slot belongs to the thread, not to the waiter: it is free when the thread is.
        work.add_done_callback(lambda _: _call_in_loop(loop, lambda: self._end(slots)))
        answer = asyncio.wrap_future(work)
        done: set[asyncio.Future[_Answer]] = set()
        try:
            done, _ = await asyncio.wait({answer}, timeout=max(0.0, deadline - self._clock.monotonic()))
        finally:
            work.cancel()  # only what has not begun can be cancelled
            answer.add_done_callback(_mark_seen)
            if not done:
                call.cut()
        if not done:
            raise DeadlinePassed
        return answer.result()

    async def _take_slot(self, slots: asyncio.Semaphore, deadline: float) -> None:
        if self._waiting >= self._queue_limit:
            raise QueueFull
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                await slots.acquire()
        except TimeoutError as error:
            raise DeadlinePassed from error
        finally:
            self._waiting -= 1

    def _end(self, slots: asyncio.Semaphore) -> None:
        self._running -= 1
        slots.release()

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
