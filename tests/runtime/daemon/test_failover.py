"""Several regions: when the next one is asked, what is remembered about dead ones, what a refusal makes forgotten."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from provider_runtime.circuit_breaker import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from provider_runtime.errors import ErrorCode, MountError
from tests.fakes.driver import with_parameters
from tests.fakes.nodes import OBJECTS, REGION, Node, build_node, shop_pod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fakes.driver import Pod

SECOND, THIRD = "eu-central-1", "eu-north-1"
OUTAGES = [ErrorCode.NETWORK, ErrorCode.THROTTLED, ErrorCode.AWS_SERVER, ErrorCode.DEADLINE]
REFUSALS = [ErrorCode.ACCESS_DENIED, ErrorCode.OBJECT_NOT_FOUND, ErrorCode.DECRYPTION_FAILED]


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with asyncio.TaskGroup() as tasks:
        found = build_node(tasks)
        for region in (SECOND, THIRD):
            found.reader.values[region, "db"] = (region.encode(), "v1")
        yield found


def _pod(uid: str = "a", **fields: str) -> Pod:
    pod = shop_pod(uid, account=fields.pop("account", "api"), objects=fields.pop("objects", OBJECTS))
    return with_parameters(pod, failoverRegions=f"{SECOND}, {THIRD}", **fields)


async def _value(node: Node, pod: Pod) -> bytes:
    return (await node.mount(pod))[0]["db"]


async def _failure(node: Node, pod: Pod) -> MountError:
    with pytest.raises(MountError) as caught:
        await node.mount(pod)
    return caught.value


def _regions_asked(node: Node) -> list[str]:
    regions = [region for _, region, _ in node.reader.reads]
    node.reader.reads.clear()
    return regions


@pytest.mark.parametrize("outage", OUTAGES)
async def test_regions_are_asked_in_order_and_only_while_the_one_before_gives_no_answer(
    node: Node, outage: ErrorCode
) -> None:
    assert await _value(node, _pod("a")) == b"one"
    assert _regions_asked(node) == [REGION]
    node.clock.pass_by(11)
    node.reader.failures = {REGION: outage}
    assert await _value(node, _pod("b")) == SECOND.encode()
    assert _regions_asked(node) == [REGION, SECOND]
    node.clock.pass_by(11)
    node.reader.failures = {REGION: outage, SECOND: outage}
    assert await _value(node, _pod("c")) == THIRD.encode()


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refusal_is_final_in_whichever_region_it_comes(node: Node, refusal: ErrorCode) -> None:
    node.reader.failures = {REGION: refusal}
    assert (await _failure(node, _pod("a"))).code is refusal
    assert _regions_asked(node) == [REGION]
    node.reader.failures = {REGION: ErrorCode.AWS_SERVER, SECOND: refusal}
    assert (await _failure(node, _pod("b"))).code is refusal
    assert _regions_asked(node) == [REGION, SECOND]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refusal_by_one_region_empties_memory_of_every_region(node: Node, refusal: ErrorCode) -> None:
    """Else an outage after a revocation would bring a value back that another region gave before it."""
    node.reader.failures = {REGION: ErrorCode.AWS_SERVER}
    assert await _value(node, _pod("old", refreshInterval="1h")) == SECOND.encode()
    node.clock.pass_by(60)
    node.reader.failures = {REGION: refusal}
    assert (await _failure(node, _pod("new"))).code is refusal
    node.reader.failures = dict.fromkeys((REGION, SECOND, THIRD), ErrorCode.NETWORK)
    node.clock.pass_by(60)
    assert (await _failure(node, _pod("old", refreshInterval="1h"))).code is ErrorCode.NETWORK


async def test_a_refusal_by_a_failover_region_empties_memory_of_the_primary_too(node: Node) -> None:
    assert await _value(node, _pod("old")) == b"one"
    node.clock.pass_by(130)
    node.reader.failures = {REGION: ErrorCode.NETWORK, SECOND: ErrorCode.ACCESS_DENIED}
    assert (await _failure(node, _pod("old"))).code is ErrorCode.ACCESS_DENIED
    node.reader.failures = dict.fromkeys((REGION, SECOND, THIRD), ErrorCode.NETWORK)
    node.clock.pass_by(1)
    assert (await _failure(node, _pod("old"))).code is ErrorCode.NETWORK


async def test_a_refused_parameter_is_forgotten_in_every_region_and_its_neighbours_are_not(node: Node) -> None:
    objects = "".join(f"- {{objectName: {name}, objectType: ssmparameter}}\n" for name in ("x", "z"))
    for region in (REGION, SECOND, THIRD):
        node.reader.values |= {(region, "x"): (b"x", "1"), (region, "z"): (b"z", "1")}
    node.reader.failures = {REGION: ErrorCode.AWS_SERVER}
    await node.mount(_pod("old", objects=objects))
    node.reader.failures = {}
    del node.reader.values[REGION, "x"]
    node.clock.pass_by(60)
    assert (await _failure(node, _pod("new", objects=objects))).code is ErrorCode.PARAMETERS_INVALID
    node.reader.failures = dict.fromkeys((REGION, SECOND, THIRD), ErrorCode.NETWORK)
    node.clock.pass_by(70)
    error = await _failure(node, _pod("old", objects=objects))
    assert error.code is ErrorCode.NETWORK
    assert "x" in error.message.partition("all regions: ")[2].partition(":")[0]
    only_z = await node.mount(_pod("old", objects=objects.splitlines(keepends=True)[1]))
    assert only_z[0] == {"z": b"z"}


async def test_a_dead_region_is_left_alone_until_a_probe_finds_it_alive(node: Node) -> None:
    node.reader.failures = {REGION: ErrorCode.NETWORK}
    await node.mount(_pod("0"))
    assert _regions_asked(node) == [REGION, SECOND]
    for number in range(3):
        node.clock.pass_by(FIRST_PAUSE_SECONDS / 3 - 0.1)
        await node.mount(_pod(f"early {number}", account=f"api{number}"))
        assert _regions_asked(node) == [SECOND], "whoever asks, the process knows that the region is dead"
    node.clock.pass_by(1)
    assert await _value(node, _pod("probe", account="p")) == SECOND.encode(), "a probe is beside the mount"
    assert sorted(_regions_asked(node)) == [SECOND, REGION]
    node.reader.failures = {}
    node.clock.pass_by(2 * FIRST_PAUSE_SECONDS + 1)
    await node.mount(_pod("second probe", account="q"))
    node.clock.pass_by(0.1)
    assert await _value(node, _pod("back", account="r")) == b"one"
    assert _regions_asked(node)[-1] == REGION


async def test_one_answer_with_a_server_error_does_not_make_a_region_dead_but_five_do(node: Node) -> None:
    node.reader.failures = {REGION: ErrorCode.AWS_SERVER}
    for number in range(5):
        await node.mount(_pod(str(number), account=f"api{number}"))
        assert _regions_asked(node) == [REGION, SECOND]
    await node.mount(_pod("6", account="api6"))
    assert _regions_asked(node) == [SECOND]


async def test_a_region_that_is_known_to_be_dead_is_asked_after_all_when_no_other_answers(node: Node) -> None:
    node.reader.failures = dict.fromkeys((REGION, SECOND, THIRD), ErrorCode.NETWORK)
    await _failure(node, _pod("a"))
    _regions_asked(node)
    node.reader.failures = {SECOND: ErrorCode.NETWORK, THIRD: ErrorCode.NETWORK}
    assert await _value(node, _pod("b", account="other")) == b"one"


async def test_a_region_without_failover_is_asked_however_dead_it_was(node: Node) -> None:
    node.reader.failures = {REGION: ErrorCode.NETWORK}
    await _failure(node, shop_pod("a"))
    node.reader.failures = {}
    assert await _value(node, shop_pod("b")) == b"one"


async def test_a_region_whose_sts_is_dead_is_left_alone_too(node: Node) -> None:
    node.exchange.dead_regions = {REGION}
    assert await _value(node, _pod("a")) == SECOND.encode()
    node.exchange.exchanges.clear()
    await node.mount(_pod("b", account="other"))
    assert [region for _, region in node.exchange.exchanges] == [SECOND]


async def test_pauses_double_to_a_minute_and_no_further(node: Node) -> None:
    node.reader.failures = {REGION: ErrorCode.NETWORK}
    asked_at: list[float] = []
    for second in range(400):
        await node.mount(_pod(str(second), account=f"api{second}"))
        asked_at += [second for region in _regions_asked(node) if region == REGION]
        node.clock.pass_by(1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert gaps == sorted(gaps)
    assert gaps[0] == FIRST_PAUSE_SECONDS
    assert gaps[-1] == LONGEST_PAUSE_SECONDS


async def test_a_class_with_its_own_refresh_interval_keeps_to_it(node: Node) -> None:
    reads = {}
    for interval in ("10s", "5m", ""):
        pod = shop_pod(f"uid {interval}", account=f"api{interval}")
        pod = with_parameters(pod, refreshInterval=interval) if interval else pod
        for _ in range(48):  # an hour at kubelet's 75 s
            await node.mount(pod)
            node.clock.pass_by(75)
        reads[interval] = len(_regions_asked(node))
    assert reads == {"10s": 48, "5m": 10, "": 24}


async def test_the_sync_controller_names_no_class_and_gets_young_values_each_time(node: Node) -> None:
    """It comes with one pod uid and one path for everything, twelve hours apart or at once."""
    pods = [
        replace(shop_pod("controller"), class_name="", name="sync-controller-0", target_path="/mnt/secrets-store"),
        replace(shop_pod("controller", account="b"), class_name="", target_path="/mnt/secrets-store"),
    ]
    for number in range(4):
        node.reader.values[REGION, "db"] = (f"{number}".encode(), f"v{number}")
        for pod in pods:
            assert await _value(node, pod) == f"{number}".encode()
        node.clock.pass_by(60)
    assert len(node.reader.reads) == 8
