"""Every message of the reader and of the derivation, compared to the byte: the text is what users see first."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.derivation.errors import CODES, ProblemList
from tests.golden.error_cases import CASES, FOLDER, report_of

#: Where a problem is added that no case shows: file, and a part of the text, with the reason.
NOT_SHOWN = {
    # Names of roles and policies are made so that two apps cannot share one; this is the second lock on that door.
    ("fleet.py", "rename one of the apps"),
}


@dataclass(frozen=True, kw_only=True)
class Reports:
    """Report of every case, and the places that added a problem: file and line."""

    texts: Mapping[str, str]
    reached: frozenset[tuple[str, int]]


@pytest.fixture(scope="module")
def reports() -> Reports:
    """Run every case once."""
    reached: set[tuple[str, int]] = set()
    add = ProblemList.add

    def noting(self: ProblemList, *args: object, **named: object) -> None:
        caller = sys._getframe(1)
        reached.add((Path(caller.f_code.co_filename).name, caller.f_lineno))
        add(self, *args, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProblemList, "add", noting)
        texts = {case: report_of(case) for case in CASES}
    return Reports(texts=texts, reached=frozenset(reached))


@pytest.mark.parametrize("case", CASES)
def test_a_broken_spec_is_reported_in_these_words(case: str, reports: Reports, *, rewrite_golden: bool) -> None:
    expected = FOLDER / case / "expected.txt"
    if rewrite_golden:
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(reports.texts[case], encoding="utf-8")
    assert reports.texts[case].encode() == expected.read_bytes()


def test_every_code_has_a_golden_text() -> None:
    shown = "".join((FOLDER / case / "expected.txt").read_text(encoding="utf-8") for case in CASES)
    assert {code for code in CODES if f"[{code}]" not in shown} == set()


def test_every_place_that_reports_a_problem_is_shown_by_a_case(reports: Reports, project: Path) -> None:
    """One code has many texts; so every call that adds a problem must be reached by some case."""
    missed = {
        (name, text)
        for name, first, last, text in _places(project / "components" / "derivation")
        if not any((name, line) in reports.reached for line in range(first, last + 1))
    }
    assert {(name, text) for name, text in missed if not any(n == name and t in text for n, t in NOT_SHOWN)} == set()
    assert len(missed) == len(NOT_SHOWN), "what is shown now needs no excuse"


def _places(folder: Path) -> Iterator[tuple[str, int, int, str]]:
    """Yield every call `….add(spot, code, what, rule, fix)` of the reader and the derivation."""
    for file in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_add = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add"
            if isinstance(node, ast.Call) and is_add and len(node.args) == 5:
                yield file.name, node.lineno, node.end_lineno or node.lineno, ast.unparse(node)
