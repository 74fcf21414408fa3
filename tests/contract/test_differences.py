"""The table of deliberate differences is held by tests that exist."""

from __future__ import annotations

import pytest

from tests.contract.differences import DIFFERENCES, Difference
from tests.fakes.daemons import REPOSITORY

_SOURCES = "".join(path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "tests").glob("**/test_*.py")))


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: one.vectors)
def test_each_deliberate_difference_is_held_by_a_test(difference: Difference) -> None:
    assert f"def {difference.held_by}(" in _SOURCES
    assert difference.ours
    assert difference.reason
