"""What the apps of a stack, and those of other stacks that it serves, need of the platform. Plain values.

Not done here: placing it (secrets_platform.py). Nothing of Pulumi is imported: `lockstep doctor` and the program ask
the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .derivation import AppAccess
from .derivation.derive import AUDIENCES
from .driver_values import SecretsStoreCsiDriverArgs
from .platform_settings import PlatformSettings
from .settings import StackSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformNeeds:
    """What decides the driver's values beside the platform's own settings.

    Attributes:
        audiences: Of the tokens of all apps, sorted.
        sync_secrets: Whether any app copies files into Kubernetes Secrets.
    """

    audiences: tuple[str, ...]
    sync_secrets: bool = False


def platform_needs(settings: StackSettings, apps: Sequence[AppAccess]) -> PlatformNeeds:
    """Return what a stack's platform must serve: its own apps, and the identities that it serves for other stacks."""
    served = (AUDIENCES[identity] for identity in settings.served_identities)
    return PlatformNeeds(
        audiences=tuple(sorted({*(app.audience for app in apps), *served})),
        sync_secrets=settings.serves_sync or any(app.needs_sync for app in apps),
    )


def driver_args(settings: PlatformSettings, needs: PlatformNeeds) -> SecretsStoreCsiDriverArgs:
    """Return what the driver is installed with; audiences of other providers come on top, sorted."""
    return SecretsStoreCsiDriverArgs(
        chart_repository=settings.chart_repository,
        chart_version=settings.chart_version,
        audiences=tuple(sorted({*needs.audiences, *settings.extra_audiences})),
        sync_secrets=needs.sync_secrets,
        refresh_interval_seconds=settings.refresh_interval_seconds,
        poll_interval=settings.poll_interval,
        prevents_early_pods=settings.prevents_early_pods,
    )
