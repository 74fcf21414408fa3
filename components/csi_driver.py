"""The Secrets Store CSI driver as a pinned Helm release, its values derived from what the apps need.

Not done here: deriving the values (driver_values.py), the AWS provider of the driver (provider_daemonset.py). A release
and not a rendered chart: the chart keeps its CRDs current by hook jobs, which only Helm runs.
"""

from __future__ import annotations  # the class's annotations would load parts of the SDK that most stacks do not use

import pulumi
import pulumi_kubernetes as kubernetes

from .driver_values import SecretsStoreCsiDriverArgs, derive_driver_values
from .placement import CHART, DRIVER_NAME, NAMESPACE

__all__ = ["SecretsStoreCsiDriver", "SecretsStoreCsiDriverArgs"]

#: Pods of the DaemonSet start one node at a time; a large cluster takes a while.
_TIMEOUT_SECONDS = 600


class SecretsStoreCsiDriver(pulumi.ComponentResource):
    """Installs the driver. SecretProviderClasses depend on `release`, which brings their CRD.

    Attributes:
        early_pods: The patch of the chart's CSIDriver object; None unless it was asked for.
    """

    release: kubernetes.helm.v3.Release
    early_pods: kubernetes.storage.v1.CSIDriverPatch | None

    def __init__(self, name: str, args: SecretsStoreCsiDriverArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:index:SecretsStoreCsiDriver", name, {"chartVersion": args.chart_version}, opts)
        self.release = kubernetes.helm.v3.Release(
            name,
            name=CHART,
            chart=CHART,
            version=args.chart_version,
            namespace=NAMESPACE,
            repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=args.chart_repository),
            values=derive_driver_values(args),
            atomic=True,
            cleanup_on_fail=True,
            timeout=_TIMEOUT_SECONDS,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.early_pods = None
        if args.prevents_early_pods:
            # The object is the chart's; the chart has no value for this field, and Helm leaves other fields alone.
            self.early_pods = kubernetes.storage.v1.CSIDriverPatch(
                f"{name}-early-pods",
                metadata=kubernetes.meta.v1.ObjectMetaPatchArgs(name=DRIVER_NAME),
                spec=kubernetes.storage.v1.CSIDriverSpecPatchArgs(prevent_pod_scheduling_if_missing=True),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self.release]),
            )
        self.register_outputs({"chartVersion": args.chart_version})
