"""What watches and confines the provider's pods: PodMonitor, alert rules, dashboard, NetworkPolicy. Each is optional.

Not done here: what is measured (provider_runtime, whose README lists it) and the alert rules and the dashboard
themselves (provider_runtime/observability; they are read from there, so that they fit the provider of this release).

PodMonitor and PrometheusRule need the Prometheus operator's CRDs; the dashboard is a ConfigMap as Grafana's sidecar
finds it. Source: prometheus-operator API reference (monitoring.coreos.com/v1), Grafana chart (`sidecar.dashboards`).
"""

from __future__ import annotations  # the annotations would load parts of the SDK that most stacks do not use

import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
import yaml
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from provider_runtime import observability

from .arguments import CheckedArguments
from .placement import NAMESPACE
from .platform_settings import ProviderExtra
from .provider_daemonset import METRICS_PORT_NAME

#: Of the Prometheus operator.
_MONITORING_API = "monitoring.coreos.com/v1"

#: The label that Grafana's sidecar looks for, by its chart's default.
_DASHBOARD_LABEL = {"grafana_dashboard": "1"}

#: Where pods get Pod Identity credentials. Source: EKS user guide, Pod Identity agent.
_AGENT_ADDRESSES = ("169.254.170.23/32", "fd00:ec2::23/128")

_ANYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderObservabilityArgs(CheckedArguments):
    """Arguments of `ProviderObservability`.

    Attributes:
        object_name: Of the provider's DaemonSet; the objects here are called the same.
        pod_labels: What selects the provider's pods.
        extras: What is wanted. Those that are not this component's are left alone.
        metrics_port: Of the pod.
        scraping_namespaces: Namespaces whose pods may reach the metrics port; only the NetworkPolicy asks.
        api_port: Of the Kubernetes API, for pods that use it.
    """

    object_name: str
    pod_labels: Mapping[str, str]
    extras: frozenset[ProviderExtra]
    metrics_port: int = 8989
    scraping_namespaces: tuple[str, ...] = ("monitoring",)
    api_port: int = 443


class ProviderObservability(pulumi.ComponentResource):
    """Places what was asked for, nothing else."""

    objects: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ProviderObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        wanted = sorted(str(extra.value) for extra in args.extras)
        super().__init__("lockstep:index:ProviderObservability", name, {"extras": wanted}, opts)
        makers = {
            ProviderExtra.POD_MONITOR: self._pod_monitor,
            ProviderExtra.ALERT_RULES: self._alert_rules,
            ProviderExtra.DASHBOARD: self._dashboard,
            ProviderExtra.NETWORK_POLICY: self._network_policy,
        }
        self.objects = tuple(make(name, args) for extra, make in makers.items() if extra in args.extras)
        self.register_outputs({"extras": wanted})

    def _pod_monitor(self, name: str, args: ProviderObservabilityArgs) -> pulumi.Resource:
        monitor: pulumi.Resource = CustomResource(
            f"{name}-monitor",
            api_version=_MONITORING_API,
            kind="PodMonitor",
            metadata=_metadata(args),
            spec={
                "selector": {"matchLabels": dict(args.pod_labels)},
                "namespaceSelector": {"matchNames": [NAMESPACE]},
                "podMetricsEndpoints": [{"port": METRICS_PORT_NAME, "path": "/metrics", "interval": "30s"}],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        return monitor

    def _alert_rules(self, name: str, args: ProviderObservabilityArgs) -> pulumi.Resource:
        rules: pulumi.Resource = CustomResource(
            f"{name}-alerts",
            api_version=_MONITORING_API,
            kind="PrometheusRule",
            metadata=_metadata(args),
            spec=yaml.safe_load(_shipped("alerts.yaml")),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return rules

    def _dashboard(self, name: str, args: ProviderObservabilityArgs) -> pulumi.Resource:
        dashboard: pulumi.Resource = core.ConfigMap(
            f"{name}-dashboard",
            metadata=_metadata(args, suffix="-dashboard", labels=_DASHBOARD_LABEL),
            data={"lockstep-provider.json": _shipped("dashboard.json")},
            opts=pulumi.ResourceOptions(parent=self),
        )
        return dashboard

    def _network_policy(self, name: str, args: ProviderObservabilityArgs) -> pulumi.Resource:
        policy: pulumi.Resource = kubernetes.networking.v1.NetworkPolicy(
            f"{name}-network",
            metadata=_metadata(args),
            spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
                pod_selector=meta.LabelSelectorArgs(match_labels=dict(args.pod_labels)),
                policy_types=["Ingress", "Egress"],
                ingress=[
                    kubernetes.networking.v1.NetworkPolicyIngressRuleArgs(
                        from_=[_from_namespace(namespace) for namespace in sorted(set(args.scraping_namespaces))],
                        ports=[_port("TCP", args.metrics_port)],
                    )
                ]
                if args.scraping_namespaces
                else [],
                egress=_egress(args),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return policy


def _egress(args: ProviderObservabilityArgs) -> list[kubernetes.networking.v1.NetworkPolicyEgressRuleArgs]:
    """Allow names, HTTPS (AWS's services, by address or endpoint) and the Pod Identity agent; nothing of IMDS.

    kubelet's probes come from the node itself, which no NetworkPolicy stops.
    """
    https = sorted({443, args.api_port})
    return [
        kubernetes.networking.v1.NetworkPolicyEgressRuleArgs(ports=[_port("UDP", 53), _port("TCP", 53)]),
        kubernetes.networking.v1.NetworkPolicyEgressRuleArgs(
            to=[_block(cidr) for cidr in _ANYWHERE], ports=[_port("TCP", port) for port in https]
        ),
        kubernetes.networking.v1.NetworkPolicyEgressRuleArgs(
            to=[_block(cidr) for cidr in _AGENT_ADDRESSES], ports=[_port("TCP", 80)]
        ),
    ]


def _from_namespace(namespace: str) -> kubernetes.networking.v1.NetworkPolicyPeerArgs:
    selector = meta.LabelSelectorArgs(match_labels={"kubernetes.io/metadata.name": namespace})
    return kubernetes.networking.v1.NetworkPolicyPeerArgs(namespace_selector=selector)


def _block(cidr: str) -> kubernetes.networking.v1.NetworkPolicyPeerArgs:
    return kubernetes.networking.v1.NetworkPolicyPeerArgs(ip_block=kubernetes.networking.v1.IPBlockArgs(cidr=cidr))


def _port(protocol: str, port: int) -> kubernetes.networking.v1.NetworkPolicyPortArgs:
    return kubernetes.networking.v1.NetworkPolicyPortArgs(protocol=protocol, port=port)


def _metadata(
    args: ProviderObservabilityArgs, *, suffix: str = "", labels: Mapping[str, str] | None = None
) -> dict[str, object]:
    recorded = {"app.kubernetes.io/managed-by": "lockstep", "app.kubernetes.io/name": args.object_name}
    return {"name": f"{args.object_name}{suffix}", "namespace": NAMESPACE, "labels": {**recorded, **(labels or {})}}


def _shipped(file: str) -> str:
    """Return a file that the provider ships for operators."""
    return (importlib.resources.files(observability) / file).read_text(encoding="utf-8")
