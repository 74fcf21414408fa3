"""How long values may be served from memory: a pure state machine, time is an argument.

Not done here: fetching, single flight, anything asynchronous (`mounting`).

Two parts. `VolumeAges` decides how old a value this mount may take; `ValueCache` keeps values per identity. Its owner
never asks for an identity that was not checked for this very request, so a hit can be as trusted as a read.

Shares are per identity, in entries and in bytes, and a full share evicts its own oldest entry only: no identity can
push out a neighbour's values. The whole is bounded too; past that bound new values are not kept, which costs calls,
never correctness.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, NewType, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

VolumeKey = NewType("VolumeKey", tuple[str, ...])
"""One volume of one pod under one text of its class: pod uid, target path, account, and a digest of the class. Another
text makes it another volume, so that a changed class starts with young values."""

REQUESTED_REPUBLISH_SECONDS: Final = 45.0
"""Kubelet republishes a pod every 60 to 90 s; a republish sooner than this was asked for (a pod update)."""
FORGET_VOLUME_SECONDS: Final = 3600.0
"""A volume that was not republished for this long has no pod any more."""
LONGEST_READ_SECONDS: Final = 600.0
"""No read takes longer; a refusal older than this can overtake nothing."""
DROP_SECONDS: Final = 1.0
"""How often entries past every age are looked for."""
JITTER_SHARE: Final = 0.1
"""A refresh comes up to this share of the interval early, so that a node's pods do not all ask at once."""

_Identity = TypeVar("_Identity", bound="Hashable")
_Read = TypeVar("_Read", bound="Hashable")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeLimits:
    """Ages in seconds, as the daemon's flags of the same names."""

    first_mount_max_age_seconds: float
    refresh_interval_seconds: float
    max_stale_seconds: float


class VolumeAges:
    """Remembers when each volume was last mounted and derives the age that the next mount accepts."""

    def __init__(self, limits: AgeLimits) -> None:
        self._limits = limits
        self._mounted_at: OrderedDict[VolumeKey, float] = OrderedDict()

    def accepted_age(self, volume: VolumeKey, now: float, *, interval_seconds: float | None = None) -> float:
        """Return the age in seconds up to which this mount may take a remembered value.

        A volume never mounted before (by this process), or mounted again sooner than kubelet does by itself, wants
        young values; an ordinary republish is content with the refresh interval: the class's, or the daemon's.
        """
        interval = self._limits.refresh_interval_seconds if interval_seconds is None else interval_seconds
        previous = self._mounted_at.get(volume)
        if previous is None or now - previous < REQUESTED_REPUBLISH_SECONDS:
            return min(self._limits.first_mount_max_age_seconds, interval)
        return interval

    def note_mounted(self, volume: VolumeKey, now: float) -> None:
        """Record a successful mount; volumes long gone are forgotten on the way."""
        self._mounted_at[volume] = now
        self._mounted_at.move_to_end(volume)
        while now - next(iter(self._mounted_at.values())) > FORGET_VOLUME_SECONDS:
            self._mounted_at.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheBounds:
    """How much may be kept."""

    entries_per_identity: int = 2_000
    bytes_per_identity: int = 8 * 1024 * 1024
    bytes_total: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedValue(Generic[_Value]):
    """One remembered read."""

    value: _Value
    read_at: float
    """When the read began: the value is at least as new as this."""
    size_bytes: int
    early_share: float
    """Share of an accepted age by which this entry counts as older, 0 to JITTER_SHARE."""


@dataclass(slots=True, kw_only=True)
class _Share(Generic[_Read, _Value]):
    entries: OrderedDict[_Read, CachedValue[_Value]] = field(default_factory=OrderedDict)
    size_bytes: int = 0


