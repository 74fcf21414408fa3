"""The metrics that a provider with everything switched on exports, learned from the provider itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from provider_runtime.blocking_calls import BlockingCalls
from provider_runtime.config import parse_settings
from provider_runtime.daemon import Daemon
from provider_runtime.ports import CallReport
from provider_runtime.socket_takeover import SocketTakeover
from tests.fakes.daemons import socket_directory
from tests.fakes.ports import RecordingObserver
from tests.runtime.observability.reports import make_report

if TYPE_CHECKING:
    from provider_runtime.observers import Observers

_SUFFIXES = ("_bucket", "_sum", "_count", "_created")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One metric: `counter`, `gauge` or `histogram`, and its labels without `le`."""

    kind: str
    labels: frozenset[str]


@lru_cache(maxsize=1)
def exported_metrics() -> dict[str, Exported]:
    """Metric name as it is written in a query (counters with `_total`, histograms without suffix) → what it is."""
    text = asyncio.run(_scrape()).decode()
    found: dict[str, Exported] = {}
    for family in text_string_to_metric_families(text):
        labels = {label for sample in family.samples for label in sample.labels if label != "le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if not name.endswith("_created"):
            found[name] = Exported(kind=family.type, labels=frozenset(labels))
    return found


def query_names(metric: str, kind: str) -> tuple[str, ...]:
    """The sample names under which a query may use a metric."""
    return tuple(f"{metric}{suffix}" for suffix in _SUFFIXES[:3]) if kind == "histogram" else (metric,)


async def _scrape() -> bytes:
    """Build what the daemon builds, without serving, and let every metric have a sample."""
    with socket_directory() as directory:
        settings = parse_settings([f"--provider-volume={directory}", "--metrics-address="], {})
        daemon = Daemon(settings, environment={}, observer=RecordingObserver())
        takeover = SocketTakeover(str(directory), "aws.sock")
        observers: Observers = daemon._build_observers(takeover, None)
        calls = BlockingCalls(workers=1, clock=daemon._clock)
        async with asyncio.TaskGroup() as tasks:
            service = daemon._build_service(calls, tasks, observers)
            daemon._watch(service, calls, observers, tasks)
        calls.close()
        observers.mount_finished(make_report(outcome="NOT_FOUND", culprit="not_found", error_code="LSP310"))
        observers.call_finished(
            CallReport(service="ssm", action="GetParameters", region="eu-west-1", outcome="ok", seconds=0.1)
        )
        return observers.metrics.render()
