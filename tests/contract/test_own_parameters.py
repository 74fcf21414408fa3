"""The class parameters that only this provider knows, through a real socket: role chains, regions, and who may share.

The chain is checked at the fake's STS: which role asked for which, with which external id and session name, and on
whose behalf the secrets were read in the end.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest

from provider_runtime.csi_v1alpha1 import service_pb2
from tests.fakes.aws import (
    AGENT,
    ASSUME_ROLE,
    CHAIN_ROLE,
    GET_PARAMETERS,
    GET_SECRET,
    KUBERNETES,
    FakeAws,
    FakeParameter,
    FakeSecret,
    Fault,
)
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.driver import FAKE_BACKUP_REGION, FAKE_REGION, ROLE_ARN, DriverClient, Pod, with_parameters
from tests.fakes.tokens import make_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.conftest import World

SECRET = "- {objectName: TestSecret1, objectType: secretsmanager}\n"
PARAMETER = "- {objectName: TestParm1, objectType: ssmparameter}\n"
THERE = "arn:aws:iam::444455556666:role/there"
EXTERNAL_ID = "customer-4711"


@pytest.fixture(autouse=True)
def _values(world: World) -> None:
    world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    world.aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value="parm1")


def _chained(account: str, **parameters: str) -> Pod:
    """Make a pod whose credentials no test before it has fetched: they are kept, whatever `--cache` says."""
    pod = Pod(objects=SECRET + PARAMETER, service_account=account, tokens={"sts.amazonaws.com": f"token-{account}"})
    return with_parameters(pod, assumeRoleArn=THERE, **parameters)


def _roles_of_reads(aws: FakeAws) -> set[str]:
    return {call.role for call in aws.calls if call.action in {GET_SECRET, GET_PARAMETERS}}


@pytest.mark.parametrize("external_id", ["", EXTERNAL_ID])
def test_a_chain_reads_as_its_second_role(world: World, external_id: str) -> None:
    world.aws.external_ids[THERE] = external_id
    pod = _chained(f"chain{external_id}", **({"externalId": external_id} if external_id else {}))
    assert set(world.driver.mount(pod).files) == {"TestSecret1", "TestParm1"}
    (first,) = [call for call in world.aws.calls if call.action == ASSUME_ROLE]
    (second,) = [call for call in world.aws.calls if call.action == CHAIN_ROLE]
    assert first.target == ROLE_ARN
    assert (second.role, second.target, second.region) == (ROLE_ARN, THERE, FAKE_REGION)
    assert second.body["RoleSessionName"] == f"fakeNS.chain{external_id}"
    assert second.body["DurationSeconds"] == "900"
    assert second.body.get("ExternalId", "") == external_id
    assert _roles_of_reads(world.aws) == {THERE}


def test_a_chain_begins_with_a_pod_identity_too() -> None:
    with FakeAws() as aws, socket_directory() as directory:
        aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
        agent = f"--pod-identity-endpoint-ipv4={aws.url}/v1/credentials"
        with ThreadedDaemon(directory, agent, url=aws.url) as daemon, DriverClient(daemon.path) as driver:
            pod = with_parameters(Pod(objects=SECRET, role_arn=""), assumeRoleArn=THERE, usePodIdentity="true")
            assert driver.mount(pod).is_ok
        assert (aws.count(AGENT), aws.count(ASSUME_ROLE), aws.count(CHAIN_ROLE)) == (1, 0, 1)
        assert _roles_of_reads(aws) == {THERE}


@pytest.mark.parametrize("given", ["", "wrong-id"])
def test_a_refused_chain_names_both_roles_and_never_the_external_id(world: World, given: str) -> None:
    """An external id names a relation between two companies; the error text ends in an event that many can read."""
    world.aws.external_ids[THERE] = EXTERNAL_ID
    answer = world.driver.mount(_chained(f"refused{given}", **({"externalId": given} if given else {})))
    assert answer.code is grpc.StatusCode.PERMISSION_DENIED
    assert "LSP301" in answer.text
    for part in (THERE, ROLE_ARN, "sts:AssumeRole", "externalId"):
        assert part in answer.text
    assert "wrong-id" not in answer.text
    assert not _roles_of_reads(world.aws)


@pytest.mark.parametrize("fault", [Fault(status=503, code="ServiceUnavailable"), Fault(status=400, code="Throttling")])
def test_a_chain_whose_second_step_does_not_answer_is_tried_again_and_then_explained(
    world: World, fault: Fault
) -> None:
    world.aws.fail(CHAIN_ROLE, fault)
    answer = world.driver.mount(_chained(f"late{fault.code.lower()}"))
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert world.aws.count(CHAIN_ROLE) == 3
    assert fault.code in answer.text


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"assumeRoleArn": "there"}, "LSP111"),
        ({"assumeRoleArn": "arn:aws:iam::1:role/x"}, "LSP111"),
        ({"externalId": EXTERNAL_ID}, "LSP112"),
        ({"assumeRoleArn": THERE, "externalId": "x"}, "LSP112"),
        ({"assumeRoleArn": THERE, "externalId": EXTERNAL_ID + " "}, "LSP112"),
        ({"assumeRoleArn": THERE, "externalId": EXTERNAL_ID * 200}, "LSP112"),
        ({"roleArn": "there"}, "LSP109"),
        ({"refreshInterval": "9s"}, "LSP110"),
        ({"refreshInterval": "25h"}, "LSP110"),
        ({"refreshInterval": "soon"}, "LSP110"),
        ({"shareAcrossPods": "yes"}, "LSP113"),
        ({"objectVersions": "digest"}, "LSP108"),
        ({"failoverRegions": f"{FAKE_BACKUP_REGION},{FAKE_REGION}"}, "LSP121"),
        ({"failoverRegions": "a1,b2,a1"}, "LSP121"),
        ({"failoverRegions": ",".join(f"r{number}" for number in range(41))}, "LSP121"),
    ],
)
def test_a_parameter_of_ours_that_is_wrong_is_refused_before_aws(
    world: World, parameters: dict[str, str], code: str
) -> None:
    answer = world.driver.mount(with_parameters(Pod(objects=SECRET), **parameters))
    assert code in answer.text
    assert "SecretProviderClass fakeNS/fakeClass" in answer.text
    assert EXTERNAL_ID not in answer.text
    assert not world.aws.calls


def test_many_failover_regions_are_asked_in_order(world: World) -> None:
    regions = [FAKE_BACKUP_REGION, "third", "fourth"]
    world.aws.secrets["fourth", "TestSecret1"] = FakeSecret(value="from afar")
    for region in (FAKE_REGION, *regions[:2]):
        world.aws.fail(GET_SECRET, Fault(status=500, code="InternalServiceError"), region=region)
    answer = world.driver.mount(
        with_parameters(Pod(objects=SECRET), failoverRegion=regions[0], failoverRegions=" third , fourth")
    )
    assert answer.files["TestSecret1"][0] == b"from afar"
    asked = dict.fromkeys(call.region for call in world.aws.calls if call.action == GET_SECRET)
    assert list(asked) == [FAKE_REGION, *regions]


def test_a_request_of_the_sync_controller_is_served_without_the_kubernetes_api(world: World) -> None:
    """Its own pod's name, the SecretSync's namespace, no class, no `ephemeral`, empty secrets, a path of its own."""
    attributes = json.loads(Pod(objects=SECRET, namespace="tenant").request().attributes)
    del attributes["secretProviderClass"], attributes["csi.storage.k8s.io/ephemeral"]
    token = make_token("tenant", "fakeSvcAcc")
    attributes["csi.storage.k8s.io/serviceAccount.tokens"] = json.dumps({"sts.amazonaws.com": {"token": token}})
    request = service_pb2.MountRequest(
        attributes=json.dumps(attributes), secrets="{}", target_path="/mnt/secrets-store", permission="420"
    )
    for value in ("secret1", "secret2"):
        world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=value, version_id=f"v-{value}")
        answer = world.driver.send(request)
        assert answer.files == {"TestSecret1": (value.encode(), 0o644)}
        assert answer.versions == {"TestSecret1": f"v-{value}"}
    assert not world.aws.count(KUBERNETES)


@pytest.mark.parametrize("secrets", ["null", "{}", "", '{"csi.storage.k8s.io/serviceAccount.tokens": "{}"}', "no json"])
def test_whatever_stands_in_secrets_plays_no_part(world: World, secrets: str) -> None:
    """Kubernetes 1.35 and later repeats the tokens there; the driver copies them into the attributes as well."""
    request = Pod(objects=SECRET).request()
    request.secrets = secrets
    assert world.driver.send(request).files["TestSecret1"][0] == b"secret1"


@pytest.fixture(scope="module")
def sharing() -> Iterator[tuple[FakeAws, DriverClient]]:
    """A provider with memory, for pods with a Pod Identity."""
    with FakeAws() as aws, socket_directory() as directory:
        aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
        agent = f"--pod-identity-endpoint-ipv4={aws.url}/v1/credentials"
        with ThreadedDaemon(directory, agent, url=aws.url) as daemon, DriverClient(daemon.path) as driver:
            yield aws, driver


@pytest.mark.parametrize(("word", "reads"), [("true", 1), ("false", 3), ("", 3)])
def test_pods_of_one_pod_identity_share_only_where_the_class_says_that_no_tag_decides(
    sharing: tuple[FakeAws, DriverClient], word: str, reads: int
) -> None:
    aws, driver = sharing
    aws.calls.clear()
    account = f"account{word}"
    tokens = {"pods.eks.amazonaws.com": make_token("fakeNS", account, audience="pods.eks.amazonaws.com")}
    parameters = {"usePodIdentity": "true", **({"shareAcrossPods": word} if word else {})}
    pod = Pod(objects=SECRET, role_arn="", service_account=account, tokens=tokens, parameters=parameters)
    for number in range(3):
        assert driver.mount(replace(pod, uid=f"uid-{number}")).is_ok
    assert aws.count(GET_SECRET) == aws.count(AGENT) == reads
