"""What only all apps of one environment together show: `derive_fleet(specs, environment) -> FleetAccess`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from components.derivation.access import AppAccess, FleetAccess
from components.derivation.derive import derive
from components.derivation.environment import Environment
from components.derivation.errors import Problem, ProblemList, SpecErrors
from components.derivation.spec import AppName, AppSpec


def derive_all(specs: Iterable[AppSpec], environment: Environment) -> tuple[AppAccess, ...]:
    """Derive every app, sorted by name; see `derive_fleet`."""
    return derive_fleet(specs, environment).apps


def derive_fleet(specs: Iterable[AppSpec], environment: Environment) -> FleetAccess:
    """Derive every app of an environment and what they share.

    Raises:
        SpecErrors: With the problems of all apps; SPEC020 where two apps come to share a service account, SPEC019
            where two come to share a SecretProviderClass.
    """
    ordered = sorted(specs, key=lambda spec: spec.app)
    apps: list[AppAccess] = []
    found: list[Problem] = []
    for spec in ordered:
        try:
            apps.append(derive(spec, environment))
        except SpecErrors as errors:
            found += errors.problems
    if found:
        raise SpecErrors(found)
    problems = ProblemList()
    by_name = {spec.app: spec for spec in ordered}
    _check_unique(apps, by_name, problems, environment)
    problems.raise_if_any()
    return FleetAccess(environment=environment, apps=tuple(apps))


def _check_unique(
    apps: Iterable[AppAccess], specs: Mapping[AppName, AppSpec], problems: ProblemList, environment: Environment
) -> None:
    accounts: dict[str, str] = {}
    classes: dict[str, str] = {}
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
