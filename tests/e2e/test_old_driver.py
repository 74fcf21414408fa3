"""Drivers before 1.6 refresh by a ticker of their own: without kubelet, with old versions and tokens of their own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from components.derivation import Store
from local.pods import Pod, PodStarted
from local.report import Report
from local.stage import REFRESH_INTERVAL_SECONDS
from tests.e2e import toolbox
from tests.e2e.control_plane import DRIVER_ACCOUNT
from tests.e2e.csi_driver import RealDriver, wait_for
from tests.e2e.real_stage import RealStage
from tests.e2e.toolbox import PROJECT

TICK_SECONDS: Final = 2.0
_BOUND_SECONDS: Final = 30.0
_ACCOUNT_FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Arguments: the folder to cover, the account's folder in it, what that holds; then the command.
_ENCLOSE: Final = """
mount --make-private "$(findmnt --noheadings --output TARGET --target "$1")"
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir -p "$2"
cp "$3"/* "$2"
shift 3
exec "$@"
"""
#: What its reconciler uses beside the rights of 1.6: `secretproviderrotation` and `secretprovidertokenrequest`.
_RIGHTS: Final = (
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
)


@pytest.fixture(scope="module")
def stage() -> Iterator[RealStage]:
    """Run everything, then put the old driver in the new one's place."""
    with RealStage(project=PROJECT, report=Report(plain=True)) as running:
        yield running


@pytest.fixture(scope="module")
def wrapper(stage: RealStage) -> list[str]:
    """Return what gives the driver a /run of its own, with the account that a container finds there.

    The old driver looks nowhere else for its API server. Nothing is written to the machine's own /run, so that a run
    that is killed leaves nothing there, and two runs are not in each other's way.
    """
    account = stage.work_dir / "account"
    account.mkdir(mode=0o700)
    kubeconfig = yaml.safe_load(stage.control_plane.driver_kubeconfig.read_text(encoding="utf-8"))
    (account / "token").write_text(kubeconfig["users"][0]["user"]["token"], encoding="utf-8")
    shutil.copy(stage.control_plane.admin.certificate, account / "ca.crt")
    volumes = stage.work_dir / "kubelet"
    volumes.mkdir(exist_ok=True)
    # What is mounted below a shared mount in one namespace is mounted in the other.
    for words in (["mount", "--bind", str(volumes), str(volumes)], ["mount", "--make-shared", str(volumes)]):
        subprocess.run(words, check=True)  # noqa: S603 - argument lists of ours
    stage.down.callback(subprocess.run, ["umount", "--lazy", str(volumes)], check=True)
    unshare = ["unshare", "--mount", "--propagation", "unchanged", "--", "sh", "-euc", _ENCLOSE, "sh"]
    return [*unshare, str(Path("/var/run").resolve()), str(_ACCOUNT_FOLDER), str(account)]


@pytest.fixture(scope="module")
def driver(stage: RealStage, wrapper: list[str]) -> RealDriver:
    """Start the old driver with rotation on."""
    settings = replace(stage.driver.settings, rotation_interval_seconds=TICK_SECONDS)
    stage.driver.close()
    _place_rights(stage)
    stage.tool = toolbox.OLD_DRIVER
    address = urlsplit(stage.control_plane.admin.url)
    environment = {"KUBERNETES_SERVICE_HOST": str(address.hostname), "KUBERNETES_SERVICE_PORT": str(address.port)}
    return stage.new_driver(settings, name="old", environment=environment, wrapper=wrapper)


@pytest.fixture(scope="module")
def pod(stage: RealStage, driver: RealDriver) -> Iterator[Pod]:
    """Start a pod of payments behind it."""
    kubelet = stage.kubelet_with(driver)
    made = stage.pod(stage.app("payments"), 1)
    outcome = kubelet.start_pod(made)
    assert isinstance(outcome, PodStarted), outcome
    yield made
    kubelet.stop_pod(made)


def _place_rights(stage: RealStage) -> None:
    *_, namespace, name = DRIVER_ACCOUNT.split(":")
    api, version = stage.control_plane.admin, "rbac.authorization.k8s.io/v1"
    api.apply(
        {
            "apiVersion": version,
            "kind": "ClusterRole",
            "metadata": {"name": "old-driver"},
            "rules": [*_RIGHTS],
        }
    )
    api.apply(
        {
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "old-driver"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "old-driver"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
    )


def _secret_of(stage: RealStage, file: str) -> Any:  # noqa: ANN401 - local.seed.Source
    wanted = next(item.source for app in stage.apps for item in app.files if item.path == file)
    return next(item for item in stage.sources if item.name == wanted and item.store is Store.SECRETS_MANAGER)


def test_the_ticker_brings_a_rotated_value_into_the_file_without_kubelet(
    stage: RealStage, driver: RealDriver, pod: Pod
) -> None:
    target = stage.kubelet.target_path(pod, pod.volumes[0])
    old = (target / "db-user").read_bytes()
    versions = _versions(driver, pod)
    time.sleep(REFRESH_INTERVAL_SECONDS)
    stage.seed.rotate_secret(_secret_of(stage, "db-user"))
    wait_for(
        lambda: (target / "db-user").read_bytes() != old, seconds=_BOUND_SECONDS, what="the ticker to refresh the file"
    )
    wait_for(
        lambda: _versions(driver, pod) != versions, seconds=_BOUND_SECONDS, what="the status to name the new version"
    )


def test_the_ticker_rewrites_nothing_while_nothing_changes(stage: RealStage, driver: RealDriver, pod: Pod) -> None:
    target = stage.kubelet.target_path(pod, pod.volumes[0])
    folder = (target / "..data").readlink()
    before = driver.counts().get("rotation_reconcile_total", 0)
    wait_for(
        lambda: driver.counts().get("rotation_reconcile_total", 0) >= before + 2,
        seconds=_BOUND_SECONDS,
        what="two more rounds of the ticker",
    )
    assert (target / "..data").readlink() == folder


def _versions(driver: RealDriver, pod: Pod) -> list[dict[str, str]]:
    return [dict(status.versions) for status in driver.cluster.statuses if status.pod_uid == pod.uid]
