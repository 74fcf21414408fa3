"""After all of it: no value in a log, and nothing left of deleted pods. Last, because the pods go."""

from __future__ import annotations

import json
import time
from typing import Final

from tests.e2e.copied_secrets import COLLECTED_SECONDS, copied_secrets, wait_until_collected, wait_until_owned
from tests.e2e.csi_driver import wait_for
from tests.e2e_node.node_stage import NodeStage

_STATUSES: Final = "/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasspodstatuses"


def test_no_value_is_in_any_log_or_event(stage: NodeStage, pods: dict[str, str]) -> None:
    del pods
    places = stage.node.logs()
    places["kube-apiserver"] = stage.control_plane.api_server.log()
    places["events"] = json.dumps(stage.api.call("GET", "/api/v1/events"))
    assert {"kubelet", "containerd"} <= places.keys()
    assert [place for place in places if "/provider/" in place]
    assert [place for place in places if "/secrets-store/" in place]
    assert stage.seed.values
    assert [place for place, text in places.items() if any(value in text for value in stage.seed.values)] == []


def test_a_deleted_pod_leaves_nothing_behind(stage: NodeStage, pods: dict[str, str]) -> None:
    uids = [stage.api.call("GET", path)["metadata"]["uid"] for path in pods.values()]
    containers = [stage.container_id(path).rpartition("/")[2] for path in pods.values()]
    started = time.monotonic()
    for app, path in pods.items():
        wait_until_owned(stage.api, stage.app(app))
        stage.delete_pod(path)
    stage.measured.append(f"{len(pods)} pods were gone after {time.monotonic() - started:.1f} s")
    root = stage.node.machine.root / "var/lib/kubelet/pods"
    wait_for(lambda: not [uid for uid in uids if (root / uid).exists()], seconds=60, what="the pods' folders to go")
    assert not [point for point in stage.node.machine.mount_points() if any(uid in point for uid in uids)]
    assert not stage.node.running() & set(containers)
    wait_for(
        lambda: stage.api.call("GET", _STATUSES)["items"] == [], seconds=COLLECTED_SECONDS, what="the statuses to go"
    )
    wait_until_collected(stage.api, [path for app in stage.apps for path in copied_secrets(app)])
