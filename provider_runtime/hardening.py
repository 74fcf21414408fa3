"""What the process forbids itself before it touches a secret.

Not done here: what the container forbids (capabilities, file system, system calls).
"""

from __future__ import annotations

import ctypes
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
    # A core pattern that pipes ignores the limit above; a process that is not dumpable is never dumped (prctl(2)).
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        problems.append(f"the process stays dumpable: {os.strerror(ctypes.get_errno())}")
    return tuple(problems)
