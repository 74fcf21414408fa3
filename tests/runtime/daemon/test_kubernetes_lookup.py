"""Role and region from the Kubernetes API: asked once, kept for a while, and never outside of the right path."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from provider_runtime.blocking_calls import BlockingCalls
from provider_runtime.daemon import SystemClock
from provider_runtime.errors import ErrorCode, MountError
from provider_runtime.kubernetes_lookup import KEEP_SECONDS, KubernetesLookup
from tests.fakes.aws import KUBERNETES, FakeAws, object_of
from tests.fakes.patience import PATIENCE_SECONDS
from tests.fakes.ports import Spawner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ACCOUNT = "/api/v1/namespaces/shop/serviceaccounts/api"
ROLE = object_of(metadata={"annotations": {"eks.amazonaws.com/role-arn": "fakeRole"}})


class _ShiftedClock(SystemClock):
    """The real clock, moved forward by `shift_seconds`."""

    shift_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.shift_seconds


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAws]:
    with FakeAws() as aws:
        yield aws


@pytest.fixture
def cluster(server: FakeAws) -> FakeAws:
    server.reset()
    server.cluster[ACCOUNT] = ROLE
    return server


@pytest.fixture
async def lookup(cluster: FakeAws) -> AsyncIterator[tuple[KubernetesLookup, _ShiftedClock]]:
    clock = _ShiftedClock()
    calls = BlockingCalls(workers=4, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        spawn = Spawner(tasks)
        yield KubernetesLookup(calls, clock=clock, spawn=spawn, qps=100, burst=5, address=cluster.url), clock
    calls.close()


Lookup = tuple[KubernetesLookup, _ShiftedClock]


async def test_a_rollout_asks_once_and_again_after_a_while(lookup: Lookup, cluster: FakeAws) -> None:
    api, clock = lookup
    deadline = clock.monotonic() + 1_000
    roles = await asyncio.gather(*(api.fetch_role_arn("shop", "api", deadline) for _ in range(50)))
    assert set(roles) == {"fakeRole"}
    assert cluster.count(KUBERNETES) == 1
    clock.shift_seconds = KEEP_SECONDS + 1
    await api.fetch_role_arn("shop", "api", deadline)
    assert cluster.count(KUBERNETES) == 2


async def test_a_missing_annotation_is_not_kept(lookup: Lookup, cluster: FakeAws) -> None:
    api, clock = lookup
    cluster.cluster[ACCOUNT] = object_of(metadata={})
    with pytest.raises(MountError, match="An IAM role must be associated"):
        await api.fetch_role_arn("shop", "api", clock.monotonic() + PATIENCE_SECONDS)
    cluster.cluster[ACCOUNT] = ROLE
    assert await api.fetch_role_arn("shop", "api", clock.monotonic() + PATIENCE_SECONDS) == "fakeRole"


@pytest.mark.parametrize("name", ["../../secrets/x", "a/b", "a?b", "%2e%2e"])
async def test_a_name_cannot_leave_its_place_in_the_path(lookup: Lookup, cluster: FakeAws, name: str) -> None:
    api, clock = lookup
    with pytest.raises(MountError) as caught:
        await api.fetch_role_arn("shop", name, clock.monotonic() + PATIENCE_SECONDS)
    assert caught.value.code is ErrorCode.ROLE_MISSING
    assert cluster.calls[0].target == f"/api/v1/namespaces/shop/serviceaccounts/{name}"


async def test_outside_of_a_cluster_the_error_says_so() -> None:
    clock = SystemClock()
    calls = BlockingCalls(workers=1, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        api = KubernetesLookup(calls, clock=clock, spawn=Spawner(tasks), qps=5, burst=10, environment={})
        with pytest.raises(MountError, match="failed to retrieve region from node: not in a cluster") as caught:
            await api.fetch_region("shop", "pod", clock.monotonic() + PATIENCE_SECONDS)
    assert caught.value.code is ErrorCode.REGION_UNKNOWN
    calls.close()


async def test_calls_are_paced_after_a_burst(lookup: Lookup, cluster: FakeAws) -> None:
    """100 a second after 5 at once: 25 names take at least 0.2 s."""
    api, clock = lookup
    names = [f"a{number}" for number in range(25)]
    cluster.cluster |= {f"/api/v1/namespaces/shop/serviceaccounts/{name}": ROLE for name in names}
    began = time.monotonic()
    await asyncio.gather(*(api.fetch_role_arn("shop", name, clock.monotonic() + PATIENCE_SECONDS) for name in names))
    assert time.monotonic() - began > 0.18
