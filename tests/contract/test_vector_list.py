"""Every vector of the provider's contract is held by a test through a real socket, and no test names another one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.differences import DIFFERENCES, Difference

if TYPE_CHECKING:
    from collections.abc import Iterator

VECTORS: Final = {
    "A": (
        30,
        """
        A01 A02 A03 A04 A05 A06 A07 A08 A09 A10 A11 A12 A13 A14 A15 A16 A17 A18 A19 A20 A21 A22 A23 A24 A25
        A26 A27 A28 A29 A30
        """,
    ),
    "F": (25, "F01 F02 F03 F04 F05 F06 F07 F08 F09 F10 F11 F12 F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23 F24 F25"),
    "R": (5, "R0 R1 R2 R3 R4"),
    "Q": (14, "Q01 Q02 Q03 Q04 Q05 Q06 Q07 Q08 Q09 Q10 Q11 Q12 Q13 Q14"),
    "T": (8, "T01 T02 T03 T04 T05 T06 T07 T08"),
    "E": (3, "E01 E02 E03"),
    "H": (10, "H01 H02 H03 H04 H05 H06 H07 H08 H09 H10"),
    "P": (11, "P01 P02 P03 P04 P05 P06 P07 P08 P09 P10 P11"),
    "V": (
        50,
        """
        V01 V02 V03 V04 V05 V06 V07 V08 V09 V10 V11 V12 V13 V14 V15 V16 V17 V18 V19 V20 V21 V22 V23 V24 V25
        V26 V27 V28 V29 V30 V31 V32 V33 V34 V35 V36 V37 V38 V39 V40 V41 V42 V43 V44 V45 V46 V47 V48 V49 V50
        """,
    ),
    "J": (5, "J01 J02 J03 J04 J05"),
    "X": (
        48,
        """
        X01 X02 X03 X04 X05 X06 X07 X08 X09 X10 X11 X12 X13 X14 X15 X16 X17 X18 X19 X20 X21 X22 X23 X24 X25
        X26 X27 X28 X29 X30 X31 X32 X33 X34 X35 X36 X37 X38 X39 X40 X41 X42 X43 X44 X45 X46 X47 X48
        """,
    ),
}
"""Group → how many, and which. Group I, the end-to-end tests on a cluster, is no vector of one mount."""

_OURS: Final = """
    A07 F04 F17 F18 F19 F23 X01 X06 X09 X10 X14 X16 X17 X18 X19 X20 X21 X25 X26 X27 X29 X30 X31 X32 X33 X36 X37
    X38 X39 X40 X42 X46 X47
"""
OURS: Final = frozenset(_OURS.split())
"""Vectors that are answered otherwise than upstream on purpose; each must stand in the table of differences."""

_HERE: Final = Path(__file__).parent


def _marks(function: object) -> Iterator[pytest.Mark]:
    for mark in getattr(function, "pytestmark", ()):
        yield mark
        if mark.name == "parametrize":
            for one in mark.args[1]:
                yield from getattr(one, "marks", ())


def _claims() -> dict[str, set[str]]:
    """Vector → the test functions that claim it."""
    found: dict[str, set[str]] = {}
    for path in sorted(_HERE.glob("test_*.py")):
        for name, function in vars(importlib.import_module(f"tests.contract.{path.stem}")).items():
            marks = list(_marks(function)) if name.startswith("test_") else []
            claimed = [str(vector) for mark in marks if mark.name == "vector" for vector in mark.args]
            assert not (claimed and {"skip", "skipif", "xfail"} & {mark.name for mark in marks}), name
            for vector in claimed:
                found.setdefault(vector, set()).add(name)
    return found


CLAIMS: Final = _claims()


@pytest.mark.parametrize("group", VECTORS)
def test_each_vector_of_a_group_is_held_by_a_test(group: str) -> None:
    count, ids = VECTORS[group]
    assert len(set(ids.split())) == count
    assert {vector for vector in CLAIMS if vector.startswith(group)} == set(ids.split())


def test_no_test_names_a_vector_that_the_contract_does_not_have() -> None:
    assert {vector[0] for vector in CLAIMS} == set(VECTORS)


def test_each_vector_that_is_ours_stands_in_the_table_of_differences() -> None:
    assert {vector for difference in DIFFERENCES for vector in difference.vectors} >= OURS


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: one.subject)
def test_a_difference_is_held_by_a_test_that_claims_its_vectors(difference: Difference) -> None:
    for vector in difference.vectors:
        assert CLAIMS[vector] & set(difference.held_by), vector
