"""What the apps of a stack, and those of other stacks that it serves, need of the platform. Plain values.

Not done here: placing it (secrets_platform.py). Nothing of Pulumi is imported: `lockstep doctor` and the program ask
the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .arguments import CheckedArguments
from .derivation import AppAccess
from .derivation.derive import AUDIENCES
from .driver_values import SecretsStoreCsiDriverArgs
from .platform_settings import PlatformSettings, is_wanted_when
from .settings import StackSettings

#: Kubernetes whose scheduler knows `preventPodSchedulingIfMissing` of a CSIDriver (beta, on). Source: storage/v1.
_PREVENTING_SINCE = (1, 37)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformNeeds(CheckedArguments):
    """What decides the driver's values beside the platform's own settings.

    Attributes:
        audiences: Of the tokens of all apps, sorted.
        sync_secrets: Whether any app copies files into Kubernetes Secrets.
        refresh_intervals_seconds: Of the apps that have one of their own. Only a driver before 1.6.0 needs them: it
            looks at all pods at one interval, so the shortest one counts.
        kubernetes_version: Of the cluster, `1.37`; None when it is not known. It decides what `auto` means for pods
            that come too early.
    """

    audiences: tuple[str, ...]
    sync_secrets: bool = False
    refresh_intervals_seconds: tuple[int, ...] = ()
    kubernetes_version: str | None = None

    @property
    def can_prevent_early_pods(self) -> bool:
        """Whether the cluster's scheduler knows `preventPodSchedulingIfMissing`."""
        found = re.fullmatch(r"(\d+)\.(\d+)", self.kubernetes_version or "")
        return found is not None and (int(found[1]), int(found[2])) >= _PREVENTING_SINCE


def platform_needs(
    settings: StackSettings, apps: Sequence[AppAccess], kubernetes_version: str | None = None
) -> PlatformNeeds:
    """Return what a stack's platform must serve: its own apps, and the identities that it serves for other stacks.

    Args:
        settings: Of the stack.
        apps: Derived.
        kubernetes_version: Of a cluster that exists, where it was looked up.
    """
    served = (AUDIENCES[identity] for identity in settings.served_identities)
    return PlatformNeeds(
        audiences=tuple(sorted({*(app.audience for app in apps), *served})),
        sync_secrets=settings.serves_sync or any(app.needs_sync for app in apps),
        refresh_intervals_seconds=tuple(app.refresh_interval_seconds for app in apps if app.refresh_interval_seconds),
        kubernetes_version=settings.cluster.version if settings.cluster else kubernetes_version,
    )


def driver_args(settings: PlatformSettings, needs: PlatformNeeds) -> SecretsStoreCsiDriverArgs:
    """Return what the driver is installed with; audiences of other providers come on top, sorted."""
    return SecretsStoreCsiDriverArgs(
        chart_repository=settings.chart_repository,
        chart_version=settings.chart_version,
        audiences=tuple(sorted({*needs.audiences, *settings.extra_audiences})),
        sync_secrets=needs.sync_secrets,
        refresh_interval_seconds=min((settings.refresh_interval_seconds, *needs.refresh_intervals_seconds)),
        poll_interval=settings.poll_interval,
        images=settings.driver_images,
        prevents_early_pods=is_wanted_when(settings.prevents_early_pods, auto=needs.can_prevent_early_pods),
    )
