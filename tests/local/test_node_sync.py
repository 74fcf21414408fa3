"""Pod statuses and copied Secrets: when they are written, from what, and when they go."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local.pods import FailedMount, PodUid
from provider_runtime.csi_v1alpha1 import service_pb2
from tests.local.key_files import Bundle, make_bundles
from tests.local.node_stage import CLASS, NAMESPACE, POD_UID, NodeStage, answer, make_class, make_pod, node_stage

SECRET = "payments-env"
STATUS = f"payments-1-{NAMESPACE}-{CLASS}"


def _copy_of(*pairs: tuple[str, str], **changes: object) -> dict[str, object]:
    data = [{"objectName": object_name, "key": key} for object_name, key in pairs]
    return {"secretName": SECRET, "type": "Opaque", "data": data} | changes


def _use(stage: NodeStage, *secret_objects: Mapping[str, object]) -> None:
    stage.classes[NAMESPACE, CLASS] = make_class(secret_objects=secret_objects)


def _data(stage: NodeStage) -> dict[str, bytes]:
    manifest = stage.cluster.secret(NAMESPACE, SECRET)
    assert manifest is not None
    data = manifest["data"]
    assert isinstance(data, dict)
    return {key: base64.b64decode(value) for key, value in data.items()}


def test_a_status_lists_objects_by_id_and_names_pod_class_and_node(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = answer(("b", b"x"), ("a", b"y"))
        stage.kubelet.start_pod(make_pod())
        (status,) = stage.cluster.statuses
        manifest = status.manifest()
        assert manifest["metadata"] == {
            "name": STATUS,
            "namespace": NAMESPACE,
            "labels": {"internal.secrets-store.csi.k8s.io/node-name": "local-node"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "payments-1", "uid": POD_UID}],
        }
        assert manifest["status"] == {
            "podName": "payments-1",
            "secretProviderClassName": CLASS,
            "mounted": True,
            "targetPath": str(stage.directory(make_pod())),
            "objects": [{"id": "a", "version": "v1"}, {"id": "b", "version": "v1"}],
        }


def test_of_two_versions_with_one_id_the_last_counts(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        versions = [service_pb2.ObjectVersion(id="a", version=version) for version in ("1", "2")]
        stage.provider.reply = service_pb2.MountResponse(object_version=versions)
        stage.kubelet.start_pod(make_pod())
        assert stage.cluster.statuses[0].versions == {"a": "2"}


def test_a_status_name_beyond_253_characters_fails_the_mount(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        failed = stage.kubelet.start_pod(make_pod("p" * 230))
        assert isinstance(failed, FailedMount)
        assert "must be no more than 253 characters" in failed.event_text


def test_a_secret_is_copied_from_the_mounted_files_with_label_and_type(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("db.json", "DB"), ("dir/user", "USER"), labels={"team": "pay"}))
        stage.provider.reply = answer(("db.json", b"\x00binary"), ("dir/user", b"me"))
        stage.kubelet.start_pod(make_pod())
        assert _data(stage) == {"DB": b"\x00binary", "USER": b"me"}
        manifest = stage.cluster.secret(NAMESPACE, SECRET)
        assert manifest is not None
        assert manifest["type"] == "Opaque"
        assert manifest["metadata"] == {
            "name": SECRET,
            "namespace": NAMESPACE,
            "labels": {"team": "pay", "secrets-store.csi.k8s.io/managed": "true"},
            "annotations": {},
        }


def test_a_secret_follows_the_version_and_not_the_content(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("db.json", "DB")))
        stage.kubelet.start_pod(make_pod())
        stage.provider.reply = answer(("db.json", b"two"), version="v1")
        stage.kubelet.republish(make_pod())
        assert stage.read(make_pod()) == {"db.json": b"two"}
        assert _data(stage) == {"DB": b"one"}
        stage.provider.reply = answer(("db.json", b"three"), version="v2")
        stage.kubelet.republish(make_pod())
        assert _data(stage) == {"DB": b"three"}


def test_the_regular_check_copies_without_a_new_version(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("db.json", "DB")))
        stage.kubelet.start_pod(make_pod())
        stage.provider.reply = answer(("db.json", b"two"), version="v1")
        stage.kubelet.republish(make_pod())
        stage.driver.resync_secrets()
        assert _data(stage) == {"DB": b"two"}


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
        (_copy_of(("db.json", "tls.key"), type="kubernetes.io/tls"), "no private key in PEM"),
        (_copy_of(("db.json", "A"), type="kubernetes.io/tls"), "key 'A' is not supported"),
    ],
)
def test_a_secret_that_cannot_be_made_is_logged_and_neither_the_mount_nor_the_others_suffer(
    tmp_path: Path, broken: Mapping[str, object], text: str
) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, broken, _copy_of(("db.json", "DB"), secretName="other"))
        stage.kubelet.start_pod(make_pod())
        assert stage.read(make_pod()) == {"db.json": b"one"}
        assert stage.cluster.secret_names() == ((NAMESPACE, "other"),)
        assert text in stage.driver.log[0]


@pytest.mark.parametrize("bundle", make_bundles(), ids=lambda bundle: bundle.name)
def test_a_tls_secret_holds_certificates_and_key_of_a_bundle(tmp_path: Path, bundle: Bundle) -> None:
    """The real driver's tests expect the same of the same bundles."""
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("bundle", "tls.crt"), ("bundle", "tls.key"), type="kubernetes.io/tls"))
        stage.provider.reply = answer(("bundle", bundle.content))
        stage.kubelet.start_pod(make_pod())
        assert _data(stage) == {"tls.crt": bundle.certificates, "tls.key": bundle.key}


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("key", "tls.key"), type="kubernetes.io/tls"))
        stage.provider.reply = answer(("key", text))
        stage.kubelet.start_pod(make_pod())
        assert "Only rsa and ecdsa are supported" in stage.driver.log[0]


