"""Credentials per identity and region, kept until shortly before they expire.

Not done here: the exchange itself (`aws_credentials`), whether a caller may use an identity (`caller_identity`).

A rotated token of the same identity finds the same credentials; another identity never does, because the identity is
the key. A refusal is not remembered, and it removes what was kept: a revoked trust bites at the next exchange.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provider_runtime.circuit_breaker import STS, Contact
from provider_runtime.errors import ErrorCode
from provider_runtime.ports import AGENT_ACTION, CHAIN_ACTION, EXCHANGE_ACTION, CallError
from provider_runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from provider_runtime.caller_identity import CallerIdentity
    from provider_runtime.circuit_breaker import CircuitBreaker
    from provider_runtime.ports import AwsCredentials, Caller, Clock, TaskSpawner, TokenExchange

RENEW_BEFORE_SECONDS: Final = 120.0
"""Credentials with less left are exchanged anew, so that none expires inside a mount."""
LEAST_LEFT_SECONDS: Final = 15.0
"""While the exchange is down, kept credentials are used until this close to their end."""
LONGEST_KEPT_SECONDS: Final = 900.0
"""The agent's sessions last for hours; asking again after this long makes a removed association bite as soon as a
removed trust does."""

_Key = tuple["CallerIdentity", str]


class CredentialCache:
    """Single-flight credentials on top of a `TokenExchange`.

    Args:
        exchange: Where credentials come from.
        spawn: Starts exchanges that outlive the mount that asked.
        clock: Wall time for expiries, monotonic for deadlines.
        exchange_seconds: Time limit of one exchange.
        breaker: Learns whether STS answers; None: nothing is remembered about regions.
    """

    def __init__(
        self,
        exchange: TokenExchange,
        *,
        spawn: TaskSpawner,
        clock: Clock,
        exchange_seconds: float,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._breaker = breaker
        self._exchange = exchange
        self._clock = clock
        self._exchange_seconds = exchange_seconds
        self._flights: SingleFlight[_Key, AwsCredentials] = SingleFlight(spawn, clock)
        self._kept: dict[_Key, tuple[AwsCredentials, float]] = {}

    async def credentials(self, caller: Caller, region: str, deadline: float) -> AwsCredentials:
        """Return credentials of the caller's identity for this region's services.

        Raises:
            CallError: The exchange was refused, failed, or took too long.
        """
        key = (caller.identity, region)
        kept = self._find(key, least_left=RENEW_BEFORE_SECONDS)
        if kept is not None:
            return kept
        flight = self._flights.find(key, accepted_age=self._exchange_seconds)
        if flight is None:
            flight = self._flights.start(
                key, lambda: self._renew(caller, region), name=f"credentials {caller.identity.subject} {region}"
            )
        try:
            return await flight.result(deadline - self._clock.monotonic())
        except TimeoutError:
            action = EXCHANGE_ACTION if caller.identity.role_arn else AGENT_ACTION
            action = CHAIN_ACTION if caller.identity.assumed_role_arn else action
            raise CallError(
                ErrorCode.DEADLINE,
                region=region,
                action=action,
                cause="no answer before the deadline",
                fix="check the node's route, DNS, proxy or VPC endpoint to STS, or the EKS Pod Identity agent",
            ) from None

    def has_kept(self, identity: CallerIdentity, region: str) -> bool:
        """Whether credentials are at hand, so that no exchange is needed."""
        return self._find((identity, region), least_left=RENEW_BEFORE_SECONDS) is not None

    def forget(self, identity: CallerIdentity, region: str, refused: AwsCredentials) -> None:
        """Drop credentials that AWS refused, unless newer ones have replaced them."""
        kept = self._kept.get((identity, region))
        if kept is not None and kept[0].access_key_id == refused.access_key_id:
            del self._kept[identity, region]

    def _find(self, key: _Key, *, least_left: float) -> AwsCredentials | None:
        kept = self._kept.get(key)
        if kept is None or kept[1] - self._clock.wall() < least_left:
            return None
        return kept[0]

    async def _renew(self, caller: Caller, region: str) -> AwsCredentials:
        key = (caller.identity, region)
        try:
            fresh = await self._exchange_all(caller, region)
        except CallError as failure:
            self._note(caller.identity, region, failure)
            still_good = self._find(key, least_left=LEAST_LEFT_SECONDS) if failure.may_fail_over else None
            if still_good is not None:
                return still_good
            self._kept.pop(key, None)
            raise
        self._note(caller.identity, region, None)
        now = self._clock.wall()
        self._kept = {old: kept for old, kept in self._kept.items() if kept[1] > now}
        self._kept[key] = (fresh, min(fresh.expires_at, now + LONGEST_KEPT_SECONDS))
        return fresh

    async def _exchange_all(self, caller: Caller, region: str) -> AwsCredentials:
        """Exchange the token and, for a chain, go on from the first role to the second.

        A chain's credentials end with those of its first role, so that a removed trust bites at either end as soon as
        it does without a chain.
        """
        identity = caller.identity
        deadline = self._clock.monotonic() + self._exchange_seconds
        if not identity.assumed_role_arn:
            return await self._exchange.fetch_credentials(caller, region, deadline)
        first_caller = replace(caller, identity=identity.first)
        for is_last in (False, True):
            first = await self.credentials(first_caller, region, deadline)
            try:
                second = await self._exchange.assume_chained_role(identity, first, region, deadline)
            except CallError as failure:
                if is_last or not failure.are_credentials_stale:
                    raise
                self.forget(identity.first, region, first)
            else:
                return replace(second, expires_at=min(second.expires_at, first.expires_at))
        raise AssertionError("the loop returns or raises")

    def _note(self, identity: CallerIdentity, region: str, failure: CallError | None) -> None:
        if self._breaker is None or not identity.needs_sts or (failure is not None and failure.action == AGENT_ACTION):
            return
        contact = failure.contact if failure is not None else Contact.ALIVE
        self._breaker.note(STS, region, contact, self._clock.monotonic())
