"""`lockstep refresh`: which pods are touched, how often, and when it is done or says why not. On a clock of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.derivation import AppAccess
from lockstep.__main__ import main
from lockstep.cluster.api_server import ApiError, ClusterWriter
from lockstep.cluster.kubeconfig import ClusterAccess, User
from lockstep.doctor.expected import Expected
from lockstep.exit_codes import ExitCode
from lockstep.project import load_project
from lockstep.refresh.bell import Outcome, Timing, refresh
from lockstep.refresh.mounted_pods import find_mounts
from lockstep.refresh.newest_versions import Newest, fetch_newest
from lockstep.refresh.reasons import reasons
from tests.doctor.healthy_account import healthy_account
from tests.doctor.healthy_cluster import DAEMON_SETS, healthy_cluster
from tests.fakes.kubernetes import FakeApiServer
from tests.refresh.node_model import PODS, STATUSES, NodeModel, pod, status

ACCOUNT, CLASS = "payments-api", "payments"
NEWEST: Newest = {(CLASS, "db.json"): "v2", (CLASS, "db-user"): "v2"}


@pytest.fixture(scope="module")
def expected(project: Path) -> Expected:
    return Expected.of(load_project(project).stack("dev"))


@pytest.fixture(scope="module")
def app(expected: Expected) -> AppAccess:
    return next(each for each in expected.apps if each.app == "payments")


@pytest.fixture
def node(expected: Expected) -> Iterator[NodeModel]:
    server = healthy_cluster(expected)
    server.collections[PODS] = [pod("p-1", ACCOUNT, CLASS), pod("p-2", ACCOUNT, CLASS)]
    server.collections[STATUSES] = [status(name, CLASS, "db.json", "db-user") for name in ("p-1", "p-2")]
    with server:
        yield NodeModel(server)


@pytest.fixture
def cluster(node: NodeModel) -> Iterator[ClusterWriter]:
    writer = ClusterWriter(ClusterAccess(context="fake", server=node.server.url, user=User(token="let-me-in")))
    yield writer
    writer.close()


def timing(node: NodeModel, seconds: float = 60) -> Timing:
    return Timing(lambda: node.now, node.sleep, seconds)


@pytest.mark.parametrize(
    ("read_ago", "published_ago", "newest"),
    [
        (0.5, 1.0, NEWEST),
        (0.5, 70.0, {}),
        (8.0, 44.0, {}),
        (8.0, 70.0, NEWEST),
        (60.0, 1.0, {}),
        (119.0, 70.0, NEWEST),
        (119.0, 70.0, {}),
    ],
)
def test_a_new_value_is_there_well_within_the_refresh_interval(
    app: AppAccess, node: NodeModel, cluster: ClusterWriter, read_ago: float, published_ago: float, newest: Newest
) -> None:
    """Whatever kubelet and the provider did last: one ring may look like kubelet's own, and a read may be too young."""
    for name in ("p-1", "p-2"):
        node.published(name, seconds_ago=published_ago)
    node.rotate("v2", last_read_seconds_ago=read_ago)
    started = node.now
    results = refresh(find_mounts(app, cluster), newest, cluster, timing(node))
    assert [result.outcome for result in results] == [Outcome.REFRESHED] * 2
    assert {result.changed for result in results} == {("db-user", "db.json")}
    assert node.now - started < 16


def test_a_pod_that_holds_the_newest_is_not_touched(app: AppAccess, node: NodeModel, cluster: ClusterWriter) -> None:
    newest = dict.fromkeys(NEWEST, "v1")
    results = refresh(find_mounts(app, cluster), newest, cluster, timing(node))
    assert [result.outcome for result in results] == [Outcome.CURRENT] * 2
    assert {method for method, _ in node.server.requests} == {"GET"}


