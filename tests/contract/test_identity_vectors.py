"""Vectors E01 to E03, H01 to H10, P01 to P11, T06, X25 to X29, X36, X37, X45, X47: who asks, what AWS says.

The Pod Identity agent is played at an address of IPv4 and at one of IPv6; a test sees where a request arrived.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pytest

from provider_runtime.config import parse_settings
from tests.contract.vectors import assert_refused, case, texts
from tests.fakes.aws import (
    AGENT,
    ASSUME_ROLE,
    GET_PARAMETERS,
    GET_SECRET,
    KUBERNETES,
    FakeAws,
    FakeParameter,
    FakeSecret,
    Fault,
    object_of,
)
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.driver import FAKE_BACKUP_REGION, FAKE_REGION, ROLE_ARN, DriverClient, Pod
from tests.fakes.patience import LASTING_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.conftest import World

SECRET: Final = "- {objectName: TestSecret1, objectType: secretsmanager}\n"
PARAMETER: Final = "- {objectName: TestParm1, objectType: ssmparameter}\n"
BROKEN: Final = Fault(status=500, code="InternalServerError", message="oops")
DEAD: Final = "http://127.0.0.1:1"
_serial = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A provider whose agent has two addresses."""

    aws: FakeAws
    driver: DriverClient

    def pod(self, objects: str = SECRET, **parameters: str) -> Pod:
        """Make a pod that this process has not seen, with Pod Identity."""
        uid = f"pod-{next(_serial)}"
        tokens = {"sts.amazonaws.com": f"{uid}-sts", "pods.eks.amazonaws.com": f"{uid}-pods"}
        return Pod(objects=objects, uid=uid, tokens=tokens, parameters={"usePodIdentity": "true", **parameters})

    def asked(self) -> list[str]:
        """Where the agent was asked, in order."""
        return [f"http://{call.headers['host']}" for call in self.aws.calls if call.action == AGENT]


@contextlib.contextmanager
def _serve(*flags: str, ipv4: str = "", aws_url: str = "") -> Iterator[Node]:
    with FakeAws() as aws, socket_directory() as directory:
        agents = (
            f"--pod-identity-endpoint-ipv4={ipv4 or aws.url}/v1/credentials",
            f"--pod-identity-endpoint-ipv6={aws.second_url}/v1/credentials",
        )
        url = aws_url or aws.url
        environment = {"AWS_MAX_ATTEMPTS": "1"}
        with (
            ThreadedDaemon(directory, "--cache=off", *agents, *flags, url=url, environment=environment) as daemon,
            DriverClient(daemon.path) as driver,
        ):
            _fill(aws)
            yield Node(aws=aws, driver=driver)


def _fill(aws: FakeAws) -> None:
    aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value="parm1")


@pytest.fixture(scope="module")
def whole_node() -> Iterator[Node]:
    """Both addresses answer."""
    with _serve() as node:
        yield node


@pytest.fixture(scope="module")
def ipv6_node() -> Iterator[Node]:
    """Nothing listens at the IPv4 address."""
    with _serve(ipv4=DEAD) as node:
        yield node


@pytest.fixture
def node(whole_node: Node) -> Node:
    """Both addresses answer; AWS is healthy."""
    whole_node.aws.reset()
    _fill(whole_node.aws)
    return whole_node


@pytest.fixture
def lame_node(ipv6_node: Node) -> Node:
    """Nothing listens at the IPv4 address; AWS is healthy."""
    ipv6_node.aws.reset()
    _fill(ipv6_node.aws)
    return ipv6_node


@pytest.fixture
def world(quick_driver_writes_world: World) -> World:
    """IRSA, one attempt per call."""
    quick_driver_writes_world.aws.reset()
    _fill(quick_driver_writes_world.aws)
    return quick_driver_writes_world


def _irsa_pod(account: str, objects: str = SECRET, **parameters: str) -> Pod:
    tokens = {"sts.amazonaws.com": f"{account}-token"}
    return Pod(objects=objects, service_account=account, tokens=tokens, parameters=parameters)


@pytest.mark.parametrize(
    ("preferred", "is_ipv6"),
    [
        case("P01", "", False),
        case("P02", "auto", False),
        case("P03", "ipv4", False),
        case("P04", "ipv6", True),
        case("P05", "IPv4", False),
        case("P06", "IPv6", True),
        case("P07", "invalid", False),
    ],
)
def test_the_agent_is_asked_at_the_preferred_address(node: Node, preferred: str, is_ipv6: bool) -> None:  # noqa: FBT001
    assert texts(node.driver.mount(node.pod(preferredAddressType=preferred))) == {"TestSecret1": "secret1"}
    assert node.asked() == [node.aws.second_url if is_ipv6 else node.aws.url]


