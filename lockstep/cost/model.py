"""How often a fleet calls AWS, with this provider and with AWS's own: a model, every assumption of it stated.

Kubelet republishes a volume every `resync_seconds` (60 to 90 s; 75 is taken). What follows from it:

- AWS's provider fetches everything for every pod, from every region of the class, whenever the driver's interval has
  passed at a republish: a pod is a caller of its own. On driver 1.6 and later each fetch is a GetSecretValue.
- This provider asks once per identity, object and node when a republish comes after the refresh interval, from the
  primary region only; its sessions are shared per identity and node. Pods of one app on one node share the work.

The expected number of nodes that run an app of n pods, placed at random on m nodes: m * (1 - (1 - 1/m)^n).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lockstep.cost.prices import (
    HIGHER_THROUGHPUT,
    HIGHER_THROUGHPUT_QUOTA,
    MONTH_SECONDS,
    PRICES,
    QUOTAS,
    Call,
    Price,
    Quota,
)

RESYNC_SECONDS = 75.0
#: A session of this provider lasts 900 s and is renewed 120 s before its end.
SESSION_SECONDS = 900.0 - 120.0
PARAMETERS_PER_CALL = 10
_CALLS_PER_PRICE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AppLoad:
    """One app's pods and what each of them mounts.

    Attributes:
        name: The app.
        pods: Running pods.
        secrets, parameters: Objects of its classes.
        decrypted: Of them, those under a customer key.
        decrypted_secrets: Of those, secrets.
        regions: Of its classes: the primary and the failover regions.
        refresh_seconds: This provider's refresh interval for it.
        mounts: Its classes, each of which a pod mounts by itself.
        parameter_calls: GetParameters calls that read all of them once, each of one class; None: they are of one class.
        uses_sts: Whether its identity is IRSA; Pod Identity asks the agent instead.
    """

    name: str
    pods: float
    secrets: int
    parameters: int
    decrypted_secrets: int = 0
    decrypted_parameters: int = 0
    regions: int = 1
    refresh_seconds: float = 120.0
    mounts: int = 1
    parameter_calls: int | None = None
    uses_sts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLoad:
    """A cluster.

    Attributes:
        apps: Its apps.
        nodes: Nodes that they are spread over at random.
        interval_seconds: The driver's rotationPollInterval, for AWS's provider.
        resync_seconds: Mean time between two republishes of a volume.
        rollout_seconds: Time in which a rollout mounts every pod anew.
        has_higher_throughput: Whether Parameter Store is set to higher throughput, which is billed.
        stored_secrets: Distinct secrets, replicas included.
    """

    apps: tuple[AppLoad, ...]
    nodes: int
    interval_seconds: float = 120.0
    resync_seconds: float = RESYNC_SECONDS
    rollout_seconds: float = 60.0
    has_higher_throughput: bool = False
    stored_secrets: int = 0

    @property
    def pods(self) -> float:
        """All pods."""
        return sum(app.pods for app in self.apps)

    def prices(self) -> tuple[Price, ...]:
        """Return the prices that hold for this fleet."""
        if not self.has_higher_throughput:
            return PRICES
        return (*(price for price in PRICES if price.call is not Call.GET_PARAMETERS), HIGHER_THROUGHPUT)

    def quotas(self) -> tuple[Quota, ...]:
        """Return the quotas that hold for this fleet."""
        if not self.has_higher_throughput:
            return QUOTAS
        return (*(quota for quota in QUOTAS if quota.call is not Call.GET_PARAMETERS), HIGHER_THROUGHPUT_QUOTA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Calls per second, by kind: in all regions together (what is billed), and in the busiest one (what quotas see)."""

    total: Mapping[Call, float] = field(default_factory=dict)
    in_one_region: Mapping[Call, float] = field(default_factory=dict)

    def monthly_usd(self, prices: tuple[Price, ...]) -> float:
        """Return US dollars a month."""
        per_call = {price.call: price.usd_per_10_000 / _CALLS_PER_PRICE for price in prices}
        return sum(rate * MONTH_SECONDS * per_call[call] for call, rate in self.total.items())

    def headroom(self, quota: Quota) -> float:
        """Return the share of a quota that is left, negative where it is exceeded."""
        return 1 - self.in_one_region.get(quota.call, 0.0) / quota.per_second


def aws_provider_period(fleet: FleetLoad) -> float:
    """Return the seconds between two fetches of one pod: the first republish at or after the interval."""
    return fleet.resync_seconds * _republishes(fleet.interval_seconds, fleet.resync_seconds)


def aws_provider_traffic(fleet: FleetLoad) -> Traffic:
    """Return what AWS's provider asks in steady state."""
    period = aws_provider_period(fleet)
    return _sum((app, app.pods / period, app.regions, app.mounts * app.pods / period) for app in fleet.apps)


