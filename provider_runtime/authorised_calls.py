"""One call to AWS on behalf of one caller: credentials first, once more if they were stale, and what the call showed.

Not done here: the call itself (the adapters), memory and sharing (`value_reads`), the exchange (`credential_cache`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from provider_runtime.circuit_breaker import STS, CircuitState, Contact
from provider_runtime.ports import CallError, ReadScope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from provider_runtime.circuit_breaker import CircuitBreaker
    from provider_runtime.credential_cache import CredentialCache
    from provider_runtime.ports import Caller, Clock

_Answer = TypeVar("_Answer")


class CallCount(Protocol):
    """Whoever counts the calls of one mount."""

    aws_calls: int


class AuthorisedCalls:
    """Calls with the caller's credentials.

    Args:
        credentials: Per identity and region.
        breaker: Learns from every call; None: nothing is remembered about regions.
        clock: Monotonic time.
        call_seconds: Time limit of one call, credentials included.
    """

    def __init__(
        self,
        *,
        credentials: CredentialCache,
        breaker: CircuitBreaker | None,
        clock: Clock,
        call_seconds: float,
    ) -> None:
        self._credentials = credentials
        self._breaker = breaker
        self._clock = clock
        self._call_seconds = call_seconds

    async def run(
        self,
        caller: Caller,
        region: str,
        count: CallCount,
        call: Callable[[ReadScope, float], Awaitable[_Answer]],
        *,
        service: str,
    ) -> _Answer:
        """Make one call; once more with new credentials if AWS calls the old ones stale.

        Raises:
            CallError: What the exchange or the call ended in.
        """
        deadline = self._clock.monotonic() + self._call_seconds
        for is_last in (False, True):
            credentials = await self._credentials.credentials(caller, region, deadline)
            count.aws_calls += 1
            scope = ReadScope(identity=caller.identity, region=region, credentials=credentials)
            try:
                answer = await call(scope, deadline)
            except CallError as failure:
                self._note(service, region, failure)
                if is_last or not failure.are_credentials_stale:
                    raise
                self._credentials.forget(caller.identity, region, credentials)
            else:
                self._note(service, region, None)
                return answer
        raise AssertionError("the loop returns or raises")

    def judge(self, caller: Caller, region: str, service: str) -> CircuitState:
        """Say whether a mount that has an alternative should ask this service for this caller now."""
        if self._breaker is None:
            return CircuitState.CLOSED
        now = self._clock.monotonic()
        state = self._breaker.judge(service, region, now)
        if state is CircuitState.CLOSED and self._waits_for_sts(caller, region):
            return self._breaker.judge(STS, region, now)
        return state

    def note_too_slow(self, caller: Caller, region: str, service: str) -> None:
        """Record that a mount gave up waiting: for STS if the caller has no credentials yet, else for the service."""
        if self._breaker is not None:
            slow = STS if self._waits_for_sts(caller, region) else service
            self._breaker.note(slow, region, Contact.UNREACHABLE, self._clock.monotonic())

    def _waits_for_sts(self, caller: Caller, region: str) -> bool:
        return caller.identity.needs_sts and not self._credentials.has_kept(caller.identity, region)

    def _note(self, service: str, region: str, failure: CallError | None) -> None:
        if self._breaker is not None:
            contact = failure.contact if failure is not None else Contact.ALIVE
            self._breaker.note(service, region, contact, self._clock.monotonic())
