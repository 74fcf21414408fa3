"""What a chaos run does, step by step: a pure function of its seed, so that a seed can be run again.

Nothing here depends on what comes of a step. Disturbances begin, last for a drawn number of operations and end; most
steps are bursts of mounts by several pods at once. One mount is one operation, and so is every other step.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.chaos.world import GRANTS, PARAMETERS, PODS, SECRETS, TRUSTS


class Kind(StrEnum):
    """What a step does."""

    BURST = "burst"
    ROTATE = "rotate"
    DENY = "deny"
    ALLOW = "allow"
    DISTRUST = "distrust"
    TRUST = "trust"
    REMOVE = "remove"
    PUT_BACK = "put back"
    FAULT = "fault"
    CALM = "calm"
    KILL = "kill the provider"
    TERMINATE = "terminate the provider"
    ROLL = "roll the provider"
    DRIVER = "restart the driver"
    API_DOWN = "stop the API server"
    API_UP = "start the API server"
    FILL = "fill the disk"
    FREE = "free the disk"
    CLOCK = "step the clock"
    CLOCK_BACK = "step the clock back"


class TokenKind(StrEnum):
    """Which token kubelet hands over."""

    GOOD = "good"
    EXPIRED = "expired"
    GARBAGE = "garbage"


class FaultKind(StrEnum):
    """What happens to calls of AWS."""

    ERROR = "5xx"
    THROTTLE = "throttled"
    SILENT = "black hole"
    LATE = "30 s late"
    SLOW = "slow"
    RESET = "connection reset"
    STALE_SESSION = "expired session"
    REFUSE = "STS refuses"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One mount by one pod.

    Attributes:
        pod: Which.
        is_new: The volume is unmounted first, so that all that is seen afterwards is new.
        token: Which token.
        deadline_seconds: Kubelet's.
    """

    pod: str
    is_new: bool
    token: TokenKind = TokenKind.GOOD
    deadline_seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step.

    Attributes:
        kind: What.
        target: Class, object, pod or service; "" where there is none.
        detail: Object of a grant, kind of a fault, signal of a rollout.
        number: Share of calls that a fault hits, or seconds that the clock is stepped by.
        visits: Mounts at the same time; of rollouts and the like too, which then happen under load.
    """

    kind: Kind
    target: str = ""
    detail: str = ""
    number: float = 0.0
    visits: tuple[Visit, ...] = ()

    @property
    def operations(self) -> int:
        """How many operations it counts for."""
        return len(self.visits) + (self.kind is not Kind.BURST)


#: Relative to 1,000 steps; the rest are bursts.
_WEIGHTS: Final = {
    Kind.ROTATE: 90,
    Kind.DENY: 45,
    Kind.DISTRUST: 8,
    Kind.REMOVE: 14,
    Kind.FAULT: 45,
    Kind.KILL: 4,
    Kind.TERMINATE: 3,
    Kind.ROLL: 5,
    Kind.DRIVER: 3,
    Kind.API_DOWN: 1,
    Kind.FILL: 12,
    Kind.CLOCK: 6,
}
_BURST_WEIGHT: Final = 1000 - sum(_WEIGHTS.values())
_ENDS: Final = {
    Kind.DENY: Kind.ALLOW,
    Kind.DISTRUST: Kind.TRUST,
    Kind.REMOVE: Kind.PUT_BACK,
    Kind.FAULT: Kind.CALM,
    Kind.API_DOWN: Kind.API_UP,
    Kind.FILL: Kind.FREE,
    Kind.CLOCK: Kind.CLOCK_BACK,
}
#: Steps that a disturbance lasts at most. What makes mounts wait is short, so that a run is not all waiting.
_LASTS: Final = {
    Kind.DENY: 40,
    Kind.DISTRUST: 20,
    Kind.REMOVE: 20,
    Kind.FAULT: 8,
    Kind.API_DOWN: 4,
    Kind.FILL: 12,
    Kind.CLOCK: 6,
}
_WAITING: Final = frozenset({FaultKind.SILENT, FaultKind.LATE})
_FAULT_WEIGHTS: Final = {
    FaultKind.ERROR: 30,
    FaultKind.THROTTLE: 20,
    FaultKind.SILENT: 5,
    FaultKind.LATE: 5,
    FaultKind.SLOW: 10,
    FaultKind.RESET: 15,
    FaultKind.STALE_SESSION: 10,
    FaultKind.REFUSE: 10,
}
_SERVICES: Final = ("secretsmanager", "ssm", "sts")
_WITH_VISITS: Final = frozenset({Kind.BURST, Kind.KILL, Kind.TERMINATE, Kind.ROLL})
_TARGETS: Final = {
    Kind.ROTATE: (*SECRETS, *PARAMETERS),
    Kind.DISTRUST: TRUSTS,
    Kind.REMOVE: PARAMETERS,
    Kind.FILL: tuple(PODS),
}
_ON_THE_DENIED: Final = 0.5
_PERMITTED: Final = tuple(name for name, rule in PODS.items() if rule.is_permitted)
#: Pods that never mount come seldom: kubelet waits before it tries them again, and the whole burst with it.
_REFUSED: Final = tuple(name for name, rule in PODS.items() if not rule.is_permitted)
_REFUSED_SHARE: Final = 0.1
_SMALLEST_BURST: Final = 6
_NEW_SHARE: Final = 0.4
_TOKEN_WEIGHTS: Final = (96, 2, 2)
_CLOCK_STEPS: Final = (7200.0, 800.0, -7200.0)
#: Kubelet's own, and a short one.
_DEADLINES: Final = (120.0, 5.0)
_DEADLINE_WEIGHTS: Final = (80, 20)


def plan(seed: int) -> Iterator[Step]:
    """Yield steps without end."""
    draw = random.Random(seed)  # noqa: S311 - it must be the same again
    running: dict[tuple[Kind, str], tuple[int, Step]] = {}
    number = 0
    yield Step(kind=Kind.BURST, visits=tuple(Visit(pod=pod, is_new=True) for pod in PODS))
    while True:
        number += 1
        for key, (end, step) in tuple(running.items()):
            if end <= number:
                del running[key]
                yield Step(kind=_ENDS[step.kind], target=step.target, detail=step.detail)
        step = _draw_step(draw, [step for _, step in running.values()])
        key = (step.kind, f"{step.target} {step.detail}" if step.kind is Kind.DENY else step.target)
        if key in running:
            continue
        if step.kind in _ENDS:
            longest = 2 if step.detail in _WAITING else _LASTS[step.kind]
            running[key] = (number + draw.randint(1, longest), step)
        yield step


def _draw_step(draw: random.Random, running: Sequence[Step]) -> Step:
    kind = draw.choices([Kind.BURST, *_WEIGHTS], [_BURST_WEIGHT, *_WEIGHTS.values()])[0]
    if kind is Kind.FAULT:
        return _draw_fault(draw, running)
    if kind is Kind.DENY:
        target, detail = draw.choice(GRANTS)
        return Step(kind=kind, target=target, detail=detail)
    targets = _TARGETS.get(kind)
    return Step(
        kind=kind,
        target=draw.choice(targets) if targets else "",
        detail=draw.choice(("SIGTERM", "SIGKILL")) if kind is Kind.ROLL else "",
        number=draw.choice(_CLOCK_STEPS) if kind is Kind.CLOCK else 0.0,
        visits=_draw_visits(draw) if kind in _WITH_VISITS else (),
    )


def _draw_fault(draw: random.Random, running: Sequence[Step]) -> Step:
    """Draw a fault; half of those that come while something is denied are outages of that very service."""
    denied = [step.detail for step in running if step.kind is Kind.DENY]
    if denied and draw.random() < _ON_THE_DENIED:
        service = "ssm" if draw.choice(denied) in PARAMETERS else "secretsmanager"
        return Step(kind=Kind.FAULT, target=service, detail=FaultKind.ERROR.value, number=1.0)
    fault = draw.choices(list(_FAULT_WEIGHTS), list(_FAULT_WEIGHTS.values()))[0]
    service = "sts" if fault is FaultKind.REFUSE else draw.choice(_SERVICES)
    if fault is FaultKind.STALE_SESSION and service == "sts":
        service = "ssm"
    return Step(kind=Kind.FAULT, target=service, detail=fault.value, number=draw.choice((0.3, 0.7, 1.0)))


def _draw_visits(draw: random.Random) -> tuple[Visit, ...]:
    pods = draw.sample(_PERMITTED, draw.randint(_SMALLEST_BURST, len(_PERMITTED)))
    pods += [pod for pod in _REFUSED if draw.random() < _REFUSED_SHARE]
    return tuple(
        Visit(
            pod=pod,
            is_new=draw.random() < _NEW_SHARE,
            token=draw.choices(list(TokenKind), _TOKEN_WEIGHTS)[0],
            deadline_seconds=draw.choices(_DEADLINES, _DEADLINE_WEIGHTS)[0],
        )
        for pod in pods
    )
