"""What `lockstep doctor` sees in a cluster: nothing wrong where nothing is, and each thing that is broken by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from components.admission_rules import TARGETS, object_name
from components.derivation.manifests import ROLE_ANNOTATION
from lockstep.cluster.api_server import ClusterReader
from lockstep.cluster.kubeconfig import ClusterAccess, User
from lockstep.doctor.cluster_objects import LiveObjects
from lockstep.doctor.examination import examine_cluster
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Status, Verdict
from tests.doctor.healthy_cluster import (
    ACCOUNTS,
    AGENT,
    BINDINGS,
    CLASSES,
    CSI_DRIVERS,
    CSI_NODES,
    DAEMON_SETS,
    DRIVER,
    LEASES,
    NODE_LIST,
    PODS,
    POLICIES,
    PROVIDER,
    ROLES,
    daemon_set,
    healthy_cluster,
    stamp,
)
from tests.fakes.kubernetes import FakeApiServer, Object

Break = Callable[[FakeApiServer], None]


def examine(expected: Expected, server: FakeApiServer) -> list[Verdict]:
    with server:
        reader = ClusterReader(ClusterAccess(context="fake", server=server.url, user=User(token="let-me-in")))
        try:
            return list(examine_cluster(expected, LiveObjects(reader)))
        finally:
            reader.close()


def bad(verdicts: list[Verdict]) -> dict[str, Status]:
    """Return check and worst status of what is not well."""
    found: dict[str, Status] = {}
    for verdict in verdicts:
        if verdict.status in {Status.FAIL, Status.WARN} and found.get(verdict.check) is not Status.FAIL:
            found[verdict.check] = verdict.status
    return found


def test_a_cluster_as_derived_has_nothing_but_ok(prod: Expected) -> None:
    verdicts = examine(prod, healthy_cluster(prod))
    assert {verdict.status for verdict in verdicts} == {Status.OK}, [v for v in verdicts if v.status is not Status.OK]
    assert len({(verdict.check, verdict.subject) for verdict in verdicts}) == len(verdicts), "one line per check"
    assert {verdict.check for verdict in verdicts} == {check for check, _, _ in BROKEN} | {"cluster.version"}


def test_an_examination_only_gets(prod: Expected) -> None:
    server = healthy_cluster(prod)
    examine(prod, server)
    assert {method for method, _ in server.requests} == {"GET"}
    assert not [path for _, path in server.requests if path.endswith("/secrets")], "no Kubernetes Secret is read"


def _args(server: FakeApiServer, name: str) -> list[str]:
    spec: Object = server.find(DAEMON_SETS, name)["spec"]
    args: list[str] = spec["template"]["spec"]["containers"][0]["args"]
    return args


def _container(server: FakeApiServer, name: str) -> Object:
    found: Object = server.find(DAEMON_SETS, name)["spec"]["template"]["spec"]["containers"][0]
    return found


def _set_arg(name: str, flag: str, value: str) -> Break:
    def change(server: FakeApiServer) -> None:
        args = _args(server, name)
        args[:] = [f"--{flag}={value}" if each.startswith(f"--{flag}=") else each for each in args]

    return change


def _status(name: str, **fields: int) -> Break:
    return lambda server: server.find(DAEMON_SETS, name)["status"].update(fields)


def _without(collection: str, name: str = "") -> Break:
    def change(server: FakeApiServer) -> None:
        items = server.collections[collection]
        items[:] = [item for item in items if name and item["metadata"]["name"] != name]

    return change


def _tokens(*audiences: str) -> Break:
    requests = [{"audience": audience} for audience in audiences]
    return lambda server: server.collections[CSI_DRIVERS][0]["spec"].update(tokenRequests=requests)


def _image(name: str, image: str) -> Break:
    return lambda server: _container(server, name).update(image=image)


def _foreign_provider(server: FakeApiServer) -> None:
    container = {
        "name": "provider-aws-installer",
        "image": "public.example/aws-secrets-manager/secrets-store-csi-driver-provider-aws:3",
    }
    server.collections[DAEMON_SETS].append(daemon_set("csi-secrets-store-provider-aws", container, []))


def _lease(seconds: float) -> Break:
    return lambda server: server.collections[LEASES][1]["spec"].update(renewTime=stamp(time.time() + seconds))


def _label(collection: str, key: str, value: str) -> Break:
    return lambda server: server.collections[collection][0]["metadata"]["labels"].update({key: value})


def _spec(collection: str, **fields: object) -> Break:
    return lambda server: server.collections[collection][0]["spec"].update(fields)


def _annotation(value: str) -> Break:
    return lambda server: server.collections[ACCOUNTS][0]["metadata"].update(annotations={ROLE_ANNOTATION: value})


def _class_parameter(server: FakeApiServer) -> None:
    server.find(CLASSES, "payments")["spec"]["parameters"]["region"] = "eu-central-1"


def _skew(seconds: float) -> Break:
    def change(server: FakeApiServer) -> None:
        server.skew_seconds = seconds
        for lease in server.collections[LEASES]:
            lease["spec"]["renewTime"] = stamp(time.time() + seconds)

    return change


def _document(path: str, document: Object) -> Break:
    return lambda server: server.documents.update({path: document})


BROKEN: list[tuple[str, str, Break]] = [
    ("cluster.issuer", "fail", _document("/.well-known/openid-configuration", {"issuer": "https://other.example"})),
    ("cluster.clock", "warn", _skew(-60)),
    ("cluster.clock", "fail", _skew(400)),
    ("nodes.clock", "fail", _lease(90)),
    ("nodes.clock", "warn", _lease(-90)),
    ("driver.tokens", "fail", _tokens("sts.amazonaws.com")),
    ("driver.tokens", "fail", _tokens("sts.amazonaws.com", "pods.eks.amazonaws.com", "vault")),
    (
        "driver.tokens",
        "fail",
        _spec(CSI_DRIVERS, requiresRepublish=False),
    ),
    ("driver.tokens", "fail", _without(CSI_DRIVERS)),
    ("driver.version", "warn", _image(DRIVER, "example/driver:v1.7.9")),
    ("driver.interval", "fail", _set_arg(DRIVER, "rotation-poll-interval", "2m")),
    ("driver.interval", "fail", _set_arg(DRIVER, "enable-secret-rotation", "false")),
    ("driver.sync", "fail", _without(ROLES)),
    ("driver.nodes", "fail", _without(CSI_NODES, "node-2")),
    ("driver.nodes", "warn", _label(NODE_LIST, "kubernetes.io/os", "windows")),
    ("driver.admission", "fail", _without(BINDINGS)),
    ("driver.admission", "fail", _without(POLICIES)),
    *(("driver.admission", "fail", _without(each, object_name(TARGETS[0]))) for each in (BINDINGS, POLICIES)),
    ("driver.admission", "fail", _spec(BINDINGS, policyName="another")),
    ("driver.admission", "fail", _spec(BINDINGS, matchResources={"namespaceSelector": {"matchLabels": {"a": "b"}}})),
    ("driver.admission", "fail", _spec(BINDINGS, paramRef={"name": "a"})),
    ("driver.admission", "fail", _spec(POLICIES, failurePolicy="Ignore")),
    ("driver.admission", "fail", _spec(POLICIES, validations=[{"expression": "true"}])),
    ("driver.admission", "fail", _spec(POLICIES, matchConditions=[{"name": "never", "expression": "false"}])),
    ("driver.admission", "fail", _spec(POLICIES, matchConstraints={"resourceRules": []})),
    (
        "driver.admission",
        "fail",
        _spec(BINDINGS, validationActions=["Warn"]),
    ),
    ("provider.ready", "fail", _status(PROVIDER, numberReady=2)),
    ("provider.ready", "warn", _status(PROVIDER, updatedNumberScheduled=1)),
    ("provider.ready", "warn", _status(PROVIDER, desiredNumberScheduled=0)),
    ("provider.image", "fail", _image(PROVIDER, "example/provider:latest")),
    ("provider.socket", "fail", _set_arg(PROVIDER, "provider-volume", "/elsewhere")),
    ("provider.socket", "fail", _foreign_provider),
    ("agent.ready", "fail", _without(DAEMON_SETS, AGENT)),
    ("agent.ready", "fail", _status(AGENT, numberReady=0)),
    ("app.account", "fail", _annotation("arn:aws:iam::444455556666:role/other")),
    ("app.account", "fail", _without(ACCOUNTS)),
    ("app.class", "fail", _class_parameter),
    ("app.class", "fail", _without(CLASSES, "payments")),
    ("app.fargate", "fail", _label(PODS, "eks.amazonaws.com/fargate-profile", "f")),
]


@pytest.mark.parametrize(("check", "status", "breaks"), BROKEN)
def test_what_is_broken_is_found_and_nothing_else(prod: Expected, check: str, status: str, breaks: Break) -> None:
    server = healthy_cluster(prod)
    breaks(server)
    verdicts = examine(prod, server)
    assert bad(verdicts) == {check: Status(status)}


def test_a_missing_driver_is_found_by_everything_that_needs_it(prod: Expected) -> None:
    server = healthy_cluster(prod)
    _without(DAEMON_SETS)(server)
    assert bad(examine(prod, server)).keys() == {
        "driver.version", "driver.interval", "provider.ready", "provider.image", "provider.socket", "agent.ready"
    }  # fmt: skip


def test_before_up_what_pulumi_makes_may_be_missing(prod: Expected) -> None:
    server = healthy_cluster(prod)
    agent = server.find(DAEMON_SETS, AGENT)
    for collection in (CSI_DRIVERS, DAEMON_SETS, CSI_NODES, ACCOUNTS, CLASSES, ROLES, BINDINGS, POLICIES, PODS):
        _without(collection)(server)
    server.collections[DAEMON_SETS].append(agent)
    verdicts = examine(replace(prod, is_before_up=True), server)
    assert bad(verdicts) == {}
    assert "`pulumi up` makes it" in next(verdict.text for verdict in verdicts if verdict.check == "driver.tokens")
    assert bad(examine(prod, server)).keys() >= {"driver.tokens", "driver.nodes", "app.class", "app.account"}


def test_what_the_user_may_not_see_is_skipped_with_the_reason(prod: Expected) -> None:
    server = healthy_cluster(prod)
    server.forbidden = {NODE_LIST, "/.well-known/openid-configuration", ROLES, "/api/v1/namespaces/payments/pods"}
    verdicts = examine(prod, server)
    assert bad(verdicts) == {}
    skipped = {verdict.check: verdict.text for verdict in verdicts if verdict.status is Status.SKIPPED}
    assert skipped.keys() == {"driver.nodes", "cluster.issuer", "driver.sync", "app.fargate"}
    assert skipped["driver.nodes"] == "the kubeconfig's user may not list nodes"


def test_apps_of_another_stack_s_platform_may_share_it(prod: Expected) -> None:
    """A stack of apps holds what it needs against the platform, never the platform against what it needs."""
    settings = replace(prod.settings, platform_stack="organization/lockstep/prod")
    server = healthy_cluster(prod)
    _tokens("sts.amazonaws.com", "pods.eks.amazonaws.com", "vault")(server)
    _image(PROVIDER, "example/other@sha256:1")(server)
    assert bad(examine(replace(prod, settings=settings), server)) == {}


def test_auto_mode_nodes_have_the_agent_built_in(prod: Expected) -> None:
    server = healthy_cluster(prod)
    _without(DAEMON_SETS, AGENT)(server)
    for node in server.collections[NODE_LIST]:
        node["metadata"]["labels"]["eks.amazonaws.com/compute-type"] = "auto"
    assert bad(examine(prod, server)) == {}


def test_a_cluster_that_is_too_old_is_found_by_what_needs_a_newer_one(prod: Expected) -> None:
    server = healthy_cluster(prod)
    server.documents["/version"] = {"gitVersion": "v1.29.7-eks-1"}
    verdicts = examine(prod, server)
    assert bad(verdicts) == {"cluster.version": Status.FAIL, "driver.version": Status.FAIL}
    (lacking,) = [verdict for verdict in verdicts if verdict.check == "cluster.version"]
    assert "admission policies (lockstep:admission) needs Kubernetes 1.30, this is v1.29.7-eks-1" in lacking.text


def test_an_older_driver_is_held_to_its_own_interval(prod: Expected) -> None:
    """Before 1.6 the same setting is a reconciler's period: the refresh interval, not 100ms."""
    server = healthy_cluster(prod)
    _image(DRIVER, "example/driver:v1.5.6")(server)
    assert bad(examine(prod, server)) == {"driver.version": Status.WARN, "driver.interval": Status.FAIL}
    _set_arg(DRIVER, "rotation-poll-interval", "2m")(server)
    assert bad(examine(prod, server)) == {"driver.version": Status.WARN}
