"""What the process forbids itself before it touches a secret.

Not done here: what the container forbids (capabilities, file system, system calls).
"""

from __future__ import annotations

import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_PRIVATE_UMASK: Final = 0o077


def harden_process() -> tuple[str, ...]:
    """Switch core dumps off and make new files private.

    Returns:
        What could not be done, one sentence each; none of it stops the daemon.
    """
    problems = []
    os.umask(_PRIVATE_UMASK)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        problems.append(f"core dumps stay on: {error}")
    problems.extend(f"the process stays dumpable: {problem}" for problem in _forbid_dumps())
    return tuple(problems)


def _forbid_dumps() -> tuple[str, ...]:
    """Make the process not dumpable: a core pattern that pipes ignores the limit above (core(5), prctl(2))."""
    try:
        import ctypes  # noqa: PLC0415  # minimal images leave it out, and that must not stop the provider
    except ImportError as error:
        return (str(error),)
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        return (os.strerror(ctypes.get_errno()),)
    return ()
