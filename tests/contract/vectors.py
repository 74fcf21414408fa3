"""How a test says which vectors of the contract it holds: `@pytest.mark.vector("A01")`, or a case of its own.

Not done here: the list of all vectors, and that each of them is held (`test_vector_list`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.driver import FINAL_CODES

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from tests.fakes.driver import Answer


def case(vector: str, *values: object, note: str = "") -> ParameterSet:
    """Make one case of a parametrised test, named after its vector; `note` tells cases of one vector apart."""
    return pytest.param(*values, marks=pytest.mark.vector(vector), id=f"{vector} {note}".strip())


def texts(answer: Answer) -> dict[str, str]:
    """Return the texts of the files of a mount that must have succeeded."""
    assert answer.is_ok, answer.text
    return {path: contents.decode() for path, (contents, _) in answer.files.items()}


def assert_refused(answer: Answer, *fragments: str) -> None:
    """Hold that a mount failed with these words, a final code and no file."""
    for fragment in fragments:
        assert fragment in answer.text
    assert answer.code in FINAL_CODES
    assert not answer.files