class ValueCache(Generic[_Identity, _Read, _Value]):
    """Remembered reads per identity.

    Args:
        bounds: Entries and bytes.
        keep_seconds: Entries older than this are dropped: the longest age that any lookup may accept.
        draw: Source of jitter, 0 <= draw() < 1.
    """

    def __init__(self, *, bounds: CacheBounds, keep_seconds: float, draw: Callable[[], float]) -> None:
        self._bounds = bounds
        self._keep_seconds = keep_seconds
        self._draw = draw
        self._shares: OrderedDict[_Identity, _Share[_Read, _Value]] = OrderedDict()
        self._refused_at: OrderedDict[tuple[_Identity, _Read | None], float] = OrderedDict()
        self._size_bytes = 0
        self._dropped_at = -DROP_SECONDS

    @property
    def size_bytes(self) -> int:
        """Bytes kept for all identities together."""
        return self._size_bytes

    def find(self, identity: _Identity, read: _Read, *, now: float, accepted_age: float) -> CachedValue[_Value] | None:
        """Return the entry if it is young enough; the jitter makes long ages end a little early, never late."""
        return self.find_all(identity, (read,), now=now, accepted_age=accepted_age).get(read)

    def find_all(
        self, identity: _Identity, reads: Iterable[_Read], *, now: float, accepted_age: float
    ) -> dict[_Read, CachedValue[_Value]]:
        """Return the entries of those reads that are young enough, as `find` does for one."""
        share = self._shares.get(identity)
        if share is None:
            return {}
        entries = [(read, share.entries.get(read)) for read in reads]
        return {
            read: entry
            for read, entry in entries
            if entry is not None and now - entry.read_at <= accepted_age * (1 - entry.early_share)
        }

    def find_last_known(
        self, identity: _Identity, read: _Read, *, now: float, max_stale: float
    ) -> CachedValue[_Value] | None:
        """Return the entry for bridging an outage: any age up to `max_stale` seconds; 0 finds nothing."""
        entry = self._entry(identity, read)
        if entry is None or max_stale <= 0 or now - entry.read_at > max_stale:
            return None
        return entry

    def store(self, identity: _Identity, read: _Read, value: _Value, *, read_at: float, size_bytes: int) -> bool:
        """Remember one read; return False when it does not fit or was overtaken. See `store_all`."""
        return self.store_all(identity, {read: (value, size_bytes)}, read_at=read_at) == 1

    def store_all(self, identity: _Identity, results: Mapping[_Read, tuple[_Value, int]], *, read_at: float) -> int:
        """Remember what one call gave, and return how much of it was kept.

        A read that began before a newer one, or before a refusal of the same read, changes nothing: a slow answer must
        not bring back what was revoked while it travelled. All of one call share their jitter: what was read together
        falls due together, else a batch would be asked for in pieces from its first refresh on.

        Args:
            identity: Whose share.
            results: Read → (value, its size in bytes).
            read_at: When the call began.
        """
        self._drop_old(read_at)
        early_share = self._draw() * JITTER_SHARE
        return sum(
            self._store(identity, read, value, read_at, size_bytes, early_share)
            for read, (value, size_bytes) in results.items()
        )

    def _store(
        self, identity: _Identity, read: _Read, value: _Value, read_at: float, size_bytes: int, early_share: float
    ) -> bool:
        known = self._entry(identity, read)
        refused_at = max(self._refused_at.get((identity, what), -1.0) for what in (read, None))
        if refused_at >= read_at or (known is not None and known.read_at > read_at):
            return False
        self._forget(identity, read)
        if size_bytes > self._bounds.bytes_per_identity:
            return False
        share = self._shares.setdefault(identity, _Share())
        while share.entries and (
            len(share.entries) >= self._bounds.entries_per_identity
            or share.size_bytes + size_bytes > self._bounds.bytes_per_identity
        ):
            self._remove(share, next(iter(share.entries)))
        if self._size_bytes + size_bytes > self._bounds.bytes_total:
            return False
        share.entries[read] = CachedValue(value=value, read_at=read_at, size_bytes=size_bytes, early_share=early_share)
        share.size_bytes += size_bytes
        self._size_bytes += size_bytes
        self._shares.move_to_end(identity)
        return True

    def evict(self, identity: _Identity, reads: Iterable[_Read], *, now: float) -> None:
        """Forget these reads: they were denied, or are gone."""
        for read in reads:
            self._note_refused(identity, read, now)
            self._forget(identity, read)

    def evict_identity(self, identity: _Identity, *, now: float) -> None:
        """Forget everything of an identity: it may no longer be assumed."""
        self._note_refused(identity, None, now)
        share = self._shares.pop(identity, None)
        if share is not None:
            self._size_bytes -= share.size_bytes

    def _note_refused(self, identity: _Identity, read: _Read | None, now: float) -> None:
        self._refused_at[identity, read] = now
        self._refused_at.move_to_end((identity, read))
        while now - next(iter(self._refused_at.values())) > LONGEST_READ_SECONDS:
            self._refused_at.popitem(last=False)

    def _forget(self, identity: _Identity, read: _Read) -> None:
        share = self._shares.get(identity)
        if share is not None and read in share.entries:
            self._remove(share, read)
            if not share.entries:
                del self._shares[identity]

    def _entry(self, identity: _Identity, read: _Read) -> CachedValue[_Value] | None:
        share = self._shares.get(identity)
        return None if share is None else share.entries.get(read)

    def _remove(self, share: _Share[_Read, _Value], read: _Read) -> None:
        entry = share.entries.pop(read)
        share.size_bytes -= entry.size_bytes
        self._size_bytes -= entry.size_bytes

    def _drop_old(self, now: float) -> None:
        """Drop entries past every age; insertion order is age order but for reads that overtook one another.

        No lookup finds them anyway, and this takes time for every identity: once in DROP_SECONDS is enough.
        """
        if now - self._dropped_at < DROP_SECONDS:
            return
        self._dropped_at = now
        for identity in tuple(self._shares):
            share = self._shares[identity]
            while share.entries:
                read, entry = next(iter(share.entries.items()))
                if now - entry.read_at <= self._keep_seconds:
                    break
                self._remove(share, read)
            if not share.entries:
                del self._shares[identity]
