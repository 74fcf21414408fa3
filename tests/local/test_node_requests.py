"""What the node sends to a provider: attributes, tokens, deadline, retries, and which socket."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from local.pods import FailedMount, ManifestError, Pod, PodStarted, Volume, parse_provider_class, parse_volume
from tests.local.node_stage import CLASS, NAMESPACE, POD_UID, Refusal, Silence, make_class, make_pod, node_stage

TOKENS = "csi.storage.k8s.io/serviceAccount.tokens"


def test_attributes_are_the_class_parameters_overlaid_by_the_volume_attributes_and_the_pods_keys(
    tmp_path: Path,
) -> None:
    with node_stage(tmp_path) as stage:
        stage.classes[NAMESPACE, CLASS] = make_class({"objects": "[]", "region": "eu-west-1"})
        stage.kubelet.start_pod(make_pod(attributes={"region": "us-east-1", "extra": "x"}))
        assert stage.provider.attributes == {
            "objects": "[]",
            "region": "us-east-1",
            "extra": "x",
            "secretProviderClass": CLASS,
            "csi.storage.k8s.io/pod.name": "payments-1",
            "csi.storage.k8s.io/pod.namespace": NAMESPACE,
            "csi.storage.k8s.io/pod.uid": POD_UID,
            "csi.storage.k8s.io/serviceAccount.name": "payments-api",
            "csi.storage.k8s.io/ephemeral": "true",
        }


def test_a_pod_author_cannot_pose_as_another_pod(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod(attributes={"csi.storage.k8s.io/pod.name": "somebody-else"}))
        assert stage.provider.attributes["csi.storage.k8s.io/pod.name"] == "payments-1"


def test_attributes_are_written_as_go_writes_json(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.classes[NAMESPACE, CLASS] = make_class({"z": "<a>&é\n", "a": "1"})
        stage.kubelet.start_pod(make_pod())
        text = stage.provider.requests[0].attributes
        assert text.startswith('{"a":"1","csi.storage.k8s.io/ephemeral":"true",')
        assert text.endswith(r',"z":"\u003ca\u003e\u0026é\n"}')


def test_the_rest_of_the_request_is_what_the_driver_always_sends(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        request = stage.provider.requests[0]
        assert (request.secrets, request.permission) == ("null", "420")
        assert list(request.current_object_version) == []
        assert request.target_path == f"{stage.root}/pods/{POD_UID}/volumes/kubernetes.io~csi/secrets/mount"
        # gRPC rounds a timeout up to a whole unit on the wire (grpc-timeout), here a second at most.
        assert 100 < stage.provider.remaining_seconds[0] <= 121


def test_no_version_is_sent_at_a_refresh_either(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        stage.kubelet.republish(make_pod())
        assert [list(request.current_object_version) for request in stage.provider.requests] == [[], []]


def test_without_token_requests_no_token_is_asked_for_or_sent(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        assert TOKENS not in stage.provider.attributes
        assert stage.tokens.asked == []


def test_tokens_are_a_json_text_with_exactly_the_configured_audiences(tmp_path: Path) -> None:
    with node_stage(tmp_path, audiences=("sts.amazonaws.com", "")) as stage:
        stage.kubelet.start_pod(make_pod())
        expiry = "2099-01-01T00:00:00Z"
        assert json.loads(stage.provider.attributes[TOKENS]) == {
            "sts.amazonaws.com": {"token": "jwt-sts.amazonaws.com", "expirationTimestamp": expiry},
            "": {"token": "jwt-", "expirationTimestamp": expiry},
        }
        assert stage.provider.requests[0].secrets == "null"
        asked = (NAMESPACE, "payments-api", "payments-1", POD_UID, ("sts.amazonaws.com", ""))
        assert stage.tokens.asked == [asked]


def test_tokens_in_secrets_reach_the_attributes_all_the_same(tmp_path: Path) -> None:
    """Kubernetes 1.35 and later, with the driver's chart 1.6.0."""
    with node_stage(tmp_path, audiences=("sts.amazonaws.com",), are_tokens_secrets=True) as stage:
        stage.kubelet.start_pod(make_pod())
        text = stage.provider.attributes[TOKENS]
        assert "jwt-sts.amazonaws.com" in text
        assert json.loads(stage.provider.requests[0].secrets) == {TOKENS: text}


