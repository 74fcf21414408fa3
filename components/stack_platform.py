"""From a stack's settings to what its apps stand on: the cluster, made or existing, and the platform in it.

Not done here: the components themselves, and the apps (the program). Three kinds of stack come out the same here:

* one that makes its network and cluster (`lockstep:cluster`, `lockstep:network`),
* one that uses a cluster by its name,
* one that holds apps only and stands on the platform of another stack (`lockstep:platformStack`), so that app teams
  preview against a cluster that is there. What it needs, the other one exports; it is read as plain values, because
  what decides access is known at preview.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
from pulumi.runtime import invoke

from .cluster_connection import ClusterConnection, ClusterConnectionArgs
from .cluster_facts import ClusterError, ClusterFacts, UnansweredError, fetch_cluster, find_issuer, refuse_unbound
from .derivation import AppAccess
from .image_repository import ImageRepository, ImageRepositoryArgs
from .look_ups import LookUpError, look_up
from .network_settings import NewNetwork
from .platform_needs import platform_needs
from .secrets_platform import SecretsPlatform, SecretsPlatformArgs
from .settings import NO_ISSUER, StackSettings

#: The engine's own function behind a StackReference: it answers with values where the resource has outputs only.
#: Source: pulumi `pkg/resource/deploy/builtins.go`.
_READ_STACK_OUTPUTS = "pulumi:pulumi:readStackOutputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCluster:
    """What is known of the cluster before anything is placed.

    Attributes:
        oidc_issuer: A literal; `settings.NO_ISSUER` while nobody knows it.
        facts: None when this stack makes the cluster.
        served: For a stack of apps only: what the other stack's platform serves.
    """

    oidc_issuer: str
    facts: ClusterFacts | None
    served: Mapping[str, Any] | None = None

    @property
    def served_guard(self) -> str | None:
        """Image of the guard that pods on the other stack's platform need; None where they need none."""
        return (self.served or {}).get("guardImage") or None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlatform:
    """What apps stand on.

    Attributes:
        in_cluster: Options for what is placed in the cluster.
        cluster: What goes with it when it is removed, if this stack makes it.
        ready: What a mount needs besides an app's own objects.
        outputs: What the stack exports; a stack of apps reads them.
    """

    in_cluster: pulumi.ResourceOptions
    cluster: pulumi.Resource | None
    ready: tuple[pulumi.Resource, ...]
    outputs: Mapping[str, Any] = field(default_factory=dict)


def know_cluster(settings: StackSettings) -> KnownCluster:
    """Find out what decides access of the stack's apps.

    Raises:
        ClusterError: The cluster is not what the settings say, or it cannot be looked up.
    """
    try:
        return _know_cluster(settings)
    except UnansweredError as error:
        raise ClusterError(f"{settings.file} {error.key}: {error}") from error


def _know_cluster(settings: StackSettings) -> KnownCluster:
    if settings.platform_stack:
        return _read_platform_stack(settings, settings.platform_stack)
    if settings.cluster is not None:
        return KnownCluster(oidc_issuer=find_issuer(settings.cluster_name, settings.oidc_issuer), facts=None)
    facts = fetch_cluster(
        settings.cluster_name,
        oidc_issuer=settings.oidc_issuer,
        endpoint=settings.cluster_endpoint,
        certificate=settings.cluster_certificate,
    )
    return KnownCluster(oidc_issuer=str(facts.oidc_issuer), facts=facts)


def refuse_unserved(apps: Sequence[AppAccess], known: KnownCluster) -> None:
    """Refuse apps that could not mount: no issuer to trust, or a platform elsewhere that does not serve them.

    Raises:
        ClusterError: Names the apps, and what to change.
    """
    refuse_unbound(apps, known.oidc_issuer)
    if known.served is None:
        return
    lacking = sorted(str(app.app) for app in apps if app.audience not in known.served["audiences"])
    unsynced = sorted(str(app.app) for app in apps if app.needs_sync and not known.served["syncsSecrets"])
    if lacking:
        raise ClusterError(
            f"the platform of {known.served['stack']} asks for no token for the identity of {', '.join(lacking)}. "
            "Fix: add the identity to lockstep:servedIdentities of that stack, and bring it up first"
        )
    if unsynced:
        raise ClusterError(
            f"the platform of {known.served['stack']} may not write Kubernetes Secrets for {', '.join(unsynced)}. "
            "Fix: set lockstep:servesSync: true on that stack, and bring it up first"
        )


