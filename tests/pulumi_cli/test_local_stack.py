"""The `local` stack on the real engine and on the embedded one: the same plans, the same graph, the same objects.

Both play the story (story.py). What is compared is what the engines plan at each moment and what is there afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.pulumi_cli.conftest import Bench
from tests.pulumi_cli.engines import differences
from tests.pulumi_cli.story import MOMENTS, Moment, change, play

Engines = Mapping[str, Mapping[str, Moment]]


@pytest.fixture(scope="module")
def story(real: Bench, embedded: Bench, copied_project: Path) -> Engines:
    """Play the story on both engines."""
    told: dict[str, dict[str, Moment]] = {"real": {}, "embedded": {}}
    for moment in MOMENTS:
        change(copied_project, moment)
        for name, bench in (("real", real), ("embedded", embedded)):
            told[name][moment] = play(bench, moment)
    return told


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("aspect", ["plan", "goals", "summary", "graph", "account", "objects"])
def test_both_engines_say_and_leave_the_same(story: Engines, moment: str, aspect: str) -> None:
    real, embedded = (getattr(story[engine][moment], aspect) for engine in ("real", "embedded"))
    assert differences(real, embedded) == []
