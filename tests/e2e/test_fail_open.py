"""The driver's fail-open trap with our Helm values and our codes: no failure lets a pod start with an empty directory.

The same failures at the driver's default interval, with a provider that answers carelessly, show what the values and
the guard are for.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from local.driver import DriverSettings
from local.node import NON_FINAL_CODES, Kubelet
from local.pods import FailedMount, Pod, PodStarted
from local.report import Report
from tests.e2e.control_plane import NODE, ControlPlane
from tests.e2e.csi_driver import RealDriver
from tests.e2e.real_node import real_node_stage
from tests.e2e.real_stage import ApiTokens, RealStage
from tests.e2e.toolbox import PROJECT
from tests.local.node_stage import Refusal, answer, make_pod

DRIVER_DEFAULT_SECONDS = 120.0
KUBELET_FIRST_RETRY_SECONDS = 0.5


@pytest.fixture(scope="module")
def stage() -> Iterator[RealStage]:
    """Run everything, once for this file."""
    with RealStage(project=PROJECT, report=Report(plain=True)) as running:
        yield running


def _is_empty(stage: RealStage, pod: Pod) -> bool:
    return not stage.kubelet.list_files(pod)


def _assert_never_starts_empty(stage: RealStage, pod: Pod, *, retries: int = 3) -> None:
    for _ in range(retries):
        time.sleep(KUBELET_FIRST_RETRY_SECONDS)
        outcome = stage.kubelet.start_pod(pod)
        assert isinstance(outcome, FailedMount) or not _is_empty(stage, pod), "the pod started with nothing"


@pytest.mark.parametrize("code", sorted(NON_FINAL_CODES, key=str), ids=lambda code: code.name)
def test_at_the_drivers_default_interval_a_careless_code_starts_the_pod_with_nothing(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, code: grpc.StatusCode
) -> None:
    with real_node_stage(
        control_plane, tmp_path_factory.mktemp("trap"), rotation_interval_seconds=DRIVER_DEFAULT_SECONDS
    ) as node:
        node.provider.reply = Refusal(code)
        assert isinstance(node.kubelet.start_pod(make_pod()), FailedMount)
        node.provider.reply = answer(("db.json", b"one"))
        assert isinstance(node.kubelet.start_pod(make_pod()), PodStarted)
        assert list(node.directory(make_pod()).iterdir()) == []


@pytest.mark.parametrize("code", sorted(NON_FINAL_CODES, key=str), ids=lambda code: code.name)
def test_with_the_derived_interval_the_same_code_is_followed_by_a_real_mount(
    stage: RealStage, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, code: grpc.StatusCode
) -> None:
    derived = stage.deployment.driver_values().rotation_interval_seconds
    assert derived is not None
    assert derived < KUBELET_FIRST_RETRY_SECONDS
    with real_node_stage(control_plane, tmp_path_factory.mktemp("safe"), rotation_interval_seconds=derived) as node:
        node.provider.reply = Refusal(code)
        assert isinstance(node.kubelet.start_pod(make_pod()), FailedMount)
        node.provider.reply = answer(("db.json", b"one"))
        time.sleep(KUBELET_FIRST_RETRY_SECONDS)
        assert isinstance(node.kubelet.start_pod(make_pod()), PodStarted)
        assert node.read(make_pod()) == {"db.json": b"one"}


def test_a_provider_killed_in_the_middle_of_a_call_starts_no_empty_pod(stage: RealStage) -> None:
    """Emulated AWS is stopped, so that the mount is on its way when the provider dies."""
    app = stage.apps[0]
    pod = stage.pod(app, 40)
    assert stage.emulator.pid is not None
    os.kill(stage.emulator.pid, signal.SIGSTOP)
    try:
        outcomes: list[PodStarted | FailedMount] = []
        mount = threading.Thread(target=lambda: outcomes.append(stage.kubelet.start_pod(pod)), name="mount")
        mount.start()
        time.sleep(1.0)
        stage.provider.kill()
        stage.provider.start()
    finally:
        os.kill(stage.emulator.pid, signal.SIGCONT)
    mount.join(60)
    assert not mount.is_alive()
    assert isinstance(outcomes[0], FailedMount) or not _is_empty(stage, pod)
    _assert_never_starts_empty(stage, pod)
    assert not _is_empty(stage, pod), "the provider is well again, so the pod has its files"
    stage.kubelet.stop_pod(pod)


@pytest.mark.parametrize("case", ["mid-call", "stale"])
def test_at_the_drivers_default_interval_a_provider_that_is_killed_starts_the_pod_with_nothing(
    stage: RealStage, case: str
) -> None:
    """What the derived interval is for: killed in the middle of the call, or before it, with its socket left there."""
    settings = replace(stage.driver.settings, rotation_interval_seconds=DRIVER_DEFAULT_SECONDS)
    kubelet = _kubelet_with_deadline(stage, stage.new_driver(settings, name=f"default-{case}"), seconds=4.0)
    pod = stage.pod(stage.apps[0], 46 if case == "stale" else 47)
    assert stage.emulator.pid is not None
    stage.provider.kill()
    if case == "mid-call":
        stage.provider.start()  # one that remembers nothing, so that it is in the middle of a call to AWS
        os.kill(stage.emulator.pid, signal.SIGSTOP)
    try:
        outcomes: list[PodStarted | FailedMount] = []
        mount = threading.Thread(target=lambda: outcomes.append(kubelet.start_pod(pod)), name="mount")
        mount.start()
        time.sleep(1.0)
        stage.provider.kill()  # nothing happens to one that is gone
        mount.join(120)
        assert not mount.is_alive()
    finally:
        os.kill(stage.emulator.pid, signal.SIGCONT)
        stage.provider.start()
    (failed,) = outcomes
    assert isinstance(failed, FailedMount)
    assert failed.code in NON_FINAL_CODES
    assert isinstance(kubelet.start_pod(pod), PodStarted), "the provider is well again, and is not even asked"
    assert _is_empty(stage, pod)
    stage.kubelet.stop_pod(pod)


@pytest.mark.parametrize("ending", ["killed", "ended"])
def test_a_provider_that_is_gone_starts_no_empty_pod_and_leaves_mounted_files_alone(
    stage: RealStage, ending: str
) -> None:
    """The driver waits for its connection until kubelet's deadline, whether the socket's name is still there or not.

    Kubelet takes that for a mount that may still come, and leaves the directory: the trap, which the interval closes.
    """
    driver = stage.new_driver(stage.driver.settings, name=ending)
    kubelet = _kubelet_with_deadline(stage, driver, seconds=2.0)
    mounted, waiting = stage.pod(stage.apps[0], 41), stage.pod(stage.apps[0], 44)
    assert isinstance(stage.kubelet_with(driver).start_pod(mounted), PodStarted), "now the driver keeps its connection"
    files = kubelet.digest_files(mounted)
    if ending == "killed":
        stage.provider.kill()
    else:
        stage.provider.stop()
    try:
        assert stage.provider.socket.exists() == (ending == "killed")
        failed = kubelet.start_pod(waiting)
        assert isinstance(failed, FailedMount)
        assert failed.code is grpc.StatusCode.DEADLINE_EXCEEDED
        time.sleep(KUBELET_FIRST_RETRY_SECONDS)
        assert isinstance(kubelet.start_pod(waiting), FailedMount)
        republished = kubelet.republish(mounted)
        assert isinstance(republished, FailedMount)
        assert republished.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert kubelet.digest_files(mounted) == files
    finally:
        stage.provider.start()
    _assert_never_starts_empty(stage, waiting)
    assert not _is_empty(stage, waiting)
    for pod in (mounted, waiting):
        stage.kubelet.stop_pod(pod)


def test_a_provider_that_ended_in_order_is_missed_at_once_by_a_driver_that_never_met_it(stage: RealStage) -> None:
    """It takes its socket's name along: a driver without a connection then says so itself, with a final status."""
    kubelet = _kubelet_with_deadline(stage, stage.new_driver(stage.driver.settings, name="new"), seconds=60.0)
    pod = stage.pod(stage.apps[0], 45)
    stage.provider.stop()
    try:
        started = time.monotonic()
        failed = kubelet.start_pod(pod)
        assert time.monotonic() - started < 30, "well before the deadline"
        assert isinstance(failed, FailedMount)
        assert failed.code not in NON_FINAL_CODES
        assert "provider not found" in failed.event_text
        assert not kubelet.target_path(pod, pod.volumes[0]).exists()
    finally:
        stage.provider.start()
    assert isinstance(kubelet.start_pod(pod), PodStarted)
    assert not _is_empty(stage, pod)
    stage.kubelet.stop_pod(pod)


