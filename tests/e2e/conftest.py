"""One control plane for all tests; skipped with the reason where the machine cannot run one, never where it can."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import toolbox
from tests.e2e.control_plane import ControlPlane
from tests.e2e.strict_skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

ISSUER = "https://issuer.e2e.invalid"


@pytest.fixture(scope="session", autouse=True)
def _real_parts() -> None:
    """Skip on a machine without Go or root; fail where only the build is missing."""
    reasons = toolbox.missing_requirements()
    if reasons:
        pytest.skip("; ".join(reasons))
    missing = toolbox.missing_tools()
    if missing:
        pytest.fail(f"{', '.join(missing)} not built. Fix: make e2e-tools")


@pytest.fixture(scope="session")
def control_plane(_real_parts: None) -> Iterator[ControlPlane]:
    """Run etcd and API server, for nodes whose pods are kubelet's alone."""
    with (
        tempfile.TemporaryDirectory(prefix="lse-cluster-") as folder,
        ControlPlane(folder=Path(folder), issuer=ISSUER, collects_garbage=False) as running,
    ):
        yield running
