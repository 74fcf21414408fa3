"""Who may read what, with tokens of the real TokenRequest API: classes, namespaces, overrides, pods that pose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from local.pods import FailedMount, Pod, PodStarted, PodUid, Volume
from local.report import Report
from provider_runtime.secret_objects import SecretObject, dump_objects
from tests.e2e.csi_driver import wait_for
from tests.e2e.kubernetes_api import ApiError
from tests.e2e.real_stage import RealStage
from tests.e2e.toolbox import PROJECT


@pytest.fixture(scope="module")
def stage() -> Iterator[RealStage]:
    """Run everything, once for this file."""
    with RealStage(project=PROJECT, report=Report(plain=True)) as running:
        yield running


def _with_volumes(stage: RealStage, pod: Pod, *volumes: Volume) -> Pod:
    return stage.place(replace(pod, volumes=volumes))


def _own_volume(pod: Pod) -> Volume:
    return pod.volumes[0]


def test_two_classes_in_one_pod_are_two_mounts(stage: RealStage) -> None:
    app = stage.app("payments")
    stage.deployment.write_class(app.namespace, "second", str(app.app))
    pod = stage.pod(app, 1)
    other = Volume(name="other", attributes={"secretProviderClass": "second"})
    pod = _with_volumes(stage, pod, _own_volume(pod), other)
    assert isinstance(stage.kubelet.start_pod(pod), PodStarted)
    files = stage.kubelet.list_files(pod)
    assert {file.volume for file in files} == {_own_volume(pod).name, "other"}
    stage.kubelet.stop_pod(pod)


def test_one_class_name_in_two_namespaces_is_two_classes(stage: RealStage) -> None:
    payments, mailer = stage.app("payments"), stage.app("mailer")
    stage.deployment.write_class(payments.namespace, "same", str(payments.app))
    stage.deployment.write_class(mailer.namespace, "same", str(mailer.app))
    for app in (payments, mailer):
        pod = stage.pod(app, 2, class_name="same")
        assert isinstance(stage.kubelet.start_pod(pod), PodStarted)
        first = app.mounts[0]
        assert {file.path for file in stage.kubelet.list_files(pod)} == {file.path for file in first.files}
        stage.kubelet.stop_pod(pod)


def test_a_class_of_the_deprecated_api_version_mounts(stage: RealStage) -> None:
    app = stage.app("mailer")
    manifest = dict(app.mounts[0].secret_provider_class)
    old = {
        **manifest,
        "apiVersion": "secrets-store.csi.x-k8s.io/v1alpha1",
        "metadata": {"name": "old", "namespace": app.namespace},
    }
    stage.apply_class(old)
    pod = stage.pod(app, 3, class_name="old")
    outcome = stage.kubelet.start_pod(pod)
    assert isinstance(outcome, PodStarted), outcome
    assert {file.path for file in stage.kubelet.list_files(pod)} == {file.path for file in app.mounts[0].files}
    stage.kubelet.stop_pod(pod)


def test_a_class_that_is_missing_is_named_in_the_pods_event(stage: RealStage) -> None:
    pod = stage.pod(stage.app("mailer"), 4, class_name="nowhere")
    failed = stage.kubelet.start_pod(pod)
    assert isinstance(failed, FailedMount)
    assert '"nowhere" not found' in failed.event_text


def test_another_apps_class_is_refused_by_sts_although_its_role_is_named_there(stage: RealStage) -> None:
    """The class is copied with everything that it says; the token is the pod's own."""
    owner, thief = stage.app("payments"), stage.app("mailer")
    copied = dict(owner.mounts[0].secret_provider_class)
    stage.apply_class({**copied, "metadata": {"name": "stolen", "namespace": thief.namespace}})
    pod = stage.pod(thief, 5, class_name="stolen")
    failed = stage.kubelet.start_pod(pod)
    assert isinstance(failed, FailedMount)
    assert "sts:AssumeRoleWithWebIdentity" in failed.event_text
    assert owner.role_arn in failed.event_text
    assert not stage.kubelet.target_path(pod, pod.volumes[0]).exists()


@pytest.mark.parametrize("key", ["objects", "roleArn"])
def test_an_override_in_the_pod_is_harmless_by_iam_where_no_admission_policy_stands(stage: RealStage, key: str) -> None:
    owner, thief = stage.app("payments"), stage.app("mailer")
    wanted = next(item for item in owner.objects if "db" in item.name)
    stolen = dump_objects([SecretObject(name=wanted.name, type=wanted.type, alias="stolen")])
    values = {"objects": stolen, "roleArn": owner.role_arn}
    pod = Pod(
        name=f"override-{key.lower()}",
        namespace=thief.namespace,
        service_account=thief.service_account,
        volumes=(
            Volume(
                name="secrets",
                attributes={"secretProviderClass": thief.mounts[0].class_name, key: values[key]},
            ),
        ),
    )
    failed = stage.kubelet.start_pod(replace(pod, uid=_uid_past_admission(stage, pod)))
    assert isinstance(failed, FailedMount)
    assert "AccessDenied" in failed.event_text or "sts:AssumeRoleWithWebIdentity" in failed.event_text
    assert not stage.seed.values.intersection(failed.event_text.split())


@pytest.mark.parametrize(
    "attributes",
    [{"roleArn": "arn:aws:iam::111122223333:role/other"}, {"objects": "- objectName: x"}],
    ids=["roleArn", "objects"],
)
def test_the_admission_policy_refuses_a_pod_that_overrides_its_class(
    stage: RealStage, attributes: dict[str, str]
) -> None:
    policies = [key for key in stage.deployment.kubernetes.objects if key.kind == "ValidatingAdmissionPolicy"]
    assert policies, "the program places the policies"
    app = stage.app("mailer")
    volume = Volume(name="secrets", attributes={"secretProviderClass": app.mounts[0].class_name, **attributes})
    pod = Pod(name="overrides", namespace=app.namespace, service_account=app.service_account, volumes=(volume,))

    def refusal() -> str:  # the API server compiles a new policy a moment after it has it
        try:
            stage.place(pod)
        except ApiError as error:
            return error.reason
        return ""

    assert "secretProviderClass" in wait_for(refusal, what="the policy to refuse the pod")


def test_the_admission_policy_refuses_a_volume_that_is_not_read_only(stage: RealStage) -> None:
    app = stage.app("mailer")
    volume = Volume(name="secrets", attributes={"secretProviderClass": app.mounts[0].class_name}, read_only=False)
    pod = Pod(name="writes", namespace=app.namespace, service_account=app.service_account, volumes=(volume,))

    def refusal() -> str:  # as above
        try:
            stage.place(pod)
        except ApiError as error:
            return error.reason
        return ""

    assert "readOnly" in wait_for(refusal, what="the policy to refuse the pod")


def _uid_past_admission(stage: RealStage, pod: Pod) -> PodUid:
    """Give the pod a uid of the API server's without the override, as if no policy had looked at it."""
    plain = replace(pod, volumes=(replace(pod.volumes[0], attributes={"secretProviderClass": "any"}),))
    return stage.place(plain).uid