@pytest.mark.vector("T06", "P08", "X45")
def test_p08_the_agents_credentials_sign_the_read_and_no_role_is_looked_up(node: Node) -> None:
    """The agent gets the token as it is; STS and the Kubernetes API are not asked."""
    pod = node.pod(preferredAddressType="ipv4")
    assert node.driver.mount(pod).is_ok
    (asked,) = [call for call in node.aws.calls if call.action == AGENT]
    assert asked.headers["authorization"] == pod.tokens["pods.eks.amazonaws.com"]
    assert asked.headers["accept"] == "application/json"
    (read,) = [call for call in node.aws.calls if call.action == GET_SECRET]
    assert read.role.startswith("association-of-")
    assert node.aws.count(ASSUME_ROLE) == node.aws.count(KUBERNETES) == 0


@pytest.mark.parametrize("word", ["1", "t", "T", "TRUE", "true", "True"])
def test_go_words_for_true_mean_pod_identity(node: Node, word: str) -> None:
    assert node.driver.mount(node.pod(usePodIdentity=word)).is_ok
    assert (node.aws.count(AGENT), node.aws.count(ASSUME_ROLE)) == (1, 0)


@pytest.mark.parametrize("word", ["0", "f", "F", "FALSE", "false", "False", ""])
def test_go_words_for_false_mean_irsa(node: Node, word: str) -> None:
    pod = node.pod(usePodIdentity=word)
    assert node.driver.mount(replace(pod, service_account=pod.uid)).is_ok
    assert (node.aws.count(AGENT), node.aws.count(ASSUME_ROLE)) == (0, 1)


@pytest.mark.parametrize("word", ["yes", "no", "TrUe", " true", "y", "on", "2"])
def test_other_words_are_no_booleans(node: Node, word: str) -> None:
    assert_refused(node.driver.mount(node.pod(usePodIdentity=word)), "failed to parse usePodIdentity value")
    assert not node.aws.calls


@pytest.mark.parametrize("flag", ["true", "false"], ids=["pod identity", "irsa"])
def test_either_identity_reads_both_stores_in_both_regions(node: Node, flag: str) -> None:
    """One exchange for each region that is asked, shared by both stores."""
    node.aws.fail(GET_SECRET, BROKEN, region=FAKE_REGION)
    node.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    node.aws.secrets[FAKE_BACKUP_REGION, "TestSecret1"] = FakeSecret(value="secret1 of f")
    node.aws.parameters[FAKE_BACKUP_REGION, "TestParm1"] = FakeParameter(value="parm1 of f")
    pod = node.pod(SECRET + PARAMETER, usePodIdentity=flag, failoverRegion=FAKE_BACKUP_REGION)
    answer = node.driver.mount(replace(pod, service_account=pod.uid))
    assert texts(answer) == {"TestSecret1": "secret1 of f", "TestParm1": "parm1 of f"}
    used, unused = (AGENT, ASSUME_ROLE) if flag == "true" else (ASSUME_ROLE, AGENT)
    assert 1 <= node.aws.count(used) <= 2
    assert node.aws.count(unused) == 0
    signers = {call.role for call in node.aws.calls if call.action in {GET_SECRET, GET_PARAMETERS}}
    assert all(role.startswith("association-of-") if flag == "true" else role == ROLE_ARN for role in signers)


def test_pod_identity_without_a_region_looks_up_pod_and_node_only(node: Node) -> None:
    labels = {"topology.kubernetes.io/region": FAKE_REGION}
    node.aws.cluster["/api/v1/namespaces/fakeNS/pods/agent-pod"] = object_of(spec={"nodeName": "agent-node"})
    node.aws.cluster["/api/v1/nodes/agent-node"] = object_of(metadata={"labels": labels})
    assert node.driver.mount(replace(node.pod(), region="", role_arn="", name="agent-pod")).is_ok
    assert node.aws.count(KUBERNETES) == 2


@pytest.mark.vector("P09")
def test_p09_ipv6_works_while_ipv4_is_dead(lame_node: Node) -> None:
    assert lame_node.driver.mount(lame_node.pod(preferredAddressType="ipv6")).is_ok
    assert lame_node.asked() == [lame_node.aws.second_url]


@pytest.mark.vector("X37")
@pytest.mark.parametrize("preferred", ["", "auto", "anything"])
def test_x37_auto_falls_back_to_ipv6(lame_node: Node, preferred: str) -> None:
    assert lame_node.driver.mount(lame_node.pod(preferredAddressType=preferred)).is_ok
    assert lame_node.asked() == [lame_node.aws.second_url]


