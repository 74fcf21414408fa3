"""`lockstep what APP`: everything that an app can read."""

from __future__ import annotations

from typing import Annotated

import typer

from lockstep.commands.arguments import (
    Boundary,
    Report,
    ReportFormat,
    print_json,
)
from lockstep.commands.asked_input import PROJECT, AskedInput, takes_input

_EPILOG = """\b
Examples:
  lockstep what payments --stack prod
  lockstep what payments --environment dev --format json
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(takes_input(what))


def what(
    app: Annotated[str, typer.Argument(help="Name of the app, as in its spec.", show_default=False)],
    source: AskedInput = PROJECT,
    boundary: Boundary = None,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """What can an app read? Lists its secrets and parameters with regions, files and the lines that grant them.

    Also says how much of IAM's limits its policies and its trust use.
    """
    from lockstep.answers import can_json, limits_json, what_text  # noqa: PLC0415
    from lockstep.asking import asked_stacks, stacks_with  # noqa: PLC0415

    asked = stacks_with(asked_stacks(source.stacks(), environment=source.environment, boundary=boundary), app)
    if output_format is ReportFormat.JSON:
        objects = [can_json(one, answer) for one in asked for answer in one.answers.what_reads(app)]
        print_json({"objects": objects, "room": [limits_json(one, app) for one in asked]})
    else:
        typer.echo("\n".join(what_text(one, app, one.answers.what_reads(app)) for one in asked))
