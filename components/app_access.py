"""One app's access, placed: its AWS identity, its ServiceAccount and its SecretProviderClasses; and the namespaces.

Not done here: deriving it (components.derivation). Manifests arrive finished. Order of creation: the role and its
policies, then the classes, so that whoever sees a class can mount it; removal runs the other way, so that no class is
left without its grant.

Children carry the name of their component and then their own, `shop/shop-db`: a parent's name is no part of a URN, so
two clusters with the same app in one program would collide otherwise.

An app's namespace is expected to exist: whoever runs the app owns it. `AppNamespaces` makes them where a stack says so;
they are then kept when the stack no longer names them, because everything in a namespace goes with it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_kubernetes as kubernetes

from . import derivation
from .arguments import ArgumentProblem, CheckedArguments
from .cluster_connection import warn_of_ambient_cluster
from .identity import WorkloadIdentity, WorkloadIdentityArgs, name_inside

_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppNamespacesArgs(CheckedArguments):
    """Arguments of `AppNamespaces`.

    Attributes:
        names: Of the apps' namespaces. Order and repeats do not matter.
        create: False makes nothing.
    """

    names: tuple[str, ...]
    create: bool

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield names that Kubernetes would refuse."""
        for name in self.names:
            if not _NAMESPACE.fullmatch(name):
                rule = "It is a DNS label: a-z, 0-9 and -"
                yield self.problem("names", f"{name!r} does not fit", rule, "correct the name")


class AppNamespaces(pulumi.ComponentResource):
    """The namespaces of the apps, each made once, if at all."""

    namespaces: tuple[kubernetes.core.v1.Namespace, ...]

    def __init__(self, name: str, args: AppNamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        names = sorted(set(args.names)) if args.create else []
        super().__init__("lockstep:index:AppNamespaces", name, {"names": names}, opts)
        self._names = names
        self.namespaces = tuple(
            kubernetes.core.v1.Namespace(
                name_inside(name, namespace),
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=namespace, labels={"app.kubernetes.io/managed-by": "lockstep"}
                ),
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True, aliases=[pulumi.Alias(name=namespace)]),
            )
            for namespace in names
        )
        self.register_outputs({"names": names})

    def of(self, namespace: str) -> tuple[pulumi.Resource, ...]:
        """Return what makes a namespace, to depend on: nothing where the namespace is expected to exist."""
        return tuple(made for made, name in zip(self.namespaces, self._names, strict=True) if name == namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAccessArgs(CheckedArguments):
    """Arguments of `AppAccess`.

    Attributes:
        access: What `derive` gave for the app.
        platform: What a mount needs besides this app's own objects: the driver's release and the provider. Classes are
            placed after them and removed before them.
        namespaces: What makes the app's namespace, if the stack does.
        cluster: The cluster, if the stack makes it: what is in it goes with it, and AWS's side waits for it.
    """

    access: derivation.AppAccess
    platform: tuple[pulumi.Resource, ...]
    namespaces: tuple[pulumi.Resource, ...] = ()
    cluster: pulumi.Resource | None = None


class AppAccess(pulumi.ComponentResource):
    """Places one app's access."""

    identity: WorkloadIdentity
    service_account: kubernetes.core.v1.ServiceAccount
    secret_provider_classes: tuple[kubernetes.apiextensions.CustomResource, ...]

    def __init__(self, name: str, args: AppAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        access = args.access
        inputs = {"app": str(access.app), "namespace": access.namespace, "roleArn": access.role_arn}
        # Children whose names begin with the component's inherit these, so that a renamed app keeps its resources.
        renamed = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=earlier) for earlier in _earlier(name, access)])
        super().__init__("lockstep:index:AppAccess", name, inputs, pulumi.ResourceOptions.merge(opts, renamed))
        warn_of_ambient_cluster(self)
        self.identity = WorkloadIdentity(
            name,
            WorkloadIdentityArgs(role=derivation.role_of(access), cluster=args.cluster),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.service_account = kubernetes.core.v1.ServiceAccount(
            name,
            metadata=_part(access.service_account_manifest, "metadata"),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self.identity.role, *args.namespaces], deleted_with=args.cluster
            ),
        )
        needed = [*self.identity.grants, self.service_account, *args.platform, *args.namespaces]
        self.secret_provider_classes = tuple(self._class(name, mount, needed, args.cluster) for mount in access.mounts)
        classes = [mount.class_name for mount in access.mounts]
        self.register_outputs({"roleArn": access.role_arn, "secretProviderClasses": classes})

    def _class(
        self, name: str, mount: derivation.Mount, needed: list[pulumi.Resource], cluster: pulumi.Resource | None
    ) -> kubernetes.apiextensions.CustomResource:
        manifest = mount.secret_provider_class
        return kubernetes.apiextensions.CustomResource(
            name_inside(name, mount.class_name),
            api_version=str(manifest["apiVersion"]),
            kind=str(manifest["kind"]),
            metadata=_part(manifest, "metadata"),
            spec=_part(manifest, "spec"),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=needed, deleted_with=cluster, aliases=[pulumi.Alias(name=mount.class_name)]
            ),
        )


def _earlier(name: str, access: derivation.AppAccess) -> list[str]:
    """Return what a component was called while the app had its earlier names, if its name has the app's in it.

    The rest of the name (a cluster's, say) stays, or two components of one app would take each other's resources.
    """
    whole = re.compile(rf"(?<!\w){re.escape(access.app)}(?!\w)")
    return [whole.sub(earlier, name) for earlier in access.renamed_from if whole.search(name)]


def _part(manifest: derivation.Manifest, key: str) -> Mapping[str, Any]:
    """Return a mapping inside a manifest. Pulumi's arguments are typed by field; a finished manifest is plain data."""
    return cast("Mapping[str, Any]", manifest[key])
