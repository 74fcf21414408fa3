"""Which volumes are served, how old their values are, and which of them fail behind the driver's back. Time is given.

Not done here: exporting (`metrics`), telling users (`kubernetes_events`).

Kubelet asks for a mounted volume again every 60 to 90 s, and the driver hides a failure of such a re-mount: the pod
keeps its old files and nobody is told. So the provider itself keeps, per volume, when it was last asked, since when it
has failed, and how old its oldest value was. A volume that nobody asks about any more has lost its pod and is left out.
A volume counts as mounted before if this process mounted it, or if the driver says so (up to 1.5 it sends versions).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from provider_runtime.errors import Culprit

if TYPE_CHECKING:
    from provider_runtime.ports import MountReport

FINE: Final = "OK"
VOLUME_LIMIT: Final = 10_000
"""Volumes remembered; a node has some hundred."""
QUIET_SECONDS: Final = 300.0
"""A volume not asked about for this long has no pod any more, at refresh intervals below a third of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Volume:
    asked_at: float
    oldest_read_at: float
    failing_since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSummary:
    """All volumes of this instance together."""

    fine: int
    failing: int
    """Mounted before, and the last mount failed."""
    oldest_seconds: float
    """Age of the oldest value that any pod still has; 0 without volumes."""
    failing_seconds: float
    """For how long the worst volume has failed; 0 if none does."""


class VolumeHealth:
    """What is known of each volume.

    Args:
        quiet_seconds: See QUIET_SECONDS; longer where volumes are asked about less often.
    """

    def __init__(self, *, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._quiet_seconds = quiet_seconds
        self._volumes: OrderedDict[tuple[str, str], _Volume] = OrderedDict()

    def note(self, report: MountReport, now: float) -> MountReport:
        """Take a finished mount in; return its report with `is_remount` set.

        Args:
            report: Without a target path it belongs to no volume and changes nothing.
            now: Monotonic seconds.
        """
        if not report.target_path:
            return report
        key = (report.pod_uid, report.target_path)
        known = self._volumes.get(key)
        is_remount = known is not None or report.is_known_to_driver
        is_fine = report.outcome == FINE
        if is_fine:
            volume = _Volume(asked_at=now, oldest_read_at=now - report.oldest_seconds, failing_since=None)
        elif known is not None:
            since = now if known.failing_since is None else known.failing_since
            volume = replace(known, asked_at=now, failing_since=since)
        elif is_remount:  # mounted by an instance before this one: how old its values are is not known
            volume = _Volume(asked_at=now, oldest_read_at=now, failing_since=now)
        else:
            return report
        self._volumes[key] = volume
        self._volumes.move_to_end(key)
        self._forget(now)
        return replace(report, is_remount=is_remount)

    def summarise(self, now: float) -> HealthSummary:
        """Sum up the volumes that are still asked about."""
        self._forget(now)
        volumes = tuple(self._volumes.values())
        failing = [now - one.failing_since for one in volumes if one.failing_since is not None]
        return HealthSummary(
            fine=len(volumes) - len(failing),
            failing=len(failing),
            oldest_seconds=max((now - one.oldest_read_at for one in volumes), default=0.0),
            failing_seconds=max(failing, default=0.0),
        )

    def _forget(self, now: float) -> None:
        """Drop volumes without a pod; those asked about longest ago come first."""
        while self._volumes:
            key, oldest = next(iter(self._volumes.items()))
            if now - oldest.asked_at <= self._quiet_seconds and len(self._volumes) <= VOLUME_LIMIT:
                return
            del self._volumes[key]


def is_masked(report: MountReport) -> bool:
    """Whether the driver hides this failure; a shutdown is repeated at the next instance and counts as none."""
    return report.is_remount and report.outcome != FINE and report.culprit not in {"", Culprit.SHUTDOWN}
