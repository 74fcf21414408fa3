"""`lockstep diff`: who gains and who loses access to what, between two revisions, folders or documents."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import ProjectFolder, StackName, refuse_empty
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from lockstep.access_report.report import Report

_EXAMPLE = """\b
Examples:
  lockstep diff main
  lockstep diff HEAD~1 HEAD --stack prod --format markdown
  pulumi preview --json --show-sames > preview.json; lockstep diff preview.json

\b
A side that is no file and no folder is a git revision. One preview alone is compared with what
is deployed; beside another side it stands for what it would deploy.
"""


class DiffFormat(StrEnum):
    """How the report is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    SARIF = "sarif"


FailOnWords = Annotated[
    str,
    typer.Option(
        "--fail-on",
        help="What needs approval (exit code 3): broadening, any, never, or risk words, separated by commas.",
    ),
]
ApprovalsFile = Annotated[
    str | None,
    typer.Option(
        "--approvals",
        metavar="FILE",
        help="Accepted rows, read from BASE; REVISION:FILE where BASE is a document.",
        show_default=False,
    ),
]
ProtectedNames = Annotated[
    list[str] | None,
    typer.Option(
        "--protected",
        metavar="STACK",
        help="Stacks whose rows carry the word protected where they broaden access; default: those named prod or "
        "production, alone or between hyphens (prod-eu, eu-prod).",
        show_default=False,
    ),
]
OutputFormat = Annotated[DiffFormat, typer.Option("--format", help="For people, pull requests or programs.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EXAMPLE)(diff)


def diff(
    base: Annotated[
        str, typer.Argument(help="Revision, project folder, rendered JSON or preview.", callback=refuse_empty)
    ],
    head: Annotated[
        str | None, typer.Argument(help="The same; default: the project as it stands.", callback=refuse_empty)
    ] = None,
    project: ProjectFolder = Path(),
    stack: StackName = None,
    fail_on: FailOnWords = "broadening",
    approvals: ApprovalsFile = None,
    protected: ProtectedNames = None,
    output_format: OutputFormat = DiffFormat.TEXT,
) -> None:
    """Show who gains and who loses access to what: exit code 0 nothing, 2 changes, 3 something needs approval."""
    from lockstep.access_diff import DiffRequest, RequestError, diff_sides  # noqa: PLC0415
    from lockstep.access_report.approvals import ApprovalsError  # noqa: PLC0415
    from lockstep.access_report.report import FailOn, FailOnError  # noqa: PLC0415
    from lockstep.diff_sides import SideError  # noqa: PLC0415

    try:
        words = FailOn.parse(fail_on)
    except FailOnError as error:
        raise typer.BadParameter(str(error), param_hint="--fail-on") from None
    request = DiffRequest(
        base=base,
        head=head,
        project=project,
        stack=stack,
        fail_on=words,
        approvals=approvals,
        protected=tuple(protected) if protected else None,
    )
    try:
        report = diff_sides(request)
    except (SideError, RequestError, ApprovalsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(ExitCode.INVALID_INPUT) from None
    sys.stdout.write(printed(report, output_format))
    raise typer.Exit(report.exit_code)


def printed(report: Report, output_format: DiffFormat) -> str:
    """Return a report in one of the formats; Markdown pages of all stacks one after the other."""
    from lockstep.access_report.json_report import render_json, render_sarif  # noqa: PLC0415
    from lockstep.access_report.markdown_report import render_markdown  # noqa: PLC0415
    from lockstep.access_report.text_report import render_text  # noqa: PLC0415

    match output_format:
        case DiffFormat.TEXT:
            return render_text(report)
        case DiffFormat.JSON:
            return render_json(report)
        case DiffFormat.SARIF:
            return render_sarif(report)
        case DiffFormat.MARKDOWN:
            return "\n".join(page for stack in report.stacks for page in render_markdown(report, stack))
