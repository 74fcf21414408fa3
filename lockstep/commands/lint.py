"""`lockstep lint`: what is wrong, too wide or doubtful in specs, or in hand-written classes and policies."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import ProjectFolder, StackName, chosen_stacks
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.derivation.lint import Finding
    from lockstep.lint_input import LintInput

_EXAMPLES = """\b
Examples:
  lockstep lint
  lockstep lint stacks/apps --stack prod
  lockstep lint --spc class.yaml --policy policy.json --trust trust.json
  kubectl get secretproviderclass,pod,serviceaccount -A -o json | lockstep lint --spc -
  lockstep lint --spc class.yaml --fix
  lockstep lint --format sarif > lint.sarif
"""


class LintFormat(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class FailOn(StrEnum):
    """The least severity that ends with exit code 2."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EXAMPLES)(lint)


def lint(  # noqa: PLR0917 - the framework passes options by name
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Spec files, or folders of them; default: those of the project's stacks.", show_default=False
        ),
    ] = None,
    project: ProjectFolder = Path(),
    stack: StackName = None,
    spc: Annotated[
        list[Path] | None,
        typer.Option(
            help="SecretProviderClasses, and the pods, service accounts and driver values beside them; - for stdin.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="Identity policies, or what `aws iam get-…` prints.", show_default=False),
    ] = None,
    trust: Annotated[list[Path] | None, typer.Option(help="Trust policies of roles.", show_default=False)] = None,
    fix: Annotated[  # noqa: FBT002 - the framework passes options by name
        bool, typer.Option("--fix", help="Mend what is mechanical, in the files; all of it or nothing.")
    ] = False,
    fail_on: Annotated[FailOn, typer.Option(help="Least severity that ends with exit code 2.")] = FailOn.WARNING,
    output_format: Annotated[
        LintFormat, typer.Option("--format", help="For people, for programs, or for code scanning.")
    ] = LintFormat.TEXT,
) -> None:
    """Find what is wrong, too wide or doubtful: in specs, or in hand-written classes, pods and policies.

    Every finding has a code; `lockstep rule CODE` explains it. A spec may suppress one with a reason (`suppress:`).
    """
    from components.derivation.lint import lint as run  # noqa: PLC0415

    read = _read(paths or [], project, stack, spc or [], policy or [], trust or [])
    if fix:
        findings, texts = _mend(read)
    else:
        findings, texts = run(read.material(read.texts)), dict(read.texts)
    _print(findings, texts, output_format)
    if _worst(findings, fail_on):
        raise typer.Exit(ExitCode.FINDINGS)


def _read(
    paths: Sequence[Path],
    project: Path,
    stack: str | None,
    spc: Sequence[Path],
    policy: Sequence[Path],
    trust: Sequence[Path],
) -> LintInput:
    from components.derivation.lint import Given  # noqa: PLC0415
    from lockstep.lint_input import read_input  # noqa: PLC0415

    files = [
        *((Given.MANIFEST, path) for path in spc),
        *((Given.POLICY, path) for path in policy),
        *((Given.TRUST, path) for path in trust),
    ]
    if [str(path) for _, path in files].count("-") > 1:
        raise typer.BadParameter("- can be given once: there is one standard input")
    wants_stacks = stack is not None or not (paths or files)
    stacks = chosen_stacks(project, stack) if wants_stacks else ()
    names = frozenset(item.environment.name for item in stacks) if stacks and stack is None else None
    return read_input(paths, stacks, files, environments=names)


def _mend(read: LintInput) -> tuple[tuple[Finding, ...], dict[str, str]]:
    from components.derivation.lint import mend  # noqa: PLC0415
    from lockstep.lint_input import STDIN, write_all  # noqa: PLC0415

    if STDIN in read.texts:
        raise typer.BadParameter("--fix writes files, and standard input is none")
    mended = mend(read.texts, read.material)
    write_all(mended.texts)
    for finding in mended.mended:
        typer.echo(f"{finding.spot}: mended: {finding.what} [{finding.code}]", err=True)
    return mended.findings, {**read.texts, **mended.texts}


def _print(findings: Sequence[Finding], texts: dict[str, str], output_format: LintFormat) -> None:
    from lockstep.lint_report.documents import json_report, sarif_report  # noqa: PLC0415
    from lockstep.lint_report.text import text_report  # noqa: PLC0415

    if output_format is LintFormat.JSON:
        sys.stdout.write(json_report(findings))
    elif output_format is LintFormat.SARIF:
        from importlib.metadata import version  # noqa: PLC0415

        sys.stdout.write(sarif_report(findings, version("lockstep")))
    else:
        for line in text_report(findings, texts):
            typer.echo(line)


def _worst(findings: Sequence[Finding], fail_on: FailOn) -> bool:
    order = [FailOn.NOTE, FailOn.WARNING, FailOn.ERROR]
    least = order.index(fail_on)
    return any(order.index(FailOn(item.severity.value)) >= least for item in findings if not item.reason)
