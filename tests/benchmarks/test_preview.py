"""`python -m benchmarks.preview`, with one app: that it measures a preview that works, not how fast."""

from __future__ import annotations

from pathlib import Path

from benchmarks.preview import measure_preview


def test_a_preview_that_works_is_what_is_measured(project: Path) -> None:
    figure = measure_preview(1, project)
    assert figure.problems == ()
    assert figure.resources > 20
    assert figure.cpu_seconds > 0
    assert figure.seconds > 0
