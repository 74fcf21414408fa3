"""Runs the real Pulumi program of a project, without the Pulumi CLI: preview, up and destroy.

Not done here: resources (deployment.py), removals (removal.py), the protocol (monitor.py). Done here: the order of a
run and the process of the program.

1. The configuration is `Pulumi.yaml`'s defaults under the stack's file, under the overrides of the call.
2. The program runs in a process of its own, against a monitor on a loopback port, over real gRPC.
3. When it ended well, what it no longer registers is removed. When it failed, nothing is removed; the state has what
   was done until then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components.stack_config import StackConfig, load_stack_config
from lockstep.engine.deployment import Deployment
from lockstep.engine.digest import Diagnostic, Severity, render_digest
from lockstep.engine.journal import Checkpoint, Journal
from lockstep.engine.monitor import serve
from lockstep.engine.removal import remove_remaining
from lockstep.engine.resource_provider import ProviderError, ResourceProvider
from lockstep.engine.state import STACK_TYPE, EngineState
from lockstep.engine.values import Json, Properties, reveal_properties

Mode = Literal["preview", "up", "destroy"]

#: What a program sees as its organization; the embedded engine has no service behind it.
ORGANIZATION = "organization"

_HOST = Path(__file__).with_name("language_host.py")

#: How much of a crashed program's stderr is shown, in characters from its end.
_SHOWN_STDERR = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResult:
    """How a run ended.

    Attributes:
        digest: The shape of `pulumi preview --json`; secrets blinded.
        state: What exists after the run; a preview returns the state it was given.
        outputs: Outputs of the stack, secrets revealed; at preview with what is unknown as `values.UNKNOWN`.
        diagnostics: All messages, in order.
    """

    digest: dict[str, Json]
    state: EngineState
    outputs: dict[str, Json]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """Whether the run ended without an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors among the messages, in order."""
        return tuple(item for item in self.diagnostics if item.severity is Severity.ERROR)


def run_program(
    *,
    project_dir: Path,
    stack: str,
    mode: Mode,
    state: EngineState,
    providers: Mapping[str, ResourceProvider],
    python: str | None = None,
    config_overrides: Mapping[str, str] | None = None,
    checkpoint: Checkpoint | None = None,
    timeout_seconds: float = 600.0,
    show_sames: bool = False,
) -> EngineResult:
    """Run one stack of a project.

    Args:
        project_dir: Folder of `Pulumi.yaml` and `__main__.py`.
        stack: Its file is `<stackConfigDir>/Pulumi.<stack>.yaml`.
        mode: `preview` changes nothing; `destroy` removes everything and runs no program.
        state: Result of the last run, or an empty one.
        providers: By package: `{"aws": …, "kubernetes": …}`. Any other package is an error.
        python: Interpreter that has the program's requirements; this one by default.
        config_overrides: Full key (`lockstep:oidcIssuer`) to text, over both files.
        checkpoint: Called with the state after each change of it, so that a killed run loses nothing.
        timeout_seconds: Bound for the program; past it the program is ended and the run has failed.
        show_sames: Whether the digest holds unchanged resources too.

    Returns:
        The result, whether it went well or not: problems of the program and of providers are diagnostics.

    Raises:
        SettingsErrors: The configuration files cannot be read.
    """
    started = time.monotonic()
    config = load_stack_config(project_dir, stack, config_overrides)
    dry_run = mode == "preview"
    journal = Journal(state, None if dry_run else checkpoint)
    if mode == "destroy":
        _configure_providers(journal, state, providers)
    else:
        deployment = Deployment(
            project=config.project,
            stack=stack,
            dry_run=dry_run,
            config=config.as_text(),
            providers=providers,
            journal=journal,
        )
        with serve(deployment) as address:
            host = _Host(python or sys.executable, address, project_dir.resolve(), timeout_seconds)
            host.run(config, mode, journal)
    if not journal.failed:
        remove_remaining(journal, providers, dry_run=dry_run)
    digest = render_digest(
        config=config.as_text(),
        secret_keys=frozenset(),
        steps=journal.steps,
        diagnostics=journal.diagnostics,
        duration_seconds=time.monotonic() - started,
        show_sames=show_sames,
    )
    return EngineResult(
        digest=digest,
        state=state if dry_run else journal.snapshot(),
        outputs=_stack_outputs(journal),
        diagnostics=journal.diagnostics,
    )


def _configure_providers(journal: Journal, state: EngineState, providers: Mapping[str, ResourceProvider]) -> None:
    """Let each provider refuse before a destroy what it would refuse before an up, such as another account."""
    for record in state.resources:
        provider = providers.get(record.type.removeprefix("pulumi:providers:"))
        if not record.is_provider or provider is None:
            continue
        try:
            provider.configure(reveal_properties(record.inputs))
        except ProviderError as error:
            journal.fail(str(error), record.urn)


def _stack_outputs(journal: Journal) -> dict[str, Json]:
    outputs: Properties = next(
        (step.new.outputs for step in journal.steps if step.new and step.new.type == STACK_TYPE), {}
    )
    return reveal_properties(outputs)


@dataclass(frozen=True, slots=True)
class _Host:
    """The process of a program."""

    python: str
    address: str
    project_dir: Path
    timeout_seconds: float

    def run(self, config: StackConfig, mode: Mode, journal: Journal) -> None:
        """Run the program to its end; however it ends badly, the journal gets an error."""
        # -P keeps this folder's own modules (state.py, values.py) out of the program's imports.
        command = [self.python, "-P", str(_HOST), self.address, config.project, config.stack, ORGANIZATION, mode]
        try:
            ended = subprocess.run(  # noqa: S603 - our own script, an argument list, no shell
                [*command, str(self.project_dir)],
                env=_environment(config),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=self.timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            journal.fail(
                f"the program did not end within {self.timeout_seconds:g} s and was stopped. "
                "Fix: look for a call in it that waits, or allow more time"
            )
            return
        except OSError as error:
            journal.fail(f"the program could not be started with {self.python}: {error}. Fix: name an interpreter")
            return
        for line in ended.stdout.splitlines():
            journal.add(Diagnostic(severity=Severity.INFO, message=line))
        if ended.returncode != 0 and not journal.failed:
            detail = ended.stderr[-_SHOWN_STDERR:].strip() or "it wrote nothing to stderr"
            journal.fail(f"the program ended with exit code {ended.returncode}: {detail}")


def _environment(config: StackConfig) -> dict[str, str]:
    """Return the program's environment: ours, with the stack's configuration and without leftovers of another run."""
    foreign = ("PULUMI_CONFIG", "PYTHONWARNINGS")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return inherited | {
        "PULUMI_CONFIG": json.dumps(config.as_text()),
        "PULUMI_CONFIG_SECRET_KEYS": "[]",
    }
