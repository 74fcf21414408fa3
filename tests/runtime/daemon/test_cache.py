"""The value cache against a naive model, and its bounds one by one."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from provider_runtime.cache import AgeLimits, CacheBounds, ValueCache, VolumeAges, VolumeKey

KEEP_SECONDS = 100.0
VOLUME = VolumeKey(("uid", "/mount"))


def _cache(**bounds: int) -> ValueCache[str, str, str]:
    return ValueCache(bounds=CacheBounds(**bounds), keep_seconds=KEEP_SECONDS, draw=lambda: 0.0)


_IDENTITIES = st.sampled_from("AB")
_READS = st.sampled_from("xyz")
_STEPS = st.one_of(
    st.tuples(st.just("store"), _IDENTITIES, _READS, st.integers(0, 30)),
    st.tuples(st.just("evict"), _IDENTITIES, _READS, st.just(0)),
    st.tuples(st.just("evict all"), _IDENTITIES, st.just(""), st.just(0)),
    st.tuples(st.just("find"), _IDENTITIES, _READS, st.integers(0, 120)),
)


@given(st.lists(st.tuples(st.integers(0, 20), _STEPS), max_size=60))
def test_the_cache_answers_as_a_list_of_everything_that_ever_happened_would(
    steps: list[tuple[int, tuple[str, str, str, int]]],
) -> None:
    """A hit is the newest read of this identity that began after its last refusal, and is young enough."""
    cache = _cache()
    stored: list[tuple[str, str, float]] = []
    refused: list[tuple[str, str, float]] = []
    now = 1_000.0
    for passed, (step, identity, read, number) in steps:
        now += passed
        if step == "store":
            began = now - number
            cache.store(identity, read, f"{identity}{read}{began}", read_at=began, size_bytes=1)
            stored.append((identity, read, began))
        elif step == "evict":
            cache.evict(identity, (read,), now=now)
            refused.append((identity, read, now))
        elif step == "evict all":
            cache.evict_identity(identity, now=now)
            refused += [(identity, each, now) for each in "xyz"]
        else:
            last_refusal = max((at for who, what, at in refused if (who, what) == (identity, read)), default=-1.0)
            began_at = [at for who, what, at in stored if (who, what) == (identity, read) and at > last_refusal]
            newest = max(began_at, default=None)
            expected = None if newest is None or now - newest > min(number, KEEP_SECONDS) else newest
            found = cache.find(identity, read, now=now, accepted_age=min(number, KEEP_SECONDS))
            assert (found and found.read_at) == expected
            assert found is None or found.value == f"{identity}{read}{expected}"


def test_a_full_share_evicts_its_own_oldest_entry_and_no_neighbours() -> None:
    cache = _cache(entries_per_identity=2)
    cache.store("neighbour", "n", "n", read_at=0, size_bytes=1)
    for number, read in enumerate("abc"):
        cache.store("greedy", read, read, read_at=1 + number, size_bytes=1)
    kept = [read for read in "abc" if cache.find("greedy", read, now=5, accepted_age=50)]
    assert kept == ["b", "c"]
    assert cache.find("neighbour", "n", now=5, accepted_age=50)


def test_bytes_are_bounded_per_identity_and_in_all() -> None:
    cache = _cache(bytes_per_identity=100, bytes_total=150)
    assert not cache.store("a", "huge", "v", read_at=0, size_bytes=101)
    assert cache.store("a", "x", "v", read_at=0, size_bytes=90)
    assert not cache.store("b", "x", "v", read_at=1, size_bytes=90), "a full cache keeps what it has"
    assert cache.store("a", "y", "v", read_at=2, size_bytes=90), "an identity makes room in its own share"
    assert cache.size_bytes == 90
    assert cache.find("a", "x", now=3, accepted_age=50) is None


def test_a_value_that_grew_too_large_does_not_leave_its_old_version_behind() -> None:
    cache = _cache(bytes_per_identity=100)
    cache.store("a", "x", "old", read_at=0, size_bytes=10)
    assert not cache.store("a", "x", "new", read_at=1, size_bytes=101)
    assert cache.find_last_known("a", "x", now=1, max_stale=50) is None


def test_a_slow_answer_cannot_bring_back_what_was_refused_meanwhile() -> None:
    cache = _cache()
    cache.evict("a", ("x",), now=10)
    assert not cache.store("a", "x", "from before the refusal", read_at=9, size_bytes=1)
    assert cache.store("a", "x", "from after it", read_at=11, size_bytes=1)


def test_what_is_older_than_every_age_is_dropped() -> None:
    cache = _cache()
    cache.store("a", "x", "v", read_at=0, size_bytes=7)
    cache.store("b", "y", "v", read_at=KEEP_SECONDS + 1, size_bytes=1)
    assert cache.size_bytes == 1


def test_stale_0_switches_bridging_off() -> None:
    cache = _cache()
    cache.store("a", "x", "v", read_at=0, size_bytes=1)
    assert cache.find_last_known("a", "x", now=0, max_stale=0) is None


def test_jitter_ends_an_age_early_and_never_late() -> None:
    cache: ValueCache[str, str, str] = ValueCache(bounds=CacheBounds(), keep_seconds=500, draw=lambda: 0.999)
    cache.store("a", "x", "v", read_at=0, size_bytes=1)
    assert cache.find("a", "x", now=107, accepted_age=120)
    assert cache.find("a", "x", now=109, accepted_age=120) is None


def test_what_one_call_gave_falls_due_together_so_that_a_batch_is_not_torn_apart() -> None:
    draws = iter([0.0, 0.9])
    cache: ValueCache[str, str, str] = ValueCache(bounds=CacheBounds(), keep_seconds=500, draw=lambda: next(draws))
    assert cache.store_all("a", dict.fromkeys("xyz", ("v", 1)), read_at=0) == 3
    cache.store("a", "later", "v", read_at=0, size_bytes=1)
    for now, expected in ((107, {"x", "y", "z", "later"}), (119, {"x", "y", "z"}), (121, set())):
        found = cache.find_all("a", ("x", "y", "z", "later"), now=now, accepted_age=120)
        assert set(found) == expected


def test_a_call_that_was_overtaken_in_part_keeps_the_rest() -> None:
    cache = _cache()
    cache.evict("a", ("x",), now=5)
    assert cache.store_all("a", {"x": ("v", 1), "y": ("v", 1)}, read_at=4) == 1
    assert not cache.find("a", "x", now=5, accepted_age=50)
    assert cache.find("a", "y", now=5, accepted_age=50)


def test_a_volume_unseen_for_an_hour_is_a_first_mount_again() -> None:
    ages = VolumeAges(AgeLimits(first_mount_max_age_seconds=10, refresh_interval_seconds=120, max_stale_seconds=0))
    assert ages.accepted_age(VOLUME, 0) == 10
    ages.note_mounted(VOLUME, 0)
    assert ages.accepted_age(VOLUME, 44) == 10
    assert ages.accepted_age(VOLUME, 46) == 120
    ages.note_mounted(VolumeKey(("other", "/mount")), 3601)
    assert ages.accepted_age(VOLUME, 3602) == 10


def test_a_refresh_interval_below_the_first_age_rules_both() -> None:
    ages = VolumeAges(AgeLimits(first_mount_max_age_seconds=10, refresh_interval_seconds=2, max_stale_seconds=0))
    assert ages.accepted_age(VOLUME, 0) == 2
