"""How AWS is reached: FIPS, dual-stack, endpoints, proxies and CA bundle, for all three services, STS included.

The Go provider's STS client knows none of these. Everything here is loopback: a name that ends in `.invalid` is only
ever said to a proxy.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provider_runtime.aws_clients import AwsClients, AwsService
from provider_runtime.config import ENDPOINT_VARIABLES, parse_settings
from tests.fakes.aws import AGENT, ASSUME_ROLE, GET_PARAMETERS, GET_SECRET, FakeAws, FakeParameter, FakeSecret, Fault
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.driver import FAKE_REGION, Answer, DriverClient, Pod, with_parameters
from tests.fakes.patience import LASTING_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OBJECTS = (
    "- {objectName: TestSecret1, objectType: secretsmanager}\n- {objectName: TestParm1, objectType: ssmparameter}\n"
)
PLAIN = Pod(objects=OBJECTS)
NOWHERE = "http://aws.invalid"
CALLS = (ASSUME_ROLE, GET_SECRET, GET_PARAMETERS)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with FakeAws() as aws:
        aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
        aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value="parm1")
        yield aws


def mount(url: str, *flags: str, pod: Pod = PLAIN, environment: Mapping[str, str] | None = None) -> Answer:
    """Mount once through a provider of its own, one attempt per call."""
    settings = {"AWS_MAX_ATTEMPTS": "1", **(environment or {})}
    with (
        socket_directory() as directory,
        ThreadedDaemon(directory, *flags, url=url, environment=settings) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        return driver.mount(pod)


@pytest.mark.parametrize(
    ("environment", "form"),
    [
        ({}, "https://{service}.us-east-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://{service}-fips.us-east-1.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://{service}.us-east-1.api.aws"),
        (
            {"AWS_USE_FIPS_ENDPOINT": "TRUE", "AWS_USE_DUALSTACK_ENDPOINT": "True"},
            "https://{service}-fips.us-east-1.api.aws",
        ),
    ],
    ids=["plain", "FIPS", "dual-stack", "both"],
)
def test_every_service_has_the_endpoint_that_the_switches_ask_for(environment: dict[str, str], form: str) -> None:
    clients = AwsClients(parse_settings([], environment).aws, pool_size=1)
    for service in AwsService:
        assert clients.client(service, "us-east-1").meta.endpoint_url == form.format(service=service.value)


def test_the_settings_know_every_service_that_is_called() -> None:
    assert set(ENDPOINT_VARIABLES) == {service.value for service in AwsService}


@pytest.mark.parametrize("service", list(AwsService))
def test_a_service_may_have_an_endpoint_of_its_own(aws: FakeAws, service: AwsService) -> None:
    """Two AWSs: everything but one service goes to the first."""
    with FakeAws() as other:
        other.secrets.update(aws.secrets)
        other.parameters.update(aws.parameters)
        assert mount(aws.url, environment={ENDPOINT_VARIABLES[service.value]: other.url}).is_ok
        assert len(other.calls) == 1
        assert len(aws.calls) == 2


def test_all_calls_go_through_a_proxy_sts_included(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", aws.url)
    answer = mount(NOWHERE)
    assert answer.is_ok, answer.text
    assert sorted(call.action for call in aws.calls) == sorted(CALLS)
    assert {call.headers["host"] for call in aws.calls} == {"aws.invalid"}


def test_the_agent_and_addresses_of_no_proxy_are_reached_directly(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    agent = f"--pod-identity-endpoint-ipv4={aws.url}/v1/credentials"
    answer = mount(aws.url, agent, pod=with_parameters(Pod(objects=OBJECTS, role_arn=""), usePodIdentity="true"))
    assert answer.is_ok, answer.text
    assert aws.count(AGENT) == 1


def test_a_proxy_that_is_dead_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    answer = mount(NOWHERE)
    assert "LSP322" in answer.text
    assert "ProxyConnectionError" in answer.text


def test_a_proxy_that_drips_costs_no_more_than_the_deadline(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections through a proxy are other classes of urllib3's; they are guarded too."""
    monkeypatch.setenv("HTTP_PROXY", aws.url)
    aws.fail(GET_SECRET, Fault(drip_seconds=LASTING_SECONDS))
    with (
        socket_directory() as directory,
        ThreadedDaemon(directory, "--mount-timeout=2s", "--workers=2", url=NOWHERE) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        began = time.monotonic()
        assert not driver.mount(Pod(objects=OBJECTS)).is_ok
        assert time.monotonic() - began < 10
        aws.faults.clear()  # not `heal`: the dripping goes on
        left = began + 15 - time.monotonic()
        wait_until(lambda: driver.mount(Pod(objects=OBJECTS)).is_ok, "the worker comes back", seconds=left)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lockstep tests")])
    now = dt.datetime.now(tz=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_aws(aws: FakeAws, certificate: Path) -> str:
    """The fake behind TLS; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = aws._servers[0]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return aws.url.replace("http:", "https:")


def test_the_ca_bundle_counts_for_every_service_sts_included(
    aws: FakeAws, tls_aws: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    answer = mount(tls_aws)
    assert answer.is_ok, answer.text
    assert sorted(call.action for call in aws.calls) == sorted(CALLS)


def test_a_server_that_no_bundle_vouches_for_gets_no_token(aws: FakeAws, tls_aws: str) -> None:
    answer = mount(tls_aws)
    assert "LSP322" in answer.text
    assert "TLS: " in answer.text
    assert not aws.calls
