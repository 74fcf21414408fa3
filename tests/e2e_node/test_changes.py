"""What changes in AWS reaches running containers: by itself, and at once where somebody asks for it."""

from __future__ import annotations

import time
from typing import Final

from tests.e2e.csi_driver import wait_for
from tests.e2e_node.node_facts import current_digest, digests, shared_secret
from tests.e2e_node.node_stage import REFRESH_SECONDS, REPUBLISH_SECONDS, NodeStage

#: For a busy machine.
_SLACK_SECONDS: Final = 30


def test_a_rotated_secret_reaches_running_containers_by_itself(stage: NodeStage, pods: dict[str, str]) -> None:
    source, files = shared_secret(stage)
    containers = {app: stage.container_id(path) for app, path in pods.items()}
    others = {app: digests(stage, app, path) for app, path in pods.items() if app not in files}
    stage.seed.rotate_secret(source)
    expected = current_digest(stage, source)
    started = time.monotonic()
    wait_for(
        lambda: all(stage.digest(pods[app], file) == expected for app, file in files.items()),
        seconds=REFRESH_SECONDS + 2 * REPUBLISH_SECONDS + _SLACK_SECONDS,
        what="the new value in every container",
    )
    stage.measured.append(f"a rotation reached {len(files)} containers after {time.monotonic() - started:.1f} s")
    assert {app: stage.container_id(path) for app, path in pods.items()} == containers, "nothing was restarted"
    assert {app: digests(stage, app, pods[app]) for app in others} == others


def test_an_annotation_makes_kubelet_bring_the_new_value_at_once(stage: NodeStage, pods: dict[str, str]) -> None:
    source, files = shared_secret(stage)
    app, file = next(iter(files.items()))
    time.sleep(REFRESH_SECONDS + 1)  # what the provider remembers has to be old enough to be asked for again
    stage.seed.rotate_secret(source)
    expected = current_digest(stage, source)
    before = stage.digest(pods[app], file)
    started = time.monotonic()
    annotation = {"metadata": {"annotations": {"lockstep.example/refresh": str(time.time())}}}
    stage.api.call("PATCH", pods[app], annotation, content_type="application/merge-patch+json")
    wait_for(lambda: stage.digest(pods[app], file) == expected, seconds=REFRESH_SECONDS, what="the new value")
    stage.measured.append(f"an annotation brought the new value after {time.monotonic() - started:.1f} s")
    assert before != expected
