"""A rolling update of the provider under load, behind the real driver: instances overlap, and no mount fails."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from local.pods import FailedMount, Pod, PodStarted
from local.provider_process import ProviderProcess
from local.report import Report
from tests.e2e import toolbox
from tests.e2e.csi_driver import wait_for
from tests.e2e.real_stage import RealStage
from tests.e2e.toolbox import PROJECT

PODS = 6
UPDATES = 3


@pytest.fixture(scope="module")
def stage() -> Iterator[RealStage]:
    """Run everything, once for this file."""
    flags = ("--metrics-address=",)
    with RealStage(project=PROJECT, report=Report(plain=True), provider_flags=flags) as running:
        yield running


def _next_instance(provider: ProviderProcess) -> ProviderProcess:
    return replace(provider)


def _mount_until(
    over: threading.Event,
    stage: RealStage,
    attempts: int,
    failures: list[str],
    mounts: Counter[str],
    pod: Pod,
) -> None:
    """Mount and unmount one pod's volumes, over and over, and count each pod's mounts."""
    while not over.is_set():
        outcome = stage.kubelet.start_pod(pod, attempts=attempts)
        if isinstance(outcome, FailedMount):
            failures.append(outcome.event_text)
        elif not stage.kubelet.list_files(pod):
            failures.append(f"{pod.label} started with nothing")
        else:
            mounts[pod.name] += 1
        for volume in pod.volumes:  # the pod stays, so that its next mount is a first one again
            stage.driver.unpublish(stage.kubelet.target_path(pod, volume))


def _wait_for_mounts(mounts: Counter[str], pods: Sequence[Pod], failures: Sequence[str]) -> None:
    """Wait until every pod was mounted twice more, the second time from the beginning, or one failed."""
    before = dict(mounts)

    def is_so() -> bool:
        return bool(failures) or all(mounts[pod.name] >= before.get(pod.name, 0) + 2 for pod in pods)

    wait_for(is_so, seconds=120, what="two more mounts of every pod")


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
def test_no_mount_fails_while_the_provider_is_updated(stage: RealStage, ending: str) -> None:
    """A new instance takes the socket over while the old one serves; then the old one goes, politely or not.

    A killed instance takes its calls in flight with it: those mounts fail, with a code that kubelet retries safely, and
    succeed at the retry.
    """
    pods = [stage.pod(stage.apps[number % len(stage.apps)], 100 + number) for number in range(PODS)]
    over = threading.Event()
    failures: list[str] = []
    mounts: Counter[str] = Counter()
    attempts = 1 if ending == "SIGTERM" else 3
    load = functools.partial(_mount_until, over, stage, attempts, failures, mounts)
    threads = [threading.Thread(target=load, args=(pod,), name=pod.name) for pod in pods]
    for thread in threads:
        thread.start()
    try:
        for _ in range(UPDATES):
            new = _next_instance(stage.provider)
            new.start()
            old, stage.provider = stage.provider, new
            if ending == "SIGTERM":
                old.stop()
            else:
                old.kill()
            assert stage.provider.socket.exists(), "the socket is never lost"
            # The driver tries a call three times within a second or two: several updates within one call are no
            # rolling update. And no mount at all would be no failed one either.
            _wait_for_mounts(mounts, pods, failures)
    finally:
        over.set()
        for thread in threads:
            thread.join(120)
    assert not [thread.name for thread in threads if thread.is_alive()]
    stage.down.callback(stage.provider.stop)
    for pod in pods:
        stage.kubelet.stop_pod(pod)
    assert sorted(set(failures)) == []


@pytest.mark.parametrize("tool", [toolbox.OLD_DRIVER, toolbox.DRIVER], ids=lambda tool: tool.name)
def test_both_driver_versions_mount_refresh_and_unmount(stage: RealStage, tool: toolbox.Tool) -> None:
    settings = stage.driver.settings
    if tool is toolbox.OLD_DRIVER:  # before 1.6 the setting is a ticker; kubelet's republish does nothing there
        settings = replace(settings, rotation_interval_seconds=None)
    stage.tool = tool
    driver = stage.new_driver(settings, name=f"v{tool.name[-5:]}")
    kubelet = stage.kubelet_with(driver)
    app = stage.app("reports")
    pod = stage.pod(app, 200)
    outcome = kubelet.start_pod(pod)
    assert isinstance(outcome, PodStarted), outcome
    assert {file.path for file in kubelet.list_files(pod)} == {file.path for file in app.files}
    assert isinstance(kubelet.republish(pod), PodStarted)
    kubelet.stop_pod(pod)
    assert not kubelet.target_path(pod, pod.volumes[0]).exists()
