"""`--offline`: the same checks over files, and what files cannot tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from components.admission_rules import TARGETS, object_name
from components.driver_values import derive_driver_values
from lockstep.doctor.cluster_objects import FileObjects, Kind
from lockstep.doctor.examination import examine_cluster
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Status, UnseenError
from lockstep.input_errors import InputError
from tests.doctor.healthy_cluster import healthy_cluster

#: Plurals, as `kubectl get` takes them, but for those that only have an `s` more.
PLURALS = {"secretproviderclass": "secretproviderclasses", "validatingadmissionpolicy": "validatingadmissionpolicies"}
KINDS = {PLURALS.get(kind.value.lower(), f"{kind.value.lower()}s"): kind for kind in Kind}


def save(expected: Expected, folder: Path) -> Path:
    """Save everything as `kubectl get … -A -o json` does."""
    items = []
    for path, objects in healthy_cluster(expected).collections.items():
        kind = KINDS[path.rsplit("/", 1)[1]].value
        items += [{**item, "kind": kind} for item in objects]
    for item in items:
        if item["kind"] == "Node":
            item["status"] = {"nodeInfo": {"kubeletVersion": "v1.36.2"}}
    file = folder / "saved.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return file


def test_saved_objects_are_examined_as_the_cluster_is(prod: Expected, tmp_path: Path) -> None:
    verdicts = list(examine_cluster(prod, FileObjects([save(prod, tmp_path)])))
    skipped = {verdict.check for verdict in verdicts if verdict.status is Status.SKIPPED}
    assert skipped == {"cluster.issuer", "cluster.clock", "nodes.clock"}
    assert {verdict.status for verdict in verdicts} == {Status.OK, Status.SKIPPED}


def test_a_kind_that_the_files_lack_is_unseen_and_never_absent(prod: Expected, tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("kind: Node\nmetadata: {name: a, labels: {kubernetes.io/os: linux}}\n")
    verdicts = list(examine_cluster(prod, FileObjects([file])))
    assert {verdict.status for verdict in verdicts} == {Status.SKIPPED}
    texts = {verdict.check: verdict.text for verdict in verdicts}
    assert texts["driver.tokens"] == "the files hold no CSIDriver: add `kubectl get csidrivers -A -o json`"


def test_admission_policies_are_missed_by_name_and_never_taken_for_granted(prod: Expected, tmp_path: Path) -> None:
    """Bindings without their policies refuse nothing, and the pods' own are the ones that matter most."""
    pods, *others = map(object_name, TARGETS)
    objects = {path.rsplit("/", 1)[1]: items for path, items in healthy_cluster(prod).collections.items()}
    bindings = [
        {**each, "kind": "ValidatingAdmissionPolicyBinding"} for each in objects["validatingadmissionpolicybindings"]
    ]
    policies = [{**each, "kind": "ValidatingAdmissionPolicy"} for each in objects["validatingadmissionpolicies"]]

    def verdicts(*kept: dict[str, object]) -> list[tuple[Status, str]]:
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump_all(kept))
        found = examine_cluster(prod, FileObjects([tmp_path / "rules.yaml"]))
        return [(each.status, each.text) for each in found if each.check == "driver.admission"]

    unseen = "the files hold no ValidatingAdmissionPolicy: add `kubectl get validatingadmissionpolicies -A -o json`"
    without_pods = [each for each in bindings if each["metadata"]["name"] != pods]
    assert verdicts(*without_pods) == [
        (Status.FAIL, f"missing: ValidatingAdmissionPolicyBinding {pods}"),
        (Status.SKIPPED, unseen),
    ]
    assert verdicts(*bindings) == [(Status.SKIPPED, unseen)]
    ((status, text),) = verdicts(*bindings, *(each for each in policies if each["metadata"]["name"] in others))
    assert (status, text) == (Status.FAIL, f"missing: ValidatingAdmissionPolicy {pods}")
    assert [status for status, _ in verdicts(*bindings, *policies)] == [Status.OK]


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"rotationPollInterval": "2m"}, "driver.interval"),
        ({"enableSecretRotation": False}, "driver.interval"),
        ({"tokenRequests": []}, "driver.tokens"),
        ({"syncSecret": {"enabled": False}}, "driver.sync"),
        ({}, ""),
    ],
)
def test_helm_values_are_held_against_the_derived_ones(
    prod: Expected, tmp_path: Path, changed: dict[str, object], check: str
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({**derive_driver_values(prod.driver), **changed}))
    verdicts = list(examine_cluster(prod, FileObjects([file])))
    assert {verdict.check for verdict in verdicts if verdict.status is Status.FAIL} == ({check} if check else set())
    fine = {verdict.check for verdict in verdicts if verdict.status is Status.OK}
    assert fine == {"driver.tokens", "driver.interval", "driver.sync"} - {check}


def test_lists_of_one_kind_and_several_documents_are_read(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    nodes = {
        "apiVersion": "v1",
        "kind": "NodeList",
        "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}],
    }
    file.write_text(yaml.safe_dump_all([nodes, {"kind": "Node", "metadata": {"name": "c"}}]))
    objects = FileObjects([file])
    assert [node["metadata"]["name"] for node in objects.listed(Kind.NODE)] == ["a", "b", "c"]
    with pytest.raises(UnseenError):
        objects.version()


@pytest.mark.parametrize("text", ["- a list", "{broken", "a: [", "just text"])
def test_a_file_that_is_no_manifest_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"broken\.yaml: .*\[DOC001\]"):
        FileObjects([file])


@pytest.mark.parametrize("content", [b"data: {password: canary: x}", b"password: *canary", b"canary \xff"])
def test_what_cannot_be_read_is_not_quoted(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "saved.yaml"
    file.write_bytes(b"kind: Secret\n" + content)
    with pytest.raises(InputError, match=r"saved\.yaml: .*\[DOC001\]") as error:
        FileObjects([file])
    assert "canary" not in str(error.value)
