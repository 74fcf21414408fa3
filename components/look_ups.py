"""Asks for what only AWS or another stack can say at preview, and tells why there was no answer in one line.

Not done here: what is asked, and what to advise then.
"""

import re
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

#: What SDK and engine put before a provider's own words, once for each process that they passed.
_BEFORE_THE_REASON = re.compile(r"(?:(?:invoke|invocation) of \S+ (?:failed|returned an error): )+")


class LookUpError(Exception):
    """There was no answer; `str()` is the reason in the provider's own words, on one line."""


def look_up(ask: Callable[[], Answer]) -> Answer:
    """Return the answer.

    Args:
        ask: Calls a function of a provider or of the engine, and waits for it.

    Raises:
        LookUpError: Pulumi said why not. It does so by a plain `Exception`, whatever the cause.
    """
    try:
        return ask()
    except Exception as error:
        text = " ".join(str(error).split())
        found = _BEFORE_THE_REASON.match(text)
        reason = text[found.end() :] if found else text
        raise LookUpError(reason.rstrip(".") or type(error).__name__) from error
