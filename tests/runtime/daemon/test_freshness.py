"""Decisions about age, sharing and outages, with the real mounter, cache and single flight over ports in memory."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from provider_runtime.errors import Culprit, ErrorCode, MountError
from tests.fakes.driver import Pod
from tests.fakes.nodes import FAR_FUTURE_SECONDS, OBJECTS, REGION, Node, build_node, shop_pod
from tests.fakes.patience import until
from tests.fakes.tokens import make_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with asyncio.TaskGroup() as tasks:
        yield build_node(tasks)


async def test_a_rollout_of_many_pods_is_one_read_and_one_exchange(node: Node) -> None:
    mounts = await asyncio.gather(*(node.mount(shop_pod(f"pod-{number}")) for number in range(100)))
    assert all(files == {"db": b"one"} for files, _ in mounts)
    assert len(node.reader.reads) == len(node.exchange.exchanges) == 1


async def test_a_first_mount_takes_no_value_older_than_its_age(node: Node) -> None:
    await node.mount(shop_pod("a"))
    node.reader.values[REGION, "db"] = (b"two", "v2")
    node.clock.pass_by(9.9)
    assert (await node.mount(shop_pod("b")))[0] == {"db": b"one"}
    node.clock.pass_by(0.2)
    assert (await node.mount(shop_pod("c")))[0] == {"db": b"two"}


async def test_an_ordinary_republish_asks_aws_once_per_refresh_interval(node: Node) -> None:
    for _ in range(49):  # one hour at kubelet's 75 s
        await node.mount(shop_pod("a"))
        node.clock.pass_by(75)
    assert len(node.reader.reads) == 25


async def test_a_republish_that_was_asked_for_wants_a_young_value(node: Node) -> None:
    await node.mount(shop_pod("a"))
    node.clock.pass_by(75)
    await node.mount(shop_pod("a"))
    node.reader.values[REGION, "db"] = (b"two", "v2")
    node.clock.pass_by(20)  # sooner than kubelet comes by itself: somebody patched the pod
    assert (await node.mount(shop_pod("a")))[0] == {"db": b"two"}


async def test_a_mount_that_failed_does_not_count_as_mounted(node: Node) -> None:
    await node.mount(shop_pod("other"))
    node.reader.values[REGION, "db"] = (b"two", "v2")
    objects = OBJECTS + "- {objectName: missing, objectType: secretsmanager}\n"
    with pytest.raises(MountError):
        await node.mount(shop_pod("a", objects=objects))
    node.clock.pass_by(50)
    assert (await node.mount(shop_pod("a")))[0] == {"db": b"two"}


async def test_a_rotated_token_is_not_a_cache_miss(node: Node) -> None:
    await node.mount(shop_pod("a", serial=1))
    _, tally = await node.mount(shop_pod("a", serial=2))
    assert (tally.aws_calls, tally.remembered) == (0, 1)
    assert len(node.exchange.exchanges) == 1


async def test_another_service_account_never_hits(node: Node) -> None:
    await node.mount(shop_pod("a"))
    other = shop_pod("b", account="other")
    await node.mount(other)
    assert len(node.reader.reads) == len(node.exchange.exchanges) == 2


async def test_an_identity_that_is_denied_gets_nothing_that_another_was_given(node: Node) -> None:
    await node.mount(shop_pod("a"))
    allowed = node.reader.reads[0][0]
    with contextlib.suppress(MountError):
        await node.mount(shop_pod("b", account="other"))
    denied = node.reader.reads[1][0]
    assert denied != allowed
    node.reader.denied.add(denied)
    node.clock.pass_by(200)
    with pytest.raises(MountError) as caught:
        await node.mount(shop_pod("b", account="other"))
    assert caught.value.culprit is Culprit.ACCESS_DENIED
    assert (await node.mount(shop_pod("a")))[0] == {"db": b"one"}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["api", "web", "job"]), st.integers(0, 150), st.booleans()),
        max_size=30,
    )
)
def test_whatever_the_interleaving_nobody_gets_what_another_read(steps: list[tuple[int, str, int, bool]]) -> None:
    """I2: mounts of three identities overlap, time passes, AWS comes and goes; every value names its reader."""

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            node = build_node(tasks)
            node.reader.says_who = True
            for passed, (uid, account, seconds, is_down) in enumerate(steps):
                node.clock.pass_by(seconds if passed % 3 == 0 else 0)
                node.reader.failures = {REGION: ErrorCode.NETWORK} if is_down else {}
                tasks.create_task(check(node, shop_pod(f"{account}-{uid}", account=account), account))
                if passed % 2:
                    await asyncio.sleep(0)

    async def check(node: Node, pod: Pod, account: str) -> None:
        with contextlib.suppress(MountError):
            files, _ = await node.mount(pod)
            assert files == {"db": account.encode()}

    asyncio.run(run())


async def test_an_unreadable_token_is_shared_with_nobody(node: Node) -> None:
    for token in ("opaque-1", "opaque-2", "opaque-1"):
        await node.mount(Pod(uid=token, region=REGION, objects=OBJECTS, tokens={"sts.amazonaws.com": token}))
    assert len(node.reader.reads) == 2


async def test_a_denial_bites_at_the_first_check_and_nothing_older_is_served_after_it(node: Node) -> None:
    await node.mount(shop_pod("a"))
    node.reader.denied.add(node.reader.reads[0][0])
    node.clock.pass_by(11)
    for uid in ("b", "a", "c"):
        with pytest.raises(MountError) as caught:
            await node.mount(shop_pod(uid))
        assert caught.value.culprit is Culprit.ACCESS_DENIED


async def test_a_secret_that_is_gone_is_forgotten_at_once(node: Node) -> None:
    await node.mount(shop_pod("a"))
    del node.reader.values[REGION, "db"]
    node.clock.pass_by(11)
    with pytest.raises(MountError):
        await node.mount(shop_pod("b"))
    node.reader.failures[REGION] = ErrorCode.NETWORK
    with pytest.raises(MountError) as caught:
        await node.mount(shop_pod("a"))
    assert caught.value.culprit is Culprit.NETWORK, "an outage does not bring a deleted secret back"


@pytest.mark.parametrize("code", [ErrorCode.NETWORK, ErrorCode.THROTTLED, ErrorCode.AWS_SERVER, ErrorCode.DEADLINE])
async def test_an_outage_is_bridged_with_the_last_known_value_and_said(node: Node, code: ErrorCode) -> None:
    await node.mount(shop_pod("a"))
    node.reader.failures[REGION] = code
    node.clock.pass_by(1800)
    files, tally = await node.mount(shop_pod("b"))
    assert files == {"db": b"one"}
    assert (tally.stale, tally.oldest_seconds) == (1, 1800)
    node.clock.pass_by(1801)
    with pytest.raises(MountError):
        await node.mount(shop_pod("b"))


async def test_an_outage_gives_nothing_to_an_identity_that_never_read_the_value(node: Node) -> None:
    await node.mount(shop_pod("a"))
    node.reader.failures[REGION] = ErrorCode.NETWORK
    with pytest.raises(MountError):
        await node.mount(shop_pod("b", account="other"))


async def test_an_outage_of_sts_is_bridged_but_a_refusal_of_sts_forgets_everything(node: Node) -> None:
    await node.mount(shop_pod("a"))
    node.clock.pass_by(1000)
    node.exchange.failure = ErrorCode.NETWORK
    assert (await node.mount(shop_pod("b")))[1].stale == 1
    node.exchange.failure = ErrorCode.CREDENTIALS_REFUSED
    with pytest.raises(MountError) as caught:
        await node.mount(shop_pod("b"))
    assert caught.value.culprit is Culprit.CREDENTIALS
    node.exchange.failure = ErrorCode.NETWORK
    with pytest.raises(MountError):
        await node.mount(shop_pod("b"))


async def test_a_removed_trust_bites_when_the_session_ends(node: Node) -> None:
    await node.mount(shop_pod("a"))
    node.exchange.failure = ErrorCode.CREDENTIALS_REFUSED
    for _ in range(6):
        node.clock.pass_by(130)
        assert (await node.mount(shop_pod("a")))[0] == {"db": b"one"}
    node.clock.pass_by(130)
    with pytest.raises(MountError):
        await node.mount(shop_pod("a"))


async def test_the_failover_region_is_asked_only_when_the_primary_cannot_answer(node: Node) -> None:
    node.reader.values["us-west-2", "db"] = (b"replica", "r1")
    pod = shop_pod("a", failoverRegion="us-west-2")
    assert (await node.mount(pod))[0] == {"db": b"one"}
    assert {region for _, region, _ in node.reader.reads} == {REGION}
    node.reader.failures[REGION] = ErrorCode.AWS_SERVER
    node.clock.pass_by(200)
    assert (await node.mount(pod))[0] == {"db": b"replica"}, "a fresh replica is better than an old value"


async def test_one_cancelled_pod_does_not_fail_its_neighbours(node: Node) -> None:
    node.reader.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(node.mount(shop_pod("a")))
        second = tasks.create_task(node.mount(shop_pod("b")))
        await until(lambda: bool(node.reader.reads), "a read begins")
        first.cancel()
        await asyncio.sleep(0)
        node.reader.gate.set()
    assert first.cancelled()
    assert second.result()[0] == {"db": b"one"}
    assert len(node.reader.reads) == 1


async def test_a_mount_that_runs_out_of_time_leaves_the_read_to_its_neighbours(node: Node) -> None:
    node.reader.gate = asyncio.Event()
    with pytest.raises(MountError) as caught:
        await node.mount(shop_pod("a"), seconds=0.05)
    assert caught.value.code is ErrorCode.DEADLINE
    waiting = asyncio.gather(node.mount(shop_pod("b")))
    await asyncio.sleep(0)
    node.reader.gate.set()
    assert (await waiting)[0][0] == {"db": b"one"}
    assert len(node.reader.reads) == 1


async def test_parameters_that_are_remembered_are_not_asked_for_again(node: Node) -> None:
    names = [f"p{number}" for number in range(12)]
    node.reader.values |= {(REGION, name): (name.encode(), "1") for name in names}

    def objects(chosen: list[str]) -> str:
        return "".join(f"- {{objectName: {name}, objectType: ssmparameter}}\n" for name in chosen)

    await node.mount(shop_pod("a", objects=objects(names[:5])))
    await node.mount(shop_pod("b", objects=objects(names)))
    assert [target for _, _, target in node.reader.reads] == [",".join(names[:5]), ",".join(names[5:])]


async def test_an_invalid_parameter_fails_the_mount_and_keeps_the_good_ones(node: Node) -> None:
    node.reader.values[REGION, "good"] = (b"1", "1")
    objects = "- {objectName: good, objectType: ssmparameter}\n- {objectName: bad, objectType: ssmparameter}\n"
    with pytest.raises(MountError, match="400: eu-west-1: invalid parameters: bad"):
        await node.mount(shop_pod("a", objects=objects))
    node.reader.values[REGION, "bad"] = (b"2", "1")
    assert (await node.mount(shop_pod("a", objects=objects)))[0] == {"good": b"1", "bad": b"2"}
    assert node.reader.reads[-1][2] == "bad"


async def test_a_class_without_role_and_region_costs_two_lookups_and_one_with_them_none(node: Node) -> None:
    await node.mount(shop_pod("a"))
    assert node.lookup.lookups == 0
    token = make_token("fakeNS", "fakeSvcAcc", lifetime_seconds=FAR_FUTURE_SECONDS)
    await node.mount(Pod(objects=OBJECTS, region="", role_arn="", tokens={"sts.amazonaws.com": token}))
    assert node.lookup.lookups == 2


async def test_without_cache_every_mount_asks_and_nothing_is_bridged() -> None:
    async with asyncio.TaskGroup() as tasks:
        node = build_node(tasks, has_cache=False)
        await node.mount(shop_pod("a"))
        await node.mount(shop_pod("a"))
        assert len(node.reader.reads) == 2
        node.reader.failures[REGION] = ErrorCode.NETWORK
        with pytest.raises(MountError):
            await node.mount(shop_pod("a"))
