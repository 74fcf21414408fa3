"""Each component alone: what it derives, and the hardening of what it runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.cluster_connection import ClusterConnectionArgs, render_kubeconfig
from components.cluster_facts import ClusterFacts
from components.csi_driver import SecretsStoreCsiDriver
from components.driver_values import SecretsStoreCsiDriverArgs, derive_driver_values, derive_poll_interval
from provider_runtime.config import FLAGS
from tests.infra.recording import DAEMON_SET, RELEASE, SERVICE_ACCOUNT, Recorded, run_components, run_stack

DRIVER = SecretsStoreCsiDriverArgs(
    chart_repository="https://charts.example",
    chart_version="1.6.0",
    audiences=("sts.amazonaws.com",),
    sync_secrets=False,
    refresh_interval_seconds=120,
)


@pytest.fixture(scope="module")
def prod() -> Recorded:
    project = Path(__file__).resolve().parents[2]
    return run_stack(project, "prod", preview=True, overrides={"lockstep:providerExtras": "[]"})


@pytest.fixture(scope="module")
def pod(prod: Recorded) -> Mapping[str, Any]:
    spec: Any = prod.one(DAEMON_SET).inputs["spec"]
    template: Mapping[str, Any] = spec["template"]["spec"]
    return template


# ---------------------------------------------------------------------------------------------------------- the driver
@pytest.mark.parametrize(
    ("version", "refresh", "interval"),
    [("1.6.0", 120, "100ms"), ("1.7.2", 30, "100ms"), ("2.0.0-rc1", 120, "100ms"), ("1.5.9", 120, "120s")],
)
def test_the_poll_interval_follows_the_drivers_version(version: str, refresh: int, interval: str) -> None:
    """From 1.6 on it must lie below kubelet's first retry, or a pod can start with an empty volume."""
    assert derive_poll_interval(version, refresh) == interval


def test_an_old_drivers_reconciler_is_not_driven_faster_than_every_30_seconds() -> None:
    with pytest.raises(ValueError, match=r"29 s is too short for driver 1\.5\.4"):
        derive_poll_interval("1.5.4", 29)


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'latest' is not a version"):
        derive_poll_interval("latest", 120)


def test_the_values_do_not_depend_on_the_order_of_audiences() -> None:
    several = ("vault", "sts.amazonaws.com", "pods.eks.amazonaws.com", "vault")
    values = derive_driver_values(_with(audiences=several))
    assert values == derive_driver_values(_with(audiences=several[::-1]))
    assert values["tokenRequests"] == [
        {"audience": "pods.eks.amazonaws.com"},
        {"audience": "sts.amazonaws.com"},
        {"audience": "vault"},
    ]


def _with(audiences: tuple[str, ...]) -> SecretsStoreCsiDriverArgs:
    return dataclasses.replace(DRIVER, audiences=audiences)


def test_rights_on_kubernetes_secrets_are_asked_for_only_when_a_spec_syncs() -> None:
    assert derive_driver_values(DRIVER)["syncSecret"] == {"enabled": False}


def test_the_driver_runs_wherever_pods_with_secrets_run() -> None:
    linux: Any = derive_driver_values(DRIVER)["linux"]
    assert linux["tolerations"] == [{"operator": "Exists"}]
    assert linux["priorityClassName"] == "system-node-critical"
    assert "fargate" in json.dumps(linux["affinity"])


def test_the_release_is_pinned_and_all_or_nothing(prod: Recorded) -> None:
    inputs = prod.one(RELEASE).inputs
    assert inputs["version"] == "1.6.0"
    assert inputs["repositoryOpts"] == {"repo": "https://kubernetes-sigs.github.io/secrets-store-csi-driver/charts"}
    assert (inputs["atomic"], inputs["cleanupOnFail"], inputs["namespace"]) == (True, True, "kube-system")


# -------------------------------------------------------------------------------------------------------- the provider
def test_the_provider_is_unprivileged_in_every_respect(pod: Mapping[str, Any]) -> None:
    (container,) = pod["containers"]
    context = container["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsGroup": 65532,
        "runAsNonRoot": True,
        "runAsUser": 65532,
    }
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_the_init_container_is_root_with_three_capabilities_and_no_more(pod: Mapping[str, Any]) -> None:
    (init,) = pod["initContainers"]
    assert init["securityContext"]["capabilities"] == {"add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"], "drop": ["ALL"]}
    assert init["securityContext"]["runAsUser"] == 0
    assert init["command"][-1] == "prepare-socket-dir"
    assert init["image"] == pod["containers"][0]["image"]