@pytest.mark.vector("X37")
def test_x37_auto_falls_back_when_the_ipv4_agent_is_broken(node: Node) -> None:
    node.aws.fail(AGENT, Fault(status=500, message="starting"), times=1)
    assert node.driver.mount(node.pod()).is_ok
    assert node.asked() == [node.aws.url, node.aws.second_url]


@pytest.mark.vector("P10")
def test_p10_an_agent_that_is_not_there_is_found_out_at_the_first_mount(lame_node: Node) -> None:
    assert lame_node.driver.version().version == "v1alpha1"
    answer = lame_node.driver.mount(lame_node.pod(preferredAddressType="ipv4"))
    assert_refused(answer, "failed to refresh cached credentials", DEAD, "eks-pod-identity-agent")
    assert lame_node.aws.count(GET_SECRET) == 0


@pytest.mark.parametrize(
    ("status", "attempts", "fix"),
    [
        pytest.param(
            500,
            3,
            "check that the eks-pod-identity-agent add-on runs on this node",
            marks=pytest.mark.vector("P11", "X29"),
            id="P11 X29",
        ),
        case("X29", 403, 1, "create the association", note="403"),
    ],
)
def test_x29_p11_what_the_agent_answers_is_told(node: Node, status: int, attempts: int, fix: str) -> None:
    node.aws.fail(AGENT, Fault(status=status, message="told by the agent"))
    answer = node.driver.mount(node.pod(preferredAddressType="ipv4"))
    assert_refused(answer, "failed to refresh cached credentials", f"HTTP {status}: told by the agent", fix)
    assert node.aws.count(AGENT) == attempts


