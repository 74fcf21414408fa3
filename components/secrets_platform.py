"""What a cluster needs before any app can mount: driver, provider, admission rules and what watches them, as one.

Not done here: the cluster (cluster.py) and any app's access (app_access.py). Each part is a component of its own and
usable alone; here they are wired, once, so that a platform team imports one thing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pulumi

from .admission import AccessAdmission, AccessAdmissionArgs
from .arguments import ArgumentErrors, ArgumentProblem, CheckedArguments
from .cluster_connection import warn_of_ambient_cluster
from .csi_driver import SecretsStoreCsiDriver
from .platform_needs import PlatformNeeds, driver_args
from .platform_settings import PlatformSettings, ProviderExtra
from .provider_daemonset import ProviderDaemonSet, ProviderDaemonSetArgs
from .provider_observability import ProviderObservability, ProviderObservabilityArgs


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsPlatformArgs(CheckedArguments):
    """Arguments of `SecretsPlatform`.

    Attributes:
        settings: What is wanted.
        needs: What the apps need of it.
    """

    settings: PlatformSettings
    needs: PlatformNeeds

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what driver or provider would refuse, before either is registered."""
        for make in (lambda: driver_args(self.settings, self.needs), lambda: _provider_args(self.settings)):
            try:
                make()
            except ArgumentErrors as errors:
                yield from errors.problems


class SecretsPlatform(pulumi.ComponentResource):
    """Installs what serves mounts.

    Attributes:
        ready: What a mount needs besides the app's own objects. Classes depend on it: made after, removed before.
    """

    driver: SecretsStoreCsiDriver
    provider: ProviderDaemonSet
    observability: ProviderObservability
    admission: AccessAdmission
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: SecretsPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        driver = driver_args(settings, args.needs)
        audiences = list(driver.audiences)
        super().__init__("lockstep:index:SecretsPlatform", name, {"audiences": audiences}, opts)
        warn_of_ambient_cluster(self)
        child = pulumi.ResourceOptions(parent=self)
        self.driver = SecretsStoreCsiDriver(f"{name}-csi-driver", driver, opts=child)
        provider_args = _provider_args(settings)
        self.provider = ProviderDaemonSet(f"{name}-provider", provider_args, opts=child)
        self.observability = ProviderObservability(
            f"{name}-observability",
            ProviderObservabilityArgs(
                object_name=provider_args.object_name,
                pod_labels=provider_args.labels,
                metrics_port=provider_args.metrics_port,
                extras=settings.provider_extras,
                scraping_namespaces=settings.scraping_namespaces,
            ),
            opts=child,
        )
        self.admission = AccessAdmission(
            f"{name}-admission",
            AccessAdmissionArgs(mode=settings.admission, exempt_namespaces=settings.admission_exempt_namespaces),
            opts=child,
        )
        self.ready = (self.driver.release, self.provider.daemon_set, *self.admission.bindings)
        self.register_outputs({"audiences": audiences})


def _provider_args(settings: PlatformSettings) -> ProviderDaemonSetArgs:
    return ProviderDaemonSetArgs(
        image=settings.provider_image,
        refresh_interval_seconds=settings.refresh_interval_seconds,
        tells_pods=ProviderExtra.KUBERNETES_EVENTS in settings.provider_extras,
        looks_up_classes=ProviderExtra.CLASS_LOOKUPS in settings.provider_extras,
    )
