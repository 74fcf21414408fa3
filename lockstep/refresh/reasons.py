"""Why a refresh brought nothing new, as far as the cluster tells it."""

from __future__ import annotations

from collections.abc import Iterator

from components.placement import DRIVER_NAME
from lockstep.cluster.api_server import ClusterReader
from lockstep.doctor.cluster_objects import Kind, LiveObjects
from lockstep.doctor.compatibility import is_at_least
from lockstep.doctor.driver_checks import RunningDriver, find_driver
from lockstep.doctor.verdicts import UnseenError
from provider_runtime.go_flags import parse_duration

#: From here on the driver is driven by kubelet's republish. Source: driver 1.6.0.
_REPUBLISHING_SINCE = "1.6.0"
_DEFAULT_INTERVAL = "2m"
_SHORT_SECONDS = 1.0


def reasons(cluster: ClusterReader, *, is_known_behind: bool) -> Iterator[str]:
    """Yield sentences that say what may hold a new value back, the surest first.

    Args:
        cluster: Its driver is looked at.
        is_known_behind: Whether AWS is known to have something newer.
    """
    objects = LiveObjects(cluster)
    try:
        driver = find_driver(objects)
        yield from _of_driver(driver, objects)
    except UnseenError as unseen:
        yield f"the driver could not be looked at ({unseen})"
    if is_known_behind:
        yield "the provider could not read the new version: look at its log and the pod's events, or ask `lockstep why`"
    else:
        yield "AWS may have nothing new: with credentials that may describe the objects this is told for sure"


def _of_driver(driver: RunningDriver | None, objects: LiveObjects) -> Iterator[str]:
    if driver is None:
        yield "the driver's DaemonSet is not there"
        return
    interval = driver.flags.get("rotation-poll-interval") or _DEFAULT_INTERVAL
    if driver.flags.get("enable-secret-rotation") != "true":
        yield "the driver's rotation is off: nothing that is mounted is ever renewed"
    elif driver.version and not is_at_least(driver.version, _REPUBLISHING_SINCE):
        yield f"driver {driver.version} renews by its own clock, every {interval}, and no sooner whatever is asked"
    elif _seconds(interval) > _SHORT_SECONDS:
        yield f"the driver passes nothing on for {interval} after a mount's last change (rotation-poll-interval)"
    drivers = [item for item in objects.listed(Kind.CSI_DRIVER) if item["metadata"]["name"] == DRIVER_NAME]
    if drivers and not drivers[0]["spec"].get("requiresRepublish"):
        yield "the CSIDriver has no requiresRepublish: kubelet publishes each volume once"


def _seconds(interval: str) -> float:
    try:
        return parse_duration(interval)
    except ValueError:
        return 0.0
