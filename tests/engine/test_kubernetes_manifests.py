"""The `kubernetes` package: manifests in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lockstep.engine.kubernetes_manifests import KubernetesManifests, ObjectKey
from lockstep.engine.resource_provider import ProviderError
from lockstep.engine.values import UNKNOWN, Json

ACCOUNT = "kubernetes:core/v1:ServiceAccount"
NAMESPACE = "kubernetes:core/v1:Namespace"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
RELEASE = "kubernetes:helm.sh/v3:Release"
API: dict[str, Json] = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "api", "namespace": "pay"}}
KEY = ObjectKey("v1", "ServiceAccount", "pay", "api")
DRIVER: dict[str, Json] = {
    "chart": "driver",
    "name": "driver",
    "namespace": "kube-system",
    "repositoryOpts": {"repo": "https://charts.example"},
    "version": "1.6.0",
    "values": {"a": 1},
}


@pytest.fixture
def manifests(tmp_path: Path) -> KubernetesManifests:
    return KubernetesManifests(tmp_path)


def test_an_unknown_type_is_refused_and_not_kept(manifests: KubernetesManifests) -> None:
    with pytest.raises(ProviderError, match="cannot keep kubernetes:core/v1:Pod"):
        manifests.check("kubernetes:core/v1:Pod", {})


def test_an_object_without_name_or_namespace_is_refused(manifests: KubernetesManifests) -> None:
    problems = manifests.check(ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount"})
    assert [problem.property for problem in problems] == ["metadata.name", "metadata.namespace"]


def test_an_object_of_another_kind_than_its_type_is_refused(manifests: KubernetesManifests) -> None:
    (problem,) = manifests.check(NAMESPACE, {**API, "metadata": {"name": "x"}})
    assert problem.reason == "is 'ServiceAccount', the type means 'Namespace'. Fix: use 'Namespace'"


def test_a_release_without_a_version_is_refused(manifests: KubernetesManifests) -> None:
    (problem,) = manifests.check(RELEASE, {key: value for key, value in DRIVER.items() if key != "version"})
    assert problem.property == "version"


def test_a_second_object_of_one_name_is_refused_as_an_api_server_does(manifests: KubernetesManifests) -> None:
    manifests.create(ACCOUNT, API)
    with pytest.raises(ProviderError, match=r"ServiceAccount pay/api exists already and is not in the state"):
        manifests.create(ACCOUNT, API)


def test_objects_of_two_clusters_do_not_mix(manifests: KubernetesManifests) -> None:
    manifests.configure({"clusterIdentifier": "a"})
    manifests.configure({"clusterIdentifier": "a"})
    with pytest.raises(ProviderError, match="keeps the objects of 'a' and was asked for 'b' too"):
        manifests.configure({"clusterIdentifier": "b"})


def test_a_function_is_refused_because_there_is_no_cluster(manifests: KubernetesManifests) -> None:
    with pytest.raises(ProviderError, match="there is no cluster behind it"):
        manifests.invoke("kubernetes:yaml:decode", {})


def test_an_object_is_a_file_that_kubectl_would_take(manifests: KubernetesManifests, tmp_path: Path) -> None:
    made = manifests.create(ACCOUNT, API)
    path = tmp_path / "pay" / "ServiceAccount-api.yaml"
    assert made.id == "pay/api"
    assert manifests.path_of(KEY) == path
    assert path.read_text().startswith("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n")
    assert yaml.safe_load(path.read_text()) == API
    assert manifests.objects == {KEY: API}


def test_an_update_rewrites_the_file_and_a_delete_removes_it(manifests: KubernetesManifests) -> None:
    made = manifests.create(ACCOUNT, API)
    labelled: dict[str, Json] = {**API, "metadata": {"name": "api", "namespace": "pay", "labels": {"a": "1"}}}
    changed = manifests.update(ACCOUNT, made, labelled)
    assert yaml.safe_load(manifests.path_of(KEY).read_text()) == labelled
    for _ in range(2):
        manifests.delete(ACCOUNT, changed)
        assert manifests.objects == {}
        assert not manifests.path_of(KEY).exists()


def test_a_folder_that_was_kept_is_read_back(manifests: KubernetesManifests, tmp_path: Path) -> None:
    manifests.create(ACCOUNT, API)
    manifests.create(RELEASE, DRIVER)
    again = KubernetesManifests(tmp_path)
    assert again.objects == manifests.objects
    found = again.read(ACCOUNT, "pay/api")
    assert found is not None
    assert found.outputs == API
    assert again.read(ACCOUNT, "pay/other") is None


def test_a_release_is_kept_as_what_was_asked_for(manifests: KubernetesManifests) -> None:
    assert manifests.plan(RELEASE, DRIVER, {})["status"] == UNKNOWN
    made = manifests.create(RELEASE, DRIVER)
    assert made.outputs["status"] == {
        "name": "driver",
        "namespace": "kube-system",
        "chart": "driver",
        "version": "1.6.0",
        "status": "deployed",
    }
    (manifest,) = manifests.objects.values()
    assert manifest["metadata"] == {"name": "driver", "namespace": "kube-system"}
    assert manifest["spec"] == {
        "chart": "driver",
        "repositoryOpts": {"repo": "https://charts.example"},
        "values": {"a": 1},
        "version": "1.6.0",
    }


def daemon_set(**fields: Json) -> dict[str, Json]:
    metadata = {"name": "d", "namespace": "n"}
    spec: dict[str, Json] = {"selector": {"app": "d"}, "template": {"image": "1"}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": {**spec, **fields}}


@pytest.mark.parametrize(
    ("resource_type", "old", "new", "replaced", "old_first"),
    [
        (DAEMON_SET, daemon_set(), daemon_set(template={"image": "2"}), (), True),
        (DAEMON_SET, daemon_set(), daemon_set(selector={"app": "e"}), ("spec",), True),
        (ACCOUNT, API, {**API, "metadata": {"name": "b", "namespace": "pay"}}, ("metadata",), False),
        (RELEASE, DRIVER, {**DRIVER, "version": "1.6.1"}, (), True),
        (RELEASE, DRIVER, {**DRIVER, "namespace": "other"}, ("namespace",), False),
    ],
)
def test_another_identity_or_selector_is_another_object(
    manifests: KubernetesManifests,
    resource_type: str,
    old: dict[str, Json],
    new: dict[str, Json],
    replaced: tuple[str, ...],
    *,
    old_first: bool,
) -> None:
    diff = manifests.diff(resource_type, old, new)
    assert diff.changes
    assert (diff.replace_keys, diff.delete_before_replace) == (replaced, old_first)
