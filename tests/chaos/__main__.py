"""`python -m tests.chaos`: random faults against random mounts, on the real driver and API server. See `make chaos`."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from local.report import Report
from tests.chaos.provider import PLANTS
from tests.chaos.run import ChaosRun, Summary
from tests.chaos.stage import ChaosStage, RealChaosStage
from tests.e2e import toolbox

EXIT_FINE: Final = 0
EXIT_BROKEN: Final = 2
_SECONDS: Final = 600.0
_NO_LIMIT: Final = 1_000_000_000
_PLANTED_OPERATIONS: Final = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line."""

    seed: int
    operations: int
    seconds: float
    plants: tuple[str, ...]
    is_on_stand_ins: bool
    is_traced: bool


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line; argparse ends the process for a wrong one."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seed", type=int, help="of the plan (default: drawn, and printed)")
    parser.add_argument("--operations", type=int, help="stop after so many (default: as many as the time allows)")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="stop after so long (default: %(default)g)")
    parser.add_argument(
        "--planted",
        nargs="*",
        choices=tuple(PLANTS),
        help="find these planted bugs instead (default: all), each within --operations (default: 3000)",
    )
    parser.add_argument("--stand-ins", action="store_true", help="no real driver and API server, whatever is there")
    parser.add_argument("--trace", action="store_true", help="print every step")
    given = parser.parse_args(arguments)
    plants = () if given.planted is None else tuple(given.planted or PLANTS)
    return Options(
        seed=secrets.randbelow(1_000_000) if given.seed is None else given.seed,
        operations=given.operations or (_PLANTED_OPERATIONS if plants else _NO_LIMIT),
        seconds=given.seconds,
        plants=plants,
        is_on_stand_ins=given.stand_ins,
        is_traced=given.trace,
    )


def main(arguments: Sequence[str]) -> int:
    """Run; 0 when every invariant held, or every planted bug was found."""
    options = parse_options(arguments)
    missing = toolbox.missing_requirements() or toolbox.missing_tools()
    if missing:
        print(f"on stand-ins of driver and API server: {'; '.join(missing)}. Fix: make e2e-tools, as root, with Go")
    kind = ChaosStage if missing or options.is_on_stand_ins else RealChaosStage
    parts = "stand-ins" if kind is ChaosStage else f"{toolbox.DRIVER.name}, Kubernetes {toolbox.KUBERNETES_VERSION}"
    print(f"seed {options.seed}, on {parts}", flush=True)
    with kind(project=toolbox.PROJECT, report=Report(plain=True)) as stage:
        if options.plants:
            return _find_plants(stage, options)
        summary = _run(stage, options, "")
    _print(summary)
    return EXIT_BROKEN if summary.violations else EXIT_FINE


def _find_plants(stage: ChaosStage, options: Options) -> int:
    blind = 0
    for plant in options.plants:
        summary = _run(stage, options, plant)
        found = summary.violations[:1]
        for operation, violation in found:
            print(f"{plant}: found at operation {operation} of seed {options.seed}, {summary.seconds:.0f} s:")
            print(f"  {violation.rule}: {violation.text}", flush=True)
        if not found:
            blind += 1
            print(f"{plant}: not found in {summary.operations} operations, {summary.seconds:.0f} s", flush=True)
    return EXIT_BROKEN if blind else EXIT_FINE


def _run(stage: ChaosStage, options: Options, plant: str) -> Summary:
    trace = (lambda line: print(line, flush=True)) if options.is_traced else None
    run = ChaosRun(stage, options.seed, plant=plant, trace=trace)
    return run.run(operations=options.operations, seconds=options.seconds)


def _print(summary: Summary) -> None:
    values, strictly = summary.judged_values
    print(f"{summary.operations} operations in {summary.seconds:.0f} s, {summary.aws_calls} calls of AWS")
    print(f"{values} values in files judged, {strictly} of them while no disturbance excused an old one")
    for title, counts in (("steps", summary.steps), ("mounts", summary.outcomes)):
        print(f"{title}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    for operation, violation in summary.violations:
        print(f"VIOLATION at operation {operation}: {violation.rule}: {violation.text}")
    print(
        f"{len(summary.violations)} violations; again: make chaos ARGS='--seed {summary.seed} --operations "
        f"{summary.operations}'",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
