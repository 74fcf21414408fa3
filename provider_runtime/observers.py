"""Everything that watches the daemon, joined: who is told about mounts and calls, what the HTTP listener answers.

Not done here: any of the watching itself. An observer that fails is logged once per mount and never fails the mount.
"""

from __future__ import annotations

import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from provider_runtime.audit import AuditObserver
from provider_runtime.health import HealthListener, Page, Probe, render_probes
from provider_runtime.metrics import CONTENT_TYPE, LiveGauge, RuntimeMetrics
from provider_runtime.telemetry import describe_exception, log_event
from provider_runtime.volume_health import QUIET_SECONDS, VolumeHealth

if TYPE_CHECKING:
    from collections.abc import Callable

    from provider_runtime.observability_settings import ListenAddress, ObservabilitySettings
    from provider_runtime.ports import CallObserver, CallReport, Clock, MountObserver, MountReport

_LOG: Final = logging.getLogger(__name__)
_QUIET_INTERVALS: Final = 3
"""Refresh intervals without a re-mount after which a volume has no pod any more."""


class Phase(Enum):
    """What the instance is doing with its socket."""

    STARTING = auto()
    SERVING = auto()
    DRAINING = auto()


class Observers:
    """The `MountObserver` and `CallObserver` that the daemon hands to its parts.

    Args:
        settings: Of the listener and the audit line.
        clock: Monotonic time.
        mount_log: Writes the line per mount.
        audit_logger: Where audit lines go.
        refresh_interval_seconds: Decides how long a silent volume is still expected to come back.
        is_socket_ours: Whether the public socket name leads to this instance.
    """

    def __init__(
        self,
        settings: ObservabilitySettings,
        *,
        clock: Clock,
        mount_log: MountObserver,
        audit_logger: logging.Logger,
        refresh_interval_seconds: float,
        is_socket_ours: Callable[[], bool],
    ) -> None:
        self.phase = Phase.STARTING
        self._clock = clock
        self._is_socket_ours = is_socket_ours
        self._volumes = VolumeHealth(quiet_seconds=max(QUIET_SECONDS, _QUIET_INTERVALS * refresh_interval_seconds))
        self.metrics = RuntimeMetrics()
        self._mount_observers: list[MountObserver] = [
            mount_log,
            self.metrics,
            AuditObserver(audit_logger, settings.audit_log),
        ]
        self._call_observers: list[CallObserver] = [self.metrics]
        for gauge in self._own_gauges():
            self.metrics.watch(gauge)

    def add_mount_observer(self, observer: MountObserver) -> None:
        """Tell one more about mounts."""
        self._mount_observers.append(observer)

    def add_call_observer(self, observer: CallObserver) -> None:
        """Tell one more about calls."""
        self._call_observers.append(observer)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Export a number of another part of the daemon, read at each scrape."""
        self.metrics.watch(LiveGauge(name=name, help=text, read=read))

    def mount_finished(self, report: MountReport) -> None:
        """Tell everyone about the mount."""
        report = self._volumes.note(report, self._clock.monotonic())
        for observer in self._mount_observers:
            try:
                observer.mount_finished(report)
            except Exception as error:  # noqa: BLE001  # watching must not fail what is watched
                _log_broken(observer, error)

    def call_finished(self, report: CallReport) -> None:
        """Tell everyone about the call."""
        for observer in self._call_observers:
            try:
                observer.call_finished(report)
            except Exception as error:  # noqa: BLE001  # as above
                _log_broken(observer, error)

    def listener(self, address: ListenAddress) -> HealthListener:
        """Build the HTTP listener; the caller runs it."""
        return HealthListener(
            address,
            {
                "/metrics": lambda: Page(status=200, body=self.metrics.render(), content_type=CONTENT_TYPE),
                "/livez": lambda: render_probes((Probe(name="event-loop", check=_turns), self._socket_is_kept())),
                "/readyz": lambda: render_probes((Probe(name="socket", check=self.is_serving),)),
            },
        )

    def is_serving(self) -> bool:
        """Whether a driver that dials now reaches this instance."""
        return self.phase is Phase.SERVING and self._is_socket_ours()

    def _socket_is_kept(self) -> Probe:
        """While serving, the name must be ours: what holds it otherwise may be dead, and nobody reaches us."""
        return Probe(name="socket", check=lambda: self.phase is not Phase.SERVING or self._is_socket_ours())

    def _own_gauges(self) -> tuple[LiveGauge, ...]:
        return (
            LiveGauge(
                name="socket_served",
                help="1 while the driver's dial reaches this instance.",
                read=lambda: float(self.is_serving()),
            ),
            LiveGauge(
                name="volumes",
                help="Mounted volumes that kubelet still asks about.",
                read=lambda: sum(self._count_volumes()),
            ),
            LiveGauge(
                name="volumes_failing",
                help="Of these, volumes whose last re-mount failed: their pods keep old files and are not told.",
                read=lambda: self._count_volumes()[1],
            ),
            LiveGauge(
                name="failing_seconds",
                help="For how long the worst volume has failed to be refreshed; 0 if none fails.",
                read=lambda: self._volumes.summarise(self._clock.monotonic()).failing_seconds,
            ),
            LiveGauge(
                name="oldest_served_value_seconds",
                help="Time since AWS was asked for the oldest value that a mounted volume holds.",
                read=lambda: self._volumes.summarise(self._clock.monotonic()).oldest_seconds,
            ),
        )

    def _count_volumes(self) -> tuple[int, int]:
        summary = self._volumes.summarise(self._clock.monotonic())
        return summary.fine, summary.failing


def _turns() -> bool:
    """Answering from the event loop is the proof."""
    return True


def _log_broken(observer: object, error: Exception) -> None:
    log_event(
        _LOG, logging.ERROR, f"{type(observer).__name__} failed; mounts go on", exception=describe_exception(error)
    )
