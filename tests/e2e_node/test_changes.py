"""What changes in AWS reaches running containers: by itself, and at once where somebody asks for it."""

from __future__ import annotations

import json
import time
from typing import Final

from components.derivation import AppAccess
from lockstep.exit_codes import ExitCode
from tests.e2e.csi_driver import wait_for
from tests.e2e.kubernetes_api import KubernetesApi
from tests.e2e.lockstep_command import start_lockstep
from tests.e2e_node.node_facts import current_digest, digests, shared_secret
from tests.e2e_node.node_stage import REFRESH_SECONDS, REPUBLISH_SECONDS, NodeStage

#: For a busy machine.
_SLACK_SECONDS: Final = 30
#: All that `lockstep refresh` needs, in the app's namespace; its --help says so.
_RIGHTS: Final = (
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "patch"]},
    {
        "apiGroups": ["secrets-store.csi.x-k8s.io"],
        "resources": ["secretproviderclasspodstatuses"],
        "verbs": ["list"],
    },
)


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
    stage.api.merge_patch(pods[app], annotation)
    wait_for(lambda: stage.digest(pods[app], file) == expected, seconds=REFRESH_SECONDS, what="the new value")
    stage.measured.append(f"an annotation brought the new value after {time.monotonic() - started:.1f} s")
    assert before != expected


def test_lockstep_refresh_brings_the_new_value_into_a_running_container(stage: NodeStage, pods: dict[str, str]) -> None:
    """As a person runs it, right after a rotation, with no more rights than it says it needs."""
    source, files = shared_secret(stage)
    app, file = next(iter(files.items()))
    container, others = stage.container_id(pods[app]), {name: path for name, path in pods.items() if name != app}
    untouched = {name: stage.api.call("GET", path)["metadata"].get("annotations") for name, path in others.items()}
    stage.seed.rotate_secret(source)
    expected = current_digest(stage, source)
    assert stage.digest(pods[app], file) != expected
    started = time.monotonic()
    command = start_lockstep(stage, _person(stage, stage.app(app)), "refresh", app, "--timeout", str(REFRESH_SECONDS))
    out, err = command.communicate(timeout=REFRESH_SECONDS + _SLACK_SECONDS)
    assert command.returncode == ExitCode.FINE, out + err
    assert stage.digest(pods[app], file) == expected, "it ended before the file was new"
    stage.measured.append(f"lockstep refresh brought the new value after {time.monotonic() - started:.1f} s")
    (mount,) = json.loads(out)["mounts"]
    assert mount["outcome"] == "refreshed"
    assert file.removeprefix(f"{stage.app(app).mounts[0].path}/") in mount["changed"]
    assert stage.container_id(pods[app]) == container, "nothing was restarted"
    assert {
        name: stage.api.call("GET", path)["metadata"].get("annotations") for name, path in others.items()
    } == untouched, "pods of other apps are not touched"


def _person(stage: NodeStage, app: AppAccess) -> KubernetesApi:
    """Return a client of somebody who may do what the command says it needs, and nothing else."""
    name, api, version = "refresher", stage.api, "rbac.authorization.k8s.io/v1"
    metadata = {"name": name, "namespace": app.namespace}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    api.apply({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": [*_RIGHTS]})
    api.apply(
        {
            "apiVersion": version,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        }
    )
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["kubernetes"]}}
    path = f"/api/v1/namespaces/{app.namespace}/serviceaccounts/{name}/token"
    token: str = api.call("POST", path, request)["status"]["token"]
    return api.as_user(token)
