"""What a stack's files say that there is to be: the side that everything is held against."""

from __future__ import annotations

from dataclasses import dataclass

from components.derivation import AppAccess, FleetAccess, Identity
from components.derivation.environment import Environment
from components.driver_values import SecretsStoreCsiDriverArgs
from components.platform_needs import driver_args, platform_needs
from components.settings import StackSettings
from lockstep.project import ProjectStack


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One stack, derived.

    Attributes:
        fleet: Its apps' access.
        driver: What its driver is installed with.
        is_before_up: Whether what `pulumi up` makes may still be missing.
    """

    settings: StackSettings
    fleet: FleetAccess
    driver: SecretsStoreCsiDriverArgs
    is_before_up: bool = False

    @classmethod
    def of(cls, stack: ProjectStack, *, is_before_up: bool = False) -> Expected:
        """Derive a stack; raises `SpecErrors`."""
        fleet = stack.fleet()
        needs = platform_needs(stack.settings, fleet.apps)
        return cls(
            settings=stack.settings,
            fleet=fleet,
            driver=driver_args(stack.settings.platform, needs),
            is_before_up=is_before_up,
        )

    @property
    def apps(self) -> tuple[AppAccess, ...]:
        """The apps, sorted by name."""
        return self.fleet.apps

    @property
    def environment(self) -> Environment:
        """Cluster, account and region."""
        return self.fleet.environment

    @property
    def has_own_platform(self) -> bool:
        """Whether driver and provider are this stack's; else another stack's serve it."""
        return self.settings.platform_stack is None

    def uses(self, identity: Identity) -> bool:
        """Whether any app that the platform serves has this identity."""
        return identity in self.settings.served_identities or any(app.identity is identity for app in self.apps)
