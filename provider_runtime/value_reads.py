"""The values of one class: from memory if young enough, else from AWS, each question asked once per node.

Not done here: what the objects are (`secret_objects`), files (`payload`), texts of failures (`failure_texts`), ages
(`cache`). Only ports are seen.

Region by region in the class's order; an object moves to the next region only when its read failed in a way that says
nothing about permission: network, time, throttling, 5xx. If all regions fail that way, the last value known to this
very identity may stand in, within `max_stale_seconds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from provider_runtime.errors import ErrorCode
from provider_runtime.fetch_plan import ParameterBatch, ReadResult, plan_batches, plan_reads
from provider_runtime.ports import CallError, ParameterOutcome, ReadScope
from provider_runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from provider_runtime.cache import ValueCache
    from provider_runtime.caller_identity import CallerIdentity
    from provider_runtime.credential_cache import CredentialCache
    from provider_runtime.fetch_plan import FetchPlan, Read, SecretRead
    from provider_runtime.object_values import SecretObject
    from provider_runtime.ports import Caller, Clock, SecretReader, TaskSpawner
    from provider_runtime.single_flight import Flight

_NEVER: Final = -1.0
_ENTRY_OVERHEAD_BYTES: Final = 512
"""What an entry costs beside its value: key, numbers, dict slots."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one mount cost; counted while it runs."""

    aws_calls: int = 0
    remembered: int = 0
    stale: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidParameters:
    """Parameter Store does not know some names of a batch."""

    region: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRead:
    """No region gave a value; one failure per region asked, the last one decides."""

    failures: tuple[CallError, ...]


