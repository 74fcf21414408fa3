"""The provider down, the provider rolled, the node without power: pods wait and start, and no mount is empty."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Final

from tests.e2e.csi_driver import wait_for
from tests.e2e_node.node_facts import digests
from tests.e2e_node.node_stage import NAMESPACE, PROVIDER_SET, NodeStage

LOAD_PODS: Final = 3
#: A path without links: /var/run is one, and would lead out of the machine.
SOCKET_DIRECTORY: Final = "run/secrets-store-csi-providers"
_RESTART_SECONDS: Final = 240.0


def test_a_pod_waits_for_a_provider_that_is_down_and_starts_when_it_is_back(
    stage: NodeStage, pods: dict[str, str]
) -> None:
    assert pods, "the driver has met the provider"
    with _provider_elsewhere(stage):
        wait_for(lambda: not stage.pods_of(PROVIDER_SET), seconds=90, what="the provider to be gone")
        left = sorted(path.name for path in (stage.node.machine.root / SOCKET_DIRECTORY).iterdir())
        assert left == [], "a provider that goes in order takes its socket along"
        pod = stage.create_pod(stage.app_pod(stage.app("reports"), "waiting"))
        # It waits for the provider that it knows until kubelet's deadline; see test_fail_open.py of tier B.
        text = stage.wait_for_event(pod, "code = DeadlineExceeded", seconds=150)
        stage.measured.append(f"while the provider is down: {text}")
        assert stage.api.call("GET", pod)["status"]["phase"] == "Pending"
    started = time.monotonic()
    stage.wait_until_runs(pod, seconds=200)
    stage.measured.append(f"the pod ran {time.monotonic() - started:.1f} s after the provider was asked for again")
    assert stage.restarts(pod) == 0, "it started with all of its files"
    stage.delete_pod(pod)


@contextlib.contextmanager
def _provider_elsewhere(stage: NodeStage) -> Iterator[None]:
    """Let the provider run on nodes of a label only, which this one has not.

    The DaemonSet stays: an engine that placed it does not expect another's in its place, and would refuse to change it.
    """
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/{PROVIDER_SET}"
    stage.api.merge_patch(path, _node_selector("elsewhere"))
    try:
        yield
    finally:
        stage.api.merge_patch(path, _node_selector(None))


def _node_selector(value: str | None) -> dict[str, object]:
    return {"spec": {"template": {"spec": {"nodeSelector": {"lockstep.example/place": value}}}}}


def test_the_provider_is_rolled_under_load_without_a_failed_mount(stage: NodeStage) -> None:
    over = threading.Event()
    started: list[str] = []
    failures: list[str] = []

    def load(number: int) -> None:
        app = stage.apps[number % len(stage.apps)]
        turn = 0
        while not over.is_set():
            path = stage.create_pod(stage.app_pod(app, f"load-{number}-{turn}"))
            stage.wait_until_runs(path)
            failures.extend(stage.events(path))
            if stage.restarts(path):
                failures.append(f"{path} had started without its files")
            started.append(path)
            stage.delete_pod(path)
            turn += 1

    threads = [threading.Thread(target=load, args=(number,), name=f"load-{number}") for number in range(LOAD_PODS)]
    for thread in threads:
        thread.start()
    try:
        for build in ("2", "3"):
            image = stage.provider_image(build)
            stage.node.load(image)
            before = stage.provider_pod()["metadata"]["uid"]
            stage.program.config["lockstep:providerImage"] = image.reference
            stage.deployment.up()
            wait_for(lambda: stage.is_rolled_out(PROVIDER_SET), seconds=120, what="the rollout")
            after = stage.provider_pod()
            assert after["metadata"]["uid"] != before
            assert after["spec"]["containers"][0]["image"] == image.reference
    finally:
        over.set()
        for thread in threads:
            thread.join(180)
    stage.measured.append(f"{len(started)} pods started during two rollouts")
    assert len(started) >= LOAD_PODS
    assert failures == []


def test_a_restarted_node_brings_every_pod_back_with_its_files(stage: NodeStage, pods: dict[str, str]) -> None:
    before = {app: digests(stage, app, path) for app, path in pods.items()}
    containers = {app: stage.container_id(path) for app, path in pods.items()}
    restarts = {app: stage.restarts(path) for app, path in pods.items()}
    stage.node.lose_power()
    started = time.monotonic()
    stage.node.boot()
    for app, path in pods.items():
        wait_for(
            lambda app=app, path=path: stage.is_running(path) and stage.container_id(path) != containers[app],
            seconds=_RESTART_SECONDS,
            what=f"{app} to run again",
        )
    stage.wait_until_ready()
    stage.measured.append(f"everything ran again {time.monotonic() - started:.1f} s after the power came back")
    assert {app: digests(stage, app, path) for app, path in pods.items()} == before
    # One start each: no container was let in before its files were there.
    assert {app: stage.restarts(path) for app, path in pods.items()} == {
        app: number + 1 for app, number in restarts.items()
    }
