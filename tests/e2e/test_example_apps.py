"""The example apps on the real driver and API server: mounts, layout, statuses, copied Secrets, and local's proofs."""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import urllib3

from components.derivation import Store
from local.pods import FailedMount, Pod, PodStarted, PublishOutcome
from local.proofs import prove_isolation, prove_revocation, prove_rotation
from local.report import Report
from tests.e2e.control_plane import free_port
from tests.e2e.copied_secrets import COLLECTED_SECONDS, copied_secrets, wait_until_collected, wait_until_owned
from tests.e2e.csi_driver import mount_points, wait_for
from tests.e2e.real_stage import RealStage
from tests.e2e.toolbox import PROJECT

METRICS_PORT: Final = free_port()
_EXCHANGES: Final = re.compile(
    r"^lockstep_provider_aws_calls_total\{[^}]*AssumeRoleWithWebIdentity[^}]*\} (\S+)$", re.MULTILINE
)


@pytest.fixture(scope="module")
def stage() -> Iterator[RealStage]:
    """Run everything, once for this file."""
    flags = (f"--metrics-address=127.0.0.1:{METRICS_PORT}",)
    with RealStage(project=PROJECT, report=Report(plain=True), provider_flags=flags) as running:
        yield running


@pytest.fixture(scope="module")
def pods(stage: RealStage) -> dict[str, Pod]:
    """Start a pod of each example app; all of them must start at the first attempt."""
    started = {str(app.app): stage.pod(app, 0) for app in stage.apps}
    outcomes = {name: stage.kubelet.start_pod(pod) for name, pod in started.items()}
    failures = {name: item.event_text for name, item in outcomes.items() if isinstance(item, FailedMount)}
    assert failures == {}
    return started


def _targets(stage: RealStage, pod: Pod) -> dict[str, Path]:
    return {volume.name: stage.kubelet.target_path(pod, volume) for volume in pod.volumes}


def _exchanges() -> float:
    """Return how often the provider has exchanged a token at STS since its start."""
    text = urllib3.request("GET", f"http://127.0.0.1:{METRICS_PORT}/metrics").data.decode()
    return sum(map(float, _EXCHANGES.findall(text)))


def _versions(stage: RealStage, pod: Pod) -> list[Mapping[str, str]]:
    return [status.versions for status in stage.driver.cluster.statuses if status.pod_uid == pod.uid]


def test_every_app_sees_exactly_its_derived_files_with_their_modes(stage: RealStage, pods: dict[str, Pod]) -> None:
    for app in stage.apps:
        seen = {(file.path, file.mode) for file in stage.kubelet.list_files(pods[str(app.app)])}
        assert seen == {(file.path, file.mode) for file in app.files}


def test_files_of_whole_secrets_hold_what_aws_has(stage: RealStage, pods: dict[str, Pod]) -> None:
    client = stage.emulator.client("secretsmanager", stage.settings.region)
    whole = [
        (app, mount, file)
        for app in stage.apps
        for mount in app.mounts
        for file in mount.files
        if file.store is Store.SECRETS_MANAGER and file.path.endswith(".json")
    ]
    assert len({str(app.app) for app, _, _ in whole}) > 1
    for app, mount, file in whole:
        (source,) = [item for item in stage.sources if (item.name, item.store) == (file.source, file.store)]
        value = client.get_secret_value(SecretId=source.friendly_name)["SecretString"]
        target = _targets(stage, pods[str(app.app)])[str(mount.volume["name"])]
        assert (target / file.path).read_bytes() == value.encode()


def test_volumes_are_memory_and_files_are_links_into_one_dated_folder(stage: RealStage, pods: dict[str, Pod]) -> None:
    kinds = {line.split(" ")[1]: line.split(" ")[2] for line in Path("/proc/self/mounts").read_text().splitlines()}
    for pod in pods.values():
        for target in _targets(stage, pod).values():
            assert kinds[str(target)] == "tmpfs"
            assert (target / "..data").is_symlink()
            visible = [path for path in target.iterdir() if not path.name.startswith("..")]
            assert visible
            assert all(path.is_symlink() and str(path.readlink()).startswith("..data/") for path in visible)
            dated = target / (target / "..data").readlink()
            assert stat.S_IMODE(dated.stat().st_mode) == 0o755


def test_each_mount_has_a_status_with_a_version_for_every_file(stage: RealStage, pods: dict[str, Pod]) -> None:
    statuses = {(status.pod_name, status.class_name): status for status in stage.driver.cluster.statuses}
    for app in stage.apps:
        for mount in app.mounts:
            status = statuses[pods[str(app.app)].name, mount.class_name]
            assert set(status.versions) == {file.path for file in mount.files}
            assert all(status.versions.values())
            assert status.pod_uid == pods[str(app.app)].uid


def test_copied_secrets_hold_what_the_files_hold(stage: RealStage, pods: dict[str, Pod]) -> None:
    copies = 0
    for app in stage.apps:
        pod = pods[str(app.app)]
        targets = _targets(stage, pod)
        for mount in app.mounts:
            for entry in mount.secret_provider_class["spec"].get("secretObjects", ()):  # type: ignore[attr-defined]
                secret = wait_for(
                    lambda name=entry["secretName"], space=app.namespace: stage.driver.cluster.secret(space, name),
                    what=f"the Secret {entry['secretName']}",
                )
                for item in entry["data"]:
                    file = targets[str(mount.volume["name"])] / item["objectName"]
                    assert base64.b64decode(secret["data"][item["key"]]) == file.read_bytes()
                copies += 1
    assert copies, "an example app copies at least one Secret"


