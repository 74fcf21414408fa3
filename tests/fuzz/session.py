"""One bounded round of fuzzing over all targets: `python -m tests.fuzz.session --seconds 60`; what `make fuzz` runs.

Each target gets an equal share of the time in a process of its own, with limits of time and memory for every single
input. What reached new code is kept in `.fuzz/TARGET` and is where the next round begins. Exit codes: 0 nothing found,
1 an input broke a law (its file is named), 2 wrong usage or the fuzzer did not run.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGETS: Final = ("attributes", "objects", "jmespath")
INPUT_SECONDS: Final = 30
"""No input may take longer; the slowest take half a second of CPU under the fuzzer, and a busy machine has little."""
MEMORY_MIB: Final = 1024
INPUT_BYTES: Final = 8_192
_FOLDER: Final = Path(__file__).parent
_FOUND: Final = re.compile(r"Test unit written to (\S*(?:crash|timeout|oom|leak)-\S+)")
"""A `slow-unit-` is a remark, no finding."""
_EXECUTED: Final = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)
_COVERED: Final = re.compile(r"\bcov: (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What became of one target."""

    target: str
    exit_code: int
    executions: int
    covered: int
    """Edges of the instrumented code; 0 when libFuzzer told none."""
    finding: str
    """Path of the input that broke a law; empty if none did."""
    output: str

    @property
    def is_whole(self) -> bool:
        """Whether the fuzzer ran to its end and found nothing."""
        return self.exit_code == 0 and self.executions > 0 and not self.finding


def run_target(target: str, *, seconds: int, python: str, work: Path) -> Round:
    """Fuzz one target.

    Args:
        target: One of TARGETS.
        seconds: How long, at least 1.
        python: Interpreter of the environment that has atheris.
        work: Where inputs that reach new code, and findings, are kept.
    """
    corpus = work / target
    corpus.mkdir(parents=True, exist_ok=True)
    flags = (
        f"-dict={_FOLDER / f'{target}.dict'}",
        f"-max_total_time={seconds}",
        f"-timeout={INPUT_SECONDS}",
        f"-report_slow_units={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-max_len={INPUT_BYTES}",
        f"-artifact_prefix={work / target}-",
        "-print_final_stats=1",
    )
    command = [python, "-m", "tests.fuzz.run", target, *flags, str(corpus), str(_FOLDER / "seeds" / target)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")  # noqa: S603
    output = done.stdout + done.stderr
    found = _FOUND.search(output)
    return Round(
        target=target,
        exit_code=done.returncode,
        executions=max((int(count) for count in _EXECUTED.findall(output)), default=0),
        covered=max((int(count) for count in _COVERED.findall(output)), default=0),
        finding=found[1] if found else "",
        output=output,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the round; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.session", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together (default 60)")
    parser.add_argument("--work", type=Path, default=Path(".fuzz"), help="where inputs are kept (default .fuzz)")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has atheris (default: this one)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    options = parser.parse_args(arguments)
    targets = options.targets or TARGETS
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no target: {', '.join(sorted(unknown))}. There are {', '.join(TARGETS)}")
    share = max(1, options.seconds // len(targets))
    exit_code = 0
    for target in targets:
        done = run_target(target, seconds=share, python=options.python, work=options.work)
        print(f"{target:<12}{done.executions:>9} executions{done.covered:>7} edges  {share} s", flush=True)  # noqa: T201
        if not done.is_whole:
            print(_explain(done), file=sys.stderr)  # noqa: T201
            exit_code = 1 if done.finding else 2
    return exit_code


def _explain(done: Round) -> str:
    tail = "\n".join(line[:500] for line in done.output.splitlines()[-40:])
    if not done.finding:
        return f"{tail}\nfuzz {done.target}: the fuzzer did not run to its end (exit code {done.exit_code})."
    return (
        f"{tail}\nfuzz {done.target}: an input broke a law: {done.finding}. Fix: put it into tests/fuzz/seeds/"
        f"{done.target}/ under a name that says what it is, and mend the code until tests/fuzz passes."
    )


if __name__ == "__main__":
    sys.exit(main())
