"""The table of deliberate differences is held by tests that exist."""

from __future__ import annotations

import pytest

from tests.contract.differences import DIFFERENCES, Difference
from tests.fakes.daemons import REPOSITORY

_SOURCES = "".join(path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "tests").glob("**/test_*.py")))


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: one.subject)
def test_each_deliberate_difference_is_held_by_tests(difference: Difference) -> None:
    assert difference.subject
    assert difference.ours
    assert difference.reason
    assert difference.held_by
    for name in difference.held_by:
        assert f"def {name}(" in _SOURCES
