"""The provider on every node: a ServiceAccount and a DaemonSet, as native objects with reviewable diffs.

Not done here: the provider itself (provider_runtime), its image (image_repository.py) and what watches it
(provider_observability.py).

The provider runs as a user of its own, without capabilities, with a read-only root and one host path: the socket
directory. A socket cannot be made there by a non-root process, so an init container of the same image, which is root
with three capabilities, hands the directory over first and removes a socket that nobody answers on.

Derived classes carry region and role, so a mount asks the Kubernetes API nothing: the pod gets no token for it and no
right, unless an option asks for one. A rollout starts the new pod beside the old one, which serves until the new one
has taken the socket's name over; there is no moment without a provider. That is why no port is bound on the host.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.rbac import v1 as rbac

from .arguments import ArgumentProblem, CheckedArguments
from .placement import EXCLUDED_NODES, NAMESPACE, OBJECT_PREFIX, PRIORITY_CLASS, SOCKET_DIRECTORY
from .platform_settings import IMAGE, IMAGE_FIX, IMAGE_RULE
from .settings_reader import SHORTEST_REFRESH_SECONDS

#: Where kubelet keeps pods' volumes. Source: Kubernetes docs, kubelet `--root-dir`.
KUBELET_PODS = "/var/lib/kubelet/pods"

#: The user and group of the provider: unprivileged, not one of a base image's service users.
USER_ID = 65532

#: What the driver takes for a socket's name (30 characters at most) and Kubernetes for a label.
_PROVIDER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?")

#: Name of the port that serves /metrics, /livez and /readyz.
METRICS_PORT_NAME = "metrics"

#: Longer than the provider's own drain (20 s by default), so that running mounts end with an answer.
_TERMINATION_SECONDS = 40

#: The provider answers /livez "no" while another instance owns the socket. In a rollout that lasts until the old pod is
#: told to stop, so liveness must wait longer than that takes.
_LIVENESS = {"period_seconds": 10, "timeout_seconds": 5, "failure_threshold": 6}
_READINESS = {"period_seconds": 5, "timeout_seconds": 5, "failure_threshold": 3}
_STARTUP = {"period_seconds": 1, "timeout_seconds": 5, "failure_threshold": 60}

_PROGRAM = ("python", "-m", "provider_runtime")
_VOLUME = "providers"
_PODS_VOLUME = "kubelet-pods"

#: Right to tell a pod that its re-mount failed. Source: provider_runtime/README.md, Traces and Events.
_EVENTS_RULE = rbac.PolicyRuleArgs(api_groups=[""], resources=["events"], verbs=["create"])

#: Right to find role and region of classes that name none: the service account's annotation, the node's label.
_LOOKUPS_RULE = rbac.PolicyRuleArgs(api_groups=[""], resources=["serviceaccounts", "pods", "nodes"], verbs=["get"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDaemonSetArgs(CheckedArguments):
    """Arguments of `ProviderDaemonSet`.

    Attributes:
        image: By digest.
        refresh_interval_seconds: Age up to which a republished volume is served from memory.
        provider_name: Name of the socket and of `spec.provider`. Another one than `aws` lets both providers live on one
            node during a migration.
        metrics_port: Of the pod, never of the node.
        tells_pods: A Kubernetes Event on a pod whose re-mount failed; costs the right to create events.
        looks_up_classes: Serve hand-written classes without role or region; costs the right to get service accounts,
            pods and nodes.
        driver_writes_secrets: False: the provider writes the files itself, as upstream does by default. It then runs
            as root and sees kubelet's pod directory.
    """

    image: str
    refresh_interval_seconds: int
    provider_name: str = "aws"
    metrics_port: int = 8989
    tells_pods: bool = False
    looks_up_classes: bool = False
    driver_writes_secrets: bool = True

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what the provider or its nodes would refuse."""
        if not IMAGE.fullmatch(self.image):
            yield self.problem("image", f"{self.image!r} does not fit", IMAGE_RULE, IMAGE_FIX)
        if self.refresh_interval_seconds < SHORTEST_REFRESH_SECONDS:
            what = f"{self.refresh_interval_seconds} is too short"
            rule = f"Below {SHORTEST_REFRESH_SECONDS} s nothing is fresher: kubelet asks for a pod every 60 to 90 s"
            yield self.problem("refresh_interval_seconds", what, rule, f"pass {SHORTEST_REFRESH_SECONDS} or more")
        if not _PROVIDER_NAME.fullmatch(self.provider_name):
            rule = "It is the name of a socket and part of Kubernetes names"
            yield self.problem("provider_name", f"{self.provider_name!r} does not fit", rule, "use a-z, 0-9 and -")
        if not 1024 <= self.metrics_port <= 65_535:  # noqa: PLR2004 - what a process without rights may bind
            rule = "The provider has no right to bind a port below 1024"
            yield self.problem("metrics_port", f"{self.metrics_port} does not fit", rule, "pass 1024 to 65535")

    @property
    def object_name(self) -> str:
        """Name of the service account and the DaemonSet."""
        return f"{OBJECT_PREFIX}{self.provider_name}"

    @property
    def labels(self) -> dict[str, str]:
        """Labels that select the pods."""
        return {"app": self.object_name}

    @property
    def uses_the_api(self) -> bool:
        """Whether the pod needs a token for the Kubernetes API."""
        return self.tells_pods or self.looks_up_classes


