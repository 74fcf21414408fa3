"""Vectors Q01 to Q14, T01 to T08, X01 to X05, X42 and X44 of the contract: the driver's request, step by step.

The first check that fails is the answer, in upstream's order: target path, attributes, tokens, permission, regions.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from provider_runtime.csi_v1alpha1 import service_pb2
from provider_runtime.version import VERSION
from tests.contract.conftest import World, serve
from tests.contract.vectors import assert_refused, case, texts
from tests.fakes.aws import ASSUME_ROLE, GET_SECRET, KUBERNETES, FakeSecret, object_of
from tests.fakes.driver import FAKE_REGION, ROLE_ARN, DriverClient, Mounting, Pod, with_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SECRET: Final = "- {objectName: TestSecret1, objectType: secretsmanager}\n"
TOKENS: Final = "csi.storage.k8s.io/serviceAccount.tokens"
STS_ONLY: Final = json.dumps({"sts.amazonaws.com": {"token": "t", "expirationTimestamp": "2099-01-01T00:00:00Z"}})
US_WEST_2: Final = "us-west-2"


@pytest.fixture
def world(quick_driver_writes_world: World) -> World:
    """One attempt per call; one secret."""
    quick_driver_writes_world.aws.reset()
    quick_driver_writes_world.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    return quick_driver_writes_world


@pytest.fixture(scope="module")
def regional_world() -> Iterator[World]:
    """A provider with AWS_REGION in its environment, installed as an EKS add-on."""
    yield from serve("--eks-addon-version=v1.2.3-eksbuild.1", AWS_REGION=US_WEST_2)


def _raw(attributes: str, *, target_path: str = "/mount", permission: str = "420") -> service_pb2.MountRequest:
    return service_pb2.MountRequest(attributes=attributes, target_path=target_path, permission=permission)


def _changed(attributes: Mapping[str, object], **fields: str) -> service_pb2.MountRequest:
    pod = replace(Pod(objects=SECRET), **fields)  # type: ignore[arg-type]  # names of fields that are texts
    return with_attributes(pod.request(), attributes)


@pytest.mark.parametrize(
    ("request_", "fragment"),
    [
        case("Q01", _raw(""), "failed to unmarshal attributes"),
        case("Q02", _raw("{}", target_path=""), "Missing mount path"),
        case("Q02", _raw("not json", target_path=""), "Missing mount path", note="before parsing"),
        case("Q03", _changed({TOKENS: None}), "serviceAccount.tokens not provided"),
        case("Q04", _changed({"usePodIdentity": "true", TOKENS: STS_ONLY}), "Pod Identity token extraction failed"),
        case("Q12", _raw("not json"), "failed to unmarshal attributes"),
        case("Q13", _raw("{}"), "serviceAccount.tokens", note="nothing"),
        case("Q13", _raw('{"region": "us-east-1"}'), "serviceAccount.tokens", note="region"),
        case("Q13", _raw('{"usePodIdentity": "maybe"}'), "serviceAccount.tokens", note="flag"),
        case("Q13", _raw('{"preferredAddressType": "ipv5"}'), "serviceAccount.tokens", note="address"),
        case("Q14", _raw("{}", permission=""), "serviceAccount.tokens"),
        case("T01", _changed({TOKENS: ""}), "serviceAccount.tokens not provided"),
        case("T02", _changed({TOKENS: "not json"}), "failed to parse serviceAccount.tokens"),
        case("T07", _changed({TOKENS: '{"other": {"token": "t"}}'}), "IRSA token extraction failed"),
        case("T08", _changed({TOKENS: '{"sts.amazonaws.com": {"token": ""}}'}), "is empty"),
        case("X01", _changed({}, permission="null"), "failed to unmarshal file permission"),
        case("X02", _raw("null"), "serviceAccount.tokens not provided"),
        case("X03", _changed({"region": 7}), "failed to unmarshal attributes"),
        case("X04", _changed({TOKENS: "null"}), "IRSA token extraction failed"),
        case("X05", _changed({TOKENS: '{"sts.amazonaws.com": null}'}), "is empty"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(
    world: World, request_: service_pb2.MountRequest, fragment: str
) -> None:
    assert_refused(world.driver.send(request_), fragment)
    assert not world.aws.calls


@pytest.mark.vector("Q05")
def test_q05_one_region_is_never_too_many(world: World) -> None:
    assert texts(world.driver.mount(Pod(objects=SECRET))) == {"TestSecret1": "secret1"}


@pytest.mark.vector("Q06")
def test_q06_the_environments_region_serves_classes_that_name_none(regional_world: World) -> None:
    world = regional_world
    world.aws.reset()
    world.aws.secrets[US_WEST_2, "TestSecret1"] = FakeSecret(value="secret1")
    world.aws.secrets["eu-west-1", "TestSecret1"] = FakeSecret(value="elsewhere")
    assert texts(world.driver.mount(Pod(objects=SECRET, region=""))) == {"TestSecret1": "secret1"}
    assert texts(world.driver.mount(Pod(objects=SECRET, region="eu-west-1"))) == {"TestSecret1": "elsewhere"}
    assert world.aws.count(KUBERNETES) == 0


def _put_in_cluster(world: World, name: str, *, node: bool = True) -> None:
    """Put a pod, its node in FAKE_REGION, and a service account with a role into the cluster."""
    node_name = f"node-of-{name}"
    world.aws.cluster[f"/api/v1/namespaces/fakeNS/pods/{name}"] = object_of(spec={"nodeName": node_name})
    if node:
        labels = {"topology.kubernetes.io/region": FAKE_REGION}
        world.aws.cluster[f"/api/v1/nodes/{node_name}"] = object_of(metadata={"labels": labels})
    annotations = {"eks.amazonaws.com/role-arn": "fakeRole"}
    account = object_of(metadata={"annotations": annotations})
    world.aws.cluster[f"/api/v1/namespaces/fakeNS/serviceaccounts/{name}"] = account


@pytest.mark.vector("Q07")
def test_q07_region_and_role_are_looked_up_when_the_class_names_neither_and_kept(world: World) -> None:
    _put_in_cluster(world, "q07")
    pod = Pod(objects=SECRET, region="", role_arn="", name="q07", service_account="q07")
    assert texts(world.driver.mount(pod)) == {"TestSecret1": "secret1"}
    paths = [call.target.rpartition("/")[2] for call in world.aws.calls if call.action == KUBERNETES]
    assert paths == ["q07", "node-of-q07", "q07"], "pod, node, service account"
    assert next(call.role for call in world.aws.calls if call.action == GET_SECRET) == "fakeRole"
    assert world.driver.mount(pod).is_ok
    assert world.aws.count(KUBERNETES) == 3, "lookups are kept"


@pytest.mark.vector("Q08")
def test_q08_a_node_that_is_not_there(world: World) -> None:
    _put_in_cluster(world, "q08", node=False)
    pod = Pod(objects=SECRET, region="", name="q08")
    assert_refused(world.driver.mount(pod), "failed to retrieve region from node")


@pytest.mark.vector("X44")
def test_x44_a_class_with_a_region_costs_no_lookup_of_pod_and_node(world: World) -> None:
    _put_in_cluster(world, "x44")
    del world.aws.cluster["/api/v1/namespaces/fakeNS/pods/x44"]
    pod = Pod(objects=SECRET, role_arn="", name="x44", service_account="x44")
    assert world.driver.mount(pod).is_ok
    assert world.aws.count(KUBERNETES) == 1, "the service account's role"


def test_a_class_with_region_and_role_costs_no_kubernetes_call(world: World) -> None:
    assert world.driver.mount(Pod(objects=SECRET)).is_ok
    assert world.aws.count(KUBERNETES) == 0


@pytest.mark.vector("Q09")
def test_q09_the_version_is_told_whatever_is_asked(world: World) -> None:
    answer = world.driver.version()
    assert (answer.version, answer.runtime_name) == ("v1alpha1", "secrets-store-csi-driver-provider-aws")
    assert answer.runtime_version == VERSION


def _app_ids(world: World, region: str) -> set[str]:
    world.aws.calls.clear()
    world.aws.secrets[region, "TestSecret1"] = FakeSecret(value="secret1")
    assert world.driver.mount(Pod(objects=SECRET, region=region)).is_ok
    agents = [call.headers["user-agent"].split() for call in world.aws.calls if call.action == GET_SECRET]
    return {word for words in agents for word in words if word.startswith("app/")}


@pytest.mark.vector("Q10")
def test_q10_the_user_agent_names_the_build(world: World) -> None:
    assert _app_ids(world, FAKE_REGION) == {f"app/secrets-store-csi-driver-provider-aws-{VERSION}"}


@pytest.mark.vector("Q11")
def test_q11_the_user_agent_names_the_add_on(regional_world: World) -> None:
    app_id = "app/secrets-store-csi-driver-provider-aws-v1.2.3-eksbuild.1"
    assert _app_ids(regional_world, US_WEST_2) == {app_id}


@pytest.mark.parametrize(
    "tokens",
    [
        case("T03", {"sts.amazonaws.com": "T03-sts", "pods.eks.amazonaws.com": "T03-pods"}),
        case("T04", {"sts.amazonaws.com": "T04-sts"}),
        case("T05", {"pods.eks.amazonaws.com": "T05-pods", "sts.amazonaws.com": "T05-sts", "vault": "T05-vault"}),
    ],
)
def test_t05_the_token_for_sts_is_the_one_that_is_sent(world: World, tokens: dict[str, str]) -> None:
    token = tokens["sts.amazonaws.com"]
    assert world.driver.mount(Pod(objects=SECRET, service_account=token, tokens=tokens)).is_ok
    assert [call.body["WebIdentityToken"] for call in world.aws.calls if call.action == ASSUME_ROLE] == [token]
    assert [call.target for call in world.aws.calls if call.action == ASSUME_ROLE] == [ROLE_ARN]


def test_token_fields_match_in_any_case_and_a_null_attribute_is_an_empty_one(world: World) -> None:
    """As encoding/json reads them; the expiry is never looked at."""
    tokens = json.dumps({"sts.amazonaws.com": {"TOKEN": "in-capitals", "ExpirationTimestamp": "no date"}})
    request = _changed({TOKENS: tokens}, service_account="capitals")
    attributes = json.loads(request.attributes) | {"failoverRegion": None}
    request.attributes = json.dumps(attributes)
    assert texts(world.driver.send(request)) == {"TestSecret1": "secret1"}
    assert [call.body["WebIdentityToken"] for call in world.aws.calls if call.action == ASSUME_ROLE] == ["in-capitals"]


@pytest.mark.vector("X42")
@pytest.mark.parametrize("mode", ["D", "W"])
def test_x42_mounts_at_the_same_time_keep_their_own_mode(
    request: pytest.FixtureRequest, tmp_path: Path, mode: str
) -> None:
    found: World = request.getfixturevalue(f"quick_{'driver' if mode == 'D' else 'provider'}_writes_world")
    found.aws.reset()
    found.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    permissions = [0o400, 0o777, 0o640, 0o444] * 3
    volumes = [tmp_path / str(number) for number in range(len(permissions))]
    for volume in volumes:
        volume.mkdir()
    with DriverClient(found.socket) as driver:
        mounts = [
            Mounting(driver, Pod(objects=SECRET, target_path=str(volume), permission=str(permission)))
            for volume, permission in zip(volumes, permissions, strict=True)
        ]
        answers = [mount.result() for mount in mounts]
    assert all(answer.is_ok for answer in answers)
    if mode == "D":
        assert [answer.files["TestSecret1"][1] for answer in answers] == permissions
    else:
        assert [(volume / "TestSecret1").stat().st_mode & 0o7777 for volume in volumes] == permissions
