"""`lockstep who NAME`: every app that can read a secret or parameter."""

from __future__ import annotations

from typing import Annotated

import typer

from lockstep.commands.arguments import (
    Boundary,
    Report,
    ReportFormat,
    StoreName,
    print_json,
)
from lockstep.commands.asked_input import PROJECT, AskedInput, takes_input
from lockstep.exit_codes import ExitCode

_EPILOG = """\b
Exit code: 0 when somebody can, 2 when nobody can.
Examples:
  lockstep who prod/shared/smtp
  lockstep who '${environment}/shared/smtp' --stack prod --format json
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(takes_input(who))


def who(
    name: Annotated[
        str,
        typer.Argument(help="Friendly name or ARN; ${environment} and the like may stand in it.", show_default=False),
    ],
    source: AskedInput = PROJECT,
    store: StoreName = None,
    boundary: Boundary = None,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """Who can read a secret or parameter? Lists the apps with their pods, regions and the line that grants it.

    Only apps that have a spec are known here. A friendly name means the account of the stack.
    """
    from lockstep.answers import can_json, who_text  # noqa: PLC0415
    from lockstep.asking import asked_stacks, meant_objects  # noqa: PLC0415

    asked = asked_stacks(source.stacks(), environment=source.environment, boundary=boundary)
    found = [
        (one, item, one.answers.who_reads(item))
        for one in asked
        for item in meant_objects(one, name, store.store if store else None)
    ]
    if output_format is ReportFormat.JSON:
        print_json({"readers": [can_json(one, answer) for one, _, answers in found for answer in answers]})
    else:
        typer.echo("\n".join(who_text(one, item, answers) for one, item, answers in found))
    if not any(answers for _, _, answers in found):
        raise typer.Exit(ExitCode.FINDINGS)
