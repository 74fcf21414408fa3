"""What the real driver keeps of pods in the API server: statuses, copied Secrets, owners, counters; and when they go.

The counterpart of `tests/local/test_node_sync.py`, whose stand-in copies at once: here the driver's controller does, in
the background, for pods that the API server knows.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from local.pods import FailedMount, Pod, PodStarted, PodUid, PublishOutcome
from provider_runtime.csi_v1alpha1 import service_pb2
from tests.e2e import toolbox
from tests.e2e.control_plane import NODE, ControlPlane
from tests.e2e.copied_secrets import COLLECTED_SECONDS, owners
from tests.e2e.csi_driver import mount_points, wait_for
from tests.e2e.kubernetes_api import ApiError, object_path
from tests.e2e.real_node import real_node_stage
from tests.e2e.real_stage import pod_manifest
from tests.local.key_files import Bundle, make_bundles
from tests.local.node_stage import CLASS, NAMESPACE, NodeStage, Refusal, answer, make_class, make_pod

SECRET: Final = "payments-env"
_STATUSES: Final = "/apis/secrets-store.csi.x-k8s.io/v1"
#: Longer than the driver's controller takes to act on a status: it did nothing then.
_QUIET_SECONDS: Final = 2.0
#: The driver names the owners of copied Secrets this often. Source: 1.6.0, `RunPatcher`.
_OWNER_ROUND_SECONDS: Final = 5.0


@pytest.fixture(scope="module")
def cluster(_real_parts: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Run a control plane with its garbage collector."""
    folder = tmp_path_factory.mktemp("cluster")
    folder.chmod(0o700)
    with ControlPlane(folder=folder, issuer="https://issuer.e2e.invalid") as running:
        yield running


@pytest.fixture
def node(cluster: ControlPlane, tmp_path: Path) -> Iterator[NodeStage]:
    """Run a driver and a scripted provider."""
    with real_node_stage(cluster, tmp_path) as stage:
        yield stage
        for name in ("payments-1", "payments-2"):
            cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")
        for name in (SECRET, "other"):
            cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")


def _place(
    cluster: ControlPlane, name: str = "payments-1", *, class_name: str = CLASS, owner: Mapping[str, str] | None = None
) -> Pod:
    """Create a pod in the API server and return it with the server's uid."""
    pod = make_pod(name, attributes={"secretProviderClass": class_name})
    manifest = pod_manifest(pod)
    manifest["metadata"]["ownerReferences"] = [owner] if owner else []
    made = cluster.admin.create(manifest)
    return replace(pod, uid=PodUid(made["metadata"]["uid"]))


def _copy_of(*pairs: tuple[str, str], **changes: object) -> dict[str, object]:
    data = [{"objectName": object_name, "key": key} for object_name, key in pairs]
    return {"secretName": SECRET, "type": "Opaque", "data": data} | changes


def _use(node: NodeStage, *secret_objects: Mapping[str, object]) -> None:
    node.classes[NAMESPACE, CLASS] = make_class(secret_objects=secret_objects)


