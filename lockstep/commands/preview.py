"""`lockstep preview`: what a deployment would do, access first."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import ProjectFolder, StackName, refuse_empty
from lockstep.commands.diff import FailOnWords, ProtectedNames
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from lockstep.access_report.report import Report
    from lockstep.preview.preview_report import StackPreview

_EXAMPLE = """\b
Examples:
  lockstep preview --stack prod
  lockstep preview --engine embedded --base main
  lockstep preview --stack prod --digest preview.json --format markdown

\b
The Pulumi CLI runs where it is installed; it asks the cloud, with your credentials. The embedded
engine asks nobody: --base (a revision) or --state says what is deployed, the stack's settings say
what would be looked up, and notes say what was assumed.
"""


class PreviewFormat(StrEnum):
    """How the report is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


class EngineName(StrEnum):
    """Who runs the preview."""

    AUTO = "auto"
    PULUMI = "pulumi"
    EMBEDDED = "embedded"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EXAMPLE)(preview)


def preview(  # noqa: PLR0917 - the framework passes options by name
    project: ProjectFolder = Path(),
    stack: StackName = None,
    engine: Annotated[
        EngineName, typer.Option(help="Who runs it; auto: the Pulumi CLI where it is.")
    ] = EngineName.AUTO,
    digest: Annotated[
        Path | None, typer.Option(help="Read a saved preview (JSON or events) instead.", show_default=False)
    ] = None,
    state: Annotated[Path | None, typer.Option(help="State file of the embedded engine.", show_default=False)] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="Revision that counts as deployed (embedded engine).", show_default=False, callback=refuse_empty
        ),
    ] = None,
    fail_on: FailOnWords = "broadening",
    approvals: Annotated[
        str | None, typer.Option(metavar="REVISION:FILE", help="Accepted rows.", show_default=False)
    ] = None,
    protected: ProtectedNames = None,
    output_format: Annotated[
        PreviewFormat, typer.Option("--format", help="For people, pull requests or programs.")
    ] = PreviewFormat.TEXT,
) -> None:
    """Preview a deployment: who gains and loses access, then the resources; a failed one says why, first."""
    from lockstep.access_diff import RequestError  # noqa: PLC0415
    from lockstep.access_report.approvals import ApprovalsError  # noqa: PLC0415
    from lockstep.access_report.report import FailOn, FailOnError  # noqa: PLC0415
    from lockstep.diff_sides import SideError  # noqa: PLC0415
    from lockstep.git_tree import GitTreeError  # noqa: PLC0415
    from lockstep.preview.preview_report import exit_code  # noqa: PLC0415
    from lockstep.preview.preview_request import PreviewRequest, preview_stacks  # noqa: PLC0415
    from lockstep.preview.preview_runs import Engine, PreviewError  # noqa: PLC0415

    try:
        words = FailOn.parse(fail_on)
    except FailOnError as error:
        raise typer.BadParameter(str(error), param_hint="--fail-on") from None
    request = PreviewRequest(
        project=project,
        stack=stack,
        engine=Engine(engine.value),
        digest=digest,
        state=state,
        base=base,
        fail_on=words,
        approvals=approvals,
        protected=tuple(protected) if protected else None,
    )
    try:
        report, previews = preview_stacks(request)
    except (SideError, RequestError, ApprovalsError, PreviewError, GitTreeError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(ExitCode.INVALID_INPUT) from None
    sys.stdout.write(_printed(report, previews, output_format))
    raise typer.Exit(exit_code(report, previews))


def _printed(report: Report, previews: tuple[StackPreview, ...], output_format: PreviewFormat) -> str:
    from lockstep.preview.preview_texts import render_json, render_pages, render_text  # noqa: PLC0415

    match output_format:
        case PreviewFormat.TEXT:
            return render_text(report, previews)
        case PreviewFormat.JSON:
            return render_json(report, previews)
        case PreviewFormat.MARKDOWN:
            pages = [page for preview in previews for page in render_pages(report, preview)]
            return "\n".join(pages)