def test_unavailable_is_tried_three_times_and_no_other_code_is(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = Refusal(grpc.StatusCode.UNAVAILABLE)
        stage.kubelet.start_pod(make_pod())
        assert stage.provider.calls == 3
        stage.provider.reply = Refusal(grpc.StatusCode.INTERNAL)
        stage.kubelet.start_pod(make_pod())
        assert stage.provider.calls == 4


def test_a_socket_file_that_nobody_serves_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    with node_stage(tmp_path, deadline_seconds=0.3) as stage:
        stage.classes[NAMESPACE, CLASS] = {**make_class(), "spec": {"provider": "dead", "parameters": {"a": "1"}}}
        (stage.driver.settings.socket_directories[1] / "dead.sock").touch()
        failed = stage.kubelet.start_pod(make_pod())
        assert isinstance(failed, FailedMount)
        assert failed.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert failed.event_text.endswith(" : rpc error: code = DeadlineExceeded desc = context deadline exceeded")
        assert stage.directory(make_pod()).is_dir()


def test_a_refresh_that_nobody_answers_is_not_masked_because_kubelets_deadline_strikes_first(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        assert isinstance(stage.kubelet.start_pod(make_pod()), PodStarted)
        files = stage.read(make_pod())
        stage.provider.reply = Silence()
        stage.kubelet._deadline_seconds = 0.3  # only now, so that no slow machine fails the first mount
        failed = stage.kubelet.republish(make_pod())
        assert isinstance(failed, FailedMount)
        assert failed.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert stage.read(make_pod()) == files
        assert stage.kubelet.driver.is_mounted(stage.directory(make_pod()))


def test_a_pod_without_a_uid_gets_one_of_its_own() -> None:
    volume = Volume(name="secrets", attributes={})
    first, second = (Pod(name="a", namespace="b", service_account="c", volumes=(volume,)) for _ in range(2))
    assert first.uid != second.uid


def test_a_derived_volume_is_read_as_kubelet_reads_it() -> None:
    csi = {
        "driver": "secrets-store.csi.k8s.io",
        "readOnly": True,
        "volumeAttributes": {"secretProviderClass": CLASS},
    }
    volume = parse_volume({"name": "secrets", "csi": csi})
    assert volume == Volume(name="secrets", attributes={"secretProviderClass": CLASS}, read_only=True)


@pytest.mark.parametrize(
    "manifest",
    [
        {"name": "a", "emptyDir": {}},
        {"name": "a", "csi": {"driver": "other.csi.k8s.io"}},
        {"name": "a", "csi": {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"a": True}}},
    ],
)
def test_another_volume_is_refused(manifest: dict[str, object]) -> None:
    with pytest.raises(ManifestError):
        parse_volume(manifest)


@pytest.mark.parametrize(
    "spec", [{"parameters": {"a": 1}}, {"parameters": "objects"}, {"secretObjects": {}}, {"provider": None}]
)
def test_a_class_that_the_schema_refuses_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(ManifestError):
        parse_provider_class({"metadata": {"name": "a", "namespace": "b"}, "spec": spec})


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"provider": "missing", "parameters": {"a": "1"}}, 'provider not found: provider "missing"'),
        ({"provider": "../aws", "parameters": {"a": "1"}}, 'invalid provider: provider "../aws"'),
        ({"parameters": {"a": "1"}}, f"provider not set in {NAMESPACE}/{CLASS}"),
        ({"provider": "aws"}, f"parameters not set in {NAMESPACE}/{CLASS}"),
    ],
)
def test_a_class_that_leads_nowhere_is_a_final_failure_that_names_it(
    tmp_path: Path, spec: dict[str, object], text: str
) -> None:
    with node_stage(tmp_path) as stage:
        stage.classes[NAMESPACE, CLASS] = {**make_class(), "spec": spec}
        failed = stage.kubelet.start_pod(make_pod())
        assert isinstance(failed, FailedMount)
        assert failed.code is grpc.StatusCode.UNKNOWN
        assert text in failed.event_text
        assert list((stage.root / "pods" / POD_UID / "volumes" / "kubernetes.io~csi").iterdir()) == []


def test_a_class_of_another_namespace_is_not_found(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.classes["other", CLASS] = stage.classes.pop((NAMESPACE, CLASS))
        failed = stage.kubelet.start_pod(make_pod())
        assert isinstance(failed, FailedMount)
        assert failed.event_text == (
            'MountVolume.SetUp failed for volume "secrets" : rpc error: code = Unknown desc = '
            f"failed to get secretproviderclass {NAMESPACE}/{CLASS}, error: "
            f'SecretProviderClass.secrets-store.csi.x-k8s.io "{CLASS}" not found'
        )


def test_a_volume_that_is_not_read_only_is_refused(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        pod = make_pod()
        pod = replace(pod, volumes=(replace(pod.volumes[0], read_only=False),))
        failed = stage.kubelet.start_pod(pod)
        assert isinstance(failed, FailedMount)
        assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
        assert stage.provider.calls == 0


def test_a_volume_without_a_class_is_refused(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        pod = make_pod()
        failed = stage.kubelet.start_pod(replace(pod, volumes=(replace(pod.volumes[0], attributes={}),)))
        assert isinstance(failed, FailedMount)
        assert "secretProviderClass is not set" in failed.event_text


def test_a_client_once_made_does_not_look_for_the_socket_again(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        (stage.driver.settings.socket_directories[1] / "aws.sock").unlink()
        assert isinstance(stage.kubelet.republish(make_pod()), PodStarted)
        assert stage.provider.calls == 2
