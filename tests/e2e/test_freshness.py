"""Rotation, refresh and cost behind the real driver: what changes, when, and for how many calls of AWS."""

from __future__ import annotations

import base64
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3

from components.derivation import Store
from local.pods import Pod, PodStarted, PublishOutcome
from local.report import Report
from local.stage import FIRST_MOUNT_MAX_AGE_SECONDS, REFRESH_INTERVAL_SECONDS
from tests.e2e.control_plane import free_port
from tests.e2e.csi_driver import wait_for
from tests.e2e.real_stage import RealStage
from tests.e2e.toolbox import PROJECT

METRICS_PORT: Final = free_port()
_CALLS: Final = re.compile(r"^lockstep_provider_aws_calls_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
_SLACK_SECONDS: Final = 0.3


@pytest.fixture(scope="module")
def stage() -> Iterator[RealStage]:
    """Run everything, once for this file."""
    flags = (f"--metrics-address=127.0.0.1:{METRICS_PORT}",)
    with RealStage(project=PROJECT, report=Report(plain=True), provider_flags=flags) as running:
        yield running


@pytest.fixture
def pod(stage: RealStage) -> Iterator[Pod]:
    """Start a pod of payments, and stop it."""
    made = stage.pod(stage.app("payments"), 1)
    assert isinstance(stage.kubelet.start_pod(made), PodStarted)
    yield made
    stage.kubelet.stop_pod(made)


def _reads() -> float:
    """Return how often the provider has read a value from AWS since its start."""
    text = urllib3.request("GET", f"http://127.0.0.1:{METRICS_PORT}/metrics").data.decode()
    return sum(
        float(found["count"])
        for found in _CALLS.finditer(text)
        if any(action in found["labels"] for action in ("GetSecretValue", "GetParameters"))
    )


def _secret_of(stage: RealStage, file: str) -> Any:  # noqa: ANN401 - local.seed.Source
    wanted = next(item.source for app in stage.apps for item in app.files if item.path == file)
    return next(item for item in stage.sources if item.name == wanted and item.store is Store.SECRETS_MANAGER)


def test_many_republishes_within_the_refresh_interval_ask_aws_for_each_object_once(stage: RealStage, pod: Pod) -> None:
    app = stage.app("payments")
    others = [stage.pod(app, number) for number in range(2, 6)]
    assert all(isinstance(stage.kubelet.start_pod(other), PodStarted) for other in others)
    before, started = _reads(), time.monotonic()
    for _ in range(6):
        for each in (pod, *others):
            assert isinstance(stage.kubelet.republish(each), PodStarted)
    elapsed = time.monotonic() - started
    # An entry may end a tenth of its age early, so that not all of them end at the same time.
    shortest = 0.9 * min(FIRST_MOUNT_MAX_AGE_SECONDS, REFRESH_INTERVAL_SECONDS)
    intervals = math.floor(elapsed / shortest) + 1
    secrets = sum(1 for item in app.objects if item.type.value == Store.SECRETS_MANAGER.value)
    # Parameters come in batches of ten, so one call for each interval is enough for those of this app.
    assert _reads() - before <= intervals * (secrets + 1)
    for other in others:
        stage.kubelet.stop_pod(other)


def test_a_rotated_value_is_in_the_file_and_in_the_copied_secret_after_the_interval(stage: RealStage, pod: Pod) -> None:
    target = stage.kubelet.target_path(pod, pod.volumes[0])
    old = (target / "db-user").read_bytes()
    stage.seed.rotate_secret(_secret_of(stage, "db-user"))
    time.sleep(REFRESH_INTERVAL_SECONDS + _SLACK_SECONDS)
    new = _republished(stage, pod)
    assert new != old
    wait_for(
        lambda: base64.b64decode(_copied(stage, "DB_USER")) == new,
        what="the copied Secret to follow the file",
    )


def test_a_changed_class_with_an_unchanged_secret_changes_the_copied_secret(stage: RealStage, pod: Pod) -> None:
    """DB_USER is filled from another JSON key of the same secret: its version stays, its shape changes."""
    app = stage.app("payments")
    name = app.mounts[0].class_name
    path = f"/apis/secrets-store.csi.x-k8s.io/v1/namespaces/{app.namespace}/secretproviderclasses/{name}"
    original = stage.control_plane.admin.find(path)
    target = stage.kubelet.target_path(pod, pod.volumes[0])
    port = (target / "db-port").read_bytes()
    objects = original["spec"]["parameters"]["objects"]
    assert "path: username" in objects
    changed = objects.replace("path: username", "path: connection.port")
    stage.control_plane.admin.merge_patch(path, {"spec": {"parameters": {"objects": changed}}})
    try:
        stage.wait_for_classes()
        time.sleep(1.0)  # the next republish is due for the driver
        assert _republished(stage, pod) == port
        wait_for(
            lambda: base64.b64decode(_copied(stage, "DB_USER")) == port,
            what="the copied Secret to follow the class",
        )
    finally:
        stage.control_plane.admin.merge_patch(path, {"spec": {"parameters": {"objects": objects}}})
        stage.wait_for_classes()


def test_a_second_republish_in_quick_succession_is_the_bell_that_refreshes(stage: RealStage, pod: Pod) -> None:
    """What patching a pod's annotation does: kubelet republishes at once, and the value need not be old."""
    target = stage.kubelet.target_path(pod, pod.volumes[0])
    time.sleep(REFRESH_INTERVAL_SECONDS + _SLACK_SECONDS)
    assert isinstance(stage.kubelet.republish(pod), PodStarted)
    old = (target / "db-user").read_bytes()
    stage.seed.rotate_secret(_secret_of(stage, "db-user"))
    rotated = time.monotonic()
    old_at = rotated  # began the last republish that still gave the old value

    def is_new() -> bool:
        nonlocal old_at
        began = time.monotonic()
        if _republished(stage, pod) != old:
            return True
        old_at = began
        return False

    wait_for(is_new, what="the new value")
    # Whatever a busy machine makes of the time that a republish takes, one that begins later reads again.
    assert old_at < rotated + REFRESH_INTERVAL_SECONDS + FIRST_MOUNT_MAX_AGE_SECONDS


def test_a_driver_restart_keeps_the_mounts_and_goes_on_refreshing(stage: RealStage, pod: Pod) -> None:
    target = stage.kubelet.target_path(pod, pod.volumes[0])
    before = stage.kubelet.digest_files(pod)
    stage.driver.restart()
    assert stage.kubelet.digest_files(pod) == before
    stage.seed.rotate_secret(_secret_of(stage, "db-user"))
    time.sleep(REFRESH_INTERVAL_SECONDS + _SLACK_SECONDS)
    outcome = stage.kubelet.republish(pod)
    assert isinstance(outcome, PodStarted)
    assert set(outcome.outcomes.values()) == {PublishOutcome.REFRESHED}
    assert stage.kubelet.digest_files(pod) != before
    assert target.exists()


def _republished(stage: RealStage, pod: Pod) -> bytes:
    """Republish, and return what is in the file then."""
    assert isinstance(stage.kubelet.republish(pod), PodStarted)
    target: Path = stage.kubelet.target_path(pod, pod.volumes[0])
    return (target / "db-user").read_bytes()


def _copied(stage: RealStage, key: str) -> str:
    secret = stage.driver.cluster.secret(stage.app("payments").namespace, "payments-env")
    return str(secret["data"].get(key, "")) if secret else ""  # type: ignore[attr-defined]
