"""Yes, no, or cannot be said: logic of three values.

A policy may hold what this evaluator does not read (an operator of another service) or what the question leaves open
(the caller's network). That spoils only the answers that hang on it: a Deny that matches anyway still denies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unclear:
    """Neither yes nor no; `reason` is a clause that names what is not known."""

    reason: str


Verdict = bool | Unclear


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return False when one is False, else the first unclear one, else True."""
    unclear: Unclear | None = None
    for verdict in verdicts:
        if verdict is False:
            return False
        if isinstance(verdict, Unclear):
            unclear = unclear or verdict
    return unclear or True


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return True when one is True, else the first unclear one, else False."""
    unclear: Unclear | None = None
    for verdict in verdicts:
        if verdict is True:
            return True
        if isinstance(verdict, Unclear):
            unclear = unclear or verdict
    return unclear or False


def negation(verdict: Verdict) -> Verdict:
    """Return the opposite; what is unclear stays so."""
    return verdict if isinstance(verdict, Unclear) else not verdict
