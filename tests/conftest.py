"""Options and fixtures that every test folder shares."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
