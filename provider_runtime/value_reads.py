"""The values of one class: from memory if young enough, else from AWS, each question asked once per node.

Not done here: what the objects are (`secret_objects`), files (`payload`), texts of failures (`failure_texts`), ages
(`cache`). Only ports are seen.

Region by region in the class's order; an object moves to the next region only when its read failed in a way that says
nothing about permission: network, time, throttling, 5xx. A region has FAILOVER_AFTER_SECONDS while there is another way
to an answer; a service that the circuit breaker calls dead is left out as long as another region is there, and asked
after all when every other one failed. If all regions fail that way, the last value known to this very identity may
stand in, within `max_stale_seconds`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from provider_runtime.circuit_breaker import CircuitState
from provider_runtime.errors import ErrorCode
from provider_runtime.fetch_plan import ParameterBatch, ParameterRead, ReadResult, plan_batches, plan_reads
from provider_runtime.object_values import ObjectType
from provider_runtime.ports import CallError, ParameterOutcome
from provider_runtime.read_outcomes import Hunt, is_refused, outcomes_of_batch
from provider_runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from provider_runtime.authorised_calls import AuthorisedCalls
    from provider_runtime.cache import CachedValue, ValueCache
    from provider_runtime.caller_identity import CallerIdentity
    from provider_runtime.fetch_plan import FetchPlan, Read, SecretRead
    from provider_runtime.object_values import SecretObject
    from provider_runtime.ports import Clock, ReadScope, SecretReader, TaskSpawner
    from provider_runtime.read_outcomes import Ask, ObjectOutcome, RegionOutcome
    from provider_runtime.single_flight import Flight

FAILOVER_AFTER_SECONDS: Final = 3.5
"""How long a region may take while another, or memory, could answer: credentials and the reads together."""
SERVICES: Final = {ObjectType.SECRETS_MANAGER: "secretsmanager", ObjectType.PARAMETER: "ssm"}
_NEVER: Final = -1.0
_ENTRY_OVERHEAD_BYTES: Final = 512
"""What an entry costs beside its value: key, numbers, dict slots."""
_Cache: TypeAlias = "ValueCache[CallerIdentity, tuple[str, Read], ReadResult]"
_Answer = TypeVar("_Answer")
_SomeRead = TypeVar("_SomeRead", bound="Read")


class ValueReads:
    """Reads with memory and single flight.

    Args:
        reader: Asks AWS.
        calls: Makes each call with the caller's credentials.
        cache: None switches memory and sharing off: every mount asks for itself.
        spawn: Starts reads that outlive the mount that asked.
        clock: Monotonic time.
        max_stale_seconds: See the module.
    """

    def __init__(
        self,
        *,
        reader: SecretReader,
        calls: AuthorisedCalls,
        cache: _Cache | None,
        spawn: TaskSpawner,
        clock: Clock,
        max_stale_seconds: float,
    ) -> None:
        self._reader = reader
        self._calls = calls
        self._cache = cache
        self._clock = clock
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
        hunt = Hunt(objects)
        passed_over: list[int] = []
        for region_index, region in enumerate(regions):
            is_last = region_index == len(regions) - 1
            dead = frozenset[ObjectType]() if is_last else self._dead_stores(hunt, region, region_index, ask)
            if dead:
                passed_over.append(region_index)
            others = len(regions) - region_index - 1 + len(passed_over)
            await self._ask_region(hunt, hunt.pending(dead), region_index, regions, ask, others)
            if not hunt.pending():
                break
        for position, region_index in enumerate(passed_over):
            others = len(passed_over) - position - 1
            await self._ask_region(hunt, hunt.pending(), region_index, regions, ask, others)
        self._forget_refused(hunt, regions, ask)
        for index in hunt.pending():
            # Looked up again: what was refused meanwhile, to whichever mount, is gone.
            bridge = self._find_last_known(objects[index], regions, ask)
            if bridge is not None:
                self._count_bridge(bridge, ask)
                hunt.outcomes[index] = bridge.value
        return tuple(hunt.outcomes[index] for index in range(len(objects)))

    def _forget_refused(self, hunt: Hunt, regions: Sequence[str], ask: Ask) -> None:
        """Forget in every region what one region refused: nothing older than a refusal may bridge a later outage."""
        refused = [value for index, value in enumerate(hunt.objects) if is_refused(hunt.outcomes[index])]
        for region_index, region in enumerate(regions if refused else ()):
            self._evict(ask.caller.identity, region, plan_reads(refused, region, region_index).read_of_object)

    def is_young(self, read: Read, region: str, ask: Ask) -> bool:
        """Whether memory will answer this read."""
        return self._cache is not None and self._young(self._cache, read, region, ask) is not None

    def recall(self, read: Read, region: str, ask: Ask) -> ReadResult | None:
        """Return what this identity read last, however long ago; only a check of its version makes it usable."""
        if self._cache is None:
            return None
        now = self._clock.monotonic()
        entry = self._cache.find_last_known(ask.caller.identity, (region, read), now=now, max_stale=float("inf"))
        return None if entry is None else entry.value

    async def _ask_region(
        self,
        hunt: Hunt,
        pending: Sequence[int],
        region_index: int,
        regions: Sequence[str],
        ask: Ask,
        others: int,
    ) -> None:
        """Ask memory and then one region for the pending objects; `others`: how many more regions could be asked."""
        if not pending:
            return
        objects = [hunt.objects[index] for index in pending]
        plan = plan_reads(objects, regions[region_index], region_index)
        reads = dict.fromkeys(plan.read_of_object)
        found: dict[Read, RegionOutcome] = self._recall_young(reads, plan.region, ask)
        if len(found) < len(reads):
            has_other_way = others > 0 or all(self._find_last_known(one, regions, ask) is not None for one in objects)
            await self._fetch_missing(plan, found, ask, has_other_way=has_other_way)
        for index, read in zip(pending, plan.read_of_object, strict=True):
            hunt.note(index, found[read])

    def _dead_stores(self, hunt: Hunt, region: str, region_index: int, ask: Ask) -> frozenset[ObjectType]:
        """Stores of pending objects that need not be asked in this region; one that is due is probed beside us."""
        dead = set()
        for store, service in SERVICES.items():
            of_store = [hunt.objects[index] for index in hunt.pending() if hunt.objects[index].type is store]
            if not of_store:
                continue
            state = self._calls.judge(ask.caller, region, service)
            if state is CircuitState.PROBE:
                read = plan_reads(of_store[:1], region, region_index).read_of_object[0]
                if isinstance(read, ParameterRead):
                    self._fly_batch(ParameterBatch(reads=(read,)), region, ask)
                else:
                    self._fly_secret(read, region, ask)
            if state is not CircuitState.CLOSED:
                dead.add(store)
        return frozenset(dead)

    async def _fetch_missing(
        self, plan: FetchPlan, found: dict[Read, RegionOutcome], ask: Ask, *, has_other_way: bool
    ) -> None:
        """Answer the other reads of the plan, within FAILOVER_AFTER_SECONDS if there is another way to an answer."""
        await self._reader.prepare(plan.region, ask.deadline)
        missing = [read for read in plan.secrets if read not in found]
        secrets = [(read, self._fly_secret(read, plan.region, ask)) for read in missing]
        batches = [(batch, self._fly_batch(batch, plan.region, ask)) for batch in self._batches(plan, found)]
        deadline = ask.deadline
        if has_other_way:
            deadline = min(deadline, self._clock.monotonic() + FAILOVER_AFTER_SECONDS)
        for read, flight in secrets:
            result = await self._land(flight, plan.region, ask, deadline, action="secretsmanager:GetSecretValue")
            found[read] = result
        for batch, batch_flight in batches:
            outcome = await self._land(batch_flight, plan.region, ask, deadline, action="ssm:GetParameters")
            found.update(outcomes_of_batch(batch, plan.region, outcome))

    def _batches(self, plan: FetchPlan, found: dict[Read, RegionOutcome]) -> tuple[ParameterBatch, ...]:
        missing = [read for batch in plan.batches for read in batch.reads if read not in found]
        return plan_batches(missing)

    def _fly_secret(self, read: SecretRead, region: str, ask: Ask) -> Flight[ReadResult]:
        identity = ask.caller.identity

        async def work() -> ReadResult:
            began = self._clock.monotonic()
            result = await self._call(
                ask,
                region,
                (read,),
                lambda scope, deadline: self._reader.fetch_secret(read, scope, deadline),
                service=SERVICES[ObjectType.SECRETS_MANAGER],
            )
            result = replace(result, read_at=began)
            self._remember(identity, region, {read: result}, began)
            return result

        key = (identity, region, read)
        flight = self._secret_flights.find(key, accepted_age=self._shared_age(ask))
        ask.tally.note_flight(1, is_shared=flight is not None)
        return flight or self._secret_flights.start(key, work, name=f"read secret for {identity.subject} in {region}")

    def _fly_batch(self, batch: ParameterBatch, region: str, ask: Ask) -> Flight[ParameterOutcome]:
        identity = ask.caller.identity

        async def work() -> ParameterOutcome:
            began = self._clock.monotonic()
            outcome = await self._call(
                ask,
                region,
                batch.reads,
                lambda scope, deadline: self._reader.fetch_parameters(batch, scope, deadline),
                service=SERVICES[ObjectType.PARAMETER],
            )
            found = {read: replace(result, read_at=began) for read, result in outcome.found.items()}
            outcome = replace(outcome, found=found)
            self._remember(identity, region, found, began)
            self._evict(identity, region, [read for read in batch.reads if read not in outcome.found])
            return outcome

        key = (identity, region, batch)
        flight = self._batch_flights.find(key, accepted_age=self._shared_age(ask))
        ask.tally.note_flight(len(batch.reads), is_shared=flight is not None)
        return flight or self._batch_flights.start(key, work, name=f"read batch for {identity.subject} in {region}")

    async def _call(
        self,
        ask: Ask,
        region: str,
        reads: Iterable[Read],
        call: Callable[[ReadScope, float], Awaitable[_Answer]],
        *,
        service: str,
    ) -> _Answer:
        """Make one call; a refusal empties memory."""
        try:
            return await self._calls.run(ask.caller, region, ask.tally, call, service=service)
        except CallError as failure:
            if failure.is_refusal and self._cache is not None:
                if failure.is_of_credentials:
                    self._cache.evict_identity(ask.caller.identity, now=self._clock.monotonic())
                else:
                    self._evict(ask.caller.identity, region, reads)
            raise

    async def _land(
        self, flight: Flight[_Answer], region: str, ask: Ask, deadline: float, *, action: str
    ) -> _Answer | CallError:
        """Wait for a flight as long as this mount may; a failed or late one becomes a value."""
        try:
            return await flight.result(deadline - self._clock.monotonic())
        except CallError as failure:
            return failure
        except TimeoutError:
            if deadline < ask.deadline:  # our own impatience: the next mount need not wait as long
                self._calls.note_too_slow(ask.caller, region, action.partition(":")[0])
            return CallError(
                ErrorCode.DEADLINE,
                region=region,
                action=action,
                cause="no answer before the mount's deadline" if deadline >= ask.deadline else "no answer in time",
                rule="Kubelet tries the mount again by itself",
                fix="check the node's route, DNS, proxy or VPC endpoint to this service and region",
            )

    def _shared_age(self, ask: Ask) -> float:
        return ask.accepted_age if self._cache is not None else _NEVER

    def _recall_young(self, reads: Iterable[Read], region: str, ask: Ask) -> dict[Read, RegionOutcome]:
        """Return what memory holds that is young enough, and count it."""
        if self._cache is None:
            return {}
        now = self._clock.monotonic()
        keys = [(region, read) for read in reads]
        entries = self._cache.find_all(ask.caller.identity, keys, now=now, accepted_age=ask.accepted_age)
        for entry in entries.values():
            ask.tally.remembered += 1
            ask.tally.oldest_seconds = max(ask.tally.oldest_seconds, now - entry.read_at)
        return {read: entry.value for (_, read), entry in entries.items()}

    def _young(self, cache: _Cache, read: Read, region: str, ask: Ask) -> CachedValue[ReadResult] | None:
        now = self._clock.monotonic()
        return cache.find(ask.caller.identity, (region, read), now=now, accepted_age=ask.accepted_age)

    def _find_last_known(self, value: SecretObject, regions: Sequence[str], ask: Ask) -> CachedValue[ReadResult] | None:
        """Find what may bridge an outage, in the first region that has it."""
        if self._cache is None:
            return None
        now = self._clock.monotonic()
        for region_index, region in enumerate(regions):
            read = plan_reads([value], region, region_index).read_of_object[0]
            entry = self._cache.find_last_known(
                ask.caller.identity, (region, read), now=now, max_stale=self._max_stale_seconds
            )
            if entry is not None:
                return entry
        return None

    def _count_bridge(self, entry: CachedValue[ReadResult], ask: Ask) -> None:
        ask.tally.stale += 1
        ask.tally.oldest_seconds = max(ask.tally.oldest_seconds, self._clock.monotonic() - entry.read_at)

    def _remember(
        self, identity: CallerIdentity, region: str, results: Mapping[_SomeRead, ReadResult], began: float
    ) -> None:
        if self._cache is None:
            return
        sized: dict[tuple[str, Read], tuple[ReadResult, int]] = {
            (region, read): (result, len(result.value) + _ENTRY_OVERHEAD_BYTES) for read, result in results.items()
        }
        self._cache.store_all(identity, sized, read_at=began)

    def _evict(self, identity: CallerIdentity, region: str, reads: Iterable[Read]) -> None:
        if self._cache is not None:
            self._cache.evict(identity, [(region, read) for read in reads], now=self._clock.monotonic())