class ProviderDaemonSet(pulumi.ComponentResource):
    """Runs the provider on every node that runs pods with secrets.

    Attributes:
        cluster_role: None unless an option needs a right.
    """

    service_account: core.ServiceAccount
    cluster_role: rbac.ClusterRole | None
    daemon_set: apps.DaemonSet

    def __init__(self, name: str, args: ProviderDaemonSetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:index:ProviderDaemonSet", name, {"image": args.image}, opts)
        recorded = {"app.kubernetes.io/managed-by": "lockstep", "app.kubernetes.io/name": args.object_name}
        metadata = meta.ObjectMetaArgs(name=args.object_name, namespace=NAMESPACE, labels={**recorded, **args.labels})
        self.service_account = core.ServiceAccount(
            name,
            metadata=metadata,
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        rights = self._bind_rights(name, args)
        self.daemon_set = apps.DaemonSet(
            name,
            metadata=metadata,
            spec=_daemon_set_spec(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.service_account, *rights]),
        )
        self.register_outputs({"image": args.image})

    def _bind_rights(self, name: str, args: ProviderDaemonSetArgs) -> list[pulumi.Resource]:
        """Give the service account exactly what the options need; nothing is placed when they need nothing."""
        rules = [
            rule
            for rule, is_needed in ((_EVENTS_RULE, args.tells_pods), (_LOOKUPS_RULE, args.looks_up_classes))
            if is_needed
        ]
        self.cluster_role = None
        if not rules:
            return []
        metadata = meta.ObjectMetaArgs(name=args.object_name, labels={"app.kubernetes.io/managed-by": "lockstep"})
        self.cluster_role = rbac.ClusterRole(
            name, metadata=metadata, rules=rules, opts=pulumi.ResourceOptions(parent=self)
        )
        binding: pulumi.Resource = rbac.ClusterRoleBinding(
            name,
            metadata=metadata,
            role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=args.object_name),
            subjects=[rbac.SubjectArgs(kind="ServiceAccount", name=args.object_name, namespace=NAMESPACE)],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.cluster_role, self.service_account]),
        )
        return [binding]


def _daemon_set_spec(args: ProviderDaemonSetArgs) -> apps.DaemonSetSpecArgs:
    return apps.DaemonSetSpecArgs(
        selector=meta.LabelSelectorArgs(match_labels=args.labels),
        # The new pod comes first and takes the socket over; the old one goes when it has. See the module's docstring.
        update_strategy=apps.DaemonSetUpdateStrategyArgs(
            type="RollingUpdate", rolling_update=apps.RollingUpdateDaemonSetArgs(max_surge=1, max_unavailable=0)
        ),
        template=core.PodTemplateSpecArgs(metadata=meta.ObjectMetaArgs(labels=args.labels), spec=_pod_spec(args)),
    )


