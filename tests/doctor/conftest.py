"""The stacks of this project as `lockstep doctor` expects them, derived once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from components.derivation import Identity
from lockstep.doctor.expected import Expected
from lockstep.project import load_project


@pytest.fixture(scope="session")
def prod() -> Expected:
    """Return the stack `prod`, serving Pod Identity for others too."""
    stack = load_project(Path(__file__).resolve().parents[2]).stack("prod")
    settings = replace(stack.settings, served_identities=frozenset({Identity.POD_IDENTITY}))
    return Expected.of(replace(stack, settings=settings))


@pytest.fixture(scope="session")
def dev() -> Expected:
    """Return the stack `dev`, one of whose apps uses Pod Identity."""
    return Expected.of(load_project(Path(__file__).resolve().parents[2]).stack("dev"))
