"""`python -m benchmarks.preview`: how long the embedded engine takes to preview the `prod` stack with many apps.

The real program runs in its process against the real protocol; nothing is deployed before, and no cloud is asked. The
run is timed whole: interpreter, the SDK's imports, specs, derivation, and every registration. A second run with one app
says what of it is the start, and what each further app costs. Exits with 1 when the preview failed or took too long.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.access_diff import write_specs
from components.settings import load_settings
from lockstep.engine import EngineState, run_program
from lockstep.preview.offline_provider import offline_providers

_ROOT = Path(__file__).resolve().parent.parent
_STACK = "prod"
_BOUND_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewFigure:
    """One preview.

    Attributes:
        seconds: From the call to the digest.
        cpu_seconds: User and system time of the engine and the program.
        resources: What would be created.
        problems: Why it failed; empty when it did not.
    """

    apps: int
    seconds: float
    cpu_seconds: float
    resources: int
    problems: tuple[str, ...]


def measure_preview(apps: int, project: Path = _ROOT) -> PreviewFigure:
    """Preview that many apps, each with three secrets and a parameter."""
    settings = load_settings(project, _STACK)
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as temporary:
        write_specs(Path(temporary), apps, 0)
        overrides = {
            "lockstep:apps": json.dumps([temporary]),
            # Literals, as for a stack whose cluster is known: a look-up would ask a cloud.
            "lockstep:clusterEndpoint": "https://cluster.offline.invalid",
            "lockstep:clusterCertificate": "bm90IGtub3duIG9mZmxpbmU=",
        }
        started, busy = time.perf_counter(), _cpu_seconds()
        result = run_program(
            project_dir=project,
            stack=_STACK,
            mode="preview",
            state=EngineState(),
            providers=offline_providers(region=settings.region, account=settings.account),
            config_overrides=overrides,
        )
        seconds, cpu_seconds = time.perf_counter() - started, _cpu_seconds() - busy
    summary = result.digest["changeSummary"]
    created = summary.get("create", 0) if isinstance(summary, dict) else 0
    return PreviewFigure(
        apps=apps,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        resources=int(str(created)),
        problems=tuple(error.message for error in result.errors),
    )


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return 1 when the preview failed or is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--apps", type=int, default=100)
    given = parser.parse_args(arguments)
    one, many = measure_preview(1), measure_preview(given.apps)
    for figure in (one, many):
        texts = f"{figure.seconds:6.2f} s   {figure.cpu_seconds:6.2f} s CPU   {figure.resources:5d} resources"
        print(f"preview of {figure.apps:4d} apps   {texts}" + "".join(f"\n  {text}" for text in figure.problems))
    each = (many.cpu_seconds - one.cpu_seconds) / max(1, given.apps - 1)
    print(f"each further app        {each * 1000:6.1f} ms CPU   bound for the whole {_BOUND_SECONDS:g} s")
    return 1 if one.problems or many.problems or many.seconds > _BOUND_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
