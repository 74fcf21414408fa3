"""A provider's inside on one node: the real mounter, cache, single flight and breaker over ports in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from provider_runtime.authorised_calls import AuthorisedCalls
from provider_runtime.cache import AgeLimits, CacheBounds, ValueCache, VolumeAges
from provider_runtime.circuit_breaker import CircuitBreaker
from provider_runtime.credential_cache import CredentialCache
from provider_runtime.mount_request import MountRequest, parse_mount_request
from provider_runtime.mounting import Mounter, MountNotes
from provider_runtime.read_outcomes import Tally
from provider_runtime.value_reads import ValueReads
from provider_runtime.version_checks import VersionChecks
from tests.fakes.driver import Pod
from tests.fakes.ports import FakeClock, FakeExchange, FakeLookup, FakeReader, Spawner
from tests.fakes.tokens import make_token

REGION = "eu-west-1"
LIMITS = AgeLimits(first_mount_max_age_seconds=10, refresh_interval_seconds=120, max_stale_seconds=3600)
OBJECTS = "- {objectName: db, objectType: secretsmanager}\n"
FAR_FUTURE_SECONDS = 10.0**9


@dataclass(slots=True)
class Node:
    """A provider's inside on one node."""

    clock: FakeClock
    reader: FakeReader
    exchange: FakeExchange
    lookup: FakeLookup
    mounter: Mounter

    async def mount(self, pod: Pod, *, seconds: float = 5.0) -> tuple[dict[str, bytes], Tally]:
        """Mount one volume; return contents by path, and the cost."""
        notes = MountNotes(tally=Tally())
        files = await self.mounter.mount(_request(pod), self.clock.monotonic() + seconds, notes)
        return {file.path: file.contents.reveal() for file in files}, notes.tally


def _request(pod: Pod) -> MountRequest:
    message = pod.request()
    return parse_mount_request(
        message.attributes, message.target_path, message.permission, pod.versions, default_region=None
    )


def shop_pod(
    uid: str = "a", *, account: str = "api", serial: int = 0, objects: str = OBJECTS, **parameters: str
) -> Pod:
    """Make a pod of the shop; other names are class parameters."""
    token = make_token("shop", account, lifetime_seconds=FAR_FUTURE_SECONDS, serial=serial)
    return Pod(
        uid=uid,
        namespace="shop",
        service_account=account,
        region=REGION,
        objects=objects,
        tokens={"sts.amazonaws.com": token},
        parameters=parameters,
    )


def build_node(tasks: asyncio.TaskGroup, *, has_cache: bool = True) -> Node:
    """Build what the daemon builds, without the daemon."""
    clock = FakeClock()
    reader = FakeReader(clock, values={(REGION, "db"): (b"one", "v1")})
    exchange = FakeExchange(clock)
    spawn = Spawner(tasks)
    cache: ValueCache | None = None  # type: ignore[type-arg]  # the test does not look inside
    if has_cache:
        cache = ValueCache(bounds=CacheBounds(), keep_seconds=3600, draw=lambda: 0.0)
    lookup = FakeLookup()
    breaker = CircuitBreaker() if has_cache else None
    credentials = CredentialCache(exchange, spawn=spawn, clock=clock, exchange_seconds=60, breaker=breaker)
    calls = AuthorisedCalls(credentials=credentials, breaker=breaker, clock=clock, call_seconds=60)
    reads = ValueReads(
        reader=reader,
        calls=calls,
        cache=cache,
        spawn=spawn,
        clock=clock,
        max_stale_seconds=LIMITS.max_stale_seconds,
    )
    checks = VersionChecks(reader=reader, calls=calls, reads=reads, read_file=lambda *_: None, clock=clock)
    mounter = Mounter(reader=reader, reads=reads, checks=checks, lookup=lookup, ages=VolumeAges(LIMITS), clock=clock)
    return Node(clock=clock, reader=reader, exchange=exchange, lookup=lookup, mounter=mounter)