def aws_provider_rollout(fleet: FleetLoad) -> Traffic:
    """Return what it asks while a rollout mounts every pod."""
    return _sum(
        (app, app.pods / fleet.rollout_seconds, app.regions, app.mounts * app.pods / fleet.rollout_seconds)
        for app in fleet.apps
    )


def nodes_with(app: AppLoad, nodes: int) -> float:
    """Return the expected number of nodes that run an app's pods."""
    return nodes * (1 - math.pow(1 - 1 / nodes, app.pods))


def refresh_period(app: AppLoad, fleet: FleetLoad) -> float:
    """Return the seconds between two checks of an app's objects on one node.

    Its pods' republishes come evenly spread; the first one after the refresh interval checks.
    """
    occupied = nodes_with(app, fleet.nodes)
    spacing = fleet.resync_seconds / max(1.0, app.pods / occupied) if occupied else fleet.resync_seconds
    return spacing * _republishes(app.refresh_seconds, spacing)


def _republishes(interval: float, spacing: float) -> int:
    """Republishes until one comes at or after the interval; a quotient is not raised by its rounding."""
    return max(1, math.ceil(interval / spacing - 1e-9))


def traffic(fleet: FleetLoad) -> Traffic:
    """Return what this provider asks in steady state, every primary region answering."""
    return _sum(
        (app, occupied / refresh_period(app, fleet), 1, occupied / SESSION_SECONDS)
        for app in fleet.apps
        for occupied in (nodes_with(app, fleet.nodes),)
    )


def rollout(fleet: FleetLoad) -> Traffic:
    """Return what it asks while a rollout mounts every pod: at most once per identity, node and ten seconds.

    Ten seconds is the age up to which a first mount takes a value from memory.
    """
    folds = max(1.0, fleet.rollout_seconds / 10)
    return _sum(
        (app, min(app.pods, occupied * folds) / fleet.rollout_seconds, 1, occupied / fleet.rollout_seconds)
        for app in fleet.apps
        for occupied in (nodes_with(app, fleet.nodes),)
    )


def parameter_calls(parameters: int) -> int:
    """Return the GetParameters calls that read the parameters of one class."""
    return math.ceil(parameters / PARAMETERS_PER_CALL)


def _sum(loads: Iterable[tuple[AppLoad, float, int, float]]) -> Traffic:
    """Add up (app, fetches per second and region, regions asked, sessions per second and region)."""
    total = dict.fromkeys(Call, 0.0)
    one = dict.fromkeys(Call, 0.0)
    for app, fetches, regions, sessions in loads:
        batches = app.parameter_calls
        if batches is None:
            batches = parameter_calls(app.parameters)
        for call, rate in (
            (Call.GET_SECRET_VALUE, fetches * app.secrets),
            (Call.GET_PARAMETERS, fetches * batches),
            (Call.DECRYPT, fetches * (app.decrypted_secrets + app.decrypted_parameters)),
            (Call.ASSUME_ROLE, sessions if app.uses_sts else 0.0),
        ):
            one[call] += rate
            total[call] += rate * regions
    return Traffic(total=total, in_one_region=one)


def assumptions(fleet: FleetLoad) -> tuple[str, ...]:
    """Return everything that the numbers rest on, as clauses."""
    throughput = "higher throughput, which is billed" if fleet.has_higher_throughput else "standard throughput, free"
    theirs = (
        f"AWS's provider: driver 1.6 or later, it writes the files itself, interval {fleet.interval_seconds:g} s; "
        "every fetch is a GetSecretValue per secret and a GetParameters per ten parameters of a class, from every "
        "region of the class, with one STS call per mount and region"
    )
    ours = (
        "this provider: one check per identity, object and node after the refresh interval, from the primary region; "
        "one STS call per identity, node and 780 s"
    )
    return (
        f"kubelet republishes a volume every {fleet.resync_seconds:g} s on average (60 to 90 s is nominal)",
        "pods are placed on nodes at random and spread evenly over the apps, unless --pods-of says otherwise",
        theirs,
        ours,
        "a read of an object under a customer key is one KMS Decrypt; AWS's own keys cost nothing",
        "every primary region answers; in an outage this provider asks the failover region instead, not as well",
        "counted are mounts: what an app's own SDK reads by 'parameterPaths' is as much as the app asks for",
        f"a rollout mounts every pod within {fleet.rollout_seconds:g} s",
        "list prices of us-east-1, no free tier, no discount; a month has 730 hours; traffic and endpoints not counted",
        f"Parameter Store has {throughput}",
    )