def _kubelet_with_deadline(stage: RealStage, driver: RealDriver, *, seconds: float) -> Kubelet[RealDriver]:
    return Kubelet(
        root=stage.work_dir / "kubelet",
        driver=driver,
        tokens=ApiTokens(kubelet=stage.control_plane.kubelet),
        audiences=stage.deployment.driver_values().audiences,
        are_tokens_secrets=True,
        deadline_seconds=seconds,
    )


def test_a_denied_first_mount_removes_the_directory_so_that_the_retry_is_real(stage: RealStage) -> None:
    thief = stage.app("mailer")
    stage.deployment.write_class(thief.namespace, "denied", str(thief.app), region="us-west-2")
    pod = stage.pod(thief, 42, class_name="denied")
    failed = stage.kubelet.start_pod(pod)
    assert isinstance(failed, FailedMount)
    assert failed.code is grpc.StatusCode.PERMISSION_DENIED, failed.event_text
    assert "[LSP" in failed.event_text, "the provider's own refusal"
    assert not stage.kubelet.target_path(pod, pod.volumes[0]).exists()
    _assert_never_starts_empty(stage, pod, retries=2)
    stage.kubelet.stop_pod(pod)


def test_every_final_code_of_ours_is_one_that_kubelet_takes_for_final(stage: RealStage) -> None:
    """A driver without rotation has no trap: there too nothing starts empty."""
    plain = DriverSettings(
        socket_directories=(stage.provider.socket_dir,), rotation_interval_seconds=None, node_name=NODE
    )
    kubelet = stage.kubelet_with(stage.new_driver(plain, name="plain"))
    thief = stage.app("mailer")
    stage.deployment.write_class(thief.namespace, "asks-nothing", str(thief.app), objects="[]")
    pod = stage.pod(thief, 43, class_name="asks-nothing")
    failed = kubelet.start_pod(pod)
    assert isinstance(failed, FailedMount)
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT, failed.event_text
    assert "[LSP" in failed.event_text, "the provider's own refusal"
    kubelet.stop_pod(pod)
