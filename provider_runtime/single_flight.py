"""Many waiters, one call: work that several mounts want at the same time is done once.

Not done here: what the work is, how long its result may be kept.

A flight belongs to the daemon, not to the mount that started it: when that mount is cancelled or runs out of time, its
neighbours still get their answer. A failure is handed over as a result, so that the task itself never fails.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from provider_runtime.ports import Clock, TaskSpawner

_Key = TypeVar("_Key", bound="Hashable")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight(Generic[_Answer]):
    """One piece of work under way."""

    started_at: float
    """Monotonic seconds: the answer is at least as new as this."""
    outcome: asyncio.Future[_Answer | Exception]

    async def result(self, timeout_seconds: float) -> _Answer:
        """Wait for the answer without owning the work.

        Raises:
            TimeoutError: It did not come in time; the work goes on.
            Exception: What the work raised.
        """
        async with asyncio.timeout(max(0.0, timeout_seconds)):
            outcome = await asyncio.shield(self.outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class SingleFlight(Generic[_Key, _Answer]):
    """The flights under way, by key.

    Args:
        spawn: Starts tasks that the daemon owns.
        clock: Source of monotonic time.
    """

    def __init__(self, spawn: TaskSpawner, clock: Clock) -> None:
        self._spawn = spawn
        self._clock = clock
        self._flights: dict[_Key, Flight[_Answer]] = {}

    def find(self, key: _Key, *, accepted_age: float) -> Flight[_Answer] | None:
        """Return the flight for `key` if it started at most `accepted_age` seconds ago."""
        flight = self._flights.get(key)
        if flight is None or self._clock.monotonic() - flight.started_at > accepted_age:
            return None
        return flight

    def start(self, key: _Key, work: Callable[[], Awaitable[_Answer]], *, name: str) -> Flight[_Answer]:
        """Start `work` as the flight for `key`; an older one stays valid for those who wait for it."""
        flight: Flight[_Answer] = Flight(
            started_at=self._clock.monotonic(), outcome=asyncio.get_running_loop().create_future()
        )
        self._flights[key] = flight
        self._spawn(self._fly(key, flight, work), name=name)
        return flight

    async def _fly(self, key: _Key, flight: Flight[_Answer], work: Callable[[], Awaitable[_Answer]]) -> None:
        outcome: _Answer | Exception
        try:
            outcome = await work()
        except asyncio.CancelledError:
            outcome = TimeoutError("the provider is shutting down")
            raise
        except Exception as error:  # noqa: BLE001  # handed over to the waiters, who judge it
            outcome = error
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.outcome.set_result(outcome)
