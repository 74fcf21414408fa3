"""What is asked of the Secrets Store CSI driver, as plain values: arguments, Helm values, the derived poll interval.

Not done here: installing it (csi_driver.py). Nothing of Pulumi is imported, so that `lockstep doctor` holds a cluster
against the same functions that the release is made of.

Source: chart secrets-store-csi-driver 1.6.0 and the driver's behaviour as measured (rotation is kubelet's republish).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .arguments import ArgumentProblem, CheckedArguments
from .driver_images import UPSTREAMS, DriverImages
from .placement import EXCLUDED_NODES, PRIORITY_CLASS
from .platform_settings import (
    CHART_VERSION,
    GO_DURATION,
    SHORTEST_RECONCILER_SECONDS,
    find_interval_problem,
    is_before_republishing,
)

#: Where the driver serves its metrics, on every node. Source: chart 1.6.0, `linux.metricsAddr`.
_METRICS_ADDRESS = ":8095"

#: Below kubelet's first retry (0.5 s). A longer value lets a pod start with an empty volume: after a first mount that
#: failed with a status that kubelet retries, the driver takes the young directory for a mounted one and answers OK.
_REPUBLISHING_INTERVAL = "100ms"

ChartValues = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsStoreCsiDriverArgs(CheckedArguments):
    """Arguments of `SecretsStoreCsiDriver`.

    Attributes:
        chart_repository: URL of the Helm repository.
        chart_version: Exact, such as 1.6.0.
        audiences: Of the tokens that the driver asks for: those of the apps and of other providers. Order and repeats
            do not matter.
        sync_secrets: Whether the driver may write Kubernetes Secrets. It is a right on all Secrets of the cluster, so
            it is off unless a spec needs it.
        refresh_interval_seconds: How old values may get. The provider keeps to it by itself; the driver needs it before
            1.6.0 only.
        poll_interval: Instead of the derived `rotationPollInterval`, a Go duration, for clusters where another provider
            of the driver has no memory of its own. Longer than kubelet's first retry it lets a pod start with an empty
            volume after a failed first mount; derived pods then need their guard.
        prevents_early_pods: Keep pods with secrets away from nodes where the driver has not registered. Needs
            Kubernetes 1.37 (`preventPodSchedulingIfMissing`); it says nothing of the provider.
        images: Where the driver's images come from; the chart's own registry is a public one.
        max_reply_bytes: Largest answer that the driver takes from a provider; None for the driver's own 4 MiB.
    """

    chart_repository: str
    chart_version: str
    audiences: tuple[str, ...]
    sync_secrets: bool
    refresh_interval_seconds: int
    poll_interval: str | None = None
    prevents_early_pods: bool = False
    images: DriverImages = UPSTREAMS
    max_reply_bytes: int | None = None

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what the chart or the driver would take without a word."""
        if not CHART_VERSION.fullmatch(self.chart_version):
            fix = "write an exact version such as 1.6.0"
            yield self.problem("chart_version", f"{self.chart_version!r} does not fit", "A chart is pinned", fix)
        elif self.needs_reconciler and self.refresh_interval_seconds < SHORTEST_RECONCILER_SECONDS:
            what = f"{self.refresh_interval_seconds} s is too short for driver {self.chart_version}"
            rule = "Before 1.6.0 the driver reads every secret of every pod that often"
            fix = f"pass {SHORTEST_RECONCILER_SECONDS} or more, or take driver 1.6.0"
            yield self.problem("refresh_interval_seconds", what, rule, fix)
        elif problem := find_interval_problem(self.chart_version, self.poll_interval):
            yield self.problem("poll_interval", *problem)
        if self.poll_interval is not None and not GO_DURATION.fullmatch(self.poll_interval):
            fix = "write it like 100ms, or leave it out"
            yield self.problem("poll_interval", f"{self.poll_interval!r} does not fit", "It is a Go duration", fix)

    @property
    def needs_reconciler(self) -> bool:
        """Whether the driver is one that rotates by a reconciler of its own, before 1.6.0."""
        return is_before_republishing(self.chart_version)


def derive_driver_values(args: SecretsStoreCsiDriverArgs) -> ChartValues:
    """Return the chart's values, every list in fixed order.

    Raises:
        ValueError: As `derive_poll_interval`.
    """
    expressions = [{"key": key, "operator": "NotIn", "values": [value]} for key, value in EXCLUDED_NODES]
    required = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    derived = derive_poll_interval(args.chart_version, args.refresh_interval_seconds)
    limit = {} if args.max_reply_bytes is None else {"maxCallRecvMsgSize": args.max_reply_bytes}
    return {
        **limit,
        "enableSecretRotation": True,
        "rotationPollInterval": args.poll_interval or derived,
        "syncSecret": {"enabled": args.sync_secrets},
        "tokenRequests": [{"audience": audience} for audience in sorted(set(args.audiences))],
        "linux": {
            **args.images.chart_values(),
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
            "metricsAddr": _METRICS_ADDRESS,
            "priorityClassName": PRIORITY_CLASS,
            "tolerations": [{"operator": "Exists"}],
        },
    }


def derive_poll_interval(chart_version: str, refresh_interval_seconds: int) -> str:
    """Return `rotationPollInterval` for a version of the driver, as a Go duration.

    >>> derive_poll_interval("1.6.0", 120)
    '100ms'
    >>> derive_poll_interval("1.5.4", 120)
    '120s'

    Raises:
        ValueError: The version is not `major.minor.patch`, or the interval would make an old driver's reconciler read
            every secret more than twice a minute.
    """
    if not is_before_republishing(chart_version):
        return _REPUBLISHING_INTERVAL
    if refresh_interval_seconds < SHORTEST_RECONCILER_SECONDS:
        raise ValueError(
            f"a refresh interval of {refresh_interval_seconds} s is too short for driver {chart_version}, which reads "
            f"every secret of every pod that often. Fix: at least {SHORTEST_RECONCILER_SECONDS} s, or driver 1.6.0"
        )
    return f"{refresh_interval_seconds}s"
