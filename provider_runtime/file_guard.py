"""`python -m provider_runtime await-files`: holds a pod back whose volume has no files. Runs in the app's own pod.

Not done here: mounting, and which files there must be (the app's spec decides). From driver 1.6 on, a first mount that
failed leaves a young directory; with a poll interval longer than kubelet's first retry the driver takes it for a
mounted one and answers OK. The pod would then start with an empty volume, and its containers would keep that. An init
container that fails is started again, which shows, and sees what a later publish mounted: the trap costs time only.

Only names are looked at: the files may be readable by the app alone, and no value is read.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from provider_runtime.go_flags import Flag, FlagKind, parse_duration, parse_flags, render_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMAND: Final = "await-files"
EXIT_FOUND: Final = 0
EXIT_MISSING: Final = 1
EXIT_WRONG_FLAG: Final = 2
_PAUSE_SECONDS: Final = 0.2
_FLAGS: Final = (
    Flag(
        name="timeout", kind=FlagKind.DURATION, default="5s", help="How long the files may take; written --timeout=5s."
    ),
)


def find_missing(
    paths: Sequence[str],
    timeout_seconds: float,
    *,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Return the paths, in their order, that have not appeared in time."""
    deadline = now() + timeout_seconds
    while True:
        missing = tuple(path for path in paths if not os.path.exists(path))  # noqa: PTH110 - a broken link is missing
        if not missing or now() >= deadline:
            return missing
        pause(_PAUSE_SECONDS)


def main(arguments: Sequence[str]) -> int:
    """Run the command; `arguments` are flags, then the files' absolute paths."""
    flags = list(takewhile(lambda word: word.startswith("-"), arguments))
    paths = list(arguments[len(flags) :])
    values = parse_flags(flags, _FLAGS)
    problems = list(values.problems)
    timeout_seconds = 0.0
    try:
        timeout_seconds = parse_duration(values.texts["timeout"])
    except ValueError as error:
        problems.append(f'invalid value "{values.texts["timeout"]}" for flag -timeout: {error}')
    problems += [f"{path!r} is not an absolute path" for path in paths if not path.startswith("/")]
    if not paths:
        problems.append("no file is named")
    if values.wants_help or problems:
        usage = render_usage(f"provider_runtime {COMMAND} [flags] FILE...", _FLAGS)
        print("\n".join([*problems, usage]), end="", file=sys.stderr)  # noqa: T201
        return EXIT_FOUND if values.wants_help else EXIT_WRONG_FLAG
    missing = find_missing(paths, timeout_seconds)
    for path in missing:
        print(  # noqa: T201 - it is the container's log
            f"{path}: the file is missing. The volume was not filled when the pod came. Fix: wait for the "
            "driver's next attempt or delete the pod; its FailedMount event (`kubectl describe pod`) says why the "
            "first one failed",
            file=sys.stderr,
        )
    return EXIT_MISSING if missing else EXIT_FOUND
