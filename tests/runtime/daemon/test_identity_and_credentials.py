"""Whose credentials sign a call: identities from tokens, STS, the Pod Identity agent, and calls on shared clients."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import NoCredentialsError

from provider_runtime.aws_clients import AwsClients, AwsService, acting_as
from provider_runtime.aws_credentials import AwsTokenExchange, render_session_name
from provider_runtime.blocking_calls import BlockingCalls
from provider_runtime.caller_identity import CallerIdentity, IdentityKind, parse_identity
from provider_runtime.config import parse_settings
from provider_runtime.credential_cache import CredentialCache
from provider_runtime.daemon import SystemClock
from provider_runtime.errors import ErrorCode, MountError
from provider_runtime.mount_request import AddressType
from provider_runtime.ports import AwsCredentials, Caller, CallError
from provider_runtime.redaction import SecretText
from tests.fakes.aws import AGENT, ASSUME_ROLE, FakeAws, FakeSecret, Fault
from tests.fakes.driver import ROLE_ARN
from tests.fakes.patience import LASTING_SECONDS, PATIENCE_SECONDS
from tests.fakes.ports import FakeClock, FakeExchange, Spawner
from tests.fakes.tokens import make_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REGION = "eu-west-1"
OPAQUE = "opaque-token"


@pytest.fixture(scope="module")
def aws_server() -> Iterator[FakeAws]:
    with FakeAws() as aws:
        yield aws


@pytest.fixture
def aws(aws_server: FakeAws) -> FakeAws:
    aws_server.reset()
    return aws_server


def _identity(token: str, kind: IdentityKind = IdentityKind.IRSA, fields: Mapping[str, str] = {}) -> CallerIdentity:
    values = {"namespace": "shop", "service_account": "api", "role_arn": ROLE_ARN, "pod_uid": "uid-1", **fields}
    return parse_identity(
        SecretText(token),
        kind=kind,
        now=time.time(),
        namespace=values["namespace"],
        service_account=values["service_account"],
        role_arn=values["role_arn"],
        pod_uid=values["pod_uid"],
    )


def _caller(token: str = OPAQUE) -> Caller:
    return Caller(identity=_identity(token), token=SecretText(token), address_type=AddressType.AUTO)


def test_tokens_of_one_service_account_are_one_identity() -> None:
    tokens = [make_token("shop", "api", serial=serial) for serial in (1, 2)]
    assert tokens[0] != tokens[1]
    assert _identity(tokens[0]) == _identity(tokens[1])


@pytest.mark.parametrize(
    "other",
    [
        {"role_arn": ROLE_ARN + "2"},
        {"issuer": "https://elsewhere.example"},
        {"namespace": "shop2"},
        {"service_account": "api2"},
    ],
)
def test_role_issuer_namespace_and_account_are_part_of_the_identity(other: dict[str, str]) -> None:
    issuer = other.pop("issuer", "https://oidc.example/id/TEST")
    names = {"namespace": "shop", "service_account": "api"} | other
    token = make_token(names["namespace"], names["service_account"], issuer=issuer)
    assert _identity(token, fields=other) != _identity(make_token("shop", "api"))


def test_pods_share_an_irsa_identity_but_not_a_pod_identity() -> None:
    irsa = {_identity(make_token("shop", "api"), fields={"pod_uid": uid}) for uid in ("1", "2")}
    token = make_token("shop", "api", audience="pods.eks.amazonaws.com")
    agent = {_identity(token, kind=IdentityKind.POD_IDENTITY, fields={"pod_uid": uid}) for uid in ("1", "2")}
    assert (len(irsa), len(agent)) == (1, 2)


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "x..y", "a." + "A" * 20_000 + ".c", "e30.W10.c", "a.e30.c"])
def test_a_token_that_cannot_be_read_is_an_identity_of_its_own(token: str) -> None:
    identity = _identity(token)
    assert identity.token_digest == hashlib.sha256(token.encode()).hexdigest()
    assert identity != _identity(token + "2")


def test_a_token_for_another_audience_is_refused() -> None:
    with pytest.raises(MountError) as caught:
        _identity(make_token("shop", "api"), kind=IdentityKind.POD_IDENTITY)
    assert caught.value.code is ErrorCode.TOKEN_REFUSED


@pytest.mark.parametrize("namespace", ["shop", "fakeNS", "with space", "x" * 200, "\u00fcber", ""])
def test_a_session_name_is_in_sts_characters_and_never_shared(namespace: str) -> None:
    name = render_session_name(namespace, "api")
    assert 2 <= len(name) <= 64
    assert all(char.isascii() and (char.isalnum() or char in "_+=,.@-") for char in name)
    assert name != render_session_name(namespace + "-", "api")


def _clients(aws: FakeAws, **environment: str) -> AwsClients:
    settings = parse_settings([], {"AWS_ENDPOINT_URL": aws.url, **environment}).aws
    return AwsClients(settings, pool_size=32)


def _credentials(name: str) -> AwsCredentials:
    return AwsCredentials(
        access_key_id=name, secret_access_key=SecretText("s"), session_token=SecretText("t"), expires_at=0
    )


def test_2000_calls_on_24_threads_are_each_signed_by_their_own_caller(aws: FakeAws) -> None:
    clients = _clients(aws)
    for number in range(2000):
        aws.secrets[REGION, f"s{number}"] = FakeSecret(value="v")

    def read(number: int) -> None:
        client = clients.client(AwsService.SECRETS_MANAGER, REGION)
        with acting_as(_credentials(f"AKIDOF{number}")):
            client.get_secret_value(SecretId=f"s{number}")

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(read, range(2000)))
    assert len(aws.calls) == 2000
    assert all(call.role == f"AKIDOF{call.target[1:]}" for call in aws.calls)


def test_a_call_without_caller_fails_and_nothing_is_sent(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHENODE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    client = _clients(aws).client(AwsService.SECRETS_MANAGER, REGION)
    with acting_as(_credentials("AKID")):
        pass
    with pytest.raises(NoCredentialsError):
        client.get_secret_value(SecretId="x")
    assert not aws.calls


def test_one_client_per_service_and_region_however_many_threads_ask(aws: FakeAws) -> None:
    clients = _clients(aws)
    with ThreadPoolExecutor(8) as threads:
        built = list(threads.map(lambda _: clients.client(AwsService.PARAMETER_STORE, REGION), range(8)))
    assert len({id(client) for client in built}) == 1


@pytest.mark.parametrize(
    "region", ["evil.example", "a/b", "eu-west-1#", "-x", "", "x" * 64, "eu-west-99", "fakeRegion"]
)
def test_without_overridden_endpoints_only_regions_of_aws_get_clients(region: str) -> None:
    clients = AwsClients(parse_settings([], {}).aws, pool_size=1)
    with pytest.raises(MountError):
        clients.client(AwsService.SECRETS_MANAGER, region)
    clients.check_region("eu-west-1")
    clients.check_region("us-gov-west-1")
    clients.check_region("cn-north-1")


class _Node:
    """An exchange against the fake, as the daemon builds it."""

    def __init__(self, aws: FakeAws, *flags: str) -> None:
        settings = parse_settings(flags, {"AWS_ENDPOINT_URL": aws.url})
        self.clock = SystemClock()
        self.calls = BlockingCalls(workers=4, clock=self.clock)
        self.exchange = AwsTokenExchange(
            AwsClients(settings.aws, pool_size=4),
            self.calls,
            agent_endpoints=settings.pod_identity_endpoints,
            agent_timeout_seconds=settings.pod_identity_timeout_seconds,
        )

    async def fetch(self, caller: Caller, *, seconds: float = PATIENCE_SECONDS) -> AwsCredentials:
        try:
            return await self.exchange.fetch_credentials(caller, REGION, self.clock.monotonic() + seconds)
        finally:
            self.calls.close()


async def test_sts_is_asked_unsigned_with_a_readable_session_name_and_the_shortest_duration(aws: FakeAws) -> None:
    credentials = await _Node(aws).fetch(_caller("the-token"))
    (call,) = aws.calls
    assert call.body["RoleSessionName"] == "shop.api"
    assert call.body["DurationSeconds"] == "900"
    assert call.body["WebIdentityToken"] == "the-token"
    assert "authorization" not in call.headers
    assert "app/secrets-store-csi-driver-provider-aws-" in call.headers["user-agent"]
    assert aws.roles[credentials.access_key_id] == ROLE_ARN
    assert 850 < credentials.expires_at - time.time() <= 900


def _agent_caller(token: str = OPAQUE, address_type: AddressType = AddressType.AUTO) -> Caller:
    identity = _identity(token, kind=IdentityKind.POD_IDENTITY)
    return Caller(identity=identity, token=SecretText(token), address_type=address_type)


def _agent_flags(ipv4: str, ipv6: str) -> tuple[str, ...]:
    return (f"--pod-identity-endpoint-ipv4={ipv4}", f"--pod-identity-endpoint-ipv6={ipv6}")


DEAD = "http://127.0.0.1:1/v1/credentials"


async def test_the_agent_gets_the_raw_token_and_never_through_a_proxy(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    credentials = await _Node(aws, *_agent_flags(f"{aws.url}/v1/credentials", DEAD)).fetch(_agent_caller())
    (call,) = aws.calls
    assert call.headers["authorization"] == OPAQUE
    assert call.headers["accept"] == "application/json"
    assert aws.roles[credentials.access_key_id].startswith("association-of-")


async def test_auto_falls_back_to_the_other_address(aws: FakeAws) -> None:
    credentials = await _Node(aws, *_agent_flags(DEAD, f"{aws.url}/v1/credentials")).fetch(_agent_caller())
    assert credentials.access_key_id in aws.roles


async def test_a_chosen_address_does_not_fall_back(aws: FakeAws) -> None:
    node = _Node(aws, *_agent_flags(DEAD, f"{aws.url}/v1/credentials"))
    with pytest.raises(CallError) as caught:
        await node.fetch(_agent_caller(address_type=AddressType.IPV4))
    assert caught.value.code is ErrorCode.CREDENTIALS_UNAVAILABLE
    assert caught.value.may_fail_over
    assert not aws.calls


@pytest.mark.parametrize("token", ["line\r\nX-Evil: 1", "line\n", "t\u00f6ken"])
async def test_a_token_that_would_break_the_header_is_never_sent(aws: FakeAws, token: str) -> None:
    node = _Node(aws, *_agent_flags(f"{aws.url}/v1/credentials", DEAD))
    with pytest.raises(CallError) as caught:
        await node.fetch(_agent_caller(token))
    assert token not in str(caught.value)
    assert not aws.calls


@pytest.mark.parametrize(
    ("fault", "code", "attempts"),
    [
        (Fault(status=403, message="no association"), ErrorCode.CREDENTIALS_REFUSED, 1),
        (Fault(status=404, message="no association"), ErrorCode.CREDENTIALS_REFUSED, 1),
        (Fault(status=500, message="broken"), ErrorCode.CREDENTIALS_UNAVAILABLE, 3),
        (Fault(status=200, message='{"AccessKeyId": "canary"'), ErrorCode.CREDENTIALS_UNAVAILABLE, 1),
    ],
)
async def test_what_the_agent_answers_is_explained(aws: FakeAws, fault: Fault, code: ErrorCode, attempts: int) -> None:
    aws.fail(AGENT, fault)
    node = _Node(aws, *_agent_flags(f"{aws.url}/v1/credentials", DEAD))
    with pytest.raises(CallError) as caught:
        await node.fetch(_agent_caller())
    assert caught.value.code is code
    assert aws.count(AGENT) == attempts
    assert "canary" not in str(caught.value)


async def test_an_agent_that_does_not_answer_costs_no_more_than_its_timeout_per_try(aws: FakeAws) -> None:
    aws.fail(AGENT, Fault(hang_seconds=LASTING_SECONDS))
    flags = (*_agent_flags(f"{aws.url}/v1/credentials", DEAD), "--pod-identity-http-timeout=100ms")
    node = _Node(aws, *flags)  # reads the SDK's files, which takes as long as the machine likes
    began = time.monotonic()
    with pytest.raises(CallError, match="TimeoutError: timed out"):
        await node.fetch(_agent_caller())
    assert time.monotonic() - began < 15, "the agent is not waited for"
    assert aws.count(AGENT) == 3
    aws.heal()


async def test_credentials_are_kept_until_shortly_before_they_expire() -> None:
    clock = FakeClock()
    exchange = FakeExchange(clock)
    async with asyncio.TaskGroup() as tasks:
        cache = CredentialCache(exchange, spawn=Spawner(tasks), clock=clock, exchange_seconds=10)
        first = await cache.credentials(_caller(), REGION, clock.monotonic() + 10)
        clock.pass_by(900 - 121)
        assert await cache.credentials(_caller(), REGION, clock.monotonic() + 10) == first
        clock.pass_by(2)
        second = await cache.credentials(_caller(), REGION, clock.monotonic() + 10)
        assert second != first
        exchange.failure = ErrorCode.NETWORK
        clock.pass_by(800)
        assert await cache.credentials(_caller(), REGION, clock.monotonic() + 10) == second, "an outage uses them up"
        clock.pass_by(90)
        with pytest.raises(CallError):
            await cache.credentials(_caller(), REGION, clock.monotonic() + 10)


async def test_long_sessions_of_the_agent_are_asked_for_again_after_15_minutes() -> None:
    clock = FakeClock()
    exchange = FakeExchange(clock, session_seconds=6 * 3600)
    async with asyncio.TaskGroup() as tasks:
        cache = CredentialCache(exchange, spawn=Spawner(tasks), clock=clock, exchange_seconds=10)
        await cache.credentials(_caller(), REGION, clock.monotonic() + 10)
        clock.pass_by(901)
        await cache.credentials(_caller(), REGION, clock.monotonic() + 10)
    assert len(exchange.exchanges) == 2


async def test_another_identity_or_region_never_finds_credentials() -> None:
    clock = FakeClock()
    exchange = FakeExchange(clock)
    draw = random.Random(1)  # noqa: S311  # a test wants the same order each time
    seen: dict[str, tuple[str, str]] = {}
    async with asyncio.TaskGroup() as tasks:
        cache = CredentialCache(exchange, spawn=Spawner(tasks), clock=clock, exchange_seconds=10)

        async def ask(token: str, region: str) -> None:
            found = await cache.credentials(_caller(token), region, clock.monotonic() + 10)
            assert seen.setdefault(found.access_key_id, (token, region)) == (token, region)

        asks = [(f"t{draw.randrange(5)}", f"r{draw.randrange(3)}") for _ in range(300)]
        await asyncio.gather(*(ask(token, region) for token, region in asks))
    assert len(exchange.exchanges) == len(set(asks))


async def test_the_exchange_ends_at_the_deadline_whatever_sts_does(aws: FakeAws) -> None:
    aws.fail(ASSUME_ROLE, Fault(hang_seconds=LASTING_SECONDS))
    began = time.monotonic()
    with pytest.raises(CallError) as caught:
        await _Node(aws).fetch(_caller(), seconds=0.2)
    assert time.monotonic() - began < 5, "the fake answers later"
    assert caught.value.code is ErrorCode.DEADLINE
    aws.heal()
