"""The chaos run is not blind: on the real parts it finds each of six planted bugs within its bound, and else nothing.

`make chaos` is the long run; here is one of a few hundred operations without a bug, beside those with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from local.report import Report
from tests.chaos.provider import PLANTS
from tests.chaos.run import ChaosRun
from tests.chaos.stage import ChaosStage, RealChaosStage
from tests.e2e.toolbox import PROJECT

SEED: Final = 7
BOUND: Final = 3_000
#: Plant → the rule that it breaks.
BROKEN: Final = {
    "cache-key-without-role": "I2",
    "describe-only-check": "I2",
    "unavailable-on-the-wire": "decision 14",
    "stale-after-denial": "I2",
    "torn-class": "I3",
    "unlinked-socket": "socket",
}


@pytest.fixture(scope="module")
def stage() -> Iterator[ChaosStage]:
    """Run everything, once for this file."""
    with RealChaosStage(project=PROJECT, report=Report(plain=True)) as running:
        yield running


def test_without_a_bug_nothing_is_broken(stage: ChaosStage) -> None:
    summary = ChaosRun(stage, SEED).run(operations=400, seconds=300)
    assert summary.violations == []
    assert summary.judged_values[1] > 100, "a run that excuses everything proves nothing"


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found_within_its_bound(stage: ChaosStage, plant: str) -> None:
    summary = ChaosRun(stage, SEED, plant=plant).run(operations=BOUND, seconds=900)
    assert summary.violations, f"{plant} was not found in {summary.operations} operations"
    assert {violation.rule for _, violation in summary.violations} == {BROKEN[plant]}, summary.violations


def test_every_plant_has_its_rule() -> None:
    assert set(BROKEN) == set(PLANTS)
