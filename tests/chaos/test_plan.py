"""A plan is its seed: the same again, everything in it, and nothing out of order for ever."""

from __future__ import annotations

import itertools
from collections import Counter

from tests.chaos.plan import FaultKind, Kind, Step, TokenKind, plan
from tests.chaos.world import PODS

LONG = 4_000


def _steps(seed: int, count: int = LONG) -> list[Step]:
    return list(itertools.islice(plan(seed), count))


def test_a_seed_gives_the_same_steps_again_and_another_seed_others() -> None:
    assert _steps(3, 500) == _steps(3, 500)
    assert _steps(3, 500) != _steps(4, 500)


def test_every_kind_of_step_fault_and_token_comes() -> None:
    steps = _steps(1)
    assert {step.kind for step in steps} == set(Kind)
    assert {step.detail for step in steps if step.kind is Kind.FAULT} == {kind.value for kind in FaultKind}
    assert {visit.token for step in steps for visit in step.visits} == set(TokenKind)


def test_a_pod_mounts_once_in_a_burst_and_every_pod_mounts() -> None:
    seen: set[str] = set()
    for step in _steps(2, 500):
        pods = [visit.pod for visit in step.visits]
        assert len(pods) == len(set(pods)), "kubelet sends one mount of a volume at a time"
        seen |= set(pods)
    assert seen == set(PODS)


def test_what_begins_ends_before_it_begins_again() -> None:
    ends = {
        Kind.ALLOW: Kind.DENY,
        Kind.TRUST: Kind.DISTRUST,
        Kind.PUT_BACK: Kind.REMOVE,
        Kind.CALM: Kind.FAULT,
        Kind.API_UP: Kind.API_DOWN,
        Kind.FREE: Kind.FILL,
        Kind.CLOCK_BACK: Kind.CLOCK,
    }
    running: Counter[tuple[Kind, str, str]] = Counter()
    for step in _steps(5):
        detail = step.detail if step.kind in {Kind.DENY, Kind.ALLOW} else ""
        if step.kind in set(ends.values()):
            running[step.kind, step.target, detail] += 1
            assert running[step.kind, step.target, detail] == 1
        elif step.kind in ends:
            running[ends[step.kind], step.target, detail] -= 1
            assert running[ends[step.kind], step.target, detail] == 0


def test_mounts_are_most_of_the_operations() -> None:
    steps = _steps(6, 3_000)
    mounts = sum(len(step.visits) for step in steps)
    assert mounts > 0.85 * sum(step.operations for step in steps)
