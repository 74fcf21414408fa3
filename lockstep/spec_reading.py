"""Many spec files at once, read on every core.

What one text says is a function of that text, so a large folder is shared out to worker processes and the results are
put together here as `components.derivation.load_specs` does it. A small folder, or a machine where processes cannot be
forked safely, is read by this process: the result is the same.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path

from components.derivation import AppSpec
from components.derivation.errors import ProblemList
from components.derivation.spec_files import DISK
from components.derivation.spec_reader import ReadSource, SpecSource, join_sources, list_sources, read_source

#: Below it a worker costs more than it takes over: 100 files of a page each are read in about 0.2 s.
_SHARED_FROM_CHARACTERS = 150_000
_MOST_WORKERS = 8
#: Of each worker, so that the last one to end is not long alone.
_PORTIONS = 4


def load_specs(paths: Sequence[str | os.PathLike[str]]) -> tuple[AppSpec, ...]:
    """Read spec files and folders like `components.derivation.load_specs`; raises `SpecErrors`."""
    problems = ProblemList()
    sources = list_sources([Path(path) for path in paths], DISK, problems)
    return join_sources(read_sources(sources), problems)


def read_sources(sources: Sequence[SpecSource]) -> list[ReadSource]:
    """Return what each text says, in the given order."""
    workers = min(_cores(), _MOST_WORKERS)
    if workers > 1 and sum(len(source.text) for source in sources) >= _SHARED_FROM_CHARACTERS and _may_fork():
        try:
            return _read_beside(sources, workers)
        except (BrokenExecutor, OSError, NotImplementedError):
            pass  # no semaphores or no memory for workers here: one process needs neither
    return [read_source(source) for source in sources]


def _read_beside(sources: Sequence[SpecSource], workers: int) -> list[ReadSource]:
    # Workers inherit the texts. Handed over by the executor's queue they could fill its pipe, and Python before 3.12
    # then waits without end for a worker that died (cpython issue 94777).
    context = multiprocessing.get_context("fork")
    executor = ProcessPoolExecutor(workers, context, initializer=_Portion.begin, initargs=(sources,))
    size = -(-len(sources) // (workers * _PORTIONS))
    try:
        portions = executor.map(_Portion.read, range(0, len(sources), size), [size] * len(sources))
        return [result for portion in portions for result in portion]
    finally:
        executor.shutdown(cancel_futures=True)


class _Portion:
    """What a worker does, in its own process."""

    sources: Sequence[SpecSource] = ()

    @classmethod
    def begin(cls, sources: Sequence[SpecSource]) -> None:
        """Keep the texts, and leave an interrupt to the parent, which ends the workers."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        cls.sources = sources

    @classmethod
    def read(cls, first: int, size: int) -> list[ReadSource]:
        """Return what some of the texts say."""
        return [read_source(source) for source in cls.sources[first : first + size]]


def _may_fork() -> bool:
    """Say whether a copy of this process would work: no thread may hold a lock in it, gRPC's own ones included."""
    return sys.platform == "linux" and threading.active_count() == 1 and "grpc" not in sys.modules


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