@pytest.mark.parametrize(
    ("text", "seconds", "is_warned"),
    [
        case("H01", "100ms", 0.1, False),
        case("H02", "2s", 2.0, False),
        case("H03", "500ms", 0.5, False),
        case("H04", "35s", 35.0, True),
        case("H05", "invalid", None, True),
        case("H06", "0s", None, True),
        case("H07", "-100ms", None, True),
        case("H08", "", None, False),
        case("H09", "30s", 30.0, False),
        case("H10", "30001ms", 30.001, True),
    ],
)
def test_the_agents_timeout_is_read_as_upstream_reads_it_and_never_fatal(
    text: str,
    seconds: float | None,
    is_warned: bool,  # noqa: FBT001
) -> None:
    flag = f"--pod-identity-http-timeout={text}"
    settings = parse_settings([flag], {})
    assert settings.pod_identity_timeout_seconds == seconds
    assert bool(settings.warnings) is is_warned
    assert all("pod-identity-http-timeout" in warning for warning in settings.warnings)
    with (
        socket_directory() as directory,
        ThreadedDaemon(directory, flag, url=DEAD) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        assert driver.version().version == "v1alpha1"


@pytest.mark.parametrize(("text", "is_patient"), [case("H01", "100ms", False), case("H05", "invalid", True)])
def test_a_slow_agent_is_waited_for_as_long_as_the_timeout_says(text: str, is_patient: bool) -> None:  # noqa: FBT001
    session = {"AccessKeyId": "ASIASLOW", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
    with _serve(f"--pod-identity-http-timeout={text}") as node:
        hang = 0.4 if is_patient else LASTING_SECONDS
        node.aws.fail(AGENT, Fault(status=200, message=json.dumps(session), hang_seconds=hang))
        began = time.monotonic()
        answer = node.driver.mount(node.pod(preferredAddressType="ipv4"))
        assert time.monotonic() - began < 3
        if is_patient:
            assert texts(answer) == {"TestSecret1": "secret1"}
            assert [call.role for call in node.aws.calls if call.action == GET_SECRET] == ["ASIASLOW"]
        else:
            assert_refused(answer, "timed out", "eks-pod-identity-agent")


def test_aws_is_reached_through_the_proxy_and_the_agent_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of AWS means nothing here, so only the proxy can have reached it."""
    with _serve(aws_url="http://aws.invalid") as node:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, node.aws.url)
        assert texts(node.driver.mount(node.pod())) == {"TestSecret1": "secret1"}
        assert {call.action: call.is_proxied for call in node.aws.calls} == {AGENT: False, GET_SECRET: True}


@pytest.mark.vector("E01")
def test_e01_a_secret_that_does_not_exist_is_not_looked_for_elsewhere(world: World) -> None:
    del world.aws.secrets[FAKE_REGION, "TestSecret1"]
    world.aws.secrets[FAKE_BACKUP_REGION, "TestSecret1"] = FakeSecret(value="elsewhere")
    answer = world.driver.mount(Pod(objects=SECRET, parameters={"failoverRegion": FAKE_BACKUP_REGION}))
    assert_refused(answer, "fakeRegion: Failed fetching secret TestSecret1: 400: ResourceNotFoundException")
    assert world.aws.count(GET_SECRET, FAKE_BACKUP_REGION) == 0


@pytest.mark.vector("E02")
def test_e02_a_broken_parameter_store_is_not_the_end(world: World) -> None:
    world.aws.fail(GET_PARAMETERS, BROKEN, region=FAKE_REGION)
    world.aws.parameters[FAKE_BACKUP_REGION, "TestParm1"] = FakeParameter(value="elsewhere")
    answer = world.driver.mount(Pod(objects=PARAMETER, parameters={"failoverRegion": FAKE_BACKUP_REGION}))
    assert texts(answer) == {"TestParm1": "elsewhere"}


@pytest.mark.vector("E03")
def test_e03_an_invalid_parameter_is_the_end(world: World) -> None:
    del world.aws.parameters[FAKE_REGION, "TestParm1"]
    world.aws.parameters[FAKE_BACKUP_REGION, "TestParm1"] = FakeParameter(value="elsewhere")
    answer = world.driver.mount(Pod(objects=PARAMETER, parameters={"failoverRegion": FAKE_BACKUP_REGION}))
    assert_refused(answer, "400: fakeRegion: invalid parameters: TestParm1.")
    assert world.aws.count(GET_PARAMETERS, FAKE_BACKUP_REGION) == 0


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        case("X25", Fault(code="AccessDeniedException", message="not authorized"), "AccessDeniedException: not auth"),
        case("X26", Fault(code="ThrottlingException", message="Rate exceeded"), "ThrottlingException: Rate exceeded"),
    ],
)
def test_x25_x26_a_failure_without_a_type_shows_its_cause(world: World, fault: Fault, cause: str) -> None:
    world.aws.fail(GET_SECRET, fault)
    answer = world.driver.mount(Pod(objects=SECRET))
    assert_refused(answer, "Failed to fetch secret from all regions: TestSecret1", FAKE_REGION, cause, "Fix: ")


@pytest.mark.vector("X27")
def test_x27_a_role_that_does_not_trust_the_pod_is_named_with_account_and_audience(world: World) -> None:
    world.aws.fail(ASSUME_ROLE, Fault(status=403, code="AccessDenied", message="Not authorized to perform it"))
    answer = world.driver.mount(_irsa_pod("x27"))
    assert_refused(answer, ROLE_ARN, "system:serviceaccount:fakeNS:x27", "aud sts.amazonaws.com", "Not authorized")
    assert world.aws.count(ASSUME_ROLE) == 1
    assert world.aws.count(GET_SECRET) == 0


@pytest.mark.vector("X28")
def test_x28_a_token_that_sts_does_not_know_yet_is_shown_three_times(world: World) -> None:
    """An OIDC provider is new for a few seconds; after that the refusal is final, in the second region too."""
    world.aws.fail(ASSUME_ROLE, Fault(code="InvalidIdentityToken", message="No OpenIDConnect provider found"))
    answer = world.driver.mount(_irsa_pod("x28", failoverRegion=FAKE_BACKUP_REGION))
    assert_refused(answer, "fakeRegion: ", "InvalidIdentityToken: No OpenIDConnect provider found")
    assert world.aws.count(ASSUME_ROLE) == 3


@pytest.mark.vector("X36")
def test_x36_failures_of_both_stores_are_told_in_the_documents_order(world: World) -> None:
    world.aws.fail(GET_SECRET, Fault(code="AccessDeniedException", message="no secret"))
    world.aws.fail(GET_PARAMETERS, Fault(code="AccessDeniedException", message="no parameter"))
    for objects, order in ((SECRET + PARAMETER, 1), (PARAMETER + SECRET, -1)):
        answers = {world.driver.mount(Pod(objects=objects)).text for _ in range(3)}
        (text,) = answers
        assert (text.index("no parameter") - text.index("no secret")) * order > 0


@pytest.mark.vector("X47")
def test_x47_an_invalid_parameter_of_the_second_batch_leaves_no_file(either_world: World) -> None:
    names = [f"TestParm{number}" for number in range(1, 13)]
    for name in names:
        either_world.aws.parameters[FAKE_REGION, name] = FakeParameter(value=name)
    del either_world.aws.parameters[FAKE_REGION, "TestParm11"]
    objects = "".join(f"- {{objectName: {name}, objectType: ssmparameter}}\n" for name in names)
    assert_refused(either_world.driver.mount(Pod(objects=objects)), "400: fakeRegion: invalid parameters: TestParm11.")
    assert either_world.aws.count(GET_PARAMETERS) <= 2
