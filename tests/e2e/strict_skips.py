"""A case that is skipped where the real parts can run is a failure: CI must not stay green by leaving cases out.

Hooks of pytest, taken over by this folder's conftest.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.e2e import toolbox


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a case into its failure."""
    report = yield
    if report.skipped:  # an expected failure is one as well, and these parts have none
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a file into its failure."""
    report = yield
    if report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    if toolbox.missing_requirements():
        return
    report.outcome = "failed"
    report.longrepr = f"skipped, though the real parts can run on this machine: {report.longrepr}"