def _find(cluster: ControlPlane, name: str = SECRET) -> Any:  # noqa: ANN401 - JSON
    return cluster.admin.find(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")


def _data(cluster: ControlPlane) -> dict[str, bytes]:
    found = wait_for(lambda: _find(cluster), what=f"the Secret {SECRET}")
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


def test_a_status_lists_objects_by_id_and_names_pod_class_and_node(cluster: ControlPlane, node: NodeStage) -> None:
    pod = _place(cluster)
    node.provider.reply = answer(("b", b"x"), ("a", b"y"))
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    path = f"{_STATUSES}/namespaces/{NAMESPACE}/secretproviderclasspodstatuses/payments-1-{NAMESPACE}-{CLASS}"
    found = cluster.admin.find(path)
    assert found["metadata"]["labels"] == {"internal.secrets-store.csi.k8s.io/node-name": NODE}
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Pod", "payments-1", pod.uid)
    assert found["status"] == {
        "podName": "payments-1",
        "secretProviderClassName": CLASS,
        "mounted": True,
        "targetPath": str(node.directory(pod)),
        "objects": [{"id": "a", "version": "v1"}, {"id": "b", "version": "v1"}],
    }


def test_of_two_versions_with_one_id_the_last_counts(cluster: ControlPlane, node: NodeStage) -> None:
    pod = _place(cluster)
    versions = [service_pb2.ObjectVersion(id="a", version=version) for version in ("1", "2")]
    node.provider.reply = service_pb2.MountResponse(object_version=versions)
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    assert [status.versions for status in node.cluster.statuses if status.pod_uid == pod.uid] == [{"a": "2"}]


def test_a_status_name_beyond_253_characters_fails_the_mount(node: NodeStage) -> None:
    failed = node.kubelet.start_pod(make_pod("p" * 230))
    assert isinstance(failed, FailedMount)
    assert "must be no more than 253 characters" in failed.event_text


def test_a_class_that_the_schema_refuses_is_refused_by_the_api_server(cluster: ControlPlane, node: NodeStage) -> None:
    with pytest.raises(ApiError, match="must be of type string"):
        node.classes[NAMESPACE, "wrong"] = {"spec": {"provider": "aws", "parameters": {"usePodIdentity": True}}}
    assert (NAMESPACE, "wrong") not in node.classes
    del cluster


def test_a_secret_is_copied_from_the_mounted_files_with_label_and_type(cluster: ControlPlane, node: NodeStage) -> None:
    _use(node, _copy_of(("db.json", "DB"), ("dir/user", "USER"), labels={"team": "pay"}))
    node.provider.reply = answer(("db.json", b"\x00binary"), ("dir/user", b"me"))
    assert isinstance(node.kubelet.start_pod(_place(cluster)), PodStarted)
    assert _data(cluster) == {"DB": b"\x00binary", "USER": b"me"}
    found = _find(cluster)
    assert found["type"] == "Opaque"
    assert found["metadata"]["labels"] == {"team": "pay", "secrets-store.csi.k8s.io/managed": "true"}


def test_a_secret_follows_the_version_and_not_the_content(cluster: ControlPlane, node: NodeStage) -> None:
    pod = _place(cluster)
    _use(node, _copy_of(("db.json", "DB")))
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    assert _data(cluster) == {"DB": b"one"}
    node.provider.reply = answer(("db.json", b"two"), version="v1")
    assert isinstance(node.kubelet.republish(pod), PodStarted)
    assert node.read(pod) == {"db.json": b"two"}
    time.sleep(_QUIET_SECONDS)
    assert _data(cluster) == {"DB": b"one"}
    node.provider.reply = answer(("db.json", b"three"), version="v2")
    assert isinstance(node.kubelet.republish(pod), PodStarted)
    wait_for(lambda: _data(cluster) == {"DB": b"three"}, what="the Secret to follow the version")


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (_copy_of(("absent", "A")), "file matching objectName absent not found in the pod"),
        (_copy_of(("", "A")), "object name in secretObjects.data"),
        (_copy_of(("db.json", " ")), "key in secretObjects.data is empty"),
        (_copy_of(("db.json", "A"), type=""), "secret type is empty"),
        (_copy_of(("db.json", "A"), secretName=""), "secret name is empty"),
        (_copy_of(), "data is empty"),
        (_copy_of(("db.json", "tls.crt"), type="kubernetes.io/tls"), "failed to get cert data from file"),
        (_copy_of(("db.json", "A"), type="kubernetes.io/tls"), "key 'A' is not supported"),
    ],
)
def test_a_secret_that_cannot_be_made_is_logged_and_neither_the_mount_nor_the_others_suffer(
    cluster: ControlPlane, node: NodeStage, broken: Mapping[str, object], text: str
) -> None:
    pod = _place(cluster)
    _use(node, broken, _copy_of(("db.json", "DB"), secretName="other"))
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    assert node.read(pod) == {"db.json": b"one"}
    wait_for(lambda: _find(cluster, "other"), what="the other Secret")
    wait_for(lambda: text in "".join(node.driver.log), what=f"the driver to log {text!r}")
    assert _find(cluster) is None


@pytest.mark.parametrize("bundle", make_bundles(), ids=lambda bundle: bundle.name)
def test_a_tls_secret_holds_certificates_and_key_of_a_bundle(
    cluster: ControlPlane, node: NodeStage, bundle: Bundle
) -> None:
    """The stand-in's tests expect the same of the same bundles."""
    _use(node, _copy_of(("bundle", "tls.crt"), ("bundle", "tls.key"), type="kubernetes.io/tls"))
    node.provider.reply = answer(("bundle", bundle.content))
    assert isinstance(node.kubelet.start_pod(_place(cluster)), PodStarted)
    assert _data(cluster) == {"tls.crt": bundle.certificates, "tls.key": bundle.key}
    assert _find(cluster)["type"] == "kubernetes.io/tls"


