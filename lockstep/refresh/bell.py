"""Rings at pods until their files are new, or until time is up. Time is given by the caller.

Not done here: finding the pods (mounted_pods.py), and saying why nothing came (reasons.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from lockstep.cluster.api_server import NOT_FOUND, ApiError, ClusterWriter
from lockstep.refresh.mounted_pods import MountedClass, Versions, fetch_versions
from lockstep.refresh.newest_versions import Newest, holds

#: The annotation that is touched. Its value says when; nobody reads it.
ANNOTATION: Final = "lockstep/refresh-requested-at"

#: The second ring tells the provider that the republish was asked for; kubelet's own come a minute apart.
_SECOND_RING_SECONDS: Final = 2.0
#: Then so often, so that one falls after the provider's `--first-mount-max-age` (10 s by default).
_RING_SECONDS: Final = 6.0
_POLL_SECONDS: Final = 0.5
_CONFLICT: Final = 409


class Outcome(StrEnum):
    """What became of one mount."""

    REFRESHED = "refreshed"
    CURRENT = "current"
    UNCHANGED = "unchanged"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountResult:
    """How one mount ended.

    Attributes:
        changed: Files with another version than before, sorted.
        behind: Files that AWS has a newer version of, sorted; () also where AWS could not be asked.
    """

    mount: MountedClass
    outcome: Outcome
    changed: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock of a run: what `time.monotonic` and `time.sleep` do, and how long it may last."""

    now: Callable[[], float]
    sleep: Callable[[float], None]
    timeout_seconds: float


def refresh(
    mounts: tuple[MountedClass, ...], newest: Newest, cluster: ClusterWriter, timing: Timing
) -> tuple[MountResult, ...]:
    """Ring at the pods of some mounts until each holds what is new.

    Args:
        mounts: Of one app.
        newest: What AWS has; a mount of which nothing is known here is done when any version of it changed.
        cluster: Pods are patched, statuses read.
        timing: Bounds the run.

    Returns:
        One result per mount, in their order.

    Raises:
        ApiError: A pod may not be patched, or statuses may not be read.
    """
    before = fetch_versions(mounts, cluster)
    results = {mount: _already(mount, before[mount], newest) for mount in mounts}
    started = timing.now()
    rung, next_ring = 0, started
    while True:
        waiting = tuple(mount for mount in mounts if results[mount] is None)
        if not waiting or timing.now() - started >= timing.timeout_seconds:
            break
        if timing.now() >= next_ring:
            gone = set(_ring(waiting, cluster))
            results.update({mount: MountResult(mount=mount, outcome=Outcome.GONE) for mount in gone})
            rung += 1
            next_ring = timing.now() + (_SECOND_RING_SECONDS if rung == 1 else _RING_SECONDS)
        timing.sleep(_POLL_SECONDS)
        for mount, versions in fetch_versions(waiting, cluster).items():
            results[mount] = results[mount] or _done(mount, before[mount], versions, newest)
    held = fetch_versions(mounts, cluster)
    return tuple(results[mount] or _unchanged(mount, before[mount], held[mount], newest) for mount in mounts)


def _ring(mounts: Iterable[MountedClass], cluster: ClusterWriter) -> Iterable[MountedClass]:
    """Touch each pod once; return the mounts of pods that are gone."""
    by_pod: dict[tuple[str, str], list[MountedClass]] = {}
    for mount in mounts:
        by_pod.setdefault((mount.pod_path, mount.uid), []).append(mount)
    gone: list[MountedClass] = []
    for (path, uid), mounted in by_pod.items():
        stamp = datetime.now(UTC).isoformat(timespec="microseconds")
        # The uid in a patch is a precondition: a pod of that name that came since is left alone.
        change = {"metadata": {"annotations": {ANNOTATION: stamp}, **({"uid": uid} if uid else {})}}
        try:
            cluster.merge(path, change)
        except ApiError as error:
            if error.status not in {NOT_FOUND, _CONFLICT}:
                raise
            gone += mounted
    return gone


def _known(mount: MountedClass, newest: Newest) -> Mapping[str, str]:
    return {file: version for (class_name, file), version in newest.items() if class_name == mount.class_name}


def _behind(mount: MountedClass, versions: Versions, newest: Newest) -> tuple[str, ...]:
    known = _known(mount, newest)
    return tuple(sorted(file for file, version in known.items() if not holds(versions.get(file, ""), version)))


def _changed(before: Versions, versions: Versions) -> tuple[str, ...]:
    return tuple(sorted(file for file in before.keys() | versions.keys() if before.get(file) != versions.get(file)))


def _already(mount: MountedClass, before: Versions, newest: Newest) -> MountResult | None:
    """Return a result for a mount of which every file is known to be the newest, before anything is touched."""
    known = _known(mount, newest)
    is_whole = bool(before) and before.keys() <= known.keys()
    if is_whole and not _behind(mount, before, newest):
        return MountResult(mount=mount, outcome=Outcome.CURRENT)
    return None


def _done(mount: MountedClass, before: Versions, versions: Versions, newest: Newest) -> MountResult | None:
    changed = _changed(before, versions)
    if not versions or not changed or _behind(mount, versions, newest):
        return None
    return MountResult(mount=mount, outcome=Outcome.REFRESHED, changed=changed)


def _unchanged(mount: MountedClass, before: Versions, versions: Versions, newest: Newest) -> MountResult:
    return MountResult(
        mount=mount,
        outcome=Outcome.UNCHANGED,
        changed=_changed(before, versions),
        behind=_behind(mount, versions, newest),
    )
