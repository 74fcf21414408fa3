"""`python -m benchmarks.fleet_scale`, as small as it goes. Its figures mean nothing here; that they are there does."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fleet_scale import Figure, Took, main, measure_steps, spec, write_specs
from components.derivation import parse_specs


def test_a_run_prints_every_step_and_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--apps", "3", "--objects", "8", "--repeats", "1"]) in {0, 1}
    lines = capsys.readouterr().out.splitlines()
    steps = ["read, check and derive", "render as JSON", "lint", "together"]
    commands = ["lockstep check", "lockstep render --format json", "lockstep --help, best of 1"]
    assert [line[:34].rstrip() for line in lines[1:]] == [*steps, *commands]
    assert [line.split("bound ")[1][:3] for line in lines if "bound" in line] == ["5 s", "5 s", "5 s", "0.3"]


@pytest.mark.parametrize("objects", [8, 20])
def test_every_app_reads_the_number_of_objects_that_it_is_measured_with(objects: int) -> None:
    (app,) = parse_specs(spec(7, objects))
    assert len(app.base.objects) == objects


def test_a_run_that_loses_an_object_is_no_measurement(tmp_path: Path) -> None:
    write_specs(tmp_path / "apps", 2, 8)
    with pytest.raises(RuntimeError, match="every object is derived"):
        measure_steps(tmp_path / "apps", 2, 9)


def test_a_figure_over_its_bound_says_so() -> None:
    took = Took(wall=0.31, cpu=0.2)
    assert not Figure(name="x", took=took).is_over
    assert Figure(name="x", took=took, bound=0.3).is_over
    assert str(Figure(name="x", took=took, bound=0.3)).endswith("bound 0.3 s, MISSED")