def test_without_the_right_to_write_secrets_none_is_written(tmp_path: Path) -> None:
    with node_stage(tmp_path, sync_secrets=False) as stage:
        _use(stage, _copy_of(("db.json", "DB")))
        stage.kubelet.start_pod(make_pod())
        assert stage.cluster.secret_names() == ()


def test_a_secret_stays_until_its_last_pod_is_gone(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("db.json", "DB")))
        other = make_pod("payments-2", uid=PodUid("99999999-2222-3333-4444-555555555555"))
        stage.kubelet.start_pod(make_pod())
        stage.kubelet.start_pod(other)
        stage.driver.name_owners()
        stage.kubelet.stop_pod(make_pod())
        assert _data(stage) == {"DB": b"one"}
        stage.kubelet.stop_pod(other)
        assert stage.cluster.secret_names() == ()
        assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []


def test_a_secret_whose_pod_goes_before_its_owners_are_named_stays_until_the_next_pod_of_the_class(
    tmp_path: Path,
) -> None:
    """The real driver's test is of the same name."""
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("db.json", "DB")))
        stage.kubelet.start_pod(make_pod())
        stage.kubelet.stop_pod(make_pod())
        stage.driver.name_owners()
        assert _data(stage) == {"DB": b"one"}
        stage.kubelet.start_pod(make_pod())
        stage.driver.name_owners()
        stage.kubelet.stop_pod(make_pod())
        assert stage.cluster.secret_names() == ()


def test_a_secret_that_is_written_again_loses_its_owners(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("db.json", "DB")))
        stage.kubelet.start_pod(make_pod())
        stage.driver.name_owners()
        stage.driver.resync_secrets()
        stage.kubelet.stop_pod(make_pod())
        assert _data(stage) == {"DB": b"one"}


def test_a_class_that_is_missing_keeps_every_owner_of_the_node_from_being_named(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("db.json", "DB")))
        stage.kubelet.start_pod(make_pod())
        del stage.classes[NAMESPACE, CLASS]
        stage.driver.name_owners()
        assert "failed to get spc" in stage.driver.log[-1]
        stage.kubelet.stop_pod(make_pod())
        assert _data(stage) == {"DB": b"one"}


def test_objects_on_disk_are_for_the_owner_only(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("db.json", "DB")))
        stage.kubelet.start_pod(make_pod())
        files = sorted(path for path in (tmp_path / "objects").rglob("*") if path.is_file())
        assert [str(path.relative_to(tmp_path / "objects")) for path in files] == [
            f"secretproviderclasspodstatuses/{NAMESPACE}/{STATUS}.json",
            f"secrets/{NAMESPACE}/{SECRET}.json",
        ]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert json.loads(files[1].read_text())["data"] == {"DB": base64.b64encode(b"one").decode()}


def test_no_value_reaches_the_drivers_log(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        _use(stage, _copy_of(("absent", "A")))
        stage.provider.reply = answer(("db.json", b"canary"), ("a", b"canary"), ("a/b", b"canary"))
        stage.kubelet.start_pod(make_pod())
        stage.provider.reply = answer(("db.json", b"canary"))
        stage.kubelet.start_pod(make_pod())
        assert len(stage.driver.log) == 2
        assert "canary" not in "".join(stage.driver.log)
