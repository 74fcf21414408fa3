"""What only all apps of one environment together show: `derive_fleet(specs, environment) -> FleetAccess`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .access import AppAccess, FleetAccess, NamedPolicy, SecretPolicy
from .deployer import deployer_policy
from .derive import derive_resolved
from .environment import Environment
from .errors import Problem, ProblemList, SpecErrors, Spot
from .foreign_accounts import foreign_accounts
from .limits import MANAGED_PER_ROLE
from .packing import DoesNotFitError
from .resolve import resolve
from .secret_policies import secret_policies
from .spec import AppName, AppSpec, AppVariant


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedApp:
    """What one app becomes by itself: its variant with the variables replaced, and its access."""

    variant: AppVariant
    access: AppAccess


def derive_all(specs: Iterable[AppSpec], environment: Environment) -> tuple[AppAccess, ...]:
    """Derive every app, sorted by name; see `derive_fleet`."""
    return derive_fleet(specs, environment).apps


def derive_app(spec: AppSpec, environment: Environment) -> DerivedApp:
    """Derive one app; a function of its spec and the environment. Raises `SpecErrors` like `derive`."""
    problems = ProblemList()
    variant = resolve(spec.for_environment(environment.name), environment, problems)
    problems.raise_if_any()
    return DerivedApp(variant=variant, access=derive_resolved(variant, environment, problems))


def derive_fleet(
    specs: Iterable[AppSpec],
    environment: Environment,
    derive_one: Callable[[AppSpec, Environment], DerivedApp] = derive_app,
) -> FleetAccess:
    """Derive every app of an environment and what they share.

    Args:
        specs: As `load_specs` returns them.
        environment: The cluster, account and region.
        derive_one: Gives what `derive_app` gives, for a caller that has derived some apps already.

    Raises:
        SpecErrors: With the problems of all apps; SPEC020 where two apps come to share a service account, SPEC019
            where two come to share a SecretProviderClass.
    """
    ordered = sorted(specs, key=lambda spec: spec.app)
    apps: list[AppAccess] = []
    variants: dict[AppName, AppVariant] = {}
    found: list[Problem] = []
    for spec in ordered:
        try:
            derived = derive_one(spec, environment)
        except SpecErrors as errors:
            found += errors.problems
        else:
            apps.append(derived.access)
            variants[spec.app] = derived.variant
    if found:
        raise SpecErrors(found)
    problems = ProblemList()
    by_name = {spec.app: spec for spec in ordered}
    _check_unique(apps, by_name, problems, environment)
    policies = secret_policies(apps, variants, environment, problems)
    problems.raise_if_any()
    return FleetAccess(
        environment=environment,
        apps=tuple(apps),
        secret_policies=policies,
        foreign_accounts=foreign_accounts(
            apps, frozenset(arn for policy in policies for arn in policy.resources), environment
        ),
        deployer_policy=_deployer_policy(apps, policies, environment),
    )


def _deployer_policy(
    apps: list[AppAccess], policies: tuple[SecretPolicy, ...], environment: Environment
) -> tuple[NamedPolicy, ...]:
    try:
        return deployer_policy(apps, policies, environment)
    except DoesNotFitError as error:
        problems = ProblemList()
        spot = Spot(source=f"environment {environment.name}", line=1, column=1)
        what = f"the deployer's policy takes {error.used:,} characters in {error.documents} policies"
        fix = "restrict fewer secrets in one stack"
        problems.add(spot, "SPEC025", what, f"A role carries {MANAGED_PER_ROLE.amount} policies", fix)
        problems.raise_all()


def _check_unique(
    apps: Iterable[AppAccess], specs: Mapping[AppName, AppSpec], problems: ProblemList, environment: Environment
) -> None:
    accounts: dict[str, str] = {}
    classes: dict[str, str] = {}
    names: dict[str, str] = {}
    for app in apps:
        at = specs[app.app].at
        account = f"{app.namespace}/{app.service_account}"
        other = accounts.setdefault(account, app.app)
        if other != app.app:
            what = f"in {environment.name} the service account {account} belongs to the app {other!r} too"
            rule = "Pods of one service account share one role, so two apps would read each other's secrets"
            problems.add(at, "SPEC020", what, rule, "give each app a 'serviceAccount:' of its own")
        for name in (f"{app.namespace}/{mount.class_name}" for mount in app.mounts):
            other = classes.setdefault(name, app.app)
            if other != app.app:
                what = f"the SecretProviderClass {name} belongs to the app {other!r} too"
                rule = "A class is named after its app and mount, and two classes of one name are one"
                problems.add(at, "SPEC019", what, rule, "rename the mount or one of the apps")
        for name in sorted({app.role_name.lower(), *(each.arn.lower() for each in app.policies if each.arn)}):
            other = names.setdefault(name, app.app)
            if other != app.app:
                what = f"the name {name!r} belongs to the app {other!r} too"
                rule = "IAM takes names that differ in case only for the same"
                problems.add(at, "SPEC019", what, rule, "rename one of the apps")
