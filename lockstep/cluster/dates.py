"""Clocks of servers, as their Date headers tell them."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

#: The header is cut to whole seconds: on average it is this much late.
_CUT_SECONDS = 0.5


def skew_of(ask: Callable[[], str]) -> float | None:
    """Return by how many seconds the local clock is ahead of a server's; None when it does not tell its time.

    Args:
        ask: Makes a request and returns the Date header of its answer, "" for none.
    """
    before = time.time()
    date = ask()
    after = time.time()
    try:
        told = parsedate_to_datetime(date).timestamp() + _CUT_SECONDS
    except (ValueError, TypeError):
        return None
    return (before + after) / 2 - told
