"""What the benchmark counts and how it judges: laws of the schedule, of percentiles and of goals."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import WARM, Goal, Sample, derive_goals
from benchmarks.schedules import HOUR_SECONDS, POLL_INTERVAL_SECONDS, REPUBLISH_SECONDS, Scale, list_republishes

FIRST_MOUNT_GOAL = "first mount, p50 against ASCP"


def _sample(scenario: str, contender: str, *seconds: float, calls: int = 0, code: str = "OK") -> Sample:
    sample = Sample(scenario=scenario, contender=contender)
    sample.add([{"seconds": one, "rotated": 0, "code": code, "text": "told to fail"} for one in seconds])
    sample.calls.update({"GetSecretValue": calls, "KubernetesGet": 7})
    return sample


def _goal(name: str, *samples: Sample) -> Goal:
    (goal,) = [goal for goal in derive_goals(samples, ()) if goal.name == name]
    return goal


def test_a_throttle_of_two_minutes_halves_what_reaches_a_provider_that_writes_files() -> None:
    assert len(list_republishes(phase=0.0, throttle_seconds=0)) == 48
    assert list_republishes(phase=0.0, throttle_seconds=POLL_INTERVAL_SECONDS)[:3] == (0.0, 150.0, 300.0)
    assert len(list_republishes(phase=0.0, throttle_seconds=POLL_INTERVAL_SECONDS)) == 24


@given(st.floats(0, REPUBLISH_SECONDS, exclude_max=True), st.floats(0, 1000))
def test_republishes_keep_kubelets_beat_and_the_drivers_throttle(phase: float, throttle_seconds: float) -> None:
    times = list_republishes(phase=phase, throttle_seconds=throttle_seconds)
    assert times[0] == phase
    assert times[-1] < HOUR_SECONDS
    for earlier, later in pairwise(times):
        assert later - earlier >= throttle_seconds
        assert (later - earlier) / REPUBLISH_SECONDS == pytest.approx(round((later - earlier) / REPUBLISH_SECONDS))


def test_a_squeezed_hour_leaves_a_session_its_renewal_margin() -> None:
    scale = Scale(factor=60.0)
    assert scale.session_seconds == pytest.approx(120 + (900 - 120) / 60)
    assert scale.flags == ("--refresh-interval=2000ms", "--first-mount-max-age=2000ms")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_percentile_is_a_measured_value_that_the_asked_share_does_not_exceed(
    seconds: list[float], share: float
) -> None:
    value = _sample("s", "c", *seconds).percentile(share)
    assert value in seconds
    assert sum(one <= value for one in seconds) >= share * len(seconds)


def test_a_ratio_without_the_other_provider_is_not_measured() -> None:
    assert _goal(FIRST_MOUNT_GOAL, _sample("first mount", "lockstep", 0.1)).verdict == "not measured"


@pytest.mark.parametrize(("ours", "verdict"), [(0.25, "reached"), (0.26, "missed")])
def test_a_ratio_is_held_against_its_limit(ours: float, verdict: str) -> None:
    samples = (_sample("first mount", "lockstep", ours), _sample("first mount", "ascp", 1.0))
    assert _goal(FIRST_MOUNT_GOAL, *samples).verdict == verdict


def test_lookups_at_the_kubernetes_api_are_no_aws_calls() -> None:
    hour = "one hour, 110 pods of 10 identities"
    goal = _goal(
        "calls of an hour, 110 pods, against ASCP as shipped",
        _sample(hour, "lockstep", calls=1),
        _sample(hour, "ascp", calls=10),
    )
    assert goal.value == pytest.approx(0.1)


def test_a_fast_failure_is_no_answer_to_an_outage() -> None:
    goal = _goal("primary never answers: slowest answer", _sample("primary silent", "lockstep", 0.1, code="INTERNAL"))
    assert (goal.value, goal.verdict) == (math.inf, "missed")


def test_the_floor_is_compared_only_when_it_was_measured() -> None:
    warm, floor = _sample(WARM, "lockstep", 0.1), _sample(WARM, "bare-grpc", 0.1)
    warm.cpu_seconds, warm.piece_cpu_ms = 0.002, [2.0]
    name = "the same against a bare gRPC server (no limit set)"
    assert _goal(name, warm, floor).value is None
    floor.cpu_seconds = 0.001
    assert _goal(name, warm, floor).value == pytest.approx(2.0)
