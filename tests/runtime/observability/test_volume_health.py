"""Failures that the driver hides, and the age of what pods hold, per volume and without real time."""

from __future__ import annotations

import pytest

from provider_runtime.volume_health import QUIET_SECONDS, VOLUME_LIMIT, VolumeHealth
from tests.runtime.observability.reports import make_report


def test_a_first_mount_that_fails_is_not_hidden_by_the_driver() -> None:
    health = VolumeHealth()
    assert not health.note(make_report(outcome="NOT_FOUND"), 0.0).is_remount
    summary = health.summarise(0.0)
    assert (summary.fine, summary.failing) == (0, 0)


def test_a_failed_re_mount_is_hidden_and_counts_until_it_succeeds() -> None:
    health = VolumeHealth()
    assert not health.note(make_report(), 0.0).is_remount
    assert health.note(make_report(outcome="NOT_FOUND"), 75.0).is_remount
    assert health.note(make_report(outcome="NOT_FOUND"), 150.0).is_remount
    failing = health.summarise(160.0)
    assert (failing.fine, failing.failing, failing.failing_seconds) == (0, 1, 85.0)
    assert health.note(make_report(), 200.0).is_remount
    assert health.summarise(200.0).failing == 0


def test_the_oldest_value_keeps_ageing_while_the_re_mount_fails() -> None:
    health = VolumeHealth()
    health.note(make_report(oldest_seconds=30.0), 100.0)
    health.note(make_report(outcome="NOT_FOUND", oldest_seconds=0.0), 175.0)
    assert health.summarise(200.0).oldest_seconds == 130.0


def test_a_volume_that_nobody_asks_about_has_lost_its_pod() -> None:
    health = VolumeHealth()
    health.note(make_report(), 0.0)
    assert health.summarise(QUIET_SECONDS).fine == 1
    assert health.summarise(QUIET_SECONDS + 1).fine == 0
    assert health.summarise(QUIET_SECONDS + 1).oldest_seconds == 0.0


def test_a_failing_volume_that_is_still_asked_about_is_never_forgotten() -> None:
    health = VolumeHealth()
    health.note(make_report(), 0.0)
    for minute in range(1, 61):
        health.note(make_report(outcome="INTERNAL"), 60.0 * minute)
    assert health.summarise(3600.0).failing_seconds == 3540.0


def test_a_driver_that_sends_versions_tells_of_mounts_before_this_instance() -> None:
    health = VolumeHealth()
    assert health.note(make_report(outcome="NOT_FOUND", is_known_to_driver=True), 0.0).is_remount
    assert health.summarise(0.0).failing == 1


def test_two_volumes_of_one_pod_are_two() -> None:
    health = VolumeHealth()
    health.note(make_report(target_path="/a"), 0.0)
    assert not health.note(make_report(target_path="/b", outcome="NOT_FOUND"), 1.0).is_remount


def test_a_request_without_a_volume_changes_nothing() -> None:
    health = VolumeHealth()
    report = make_report(target_path="", outcome="INVALID_ARGUMENT")
    assert health.note(report, 0.0) == report


@pytest.mark.parametrize("outcome", ["OK", "INTERNAL"])
def test_memory_is_bounded_whatever_pods_come(outcome: str) -> None:
    health = VolumeHealth()
    for number in range(VOLUME_LIMIT + 50):
        health.note(make_report(pod_uid=str(number), outcome=outcome, is_known_to_driver=True), 1.0)
    summary = health.summarise(1.0)
    assert summary.fine + summary.failing == VOLUME_LIMIT