def test_the_only_host_path_is_the_socket_directory(pod: Mapping[str, Any]) -> None:
    (volume,) = pod["volumes"]
    directory = "/var/run/secrets-store-csi-providers"
    assert volume["hostPath"] == {"path": directory, "type": "DirectoryOrCreate"}
    for container in (*pod["containers"], *pod["initContainers"]):
        assert [mount["mountPath"] for mount in container["volumeMounts"]] == [directory]


def test_nothing_in_the_pod_can_talk_to_the_kubernetes_api(prod: Recorded, pod: Mapping[str, Any]) -> None:
    """Derived classes carry region and role, so no call is needed and no role is bound."""
    account = prod.one(SERVICE_ACCOUNT, "platform-provider")
    assert account.inputs["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is False
    assert not [item for item in prod.resources if "rbac.authorization.k8s.io" in item.type]


def test_the_provider_tolerates_everything_and_is_evicted_last(pod: Mapping[str, Any]) -> None:
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["priorityClassName"] == "system-node-critical"
    assert "fargate" in json.dumps(pod["affinity"])


def test_the_flags_are_ones_that_the_provider_has(pod: Mapping[str, Any]) -> None:
    arguments = pod["containers"][0]["args"]
    assert arguments == [
        "--provider-volume=/var/run/secrets-store-csi-providers",
        "--provider-name=aws",
        "--driver-writes-secrets=true",
        "--refresh-interval=120s",
        "--metrics-address=:8989",
        "--kubernetes-events=false",
        "--log-format=json",
    ]
    assert {argument[2:].split("=")[0] for argument in arguments} <= {flag.name for flag in FLAGS}


def test_upstreams_label_selects_the_provider(prod: Recorded) -> None:
    spec: Any = prod.one(DAEMON_SET).inputs["spec"]
    labels = {"app": "secrets-store-csi-driver-provider-aws"}
    assert spec["selector"] == {"matchLabels": labels}
    assert spec["template"]["metadata"]["labels"] == labels


# --------------------------------------------------------------------------------------------------------- the cluster
def connection(role: str | None = None) -> ClusterConnectionArgs:
    return ClusterConnectionArgs(
        facts=ClusterFacts(
            name="dev", oidc_issuer="https://issuer.example", endpoint="https://api", certificate="Y2E="
        ),
        region="eu-west-1",
        account="111122223333",
        partition="aws",
        create_oidc_provider=True,
        audiences=(),
        role=role,
    )


def test_a_kubeconfig_holds_an_address_and_a_command_but_no_credential() -> None:
    config = json.loads(render_kubeconfig(connection(), endpoint="https://api", certificate="Y2E="))
    assert config["clusters"][0]["cluster"] == {"certificate-authority-data": "Y2E=", "server": "https://api"}
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    command = [user["user"]["exec"]["command"], *user["user"]["exec"]["args"]]
    assert " ".join(command) == "aws eks get-token --cluster-name dev --region eu-west-1 --output json"


def test_a_role_for_the_api_server_is_named_in_the_kubeconfig() -> None:
    """The exec plugin does not see the credentials of Pulumi's AWS provider."""
    role = "arn:aws:iam::111122223333:role/ci/deployer"
    config = json.loads(render_kubeconfig(connection(role), endpoint="https://api", certificate="Y2E="))
    arguments = config["users"][0]["user"]["exec"]["args"]
    assert arguments[arguments.index("--role-arn") + 1] == role


# ------------------------------------------------------------------------------------------------- the driver's options
def test_a_poll_interval_of_ones_own_replaces_the_derived_one() -> None:
    values = derive_driver_values(dataclasses.replace(DRIVER, poll_interval="2m", max_reply_bytes=8_388_608))
    assert (values["rotationPollInterval"], values["maxCallRecvMsgSize"]) == ("2m", 8_388_608)


def test_early_pods_are_prevented_by_a_patch_of_the_charts_own_object_after_the_release() -> None:
    args = dataclasses.replace(DRIVER, prevents_early_pods=True)
    run = run_components(lambda: SecretsStoreCsiDriver("driver", args))
    patch = run.one("kubernetes:storage.k8s.io/v1:CSIDriverPatch")
    assert patch.inputs["spec"] == {"preventPodSchedulingIfMissing": True}
    assert patch.inputs["metadata"] == {"name": "secrets-store.csi.k8s.io"}
    assert run.dependencies(patch) == {run.one(RELEASE).label}
