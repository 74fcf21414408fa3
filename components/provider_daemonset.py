"""The provider on every node: a ServiceAccount without rights and a DaemonSet, as native objects with reviewable diffs.

Not done here: the provider itself (provider_runtime) and its image. No RBAC: derived classes carry region and role, so
a mount asks the Kubernetes API nothing, and the pod gets no token for it.

The provider runs as a user of its own, without capabilities, with a read-only root and one host path: the socket
directory. A socket cannot be made there by a non-root process, so an init container of the same image, which is root
with three capabilities, hands the directory over first and removes a socket that nobody answers on.
"""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from components.placement import EXCLUDED_NODES, NAMESPACE, PRIORITY_CLASS

#: Name of both objects, and the label by which upstream's provider is found. Alerts and dashboards select by it.
OBJECT_NAME = "secrets-store-csi-driver-provider-aws"

#: Where the driver looks for sockets. Source: chart secrets-store-csi-driver 1.6.0, `linux.providersDir`.
SOCKET_DIRECTORY = "/var/run/secrets-store-csi-providers"

#: The user and group of the provider: unprivileged, not one of a base image's service users.
USER_ID = 65532

#: Longer than the provider's own drain (20 s by default), so that running mounts end with an answer.
_TERMINATION_SECONDS = 40

_PROGRAM = ("python", "-m", "provider_runtime")
_VOLUME = "providers"
_LABELS = {"app": OBJECT_NAME}
_RECORDED_LABELS = {"app.kubernetes.io/managed-by": "lockstep", "app.kubernetes.io/name": OBJECT_NAME}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDaemonSetArgs:
    """Arguments of `ProviderDaemonSet`.

    Attributes:
        image: By digest.
        refresh_interval_seconds: Age up to which a republished volume is served from memory.
    """

    image: str
    refresh_interval_seconds: int


class ProviderDaemonSet(pulumi.ComponentResource):
    """Runs the provider on every node that runs pods with secrets."""

    service_account: core.ServiceAccount
    daemon_set: apps.DaemonSet

    def __init__(self, name: str, args: ProviderDaemonSetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:index:ProviderDaemonSet", name, {"image": args.image}, opts)
        metadata = meta.ObjectMetaArgs(name=OBJECT_NAME, namespace=NAMESPACE, labels={**_RECORDED_LABELS, **_LABELS})
        self.service_account = core.ServiceAccount(
            name,
            metadata=metadata,
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.daemon_set = apps.DaemonSet(
            name,
            metadata=metadata,
            spec=apps.DaemonSetSpecArgs(
                selector=meta.LabelSelectorArgs(match_labels=_LABELS),
                update_strategy=apps.DaemonSetUpdateStrategyArgs(
                    type="RollingUpdate", rolling_update=apps.RollingUpdateDaemonSetArgs(max_unavailable=1)
                ),
                template=core.PodTemplateSpecArgs(metadata=meta.ObjectMetaArgs(labels=_LABELS), spec=_pod_spec(args)),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.service_account]),
        )
        self.register_outputs({"image": args.image})


def _pod_spec(args: ProviderDaemonSetArgs) -> core.PodSpecArgs:
    return core.PodSpecArgs(
        service_account_name=OBJECT_NAME,
        automount_service_account_token=False,
        priority_class_name=PRIORITY_CLASS,
        termination_grace_period_seconds=_TERMINATION_SECONDS,
        tolerations=[core.TolerationArgs(operator="Exists")],
        affinity=_off_excluded_nodes(),
        security_context=core.PodSecurityContextArgs(seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault")),
        init_containers=[_init_container(args)],
        containers=[_container(args)],
        volumes=[
            core.VolumeArgs(
                name=_VOLUME,
                host_path=core.HostPathVolumeSourceArgs(path=SOCKET_DIRECTORY, type="DirectoryOrCreate"),
            )
        ],
    )


def _init_container(args: ProviderDaemonSetArgs) -> core.ContainerArgs:
    """Hand the socket directory over: root:<group> 1775, and no socket in it that nobody answers on."""
    return core.ContainerArgs(
        name="prepare-socket-dir",
        image=args.image,
        command=[*_PROGRAM, "prepare-socket-dir"],
        args=[f"--provider-volume={SOCKET_DIRECTORY}", f"--group={USER_ID}"],
        security_context=core.SecurityContextArgs(
            run_as_user=0,
            run_as_non_root=False,
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=core.CapabilitiesArgs(drop=["ALL"], add=["CHOWN", "DAC_OVERRIDE", "FOWNER"]),
        ),
        resources=_resources(),
        volume_mounts=[_socket_mount()],
    )


def _container(args: ProviderDaemonSetArgs) -> core.ContainerArgs:
    return core.ContainerArgs(
        name="provider",
        image=args.image,
        command=list(_PROGRAM),
        args=[
            f"--provider-volume={SOCKET_DIRECTORY}",
            "--driver-writes-secrets=true",
            f"--refresh-interval={args.refresh_interval_seconds}s",
        ],
        security_context=core.SecurityContextArgs(
            run_as_user=USER_ID,
            run_as_group=USER_ID,
            run_as_non_root=True,
            allow_privilege_escalation=False,
            privileged=False,
            read_only_root_filesystem=True,
            capabilities=core.CapabilitiesArgs(drop=["ALL"]),
        ),
        resources=_resources(),
        volume_mounts=[_socket_mount()],
    )


def _resources() -> core.ResourceRequirementsArgs:
    """No CPU limit: a throttled provider answers late on exactly the node where many pods start."""
    return core.ResourceRequirementsArgs(requests={"cpu": "50m", "memory": "128Mi"}, limits={"memory": "256Mi"})


def _socket_mount() -> core.VolumeMountArgs:
    return core.VolumeMountArgs(name=_VOLUME, mount_path=SOCKET_DIRECTORY)


def _off_excluded_nodes() -> core.AffinityArgs:
    expressions = [
        core.NodeSelectorRequirementArgs(key=key, operator="NotIn", values=[value]) for key, value in EXCLUDED_NODES
    ]
    return core.AffinityArgs(
        node_affinity=core.NodeAffinityArgs(
            required_during_scheduling_ignored_during_execution=core.NodeSelectorArgs(
                node_selector_terms=[core.NodeSelectorTermArgs(match_expressions=expressions)]
            )
        )
    )