def test_a_secret_stays_until_its_last_pod_is_gone(cluster: ControlPlane, node: NodeStage) -> None:
    """Two owners, then one, then the garbage collector takes it."""
    _use(node, _copy_of(("db.json", "DB")))
    first, second = _place(cluster), _place(cluster, "payments-2")
    for pod in (first, second):
        assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    _wait_for_owners(cluster, 2)
    node.kubelet.stop_pod(first)
    _wait_for_owners(cluster, 1)
    assert _data(cluster) == {"DB": b"one"}
    node.kubelet.stop_pod(second)
    _wait_for_no_secret(cluster)
    gone = {first.uid, second.uid}
    wait_for(
        lambda: not [status for status in node.cluster.statuses if status.pod_uid in gone],
        seconds=COLLECTED_SECONDS,
        what="the garbage collector to take the statuses",
    )


def test_a_secret_whose_pod_goes_before_its_owners_are_named_stays_until_the_next_pod_of_the_class(
    cluster: ControlPlane, node: NodeStage
) -> None:
    """The driver writes a Secret without owners and never deletes one: what nobody owns, nobody collects."""
    _use(node, _copy_of(("db.json", "DB")))
    _leave_a_secret_behind(cluster, node)
    assert _data(cluster) == {"DB": b"one"}
    pod = _place(cluster)
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    _wait_for_owners(cluster, 1)
    node.kubelet.stop_pod(pod)
    _wait_for_no_secret(cluster)


def _leave_a_secret_behind(cluster: ControlPlane, node: NodeStage) -> None:
    """Stop pods right after their start until one's Secret has no owner: when the driver's round falls is its own."""
    for _ in range(5):
        pod = _place(cluster)
        assert isinstance(node.kubelet.start_pod(pod), PodStarted)
        wait_for(lambda: _find(cluster), what="the Secret")
        node.kubelet.stop_pod(pod)
        _wait_for_no_status(node)
        time.sleep(2 * _OWNER_ROUND_SECONDS)
        if _owners(cluster) == []:
            return
        _wait_for_no_secret(cluster)
    pytest.fail("five times the owners were named within the moment between a Secret and the end of its pod")


def test_a_driver_that_starts_again_writes_secrets_without_their_owners_until_its_first_round(
    cluster: ControlPlane, node: NodeStage
) -> None:
    """So a pod that goes right after a restart of its node leaves its Secret behind, too."""
    _use(node, _copy_of(("db.json", "DB")))
    pod, driver = _place(cluster), node.driver
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    _wait_for_owners(cluster, 1)
    since = _find(cluster)["metadata"]["resourceVersion"]
    driver.restart()  # type: ignore[attr-defined]  # the real one's
    wait_for(lambda: _owners_since(cluster, since)[:2] == [0, 1], seconds=60, what="no owner, then one")
    node.kubelet.stop_pod(pod)


def _owners_since(cluster: ControlPlane, version: str) -> list[int]:
    """Return how many owners the Secret had after each change since a version of it; waits some seconds for changes."""
    query = f"watch=true&fieldSelector=metadata.name%3D{SECRET}&resourceVersion={version}&timeoutSeconds=4"
    text = cluster.admin.call("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets?{query}", is_text=True)
    changes = [json.loads(line)["object"]["metadata"] for line in text.splitlines()]
    return [len(metadata.get("ownerReferences", ())) for metadata in changes]


def test_a_secret_of_a_pod_with_an_owner_belongs_to_that_owner_and_goes_with_it(
    cluster: ControlPlane, node: NodeStage
) -> None:
    """A Deployment's Secrets are there as long as its ReplicaSets, however few pods these have."""
    _use(node, _copy_of(("db.json", "DB")))
    labels = {"app": "payments"}
    template = {"metadata": {"labels": labels}, "spec": pod_manifest(make_pod())["spec"]}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "payments", "namespace": NAMESPACE},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    made = cluster.admin.create(manifest)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "payments", "uid": made["metadata"]["uid"]}
    pod = _place(cluster, owner=owner)
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    _wait_for_owners(cluster, 1)
    assert _owners(cluster) == [owner]
    node.kubelet.stop_pod(pod)
    _wait_for_no_status(node)
    time.sleep(_QUIET_SECONDS)
    assert _data(cluster) == {"DB": b"one"}
    cluster.admin.delete(object_path(manifest))
    _wait_for_no_secret(cluster)