def _pod_spec(args: ProviderDaemonSetArgs) -> core.PodSpecArgs:
    return core.PodSpecArgs(
        service_account_name=args.object_name,
        automount_service_account_token=args.uses_the_api,
        enable_service_links=False,
        priority_class_name=PRIORITY_CLASS,
        termination_grace_period_seconds=_TERMINATION_SECONDS,
        tolerations=[core.TolerationArgs(operator="Exists")],
        affinity=_off_excluded_nodes(),
        security_context=core.PodSecurityContextArgs(seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault")),
        init_containers=[_init_container(args)],
        containers=[_container(args)],
        volumes=_volumes(args),
    )


def _init_container(args: ProviderDaemonSetArgs) -> core.ContainerArgs:
    """Hand the socket directory over: root:<group> 1775, and no socket in it that nobody answers on."""
    return core.ContainerArgs(
        name="prepare-socket-dir",
        image=args.image,
        command=[*_PROGRAM, "prepare-socket-dir"],
        args=[
            f"--provider-volume={SOCKET_DIRECTORY}",
            f"--provider-name={args.provider_name}",
            f"--group={USER_ID}",
        ],
        security_context=core.SecurityContextArgs(
            run_as_user=0,
            run_as_non_root=False,
            allow_privilege_escalation=False,
            privileged=False,
            read_only_root_filesystem=True,
            capabilities=core.CapabilitiesArgs(drop=["ALL"], add=["CHOWN", "DAC_OVERRIDE", "FOWNER"]),
        ),
        resources=_resources(),
        volume_mounts=[_socket_mount()],
    )


def _container(args: ProviderDaemonSetArgs) -> core.ContainerArgs:
    user = USER_ID if args.driver_writes_secrets else 0
    return core.ContainerArgs(
        name="provider",
        image=args.image,
        command=list(_PROGRAM),
        args=[
            f"--provider-volume={SOCKET_DIRECTORY}",
            f"--provider-name={args.provider_name}",
            f"--driver-writes-secrets={str(args.driver_writes_secrets).lower()}",
            f"--refresh-interval={args.refresh_interval_seconds}s",
            f"--metrics-address=:{args.metrics_port}",
            f"--kubernetes-events={str(args.tells_pods).lower()}",
            "--log-format=json",
        ],
        ports=[core.ContainerPortArgs(name=METRICS_PORT_NAME, container_port=args.metrics_port)],
        startup_probe=_probe("/livez", _STARTUP),
        liveness_probe=_probe("/livez", _LIVENESS),
        readiness_probe=_probe("/readyz", _READINESS),
        security_context=core.SecurityContextArgs(
            run_as_user=user,
            run_as_group=user,
            run_as_non_root=args.driver_writes_secrets,
            allow_privilege_escalation=False,
            privileged=False,
            read_only_root_filesystem=True,
            capabilities=core.CapabilitiesArgs(drop=["ALL"]),
        ),
        resources=_resources(),
        volume_mounts=_volume_mounts(args),
    )


def _probe(path: str, timing: dict[str, int]) -> core.ProbeArgs:
    return core.ProbeArgs(http_get=core.HTTPGetActionArgs(path=path, port=METRICS_PORT_NAME), **timing)


def _resources() -> core.ResourceRequirementsArgs:
    """Return what was measured with `python -m benchmarks` and room to spare; ARCHITECTURE.md has the figures.

    No CPU limit: a throttled provider answers late on exactly the node where many pods start.
    """
    return core.ResourceRequirementsArgs(requests={"cpu": "20m", "memory": "128Mi"}, limits={"memory": "256Mi"})


def _volumes(args: ProviderDaemonSetArgs) -> list[core.VolumeArgs]:
    volumes = [
        core.VolumeArgs(
            name=_VOLUME, host_path=core.HostPathVolumeSourceArgs(path=SOCKET_DIRECTORY, type="DirectoryOrCreate")
        )
    ]
    if not args.driver_writes_secrets:
        pods = core.HostPathVolumeSourceArgs(path=KUBELET_PODS, type="Directory")
        volumes.append(core.VolumeArgs(name=_PODS_VOLUME, host_path=pods))
    return volumes


def _volume_mounts(args: ProviderDaemonSetArgs) -> list[core.VolumeMountArgs]:
    if args.driver_writes_secrets:
        return [_socket_mount()]
    # The volumes of pods that start later must appear in here.
    pods = core.VolumeMountArgs(name=_PODS_VOLUME, mount_path=KUBELET_PODS, mount_propagation="HostToContainer")
    return [_socket_mount(), pods]


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
