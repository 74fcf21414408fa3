"""`lockstep what APP`: everything that an app can read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lockstep.commands.arguments import (
    Boundary,
    EnvironmentName,
    ProjectFolder,
    Report,
    ReportFormat,
    StackName,
    chosen_stacks,
    print_json,
)

_EPILOG = """\b
Examples:
  lockstep what payments --stack prod
  lockstep what payments --environment dev --format json
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(what)


def what(
    app: Annotated[str, typer.Argument(help="Name of the app, as in its spec.", show_default=False)],
    project: ProjectFolder = Path(),
    stack: StackName = None,
    environment: EnvironmentName = None,
    boundary: Boundary = None,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """What can an app read? Lists its secrets and parameters with regions, files and the lines that grant them."""
    from lockstep.answers import can_json, what_text  # noqa: PLC0415
    from lockstep.asking import asked_stacks, stacks_with  # noqa: PLC0415

    asked = stacks_with(asked_stacks(chosen_stacks(project, stack), environment=environment, boundary=boundary), app)
    if output_format is ReportFormat.JSON:
        print_json({"objects": [can_json(one, answer) for one in asked for answer in one.answers.what_reads(app)]})
    else:
        typer.echo("\n".join(what_text(one, app, one.answers.what_reads(app)) for one in asked))
