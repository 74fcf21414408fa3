"""`python -m benchmarks.fleet_scale`: how long 1,000 app specs take to be checked, derived and rendered.

Measured are the commands as CI runs them, the process included: `lockstep check`, `lockstep render` and
`lockstep --help`, and the steps inside: read and derive (one step, because a fleet is derived while the rest of it is
read), render, lint. Every spec reads 20 objects with what real ones use: customer keys, JSON keys, a failover region,
versions, a shared secret, an environment's overlay.
CPU seconds stand beside the wall clock, because other work on the machine stretches that one. Exits with 1 when a wall
clock is over its bound, or an output is not whole.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from components.derivation import Environment, dump_json, render_fleet
from components.derivation.lint import Material, lint
from lockstep.__main__ import collect_rarely
from lockstep.spec_reading import load_fleet, load_specs

_ROOT = Path(__file__).resolve().parent.parent
_WORK_BOUND_SECONDS = 5.0
_HELP_BOUND_SECONDS = 0.3
_APPS_PER_NAMESPACE = 25
_PLACE = {
    "environment": "prod",
    "region": "eu-west-1",
    "account": "444455556666",
    "cluster": "prod",
    "oidc-issuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
}
_ENVIRONMENT = Environment(
    name="prod",
    region=_PLACE["region"],
    account=_PLACE["account"],
    cluster=_PLACE["cluster"],
    oidc_issuer=_PLACE["oidc-issuer"],
)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Wall clock and CPU time of one piece of work, in seconds."""

    wall: float
    cpu: float

    def __add__(self, other: Took) -> Took:
        return Took(wall=self.wall + other.wall, cpu=self.cpu + other.cpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured piece; `bound` in seconds of wall clock, None where it is shown for its share only."""

    name: str
    took: Took
    bound: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the bound does not hold."""
        return self.bound is not None and self.took.wall > self.bound

    def __str__(self) -> str:
        bound = "" if self.bound is None else f"   bound {self.bound:g} s{', MISSED' if self.is_over else ''}"
        return f"{self.name:<34}{self.took.wall:7.2f} s   CPU {self.took.cpu:6.2f} s{bound}"


def spec(number: int, objects: int) -> str:
    """Return one app: three quarters secrets, one quarter parameters, the first of them with every usual setting."""
    app = f"app-{number}"
    key = f"arn:aws:kms:${{region}}:${{account}}:key/mrk-{number:032x}"
    parameters = objects // 4
    secrets = [f"  - {{name: '${{environment}}/{app}/s{item}', file: s{item}.json}}" for item in range(objects)]
    secrets[0] += f"\n  - name: ${{environment}}/shared/smtp-{number % 40}\n    file: smtp.json\n    owner: platform"
    secrets[1] = (
        f'  - name: ${{environment}}/{app}/db\n    file: db.json\n    mode: "0400"\n    kmsKey: {key}\n'
        '    keys:\n      username: db/user\n      password: {file: db/password, mode: "0400"}'
    )
    secrets[2] = f"  - {{name: '${{environment}}/{app}/previous', file: previous, stage: AWSPREVIOUS, kmsKey: '{key}'}}"
    named = "\n".join(secrets[: objects - parameters - 1])
    values = "\n".join(f"  - {{name: '/${{environment}}/{app}/p{item}', file: p{item}}}" for item in range(parameters))
    return (
        f"version: 1\napp: {app}\nnamespace: team-{number // _APPS_PER_NAMESPACE}\nowner: team-{number % 40}\n"
        f"failoverRegions: [eu-central-1]\nsecrets:\n{named}\nparameters:\n{values}\n"
        f"environments:\n  prod:\n    serviceAccount: {app}-prod\n"
    )


def write_specs(folder: Path, apps: int, objects: int) -> None:
    """Write one file per app."""
    folder.mkdir(parents=True)
    for number in range(apps):
        (folder / f"app-{number}.yaml").write_text(spec(number, objects), encoding="utf-8")


def measure_steps(folder: Path, apps: int, objects: int) -> list[Figure]:
    """Return the steps of check and render in this process, and their sum, each done once."""
    took: dict[str, Took] = {}

    def timed(name: str, work: Callable[[], _T]) -> _T:
        started, cpu = time.perf_counter(), time.process_time()
        done = work()
        took[name] = Took(wall=time.perf_counter() - started, cpu=time.process_time() - cpu)
        return done

    fleet = timed("read, check and derive", lambda: load_fleet([folder], _ENVIRONMENT))
    text = timed("render as JSON", lambda: dump_json(render_fleet(fleet)))
    material = Material().with_specs(load_specs([folder]), (), environments=None)
    timed("lint", lambda: lint(material))
    _expect(sum(len(app.objects) for app in fleet.apps) == apps * objects, "every object is derived")
    _expect(len(json.loads(text)["apps"]) == apps, "every app is rendered")
    whole = Figure(name="together", took=sum(took.values(), Took(wall=0, cpu=0)), bound=_WORK_BOUND_SECONDS)
    return [*(Figure(name=name, took=one) for name, one in took.items()), whole]


def measure_commands(folder: Path, apps: int, repeats: int) -> list[Figure]:
    """Return the commands, process included; of `--help` the best of `repeats`, because it is short."""
    place = [word for name, value in _PLACE.items() for word in (f"--{name}", value)]
    checked, check = _run("check", str(folder))
    _expect(checked.startswith(f"{apps} app"), "check names the number of apps")
    rendered, render = _run("render", str(folder), *place, "--format", "json")
    _expect(len(json.loads(rendered)["apps"]) == apps, "render prints every app")
    helped = min((_run("--help")[1] for _ in range(repeats)), key=lambda took: took.wall)
    return [
        Figure(name="lockstep check", took=check, bound=_WORK_BOUND_SECONDS),
        Figure(name="lockstep render --format json", took=render, bound=_WORK_BOUND_SECONDS),
        Figure(name=f"lockstep --help, best of {repeats}", took=helped, bound=_HELP_BOUND_SECONDS),
    ]


def _run(*arguments: str) -> tuple[str, Took]:
    command = [sys.executable, "-m", "lockstep", *arguments]
    started, cpu = time.perf_counter(), _children_cpu()
    ended = subprocess.run(command, cwd=_ROOT, env=os.environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    took = Took(wall=time.perf_counter() - started, cpu=_children_cpu() - cpu)
    _expect(ended.returncode == 0, f"{' '.join(arguments[:1])} ends with 0: {ended.stderr[-2000:]}")
    return ended.stdout, took


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _expect(holds: bool, what: str) -> None:  # noqa: FBT001 - an assertion that -O keeps
    if not holds:
        raise RuntimeError(f"not as it should be: {what}")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return 1 when a figure is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--apps", type=int, default=1000)
    parser.add_argument("--objects", type=int, default=20, help="Of each app; at least 8.")
    parser.add_argument("--repeats", type=int, default=7, help="Of `lockstep --help`.")
    given = parser.parse_args(arguments)
    collect_rarely()  # as the commands do
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as temporary:
        folder = Path(temporary) / "apps"
        write_specs(folder, given.apps, given.objects)
        steps = measure_steps(folder, given.apps, given.objects)
        commands = measure_commands(folder, given.apps, given.repeats)
    print(f"{given.apps} apps, {given.objects} objects each, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for figure in (*steps, *commands):
        print(figure)
    return 1 if any(figure.is_over for figure in (*steps, *commands)) else 0


if __name__ == "__main__":
    sys.exit(main())