def test_a_part_that_is_new_is_not_enough(app: AppAccess, node: NodeModel, cluster: ClusterWriter) -> None:
    """Two secrets of one class: the first one's new version is no reason to stop while the second one is behind."""
    node.rotate("v2", last_read_seconds_ago=60)
    newest: Newest = {(CLASS, "db.json"): "v2", (CLASS, "db-user"): "v3"}
    results = refresh(find_mounts(app, cluster), newest, cluster, timing(node, 20))
    assert {result.outcome for result in results} == {Outcome.UNCHANGED}
    assert {(result.changed, result.behind) for result in results} == {(("db-user", "db.json"), ("db-user",))}


def test_without_a_change_it_ends_in_time_and_says_what_may_hold_it_back(
    app: AppAccess, node: NodeModel, cluster: ClusterWriter
) -> None:
    node.is_frozen = True
    node.rotate("v2", last_read_seconds_ago=60)
    started = node.now
    results = refresh(find_mounts(app, cluster), NEWEST, cluster, timing(node, 30))
    assert 30 <= node.now - started <= 31
    assert {result.outcome for result in results} == {Outcome.UNCHANGED}
    assert len(node.rings) <= 2 * 7, "a ring costs the API server a write"
    assert list(reasons(cluster, is_known_behind=True)) == [
        "the provider could not read the new version: look at its log and the pod's events, or ask `lockstep why`"
    ]


@pytest.mark.parametrize(
    ("image", "flag", "why"),
    [
        ("driver:v1.6.0", "--rotation-poll-interval=2m", "passes nothing on for 2m after a mount's last change"),
        ("driver:v1.6.0", "--enable-secret-rotation=false", "rotation is off"),
        ("driver:v1.5.6", "--rotation-poll-interval=2m", "driver 1.5.6 renews by its own clock, every 2m"),
    ],
)
def test_the_driver_s_settings_are_named_when_they_hold_it_back(
    node: NodeModel, cluster: ClusterWriter, image: str, flag: str, why: str
) -> None:
    container = node.server.find(DAEMON_SETS, "secrets-store-csi-driver")["spec"]["template"]["spec"]["containers"][0]
    name = flag.partition("=")[0]
    container["args"] = [flag if each.startswith(f"{name}=") else each for each in container["args"]]
    container["image"] = image
    first, last = reasons(cluster, is_known_behind=False)
    assert why in first
    assert last.startswith("AWS may have nothing new")


def test_the_driver_s_interval_is_waited_for_when_there_is_time(
    app: AppAccess, node: NodeModel, cluster: ClusterWriter
) -> None:
    node.interval_seconds = 120
    for name in ("p-1", "p-2"):
        node.published(name, seconds_ago=30)
    node.rotate("v2", last_read_seconds_ago=30)
    assert {r.outcome for r in refresh(find_mounts(app, cluster), NEWEST, cluster, timing(node))} == {Outcome.UNCHANGED}
    assert {r.outcome for r in refresh(find_mounts(app, cluster), NEWEST, cluster, timing(node))} == {Outcome.REFRESHED}


def test_only_running_pods_of_the_app_that_mount_its_classes_are_touched(
    app: AppAccess, node: NodeModel, cluster: ClusterWriter
) -> None:
    node.server.collections[PODS] += [
        pod("other-account", "default", CLASS),
        pod("other-class", ACCOUNT, "somebody-else-s"),
        pod("no-volume", ACCOUNT),
        pod("done", ACCOUNT, CLASS, phase="Succeeded"),
        pod("going", ACCOUNT, CLASS, deletionTimestamp="2026-01-01T00:00:00Z"),
    ]
    assert [mount.pod for mount in find_mounts(app, cluster)] == ["p-1", "p-2"]


def test_a_pod_that_was_made_again_meanwhile_is_left_alone(
    app: AppAccess, node: NodeModel, cluster: ClusterWriter
) -> None:
    mounts = find_mounts(app, cluster)
    node.server.collections[PODS][0]["metadata"]["uid"] = "another"
    del node.server.collections[PODS][1]
    results = refresh(mounts, NEWEST, cluster, timing(node))
    assert [result.outcome for result in results] == [Outcome.GONE] * 2
    assert not node.rings


