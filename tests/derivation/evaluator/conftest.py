"""One process of the other engine for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.derivation.evaluator.engines import MiniStackEngine


@pytest.fixture(scope="session")
def ministack(project: Path) -> Iterator[MiniStackEngine]:
    """Run MiniStack's evaluator in its own environment (`make dev` builds it)."""
    engine = MiniStackEngine(project / ".venv-emulator" / "bin" / "python")
    yield engine
    engine.close()
