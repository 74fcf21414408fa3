"""Options and fixtures that every test folder shares."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

#: Python's 700 has every test walk again and again through what was imported: a quarter of the suite's CPU time.
_VALUES_BETWEEN_COLLECTIONS = 20_000

gc.set_threshold(_VALUES_BETWEEN_COLLECTIONS)

# Hypothesis fails an example that takes 200 ms, and inputs that are slow to make: a machine that stalls has both. What
# it loads by itself, as it does in CI, stays; a test's own settings begin with these.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """Let no collection look at modules and tests again, which stay until the end."""
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write golden files instead of comparing them")


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the checkout's top folder."""
    return ROOT


@pytest.fixture
def rewrite_golden(request: pytest.FixtureRequest) -> bool:
    """Say whether golden files are to be written (`make golden`)."""
    return bool(request.config.getoption("--rewrite-golden"))
