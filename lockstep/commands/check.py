"""`lockstep check`: are these specs valid, in every environment that they name?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lockstep.commands.arguments import Paths, read_specs
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from components.derivation import AppSpec


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="\b\nExample:\n  lockstep check stacks/apps")(check)


def check(paths: Paths) -> None:
    """Check app specs, for every environment that they name; report every problem at once.

    Also runs the rules of `lockstep lint` that need no stack. Their errors end with exit code 2, warnings are shown.
    """
    specs = read_specs(paths)
    _lint(specs)
    environments = sorted({name for spec in specs for name in spec.overlays})
    overlays = f" (with differences in {', '.join(environments)})" if environments else ""
    typer.echo(f"{len(specs)} app{'' if len(specs) == 1 else 's'} checked{overlays}: fine")


def _lint(specs: tuple[AppSpec, ...]) -> None:
    from components.derivation.lint import Material, Severity, lint  # noqa: PLC0415
    from lockstep.lint_report.text import sum_of  # noqa: PLC0415

    material = Material().with_specs(specs, (), environments=None)
    findings = [item for item in lint(material) if not item.reason and item.severity is not Severity.NOTE]
    for finding in findings:
        typer.echo(str(finding), err=True)
    if any(finding.severity is Severity.ERROR for finding in findings):
        typer.echo(sum_of(findings), err=True)
        raise typer.Exit(ExitCode.FINDINGS)
