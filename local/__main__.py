"""`python -m local`: the main job on the embedded stack, then four proofs. Exit 0 only if every proof held."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from components.derivation import SpecErrors
from components.stack_config import SettingsErrors
from local.deployment import DeploymentError
from local.emulator import EmulatorError
from local.pods import FailedMount, Pod
from local.proofs import prove_isolation, prove_revocation, prove_rotation
from local.provider_process import ProviderStartError
from local.report import ProofResult, Report
from local.seed import SeedError
from local.stage import AGES, Stage
from lockstep.exit_codes import ExitCode

PROJECT = Path(__file__).resolve().parent.parent
#: What can go wrong with a part of the stage; anything else is a bug and shows its traceback.
_STAGE_ERRORS = (DeploymentError, EmulatorError, ProviderStartError, SeedError, SettingsErrors, SpecErrors)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.WRONG_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the embedded stack; return the exit code: 0, 1 (a part did not start), 2 (a proof did not hold), 64."""
    parser = _Parser(prog="python -m local", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running and print where to look")
    parser.add_argument("--plain", action="store_true", help="plain lines, also on a terminal")
    options = parser.parse_args(arguments)
    report = Report(plain=options.plain)
    signal.signal(signal.SIGTERM, _interrupt)  # a polite kill tears everything down, as Ctrl-C does
    try:
        return _run(report, keep=options.keep)
    except _STAGE_ERRORS as error:
        print(f"\nthe stage could not be set up: {error}", file=sys.stderr)
        return ExitCode.INVALID_INPUT
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started has been ended", file=sys.stderr)
        return ExitCode.INVALID_INPUT


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler's signature
    raise KeyboardInterrupt


def _run(report: Report, *, keep: bool) -> int:
    report.heading("Lockstep on the embedded stack")
    with Stage(project=PROJECT, report=report, keep=keep) as stage:
        pods, failures = _start_pods(stage)
        _show_files(stage, pods)
        if failures:
            for failure in failures:
                report.line(f"  {failure.pod.label}: {failure.event_text}", style="bold red")
            return ExitCode.FINDINGS
        results = [prove_isolation(stage)]
        report.proof(1, results[0])
        results.append(prove_rotation(stage, pods))
        report.proof(2, results[1])
        results.append(prove_revocation(stage, pods))
        report.proof(3, results[2])
        results.append(_prove_silence(stage))
        report.proof(4, results[3])
        _show_end(stage, keep=keep)
    held = sum(result.held for result in results)
    report.heading(f"{held} of {len(results)} proofs held")
    return ExitCode.FINE if held == len(results) else ExitCode.FINDINGS


def _start_pods(stage: Stage) -> tuple[Mapping[str, Pod], list[FailedMount]]:
    pods = {str(app.app): stage.pod(app, 0) for app in stage.apps}
    with stage.report.step(f"{len(pods)} pods start"):
        outcomes = [stage.kubelet.start_pod(pod) for pod in pods.values()]
    return pods, [outcome for outcome in outcomes if isinstance(outcome, FailedMount)]


def _show_files(stage: Stage, pods: Mapping[str, Pod]) -> None:
    stage.report.heading("What each pod sees")
    rows = [
        (app, f"{paths[file.volume]}/{file.path}", f"{file.mode:04o}", str(file.size_bytes), file.version)
        for app, pod in pods.items()
        for paths in [{str(mount.volume["name"]): mount.path for mount in stage.app(app).mounts}]
        for file in stage.kubelet.list_files(pod)
    ]
    stage.report.table(("app", "file", "mode", "bytes", "version"), rows)
    for namespace, name in stage.kubelet.driver.cluster.secret_names():
        stage.report.line(f"  copied as Kubernetes Secret: {namespace}/{name}")
    ages = ", ".join(f"{flag} {here} (default {default})" for flag, here, default in AGES)
    stage.report.line(f"  ages of this run: {ages}")


def _prove_silence(stage: Stage) -> ProofResult:
    """Search everything that was printed and logged, by us, the provider and the driver, for every value made."""
    places = {
        "this output": stage.report.printed,
        "the provider's log": stage.provider.log(),
        "the driver's log": "\n".join(stage.kubelet.driver.log),
        "the engine's state": (stage.work_dir / "state.json").read_text(encoding="utf-8"),
    }
    leaks = [place for place, text in places.items() if any(value in text for value in stage.seed.values)]
    seen = [f"{len(stage.seed.values)} values searched in {', '.join(places)}"]
    seen += [f"a value stands in {place}" for place in leaks]
    return ProofResult(claim="no secret value was printed, logged or kept in state", held=not leaks, seen=tuple(seen))


def _show_end(stage: Stage, *, keep: bool) -> None:
    if not keep:
        return
    credentials = (
        f"AWS_ACCESS_KEY_ID={stage.emulator.access_key} AWS_SECRET_ACCESS_KEY={stage.emulator.secret_key} "
        f"AWS_DEFAULT_REGION={stage.settings.region}"
    )
    relative = stage.work_dir.relative_to(PROJECT)
    stage.report.heading("Left running")
    for line in (
        f"emulated AWS    {stage.emulator.endpoint} (pid {stage.emulator.pid})",
        f"provider        {stage.provider.socket} (pid {stage.provider.pid})",
        f"pods' files     {relative}/kubelet/pods",
        f"manifests       {relative}/manifests",
        f"logs            {relative}/provider.log, {relative}/emulator/emulator.log",
        f"look around     {credentials} aws --endpoint-url {stage.emulator.endpoint} iam list-roles",
        f"stop            kill {stage.provider.pid} {stage.emulator.pid} && rm -r {relative}",
    ):
        stage.report.line(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
