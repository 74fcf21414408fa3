"""From specs, or from plain numbers, to the loads of a fleet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from components.derivation.access import AppAccess, FleetAccess
from components.derivation.answers import regions_of
from components.derivation.arn import UNKNOWN_SUFFIX
from components.derivation.secret_match import without_suffix
from components.derivation.spec import Identity, Store
from lockstep.cost.model import AppLoad, parameter_calls
from lockstep.input_errors import InputError


def loads_of(
    fleet: FleetAccess, *, pods: float, pods_of: Mapping[str, int], refresh_seconds: float
) -> tuple[AppLoad, ...]:
    """Return one load per app of a fleet.

    Args:
        fleet: The environment's access.
        pods: All pods; those that `pods_of` does not place are spread evenly over the other apps.
        pods_of: App → pods, for apps whose number is known.
        refresh_seconds: For apps whose spec names none.

    Raises:
        InputError: ASK001, an app does not exist; ASK005, more pods are placed than there are.
    """
    names = {str(app.app) for app in fleet.apps}
    for name in pods_of:
        if name not in names:
            raise InputError(f"--pods-of: there is no app {name!r}. Apps are {', '.join(sorted(names))}. [ASK001]")
    rest = pods - sum(pods_of.values())
    others = len(names) - len(pods_of)
    if rest < 0 or (rest > 0 and not others):
        placed = f"{sum(pods_of.values())} on {len(pods_of)} of {len(names)} apps"
        raise InputError(
            f"--pods: {pods:g} pods, and --pods-of places {placed}. "
            "The sum of all apps is --pods. Fix: correct one of them. [ASK005]"
        )
    share = rest / others if others else 0.0
    return tuple(_load(app, pods_of.get(str(app.app), share), refresh_seconds) for app in fleet.apps)


def _load(app: AppAccess, pods: float, refresh_seconds: float) -> AppLoad:
    primary = regions_of(app)[0]
    keyed = {(grant.store, grant.source) for grant in app.grants if grant.key and grant.region == primary}
    stores = [(Store(listed.type.value), listed.name) for listed in app.objects]
    return AppLoad(
        name=str(app.app),
        pods=pods,
        secrets=sum(store is Store.SECRETS_MANAGER for store, _ in stores),
        parameters=sum(store is Store.PARAMETER_STORE for store, _ in stores),
        decrypted_secrets=sum(one in keyed for one in stores if one[0] is Store.SECRETS_MANAGER),
        decrypted_parameters=sum(one in keyed for one in stores if one[0] is Store.PARAMETER_STORE),
        regions=len(regions_of(app)),
        refresh_seconds=app.refresh_interval_seconds or refresh_seconds,
        mounts=len(app.mounts),
        parameter_calls=sum(
            parameter_calls(sum(Store(listed.type.value) is Store.PARAMETER_STORE for listed in mount.objects))
            for mount in app.mounts
        ),
        uses_sts=app.identity is Identity.IRSA,
    )


def stored_secrets(fleet: FleetAccess) -> int:
    """Return the distinct secrets that the specs name, one per region; a name and its ARN are one."""
    told: dict[str, set[str]] = defaultdict(set)
    for app in fleet.apps:
        for grant in app.grants:
            if grant.store is Store.SECRETS_MANAGER:
                told[without_suffix(grant.resource)].add(grant.resource)
    return sum(max(1, sum(not one.endswith(UNKNOWN_SUFFIX) for one in alike)) for alike in told.values())


def plain_loads(
    *, pods: float, apps: int, secrets: int, parameters: int, regions: int, keyed: bool, refresh_seconds: float
) -> tuple[AppLoad, ...]:
    """Return the loads of a fleet of equal apps."""
    return tuple(
        AppLoad(
            name=f"app-{number}",
            pods=pods / apps,
            secrets=secrets,
            parameters=parameters,
            decrypted_secrets=secrets if keyed else 0,
            regions=regions,
            refresh_seconds=refresh_seconds,
        )
        for number in range(1, apps + 1)
    )
