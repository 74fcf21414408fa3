"""Every message of the reader and of the derivation, compared to the byte: the text is what users see first."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.derivation.errors import CODES, ProblemList
from tests.golden.error_cases import CASES, FOLDER, report_of

#: Where a problem is added that no case shows: file, and a part of the text, with the reason.
NOT_SHOWN = {
    # Names of roles and policies are made so that two apps cannot share one; this is the second lock on that door.
    ("fleet.py", "rename one of the apps"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_spec_is_reported_in_these_words(case: str, *, rewrite_golden: bool) -> None:
    report = report_of(case)
    expected = FOLDER / case / "expected.txt"
    if rewrite_golden:
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(report, encoding="utf-8")
    assert report.encode() == expected.read_bytes()


def test_every_code_has_a_golden_text() -> None:
    shown = "".join((FOLDER / case / "expected.txt").read_text(encoding="utf-8") for case in CASES)
    assert {code for code in CODES if f"[{code}]" not in shown} == set()


def test_every_place_that_reports_a_problem_is_shown_by_a_case(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One code has many texts; so every call that adds a problem must be reached by some case."""
    reached: set[tuple[str, int]] = set()
    add = ProblemList.add

    def noting(self: ProblemList, *args: object, **named: object) -> None:
        caller = sys._getframe(1)
        reached.add((Path(caller.f_code.co_filename).name, caller.f_lineno))
        add(self, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ProblemList, "add", noting)
    for case in CASES:
        report_of(case)
    missed = {
        (name, text)
        for name, first, last, text in _places(project / "components" / "derivation")
        if not any((name, line) in reached for line in range(first, last + 1))
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