ObjectOutcome = ReadResult | InvalidParameters | FailedRead
_ReadOutcome = ReadResult | InvalidParameters | CallError
_Answer = TypeVar("_Answer")
_SomeRead = TypeVar("_SomeRead", bound="Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One mount's terms.

    Args:
        caller: Who asks.
        accepted_age: Seconds up to which a remembered value will do.
        deadline: Monotonic seconds.
        tally: Counts the cost.
    """

    caller: Caller
    accepted_age: float
    deadline: float
    tally: Tally


class ValueReads:
    """Reads with memory and single flight.

    Args:
        reader: Asks AWS.
        credentials: Per identity and region.
        cache: None switches memory and sharing off: every mount asks for itself.
        spawn: Starts reads that outlive the mount that asked.
        clock: Monotonic time.
        read_seconds: Time limit of one shared read, credentials included.
        max_stale_seconds: See the module.
    """

    def __init__(
        self,
        *,
        reader: SecretReader,
        credentials: CredentialCache,
        cache: ValueCache[CallerIdentity, tuple[str, Read], ReadResult] | None,
        spawn: TaskSpawner,
        clock: Clock,
        read_seconds: float,
        max_stale_seconds: float,
    ) -> None:
        self._reader = reader
        self._credentials = credentials
        self._cache = cache
        self._clock = clock
        self._read_seconds = read_seconds
        self._max_stale_seconds = max_stale_seconds
        self._secret_flights: SingleFlight[tuple[CallerIdentity, str, SecretRead], ReadResult] = SingleFlight(
            spawn, clock
        )
        self._batch_flights: SingleFlight[tuple[CallerIdentity, str, ParameterBatch], ParameterOutcome] = SingleFlight(
            spawn, clock
        )

    async def fetch(
        self, objects: Sequence[SecretObject], regions: Sequence[str], ask: Ask
    ) -> tuple[ObjectOutcome, ...]:
        """Return the outcome of every object, parallel to `objects`; CallErrors are results, not raised."""
        outcomes: dict[int, ObjectOutcome] = {}
        failures: dict[int, tuple[CallError, ...]] = dict.fromkeys(range(len(objects)), ())
        pending = tuple(failures)
        for region_index, region in enumerate(regions):
            plan = plan_reads([objects[index] for index in pending], region, region_index)
            found = await self._fetch_region(plan, ask, regions_left=len(regions) - region_index)
            for index, read in zip(pending, plan.read_of_object, strict=True):
                outcome = found[read]
                if isinstance(outcome, CallError):
                    failures[index] += (outcome,)
                    outcomes[index] = FailedRead(failures=failures[index])
                else:
                    outcomes[index] = outcome
            pending = tuple(index for index in pending if _may_go_on(outcomes[index]))
            if not pending:
                break
        for index in pending:
            bridge = self._find_last_known(objects[index], regions, ask)
            outcomes[index] = bridge or outcomes[index]
        return tuple(outcomes[index] for index in range(len(objects)))

    async def _fetch_region(self, plan: FetchPlan, ask: Ask, *, regions_left: int) -> dict[Read, _ReadOutcome]:
        """Answer every read of the plan; a region may use its share of the time that is left."""
        found: dict[Read, _ReadOutcome] = {}
        reads = dict.fromkeys(plan.read_of_object)
        for read in reads:
            remembered = self._find_young(read, plan.region, ask)
            if remembered is not None:
                found[read] = remembered
        missing = [read for read in plan.secrets if read not in found]
        secrets = [(read, self._fly_secret(read, plan.region, ask)) for read in missing]
        batches = [(batch, self._fly_batch(batch, plan.region, ask)) for batch in self._batches(plan, found)]
        now = self._clock.monotonic()
        deadline = now + max(0.0, ask.deadline - now) / regions_left
        for read, flight in secrets:
            result = await self._land(flight, plan.region, deadline, action="secretsmanager:GetSecretValue")
            found[read] = result
        for batch, batch_flight in batches:
            outcome = await self._land(batch_flight, plan.region, deadline, action="ssm:GetParameters")
            found.update(_outcomes_of_batch(batch, plan.region, outcome))
        return found

    def _batches(self, plan: FetchPlan, found: dict[Read, _ReadOutcome]) -> tuple[ParameterBatch, ...]:
        missing = [read for batch in plan.batches for read in batch.reads if read not in found]
        return plan_batches(missing)

    def _fly_secret(self, read: SecretRead, region: str, ask: Ask) -> Flight[ReadResult]:
        identity = ask.caller.identity

        async def work() -> ReadResult:
            began = self._clock.monotonic()
            result = await self._with_credentials(
                ask, region, (read,), lambda scope, deadline: self._reader.fetch_secret(read, scope, deadline)
            )
            self._remember(identity, region, {read: result}, began)
            return result

        key = (identity, region, read)
        flight = self._secret_flights.find(key, accepted_age=self._shared_age(ask))
        return flight or self._secret_flights.start(key, work, name=f"read secret for {identity.subject} in {region}")

    def _fly_batch(self, batch: ParameterBatch, region: str, ask: Ask) -> Flight[ParameterOutcome]:
        identity = ask.caller.identity

        async def work() -> ParameterOutcome:
            began = self._clock.monotonic()
            outcome = await self._with_credentials(
                ask, region, batch.reads, lambda scope, deadline: self._reader.fetch_parameters(batch, scope, deadline)
            )
            self._remember(identity, region, outcome.found, began)
            self._evict(identity, region, [read for read in batch.reads if read not in outcome.found])
            return outcome

        key = (identity, region, batch)
        flight = self._batch_flights.find(key, accepted_age=self._shared_age(ask))
        return flight or self._batch_flights.start(key, work, name=f"read batch for {identity.subject} in {region}")

    async def _with_credentials(
        self,
        ask: Ask,
        region: str,
        reads: Iterable[Read],
        call: Callable[[ReadScope, float], Awaitable[_Answer]],
    ) -> _Answer:
        """Make one call; once more with new credentials if AWS calls the old ones stale. A refusal empties memory."""
        identity = ask.caller.identity
        deadline = self._clock.monotonic() + self._read_seconds
        try:
            for is_last in (False, True):
                credentials = await self._credentials.credentials(ask.caller, region, deadline)
                ask.tally.aws_calls += 1
                try:
                    return await call(ReadScope(identity=identity, region=region, credentials=credentials), deadline)
                except CallError as failure:
                    if is_last or not failure.are_credentials_stale:
                        raise
                    self._credentials.forget(identity, region, credentials)
        except CallError as failure:
            if failure.may_fail_over or self._cache is None:
                raise
            if failure.is_of_credentials:
                self._cache.evict_identity(identity, now=self._clock.monotonic())
            else:
                self._evict(identity, region, reads)
            raise
        raise AssertionError("the loop returns or raises")

    async def _land(self, flight: Flight[_Answer], region: str, deadline: float, *, action: str) -> _Answer | CallError:
        """Wait for a flight as long as this mount may; a failed or late one becomes a value."""
        try:
            return await flight.result(deadline - self._clock.monotonic())
        except CallError as failure:
            return failure
        except TimeoutError:
            return CallError(
                ErrorCode.DEADLINE,
                region=region,
                action=action,
                cause="no answer before the mount's deadline",
                rule="Kubelet tries the mount again by itself",
                fix="check the node's route, DNS, proxy or VPC endpoint to this service and region",
            )

    def _shared_age(self, ask: Ask) -> float:
        return ask.accepted_age if self._cache is not None else _NEVER

    def _find_young(self, read: Read, region: str, ask: Ask) -> ReadResult | None:
        if self._cache is None:
            return None
        now = self._clock.monotonic()
        entry = self._cache.find(ask.caller.identity, (region, read), now=now, accepted_age=ask.accepted_age)
        if entry is None:
            return None
        ask.tally.remembered += 1
        ask.tally.oldest_seconds = max(ask.tally.oldest_seconds, now - entry.read_at)
        return entry.value

    def _find_last_known(self, value: SecretObject, regions: Sequence[str], ask: Ask) -> ReadResult | None:
        if self._cache is None:
            return None
        now = self._clock.monotonic()
        for region_index, region in enumerate(regions):
            read = plan_reads([value], region, region_index).read_of_object[0]
            entry = self._cache.find_last_known(
                ask.caller.identity, (region, read), now=now, max_stale=self._max_stale_seconds
            )
            if entry is not None:
                ask.tally.stale += 1
                ask.tally.oldest_seconds = max(ask.tally.oldest_seconds, now - entry.read_at)
                return entry.value
        return None

    def _remember(
        self, identity: CallerIdentity, region: str, results: Mapping[_SomeRead, ReadResult], began: float
    ) -> None:
        if self._cache is None:
            return
        for read, result in results.items():
            size_bytes = len(result.value) + _ENTRY_OVERHEAD_BYTES
            self._cache.store(identity, (region, read), result, read_at=began, size_bytes=size_bytes)

    def _evict(self, identity: CallerIdentity, region: str, reads: Iterable[Read]) -> None:
        if self._cache is not None:
            self._cache.evict(identity, [(region, read) for read in reads], now=self._clock.monotonic())


def _may_go_on(outcome: ObjectOutcome) -> bool:
    return isinstance(outcome, FailedRead) and outcome.failures[-1].may_fail_over


def _outcomes_of_batch(
    batch: ParameterBatch, region: str, outcome: ParameterOutcome | CallError
) -> dict[Read, _ReadOutcome]:
    if isinstance(outcome, CallError):
        return dict.fromkeys(batch.reads, outcome)
    invalid = InvalidParameters(region=region, names=outcome.invalid)
    return {read: outcome.found.get(read, invalid) for read in batch.reads}
