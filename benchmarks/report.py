"""Samples and goals as a table for people and a JSON document for machines.

Not done here: measuring, judging (`figures`).
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import KUBERNETES_CALL, Goal, Sample

_SHORT: Final = {
    "GetSecretValue": "G",
    "DescribeSecret": "D",
    "GetParameters": "P",
    "AssumeRoleWithWebIdentity": "STS",
    KUBERNETES_CALL: "K8s",
}


def describe_machine() -> dict[str, str | int]:
    """Say what the figures were taken on, as far as it matters for comparing them."""
    return {
        "cpus": os.cpu_count() or 0,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def render_table(samples: Sequence[Sample]) -> str:
    """Return the table; calls by action in short (G GetSecretValue, P GetParameters, STS, K8s lookups)."""
    head = ("scenario", "provider", "mounts", "p50 ms", "p99 ms", "CPU ms", "RSS MiB", "calls", "failed")
    rows = [head]
    for sample in samples:
        calls = " ".join(f"{_SHORT.get(action, action)}:{count}" for action, count in sorted(sample.calls.items()))
        rows.append(
            (
                sample.scenario,
                sample.contender,
                str(sample.mounts),
                f"{1000 * sample.percentile(0.5):.1f}",
                f"{1000 * sample.percentile(0.99):.1f}",
                f"{sample.cpu_ms_per_mount:.2f}",
                f"{sample.resident_mib:.1f}",
                calls or "none",
                str(sum(sample.failures.values())),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"  {sample.scenario}, {sample.contender}: {text}" for sample in samples if (text := _remark(sample))]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", *notes])


def _remark(sample: Sample) -> str:
    return "; ".join(part for part in (sample.note, sample.first_failure) if part)


def render_goals(goals: Sequence[Goal]) -> str:
    """Return one line per goal."""
    lines = []
    for goal in goals:
        value = "-" if goal.value is None else f"{goal.value:.3f} {goal.unit}"
        limit = "" if math.isinf(goal.limit) else f" (at most {goal.limit:g} {goal.unit})"
        verdict = "reported" if math.isinf(goal.limit) and goal.value is not None else goal.verdict
        lines.append(f"  {verdict:12}  {goal.name}: {value}{limit}")
    return "\n".join(lines)


def write_document(
    path: Path, *, samples: Sequence[Sample], goals: Sequence[Goal], settings: Mapping[str, object]
) -> None:
    """Write every figure as JSON."""
    document = {
        "settings": dict(settings),
        "machine": describe_machine(),
        "samples": [sample.to_document() for sample in samples],
        "goals": [
            {
                "name": goal.name,
                "value": goal.value if goal.value is not None and math.isfinite(goal.value) else None,
                "limit": goal.limit if math.isfinite(goal.limit) else None,
                "unit": goal.unit,
                "verdict": goal.verdict,
            }
            for goal in goals
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(document, indent=1)}\n", encoding="utf-8")
