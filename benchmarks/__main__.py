"""`python -m benchmarks`: run the scenarios, print the table, write the JSON beside it. See README.md.

Exit codes: 0 measured (a missed goal is a figure, not a failure), 1 could not measure, 64 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NoReturn

from benchmarks.figures import Sample, derive_goals
from benchmarks.private_room import Room, RoomError, enter_room, furnish_room
from benchmarks.processes import (
    BenchError,
    DriverProcess,
    end_process,
    our_contender,
    start_stand_in,
    their_contenders,
)
from benchmarks.report import render_goals, render_table, write_document
from benchmarks.scenarios import SCENARIOS, Run, Size

RESULTS: Final = Path(__file__).resolve().parent / "results"
_FAILED: Final = 1
_WRONG_USAGE: Final = 64
_TINY: Final = Size(turns=2, pods=20, bursts=1, warm_mounts=20, long_mounts=20, scale=600.0, hour_share=0.1, outages=1)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(_WRONG_USAGE)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="python -m benchmarks", description="Measure the provider; ASCP_BINARY adds AWS's own.")
    parser.add_argument("--latency-ms", type=float, default=20.0, help="injected into every AWS answer (default 20)")
    parser.add_argument("--only", action="append", choices=tuple(SCENARIOS), help="one scenario; may be repeated")
    parser.add_argument(
        "--tiny", action="store_true", help="a few mounts of each: shows that it works, measures nothing"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "latest.json", help="the JSON file")
    return parser.parse_args(arguments)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    binary = os.environ.get("ASCP_BINARY", "")
    try:
        if binary:
            if not (Path(binary).is_file() and os.access(binary, os.X_OK)):
                raise RoomError(f"ASCP_BINARY={binary}: not an executable file.")  # noqa: TRY301 - one place reports it
            enter_room(arguments)
        with tempfile.TemporaryDirectory(prefix="lsb-", dir="/tmp") as name:  # short: socket paths hold 107 bytes
            folder = Path(name)
            room = furnish_room(folder) if binary else None
            try:
                return _measure(options, binary, room, folder)
            finally:
                if room is not None:
                    os.system(f"umount {room.targets}")  # noqa: S605  # our own path
    except (BenchError, RoomError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return _FAILED


def _measure(options: argparse.Namespace, binary: str, room: Room | None, folder: Path) -> int:
    port = _free_port()
    contenders = [our_contender(port, room), *(their_contenders(binary, room) if room else ())]
    samples: list[Sample] = []
    with contextlib.ExitStack() as stack:
        stand_in = start_stand_in(port, room)
        stack.callback(end_process, stand_in.process)
        driver = DriverProcess()
        stack.callback(end_process, driver.process)
        run = Run(
            stand_in=stand_in,
            driver=driver,
            contenders=contenders,
            folder=folder,
            target_root=str(room.targets) if room else "/var/lib/kubelet",
            latency_seconds=options.latency_ms / 1000,
            size=_TINY if options.tiny else Size(),
            has_hole=room is not None,
        )
        for name in options.only or SCENARIOS:
            began = time.monotonic()
            print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
            samples += SCENARIOS[name](run)
            print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    goals = derive_goals(samples, run.resident_by_thousand)
    settings = {"latency_ms": options.latency_ms, "tiny": options.tiny, "with_ascp": bool(binary)}
    write_document(options.output, samples=samples, goals=goals, settings=settings)
    print(f"{render_table(samples)}\n\ngoals\n{render_goals(goals)}\n\nwritten: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
