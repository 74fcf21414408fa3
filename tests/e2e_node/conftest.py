"""One node for all tests, which run in the order of the file; skipped with the reason where none can run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from local.report import Report
from tests.e2e import toolbox
from tests.e2e_node.enclosure import CONTROL_GROUP_VARIABLE
from tests.e2e_node.node_stage import NodeStage

_MEASURED: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests took the time of."""
    if _MEASURED:
        terminalreporter.section("measured")
        for line in _MEASURED:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def stage() -> Iterator[NodeStage]:
    """Run everything; fail where only the build is missing."""
    reasons = toolbox.missing_node_requirements()
    if reasons:
        pytest.skip("; ".join(reasons))
    if CONTROL_GROUP_VARIABLE not in os.environ:
        pytest.skip("the node runs in namespaces of its own. Fix: make e2e-node")
    missing = toolbox.missing_tools(toolbox.TIER_C)
    if missing:
        pytest.fail(f"{', '.join(missing)} not built. Fix: make e2e-node")
    whole = NodeStage(project=toolbox.PROJECT, report=Report(plain=True))
    whole.measured = _MEASURED
    with whole as running:
        yield running


@pytest.fixture(scope="session")
def pods(stage: NodeStage) -> dict[str, str]:
    """Start a pod of every example app; return its path in the API by app."""
    paths = {str(app.app): stage.create_pod(stage.app_pod(app, f"{app.app}-0")) for app in stage.apps}
    for path in paths.values():
        stage.wait_until_runs(path)
    return paths