def test_a_second_pod_of_an_identity_costs_no_further_exchange(stage: RealStage, pods: dict[str, Pod]) -> None:
    app = stage.apps[0]
    second = stage.pod(app, 7)
    before = _exchanges()
    assert before >= len(pods), "each identity was exchanged once"
    try:
        assert isinstance(stage.kubelet.start_pod(second), PodStarted)
        assert _exchanges() == before
        assert stage.kubelet.digest_files(second) == stage.kubelet.digest_files(pods[str(app.app)])
    finally:
        stage.kubelet.stop_pod(second)


def test_nothing_is_rewritten_when_nothing_changed(stage: RealStage, pods: dict[str, Pod]) -> None:
    pod = next(iter(pods.values()))
    before = {name: (target / "..data").readlink() for name, target in _targets(stage, pod).items()}
    versions = _versions(stage, pod)
    for _ in range(3):
        assert isinstance(stage.kubelet.republish(pod), PodStarted)
    assert {name: (target / "..data").readlink() for name, target in _targets(stage, pod).items()} == before
    assert _versions(stage, pod) == versions


def test_an_app_that_asks_for_anothers_secret_is_refused_by_iam_and_by_sts(stage: RealStage) -> None:
    result = prove_isolation(stage)
    assert result.held, "\n".join(result.seen)


def test_a_rotated_secret_changes_exactly_its_files(stage: RealStage, pods: dict[str, Pod]) -> None:
    result = prove_rotation(stage, pods)
    assert result.held, "\n".join(result.seen)


def test_a_rotated_secret_that_is_copied_changes_the_copy(stage: RealStage, pods: dict[str, Pod]) -> None:
    app = next(each for each in stage.apps if copied_secrets(each))
    ((path, keys), *_) = copied_secrets(app).items()
    ((key, place), *_) = keys.items()
    file = next(each for mount in app.mounts for each in mount.files if f"{mount.path}/{each.path}" == place)
    pod = pods[str(app.app)]
    (mount,) = [each for each in app.mounts if file in each.files]
    link = _targets(stage, pod)[str(mount.volume["name"])] / file.path
    old = link.read_bytes()
    stage.seed.rotate_secret(
        next(each for each in stage.sources if each.name == file.source and each.store is Store.SECRETS_MANAGER)
    )

    def is_new() -> bool:
        assert isinstance(stage.kubelet.republish(pod), PodStarted)
        return link.read_bytes() != old

    def is_copied() -> bool:
        data = stage.control_plane.admin.find(path)["data"]
        return base64.b64decode(data[key]) == link.read_bytes()

    wait_for(is_new, what="the new value in the file")
    wait_for(is_copied, what="the new value in the copied Secret")
    test_copied_secrets_hold_what_the_files_hold(stage, pods)


def test_a_removed_grant_stops_working_at_the_next_check(stage: RealStage, pods: dict[str, Pod]) -> None:
    result = prove_revocation(stage, pods)
    assert result.held, "\n".join(result.seen)


def test_no_value_is_in_the_logs_of_provider_driver_or_api_server(stage: RealStage, pods: dict[str, Pod]) -> None:
    del pods
    texts = [stage.provider.log(), stage.driver.whole_log, stage.control_plane.api_server.log()]
    assert stage.seed.values
    assert not [value for value in stage.seed.values if any(value in text for text in texts)]


def test_the_driver_meets_no_forbidden_call(stage: RealStage, pods: dict[str, Pod]) -> None:
    """Its own manifests give it every right that it uses with our values."""
    del pods
    assert "forbidden" not in stage.driver.whole_log.lower()


def test_a_stopped_pod_leaves_no_mount_no_status_and_no_copied_secret(stage: RealStage, pods: dict[str, Pod]) -> None:
    """Last of this file: the pods go."""
    for app in stage.apps:
        wait_until_owned(stage.control_plane.admin, app)
        stage.kubelet.stop_pod(pods[str(app.app)])
    assert not [point for point in mount_points() if Path(point).is_relative_to(stage.work_dir)]
    assert list((stage.work_dir / "kubelet" / "pods").iterdir()) == []
    wait_until_collected(stage.control_plane.admin, [path for app in stage.apps for path in copied_secrets(app)])
    names = {pod.name for pod in pods.values()}
    wait_for(
        lambda: not [status for status in stage.driver.cluster.statuses if status.pod_name in names],
        seconds=COLLECTED_SECONDS,
        what="the garbage collector to take the statuses",
    )
    assert isinstance(stage.kubelet.start_pod(stage.pod(stage.apps[0], 1)), PodStarted)


def test_a_mount_again_after_all_pods_went_is_a_mount(stage: RealStage) -> None:
    pod = stage.pod(stage.apps[0], 2)
    outcome = stage.kubelet.start_pod(pod)
    assert isinstance(outcome, PodStarted)
    assert set(outcome.outcomes.values()) == {PublishOutcome.MOUNTED}
    stage.kubelet.stop_pod(pod)