def place_platform(settings: StackSettings, known: KnownCluster, apps: Sequence[AppAccess]) -> StackPlatform:
    """Place cluster, connection and platform, as far as they are this stack's."""
    facts = known.facts or _place_cluster(settings, known)
    needs = platform_needs(settings, apps, facts.version)
    connection = ClusterConnection(
        "cluster",
        ClusterConnectionArgs(
            facts=facts,
            region=settings.region,
            account=settings.account,
            partition=settings.partition,
            create_oidc_provider=settings.creates_oidc_provider,
            audiences=needs.audiences,
            role=settings.kubeconfig_role,
        ),
    )
    in_cluster = pulumi.ResourceOptions(providers=[connection.kubernetes])
    outputs: dict[str, Any] = {"clusterName": facts.name, "oidcIssuer": facts.oidc_issuer}
    if settings.platform_stack:
        return StackPlatform(in_cluster=in_cluster, cluster=None, ready=(), outputs=outputs)
    platform = SecretsPlatform(
        "platform",
        SecretsPlatformArgs(settings=settings.platform, needs=needs),
        # With the cluster gone, the API server cannot be asked to remove what was in it.
        opts=pulumi.ResourceOptions(providers=[connection.kubernetes], deleted_with=facts.cluster),
    )
    outputs |= {
        "clusterEndpoint": facts.endpoint,
        "clusterCertificate": facts.certificate,
        "platform": {
            "audiences": list(needs.audiences),
            "syncsSecrets": needs.sync_secrets,
            "guardImage": settings.platform.guard_image or "",
        },
        **_place_image_repository(settings),
    }
    return StackPlatform(in_cluster=in_cluster, cluster=facts.cluster, ready=platform.ready, outputs=outputs)


def _place_cluster(settings: StackSettings, known: KnownCluster) -> ClusterFacts:
    if settings.cluster is None or settings.network is None:
        raise AssertionError("settings that make a cluster have a network too (settings.py)")
    # Only here: the SDK's classes of networks and clusters cost a second or two, and most stacks make neither.
    from .eks_cluster import EksCluster, EksClusterArgs  # noqa: PLC0415
    from .flow_logs import FlowLogs, FlowLogsArgs  # noqa: PLC0415
    from .network import Network, NetworkArgs  # noqa: PLC0415

    environment = settings.environment(known.oidc_issuer)
    network = Network(
        "network",
        NetworkArgs(
            settings=settings.network, region=settings.region, partition=settings.partition, protect=settings.protect
        ),
    )
    if isinstance(settings.network, NewNetwork) and settings.network.flow_log_days is not None:
        FlowLogs(
            "flow-logs",
            FlowLogsArgs(
                vpc_id=network.vpc_id,
                network_name=settings.cluster_name,
                region=settings.region,
                account=settings.account,
                partition=settings.partition,
                retention_days=settings.network.flow_log_days,
                role_path=settings.role_path,
                permissions_boundary=settings.permissions_boundary,
                protect=settings.protect,
            ),
        )
    cluster = EksCluster(
        "eks",
        EksClusterArgs(
            cluster_name=settings.cluster_name,
            settings=settings.cluster,
            network=network,
            region=settings.region,
            account=settings.account,
            partition=settings.partition,
            dns_suffix=environment.dns_suffix,
            role_path=settings.role_path,
            permissions_boundary=settings.permissions_boundary,
            protect=settings.protect,
        ),
    )
    # A literal where it is known, so that trust and OIDC provider can be read at preview.
    issuer = cluster.facts.oidc_issuer if known.oidc_issuer == NO_ISSUER else known.oidc_issuer
    return replace(cluster.facts, oidc_issuer=issuer)


def _place_image_repository(settings: StackSettings) -> dict[str, pulumi.Output[str]]:
    repository = settings.platform.image_repository
    if repository is None:
        return {}
    images = ImageRepository("images", ImageRepositoryArgs(repository=repository, protect=settings.protect))
    return {"imageRepository": images.url}


def _read_platform_stack(settings: StackSettings, stack: str) -> KnownCluster:
    key = "lockstep:platformStack"
    try:
        outputs = look_up(lambda: invoke(_READ_STACK_OUTPUTS, {"name": stack}).value["outputs"])
    except LookUpError as error:
        raise UnansweredError(
            key,
            f"the outputs of {stack} cannot be read ({error}). A stack of apps stands on another stack's platform. "
            "Fix: correct the name, <organization>/<project>/<stack>, bring that stack up, or use its backend",
        ) from error
    wanted = ("clusterName", "oidcIssuer", "clusterEndpoint", "clusterCertificate", "platform")
    missing = [name for name in wanted if not outputs.get(name)]
    if not missing and not _is_platform(outputs["platform"]):
        missing = ["platform"]
    if missing:
        raise UnansweredError(
            key,
            f"the stack {stack} exports no {', '.join(missing)}. It is no platform of this version, or it was never "
            "brought up. Fix: correct the name, or bring that stack up first",
        )
    for name, mine, theirs in (
        ("clusterName", settings.cluster_name, outputs["clusterName"]),
        ("oidcIssuer", settings.oidc_issuer, outputs["oidcIssuer"]),
    ):
        if mine and mine != theirs:
            raise ClusterError(
                f"lockstep:{name} is {mine}, the platform of {stack} has {theirs}. "
                f"Fix: correct lockstep:{name} or lockstep:platformStack"
            )
    facts = ClusterFacts(
        name=str(outputs["clusterName"]),
        oidc_issuer=str(outputs["oidcIssuer"]),
        endpoint=str(outputs["clusterEndpoint"]),
        certificate=str(outputs["clusterCertificate"]),
    )
    served = {**outputs["platform"], "stack": stack}
    return KnownCluster(oidc_issuer=str(outputs["oidcIssuer"]), facts=facts, served=served)


def _is_platform(exported: object) -> bool:
    """Say whether an output has the shape of ours: a stack of another project may call something else so."""
    return (
        isinstance(exported, Mapping)
        and isinstance(exported.get("audiences"), list)
        and isinstance(exported.get("syncsSecrets"), bool)
    )
