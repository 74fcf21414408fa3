"""Prometheus metrics of one serving instance, in a registry of its own.

Not done here: the listener (`health`), what counts as a re-mount (`volume_health`).

Every label is from a closed set: gRPC status, error code, culprit, service, action, kind. No namespace, pod, class,
object or error text becomes a label: that would grow without bound, and the port is open to whoever reaches the pod.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily

from provider_runtime.errors import Culprit
from provider_runtime.version import VERSION
from provider_runtime.volume_health import FINE, is_masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

    from provider_runtime.ports import CallReport, MountReport

PREFIX: Final = "lockstep_provider"
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_MOUNT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_CALL_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGauge:
    """A number that is read when somebody scrapes.

    Args:
        name: Without the prefix.
        help: One sentence.
        read: Quick, from the event loop's thread.
    """

    name: str
    help: str
    read: Callable[[], float]


class RuntimeMetrics:
    """A `MountObserver` and `CallObserver` that counts."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        self._mounts = Counter(
            f"{PREFIX}_mounts",
            "Finished mounts. status: OK or the gRPC code; code and culprit: of the first problem, empty on success; "
            "kind: first, or remount of a volume that was mounted before.",
            ("status", "code", "culprit", "kind"),
            registry=registry,
        )
        self._mount_seconds = Histogram(
            f"{PREFIX}_mount_seconds",
            "Duration of mounts. outcome: ok or error; kind as above.",
            ("outcome", "kind"),
            buckets=_MOUNT_BUCKETS,
            registry=registry,
        )
        self._masked = Counter(
            f"{PREFIX}_masked_failures",
            "Failed re-mounts: the driver reports success to kubelet and the pod keeps its old files.",
            ("culprit",),
            registry=registry,
        )
        self._sheds = Counter(f"{PREFIX}_sheds", "Mounts refused at once, over --max-mounts.", registry=registry)
        self._reads = Counter(
            f"{PREFIX}_cache_reads",
            "Objects' reads by where the value came from. kind: fresh (remembered, young enough), shared (another "
            "mount's call under way), stale (last known value during an outage), miss (asked AWS).",
            ("kind",),
            registry=registry,
        )
        self._absent = Counter(
            f"{PREFIX}_optional_absent", "Optional objects that were not there, per mount.", registry=registry
        )
        self._calls = Counter(
            f"{PREFIX}_aws_calls",
            "Calls by service and action. outcome: ok, the culprit of the failure, or abandoned.",
            ("service", "action", "outcome"),
            registry=registry,
        )
        self._call_seconds = Histogram(
            f"{PREFIX}_aws_call_seconds",
            "Duration of calls, the SDK's own retries included.",
            ("service", "action"),
            buckets=_CALL_BUCKETS,
            registry=registry,
        )
        self._events = Counter(
            f"{PREFIX}_kubernetes_events",
            "Kubernetes Events about masked failures. outcome: sent, failed, dropped.",
            ("outcome",),
            registry=registry,
        )
        build = Gauge(f"{PREFIX}_build_info", "Always 1; what runs.", ("version", "python"), registry=registry)
        build.labels(VERSION, ".".join(str(part) for part in sys.version_info[:3])).set(1)
        for kind in ("fresh", "shared", "stale", "miss"):
            self._reads.labels(kind)
        for outcome in ("sent", "failed", "dropped"):
            self._events.labels(outcome)
        for culprit in Culprit:  # a series that begins with its first failure hides that failure from rate()
            self._masked.labels(culprit.value)
        self._live = _LiveCollector()
        registry.register(self._live)

    def watch(self, gauge: LiveGauge) -> None:
        """Export one more gauge."""
        self._live.gauges.append(gauge)

    def mount_finished(self, report: MountReport) -> None:
        """Count the mount."""
        is_fine = report.outcome == FINE
        kind = "remount" if report.is_remount else "first"
        self._mounts.labels(report.outcome, report.error_code, report.culprit, kind).inc()
        self._mount_seconds.labels("ok" if is_fine else "error", kind).observe(report.seconds)
        for name, count in (
            ("fresh", report.remembered),
            ("shared", report.shared),
            ("stale", report.stale),
            ("miss", report.missed),
        ):
            if count:
                self._reads.labels(name).inc(count)
        if report.absent:
            self._absent.inc(len(report.absent))
        if report.culprit == Culprit.OVERLOAD:
            self._sheds.inc()
        if is_masked(report):
            self._masked.labels(report.culprit).inc()

    def call_finished(self, report: CallReport) -> None:
        """Count the call."""
        self._calls.labels(report.service, report.action, report.outcome).inc()
        self._call_seconds.labels(report.service, report.action).observe(report.seconds)

    def event_finished(self, outcome: str) -> None:
        """Count a Kubernetes Event: `sent`, `failed` or `dropped`."""
        self._events.labels(outcome).inc()

    def render(self) -> bytes:
        """Render all metrics in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)


class _LiveCollector:
    """Reads the live gauges at scrape time; one that fails is left out and logged."""

    def __init__(self) -> None:
        self.gauges: list[LiveGauge] = []

    def collect(self) -> Iterator[Metric]:
        """Yield one family per gauge."""
        for gauge in self.gauges:
            try:
                value = gauge.read()
            except Exception:  # noqa: BLE001  # one broken gauge must not take the others away
                _LOG.warning("gauge %s could not be read", gauge.name)
                continue
            yield GaugeMetricFamily(f"{PREFIX}_{gauge.name}", gauge.help, value=value)
