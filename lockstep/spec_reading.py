"""Many spec files at once, read on every core.

What one text says is a function of that text, so a large folder is shared out to worker processes and the results are
put together here as `components.derivation.load_specs` does it. A small folder, or a machine where processes cannot be
forked safely, is read by this process: the result is the same.

Derived values are large to hand over, so deriving is not shared out: this process derives what is read already while
the workers read on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path

from components.derivation import AppSpec, Environment, FleetAccess, derive_fleet
from components.derivation.errors import ProblemList
from components.derivation.spec_files import DISK
from components.derivation.spec_reader import ReadSource, SpecSource, join_sources, list_sources, read_source
from lockstep.derived_apps import DerivedApps

#: Below it a worker costs more than it takes over: 100 files of a page each are read in about 0.2 s.
_SHARED_FROM_CHARACTERS = 150_000
_MOST_WORKERS = 8
#: Of a folder: so many that the last worker to end is not long alone, and the reader of its results neither.
_PORTIONS = 24


def load_specs(paths: Sequence[str | os.PathLike[str]]) -> tuple[AppSpec, ...]:
    """Read spec files and folders like `components.derivation.load_specs`; raises `SpecErrors`."""
    problems = ProblemList()
    sources = list_sources([Path(path) for path in paths], DISK, problems)
    return join_sources(read_sources(sources), problems)


def load_fleet(paths: Sequence[str | os.PathLike[str]], environment: Environment) -> FleetAccess:
    """Read spec files and folders and derive their fleet.

    Raises:
        SpecErrors: What is wrong with the specs; where nothing is, what is wrong with them in this environment.
    """
    problems = ProblemList()
    known = DerivedApps()
    sources = list_sources([Path(path) for path in paths], DISK, problems)
    read = read_sources(sources, lambda spec: known.prepare(spec, environment))
    return derive_fleet(join_sources(read, problems), environment, known.derive)


def read_sources(sources: Sequence[SpecSource], ahead: Callable[[AppSpec], object] | None = None) -> list[ReadSource]:
    """Return what each text says, in the given order.

    Args:
        sources: Any number.
        ahead: Work on each app by itself that is wanted later in any case. It is called for apps without problems while
            workers read others, and not at all where there are no workers; it must not raise.
    """
    cores = _cores()
    if cores > 1 and sum(len(source.text) for source in sources) >= _SHARED_FROM_CHARACTERS and _may_fork():
        try:
            # With work of its own, this process keeps a core busy itself.
            return _read_beside(sources, min(cores - 1 if ahead else cores, _MOST_WORKERS), ahead)
        except (BrokenExecutor, OSError, NotImplementedError):
            pass  # no semaphores or no memory for workers here: one process needs neither
    return [read_source(source) for source in sources]


def _read_beside(
    sources: Sequence[SpecSource], workers: int, ahead: Callable[[AppSpec], object] | None = None
) -> list[ReadSource]:
    # Workers inherit the texts. Handed over by the executor's queue they could fill its pipe, and Python before 3.12
    # then waits without end for a worker that died (cpython issue 94777).
    context = multiprocessing.get_context("fork")
    executor = ProcessPoolExecutor(workers, context, initializer=_Portion.begin, initargs=(sources,))
    size = -(-len(sources) // _PORTIONS)
    results: list[ReadSource] = []
    try:
        for portion in executor.map(_Portion.read, range(0, len(sources), size), [size] * len(sources)):
            results += portion
            if ahead:
                for spec in _sound_specs(portion):
                    ahead(spec)
        return results
    finally:
        executor.shutdown(cancel_futures=True)


def _sound_specs(portion: Sequence[ReadSource]) -> Iterator[AppSpec]:
    """Yield the apps of texts without problems: others may hold what no derivation accepts."""
    return (spec for result in portion if not result.problems for spec in result.specs)


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