def test_a_refused_patch_is_an_error_and_no_waiting(app: AppAccess, node: NodeModel, cluster: ClusterWriter) -> None:
    mounts = find_mounts(app, cluster)
    node.server.forbidden = {mounts[0].pod_path}
    with pytest.raises(ApiError, match="403"):
        refresh(mounts, NEWEST, cluster, timing(node))


def test_what_aws_has_is_told_by_descriptions_alone(expected: Expected, app: AppAccess) -> None:
    account = healthy_account(expected)
    newest = fetch_newest(app, expected.environment.region, account)
    assert set(newest.values()) == {"v2", "3"}, "AWSCURRENT's id, and the pinned version; a label is told by reads only"
    assert {file for _, file in newest} == {"db.json", "db-user", "db-port", "smtp.json", "flags.json"}
    account.denied = {("secretsmanager", "DescribeSecret")}
    assert {file for _, file in fetch_newest(app, expected.environment.region, account)} == {"flags.json"}


# ---------------------------------------------------------------------------------------------------------- the command
@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path) -> None:
    for name in ("KUBECONFIG", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(project)


@pytest.mark.usefixtures("_alone")
def test_the_command_refreshes_and_reports(node: NodeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(node.server.kubeconfig(tmp_path / "config"))
    base = ["refresh", "payments", "--stack", "dev", "--kubeconfig", config]
    assert main([*base, "--dry-run"]) == ExitCode.FINE
    assert capsys.readouterr().out.splitlines()[0] == "would touch payments/p-1 for class payments"
    assert not node.rings
    node.rotate("v2", last_read_seconds_ago=200)
    assert main([*base, "--timeout", "20", "--format", "json"]) == ExitCode.FINE
    report = json.loads(capsys.readouterr().out)
    assert [each["outcome"] for each in report["mounts"]] == ["refreshed", "refreshed"]
    assert main([*base, "--timeout", "1"]) == ExitCode.FINDINGS
    out = capsys.readouterr().out
    assert "unchanged  payments/p-1  payments" in out
    assert "why: AWS may have nothing new" in out
    node.server.collections[PODS].clear()
    assert main(base) == ExitCode.FINDINGS
    assert "no running pod of payments mounts" in capsys.readouterr().out


@pytest.mark.usefixtures("_alone")
def test_a_cluster_of_another_stack_is_not_touched(
    node: NodeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(node.server.kubeconfig(tmp_path / "config"))
    assert main(["refresh", "payments", "--stack", "prod", "--kubeconfig", config]) == ExitCode.INVALID_INPUT
    assert "[REF001]" in capsys.readouterr().err
    assert main(["refresh", "payments", "--kubeconfig", config]) == ExitCode.WRONG_USAGE
    assert main(["refresh", "payments", "--stack", "dev"]) == ExitCode.WRONG_USAGE
    assert main(["refresh", "paiments", "--stack", "dev", "--kubeconfig", config]) == ExitCode.INVALID_INPUT
    node.server.forbidden = {"/api/v1/namespaces/payments/pods"}
    assert main(["refresh", "payments", "--stack", "dev", "--kubeconfig", config]) == ExitCode.INVALID_INPUT
    assert "[REF002]" in capsys.readouterr().err
    assert not node.rings


def test_nothing_but_pods_is_ever_patched(app: AppAccess, node: NodeModel, cluster: ClusterWriter) -> None:
    node.rotate("v2", last_read_seconds_ago=60)
    refresh(find_mounts(app, cluster), NEWEST, cluster, timing(node))
    patched = {path for method, path in node.server.requests if method != "GET"}
    assert patched == {"/api/v1/namespaces/payments/pods/p-1", "/api/v1/namespaces/payments/pods/p-2"}
    assert isinstance(node.server, FakeApiServer)
