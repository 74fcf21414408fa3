"""The provider's pods as a platform team meets them: rollout, probes, rights and what is added on request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from components.platform_settings import ProviderExtra
from components.provider_daemonset import ProviderDaemonSet, ProviderDaemonSetArgs
from components.provider_observability import ProviderObservability, ProviderObservabilityArgs
from provider_runtime.config import FLAGS
from tests.fakes.daemons import REPOSITORY
from tests.infra.recording import DAEMON_SET, Recorded, run_components

IMAGE = f"registry.example/provider@sha256:{'1' * 64}"
CLUSTER_ROLE = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
BINDING = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
MONITOR = "kubernetes:monitoring.coreos.com/v1:PodMonitor"
RULES = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def provider(**changes: Any) -> Recorded:  # noqa: ANN401 - the component's own arguments
    args = ProviderDaemonSetArgs(image=IMAGE, refresh_interval_seconds=120, **changes)
    return run_components(lambda: ProviderDaemonSet("provider", args))


def pod_of(run: Recorded) -> Mapping[str, Any]:
    spec: Any = run.one(DAEMON_SET).inputs["spec"]
    pod: Mapping[str, Any] = spec["template"]["spec"]
    return pod


def extras(*wanted: ProviderExtra, **changes: Any) -> Recorded:  # noqa: ANN401 - the component's own arguments
    args = ProviderObservabilityArgs(
        object_name="provider", pod_labels={"app": "provider"}, extras=frozenset(wanted), **changes
    )
    return run_components(lambda: ProviderObservability("provider", args))


# ------------------------------------------------------------------------------------------------------------- rollout
def test_a_rollout_starts_the_new_pod_before_the_old_one_goes() -> None:
    spec: Any = provider().one(DAEMON_SET).inputs["spec"]
    assert spec["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_no_port_is_bound_on_the_node_or_two_pods_could_not_stand_side_by_side() -> None:
    pod = pod_of(provider())
    assert not pod.get("hostNetwork")
    assert all("hostPort" not in port for container in pod["containers"] for port in container["ports"])


def test_the_probes_ask_the_listener_that_the_flags_open() -> None:
    (container,) = pod_of(provider(metrics_port=9100))["containers"]
    assert "--metrics-address=:9100" in container["args"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 9100}]
    paths = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {
        "startupProbe": {"path": "/livez", "port": "metrics"},
        "livenessProbe": {"path": "/livez", "port": "metrics"},
        "readinessProbe": {"path": "/readyz", "port": "metrics"},
    }


def test_a_pod_whose_socket_was_taken_over_is_not_killed_before_it_is_told_to_stop() -> None:
    """During a rollout the old pod's /livez fails from the takeover on; the provider's README asks for 3 or more."""
    (container,) = pod_of(provider())["containers"]
    probe = container["livenessProbe"]
    assert probe["failureThreshold"] >= 3
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 60


def test_the_pod_has_longer_to_end_than_the_provider_drains() -> None:
    (grace,) = [flag.default for flag in FLAGS if flag.name == "shutdown-grace"]
    assert pod_of(provider())["terminationGracePeriodSeconds"] > int(grace.removesuffix("s"))


def test_the_memory_and_cpu_requests_cover_a_full_node_and_the_cpu_has_no_limit() -> None:
    """ARCHITECTURE.md has the measurement: 110 pods, refreshed for an hour, cost 14 mCPU and 78 MiB."""
    for container in pod_of(provider())["containers"]:
        assert container["resources"] == {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}


def test_another_provider_name_gives_objects_and_a_socket_of_their_own() -> None:
    run = provider(provider_name="lockstep")
    metadata: Any = run.one(DAEMON_SET).inputs["metadata"]
    assert metadata["name"] == "secrets-store-csi-driver-provider-lockstep"
    pod = pod_of(run)
    for container in (*pod["containers"], *pod["initContainers"]):
        assert "--provider-name=lockstep" in container["args"]


# -------------------------------------------------------------------------------------------------------------- rights
def test_without_an_option_the_provider_has_no_right_and_no_token() -> None:
    run = provider()
    assert run.of_type(CLUSTER_ROLE) == []
    assert pod_of(run)["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ({"tells_pods": True}, [{"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]),
        (
            {"looks_up_classes": True},
            [{"apiGroups": [""], "resources": ["serviceaccounts", "pods", "nodes"], "verbs": ["get"]}],
        ),
        (
            {"tells_pods": True, "looks_up_classes": True},
            [
                {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
                {"apiGroups": [""], "resources": ["serviceaccounts", "pods", "nodes"], "verbs": ["get"]},
            ],
        ),
    ],
)
def test_an_option_costs_exactly_the_right_that_it_needs(options: dict[str, bool], rules: list[object]) -> None:
    run = provider(**options)
    assert run.one(CLUSTER_ROLE).inputs["rules"] == rules
    binding: Any = run.one(BINDING).inputs
    name = "secrets-store-csi-driver-provider-aws"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}]
    assert binding["roleRef"]["name"] == run.one(CLUSTER_ROLE).inputs["metadata"]["name"]  # type: ignore[index,call-overload]
    assert pod_of(run)["automountServiceAccountToken"] is True
    assert run.one(BINDING).label in run.dependencies(run.one(DAEMON_SET))


def test_events_are_switched_on_in_the_provider_together_with_the_right() -> None:
    assert "--kubernetes-events=true" in pod_of(provider(tells_pods=True))["containers"][0]["args"]


def test_writing_the_files_itself_switches_root_and_the_kubelets_directory_on_together() -> None:
    pod = pod_of(provider(driver_writes_secrets=False))
    (container,) = pod["containers"]
    assert "--driver-writes-secrets=false" in container["args"]
    assert container["securityContext"]["runAsUser"] == 0
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["mountPath"]: mount.get("mountPropagation") for mount in container["volumeMounts"]}
    assert mounts["/var/lib/kubelet/pods"] == "HostToContainer"
    assert "/var/lib/kubelet/pods" in {volume["hostPath"]["path"] for volume in pod["volumes"]}


# -------------------------------------------------------------------------------------------------------------- extras
def test_nothing_is_placed_that_nobody_asked_for() -> None:
    assert [item.type for item in extras().resources if item.custom] == []


def test_a_pod_monitor_scrapes_the_named_port_of_the_providers_pods() -> None:
    spec: Any = extras(ProviderExtra.POD_MONITOR).one(MONITOR).inputs["spec"]
    assert spec["selector"] == {"matchLabels": {"app": "provider"}}
    assert spec["namespaceSelector"] == {"matchNames": ["kube-system"]}
    (endpoint,) = spec["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", "/metrics")


def test_the_alert_rules_are_those_that_the_provider_ships() -> None:
    shipped = REPOSITORY / "provider_runtime" / "observability" / "alerts.yaml"
    assert extras(ProviderExtra.ALERT_RULES).one(RULES).inputs["spec"] == yaml.safe_load(shipped.read_text())


def test_the_dashboard_is_found_by_grafanas_sidecar_and_is_the_shipped_one() -> None:
    inputs: Any = extras(ProviderExtra.DASHBOARD).one(CONFIG_MAP).inputs
    assert inputs["metadata"]["labels"]["grafana_dashboard"] == "1"
    shipped = REPOSITORY / "provider_runtime" / "observability" / "dashboard.json"
    assert json.loads(inputs["data"]["lockstep-provider.json"]) == json.loads(shipped.read_text())


def test_the_network_policy_leaves_names_https_the_agent_and_the_scraper_and_not_the_metadata_service() -> None:
    spec: Any = (
        extras(ProviderExtra.NETWORK_POLICY, scraping_namespaces=("metrics",)).one(NETWORK_POLICY).inputs["spec"]
    )
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (ingress,) = spec["ingress"]
    assert ingress["ports"] == [{"protocol": "TCP", "port": 8989}]
    assert "metrics" in json.dumps(ingress["from"])
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53, 443, 80}
    (agent,) = [rule for rule in spec["egress"] if rule["ports"][0]["port"] == 80]
    blocks = [block["ipBlock"]["cidr"] for block in agent["to"]]
    assert blocks == ["169.254.170.23/32", "fd00:ec2::23/128"], "IMDS answers on port 80 of 169.254.169.254"


def test_without_a_scraping_namespace_nobody_reaches_the_metrics() -> None:
    spec: Any = extras(ProviderExtra.NETWORK_POLICY, scraping_namespaces=()).one(NETWORK_POLICY).inputs["spec"]
    assert spec["ingress"] == []
