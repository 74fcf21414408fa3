"""`lockstep check`: are these specs valid, in every environment that they name?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lockstep.commands.arguments import Paths, Report, ReportFormat, print_json, read_specs
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from components.derivation import AppSpec
    from components.derivation.lint import Finding

_EPILOG = """\b
Examples:
  lockstep check stacks/apps
  lockstep check stacks/apps --format json
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(check)


def check(paths: Paths, output_format: Report = ReportFormat.TEXT) -> None:
    """Check app specs, for every environment that they name; report every problem at once.

    Also runs the rules of `lockstep lint` that need no stack. Their errors end with exit code 2, warnings are shown.
    What only a stack shows (its region and account, Fargate profiles, IAM's limits) `lockstep lint` checks.
    """
    if output_format is ReportFormat.JSON:
        _check_as_data(paths)
        return
    specs = read_specs(paths)
    findings = _lint(specs)
    for finding in findings:
        typer.echo(str(finding), err=True)
    if _has_errors(findings):
        from lockstep.lint_report.text import sum_of  # noqa: PLC0415

        typer.echo(sum_of(findings), err=True)
        raise typer.Exit(ExitCode.FINDINGS)
    environments = _environments(specs)
    overlays = f" (with differences in {', '.join(environments)})" if environments else ""
    typer.echo(f"{len(specs)} app{'' if len(specs) == 1 else 's'} checked{overlays}: fine")


def _check_as_data(paths: Sequence[Path]) -> None:
    """Print everything on standard output: for a program the problems are the answer, not a failure to give one."""
    from components.derivation import SpecErrors  # noqa: PLC0415
    from lockstep.lint_report.documents import check_json  # noqa: PLC0415

    try:
        specs = read_specs(paths)
    except SpecErrors as errors:
        print_json(check_json(0, (), errors.problems, ()))
        raise typer.Exit(ExitCode.INVALID_INPUT) from None
    findings = _lint(specs)
    print_json(check_json(len(specs), _environments(specs), (), findings))
    if _has_errors(findings):
        raise typer.Exit(ExitCode.FINDINGS)


def _environments(specs: Sequence[AppSpec]) -> list[str]:
    return sorted({name for spec in specs for name in spec.overlays})


def _lint(specs: tuple[AppSpec, ...]) -> list[Finding]:
    from components.derivation.lint import Material, Severity, lint  # noqa: PLC0415

    material = Material().with_specs(specs, (), environments=None)
    return [item for item in lint(material) if not item.reason and item.severity is not Severity.NOTE]


def _has_errors(findings: Sequence[Finding]) -> bool:
    from components.derivation.lint import Severity  # noqa: PLC0415

    return any(finding.severity is Severity.ERROR for finding in findings)
