"""Figures of one measurement, and the goals they are held against. Pure.

Not done here: measuring (`scenarios`), printing (`report`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

KUBERNETES_CALL: Final = "KubernetesGet"
WARM: Final = "republish from memory, no latency"


@dataclass(slots=True, kw_only=True)
class Sample:
    """What came together while one contender worked on one scenario; added to piece by piece."""

    scenario: str
    contender: str
    seconds: list[float] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    first_failure: str = ""
    cpu_seconds: float = 0.0
    piece_cpu_ms: list[float] = field(default_factory=list)
    """CPU per mount of each piece of the work: the least one is the one that neighbours disturbed least."""
    resident_mib: float = 0.0
    rotated: int = 0
    note: str = ""

    def add(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Add mounts' results; latency counts for the failed ones too, since a pod waits for those as well."""
        for result in results:
            self.seconds.append(float(result["seconds"]))
            self.rotated += int(result["rotated"])
            if result["code"] != "OK":
                self.failures[str(result["code"])] += 1
                self.first_failure = self.first_failure or str(result["text"])

    @property
    def mounts(self) -> int:
        """Mounts answered, well or not."""
        return len(self.seconds)

    @property
    def aws_calls(self) -> int:
        """Calls to AWS; the Kubernetes API is not AWS."""
        return sum(count for action, count in self.calls.items() if action != KUBERNETES_CALL)

    def percentile(self, share: float) -> float:
        """Return the latency in seconds that `share` of the mounts did not exceed (nearest rank)."""
        ordered = sorted(self.seconds)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0

    @property
    def cpu_ms_per_mount(self) -> float:
        """Milliseconds of CPU per mount, all threads."""
        return 1000 * self.cpu_seconds / self.mounts if self.seconds else 0.0

    def to_document(self) -> dict[str, object]:
        """Return every figure as plain data."""
        return {
            "scenario": self.scenario,
            "contender": self.contender,
            "mounts": self.mounts,
            "p50_ms": round(1000 * self.percentile(0.5), 3),
            "p99_ms": round(1000 * self.percentile(0.99), 3),
            "max_ms": round(1000 * self.percentile(1.0), 3),
            "cpu_ms_per_mount": round(self.cpu_ms_per_mount, 3),
            "piece_cpu_ms": [round(piece, 3) for piece in self.piece_cpu_ms],
            "resident_mib": round(self.resident_mib, 1),
            "aws_calls": self.aws_calls,
            "calls": dict(sorted(self.calls.items())),
            "failures": dict(sorted(self.failures.items())),
            "first_failure": self.first_failure,
            "rotated_versions": self.rotated,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One goal: the figure, its limit, and whether the run has what it needs to say anything."""

    name: str
    value: float | None
    limit: float
    unit: str = "x"

    @property
    def verdict(self) -> str:
        """`reached`, `missed`, or `not measured`."""
        if self.value is None:
            return "not measured"
        return "reached" if self.value <= self.limit else "missed"


def derive_goals(samples: Sequence[Sample], resident_by_thousand: Sequence[float]) -> tuple[Goal, ...]:
    """Derive every goal from the run's samples; a ratio needs both contenders.

    Args:
        samples: All of the run.
        resident_by_thousand: Resident MiB after each thousand of the long run's mounts.
    """
    by_key = {(sample.scenario, sample.contender): sample for sample in samples}

    def ratio_of_latency(scenario: str) -> float | None:
        ours, theirs = by_key.get((scenario, "lockstep")), by_key.get((scenario, "ascp"))
        return ours.percentile(0.5) / theirs.percentile(0.5) if ours and theirs else None

    def ratio_of_calls(scenario: str, other: str) -> float | None:
        ours, theirs = by_key.get((scenario, "lockstep")), by_key.get((scenario, other))
        return ours.aws_calls / theirs.aws_calls if ours and theirs and theirs.aws_calls else None

    def worst_seconds(scenario: str) -> float | None:
        ours = by_key.get((scenario, "lockstep"))
        if ours is None:
            return None
        return math.inf if ours.failures else ours.percentile(1.0)

    warm = by_key.get((WARM, "lockstep"))
    floor = by_key.get((WARM, "bare-grpc"))
    over_floor = warm.cpu_ms_per_mount / floor.cpu_ms_per_mount if warm and floor and floor.cpu_seconds else None
    half = len(resident_by_thousand) // 2
    growth = resident_by_thousand[-1] - resident_by_thousand[half] if resident_by_thousand else None
    hour, few = "one hour, 110 pods of 10 identities", "one hour, 10 pods of 10 identities"
    return (
        Goal(name="first mount, p50 against ASCP", value=ratio_of_latency("first mount"), limit=0.25),
        Goal(name="second pod, p50 against ASCP", value=ratio_of_latency("second pod"), limit=0.05),
        Goal(
            name="calls of an hour, 110 pods, against ASCP as shipped", value=ratio_of_calls(hour, "ascp"), limit=0.12
        ),
        Goal(
            name="calls of an hour, 110 pods, against ASCP, driver writes",
            value=ratio_of_calls(hour, "ascp-driver-writes"),
            limit=0.06,
        ),
        Goal(
            name="calls of an hour, 10 pods, against ASCP as shipped (no limit set)",
            value=ratio_of_calls(few, "ascp"),
            limit=math.inf,
        ),
        Goal(
            name="calls of an hour, 10 pods, against ASCP, driver writes (no limit set)",
            value=ratio_of_calls(few, "ascp-driver-writes"),
            limit=math.inf,
        ),
        Goal(
            name="primary refuses packets: slowest answer",
            value=worst_seconds("primary unreachable"),
            limit=5,
            unit="s",
        ),
        Goal(name="primary never answers: slowest answer", value=worst_seconds("primary silent"), limit=5, unit="s"),
        Goal(
            name="resident memory after 10,000 mounts",
            value=resident_by_thousand[-1] if resident_by_thousand else None,
            limit=100,
            unit="MiB",
        ),
        Goal(name="growth over the second half of them", value=growth, limit=1, unit="MiB"),
        Goal(name="CPU of a warm mount, no latency", value=warm.cpu_ms_per_mount if warm else None, limit=2, unit="ms"),
        Goal(
            name="the same in the piece that neighbours disturbed least (no limit set)",
            value=min(warm.piece_cpu_ms, default=None) if warm else None,
            limit=math.inf,
            unit="ms",
        ),
        Goal(name="the same against a bare gRPC server (no limit set)", value=over_floor, limit=math.inf),
    )