def test_a_class_that_is_missing_keeps_every_owner_of_the_node_from_being_named(
    cluster: ControlPlane, node: NodeStage
) -> None:
    _use(node, _copy_of(("db.json", "DB")))
    node.classes[NAMESPACE, "missing"] = make_class()
    other = _place(cluster, "payments-2", class_name="missing")
    assert isinstance(node.kubelet.start_pod(other), PodStarted)
    del node.classes[NAMESPACE, "missing"]
    pod = _place(cluster)
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    assert _data(cluster) == {"DB": b"one"}
    time.sleep(2 * _OWNER_ROUND_SECONDS)
    assert _owners(cluster) == []
    node.classes[NAMESPACE, "missing"] = make_class()
    _wait_for_owners(cluster, 1)
    for each in (pod, other):
        node.kubelet.stop_pod(each)
    _wait_for_no_secret(cluster)


def _owners(cluster: ControlPlane) -> list[Mapping[str, str]] | None:
    return owners(cluster.admin, f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}")


def _wait_for_no_secret(cluster: ControlPlane) -> None:
    wait_for(lambda: _find(cluster) is None, seconds=COLLECTED_SECONDS, what="the garbage collector to take the Secret")


def _wait_for_no_status(node: NodeStage) -> None:
    wait_for(
        lambda: not node.cluster.statuses, seconds=COLLECTED_SECONDS, what="the garbage collector to take the statuses"
    )


def _wait_for_owners(cluster: ControlPlane, count: int) -> None:
    def is_so() -> bool:
        found = _owners(cluster)
        return found is not None and len(found) == count

    wait_for(is_so, seconds=60, what=f"{count} owners of the Secret")


def test_the_driver_counts_mounts_refreshes_errors_and_unmounts(cluster: ControlPlane, node: NodeStage) -> None:
    pod = _place(cluster)
    driver: Any = node.driver

    def grown(name: str, before: Mapping[str, float]) -> float:
        return float(driver.counts().get(name, 0.0) - before.get(name, 0.0))

    before = driver.counts()
    assert isinstance(node.kubelet.start_pod(pod), PodStarted)
    assert isinstance(node.kubelet.republish(pod), PodStarted)
    assert grown("node_publish_total", before) == 2
    assert grown("rotation_reconcile_total", before) == 1
    assert grown("node_publish_error_total", before) == 0
    node.provider.reply = Refusal(grpc.StatusCode.INTERNAL)
    assert isinstance(node.kubelet.republish(pod), PodStarted), "kubelet does not see it"
    assert grown("node_publish_error_total", before) == 1
    assert grown("rotation_reconcile_error_total", before) == 1
    node.kubelet.stop_pod(pod)
    assert grown("node_unpublish_total", before) == 1
    assert grown("node_unpublish_error_total", before) == 0


def test_an_update_of_the_driver_in_place_keeps_the_mounts_and_goes_on(cluster: ControlPlane, tmp_path: Path) -> None:
    """From the old minor version to the new one: files stay, are refreshed, and are unmounted by the new one."""
    pod = _place(cluster)
    with real_node_stage(cluster, tmp_path, tool=toolbox.OLD_DRIVER, rotation_interval_seconds=None) as old:
        assert isinstance(old.kubelet.start_pod(pod), PodStarted)
        target = old.directory(pod)
        old.driver.close()
        assert target.joinpath("db.json").read_bytes() == b"one", "mounts do not hang on the driver's process"
        with real_node_stage(cluster, tmp_path) as new:
            new.provider.reply = answer(("db.json", b"two"), version="v2")
            outcome = new.kubelet.republish(pod)
            assert isinstance(outcome, PodStarted)
            assert set(outcome.outcomes.values()) == {PublishOutcome.REFRESHED}
            assert new.read(pod) == {"db.json": b"two"}
            new.kubelet.stop_pod(pod)
            assert str(target) not in mount_points()
            assert not target.exists()
            assert "failed to clean and unmount" not in "".join(new.driver.log)
