"""`lockstep can APP read NAME`: yes or no, through which statement, from which line of the spec."""

from __future__ import annotations

from enum import StrEnum
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
Exit code: 0 when it can in at least one of the stacks asked, 2 when it cannot or that is unclear.
Examples:
  lockstep can payments read prod/payments/db --stack prod
  lockstep can payments read '${environment}/payments/db'
  lockstep can mailer read arn:aws:secretsmanager:eu-west-1:444455556666:secret:prod/payments/db-Xk3p9Q
  lockstep can payments read /prod/payments/flags --environment prod --format json
"""


class Deed(StrEnum):
    """What one can ask about."""

    READ = "read"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(takes_input(can))


def can(  # noqa: PLR0917 - the framework passes them by name
    app: Annotated[str, typer.Argument(help="Name of the app, as in its spec.", show_default=False)],
    deed: Annotated[Deed, typer.Argument(help="The word read.", metavar="read", show_default=False)],
    name: Annotated[
        str,
        typer.Argument(help="Friendly name or ARN; ${environment} and the like may stand in it.", show_default=False),
    ],
    source: AskedInput = PROJECT,
    store: StoreName = None,
    stage: Annotated[str, typer.Option(help="Stage of the secret; default: what the app's class asks for.")] = "",
    version_id: Annotated[str, typer.Option(help="Version id of the secret.")] = "",
    boundary: Boundary = None,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """Can an app read a secret or parameter? Asks trust, read and decryption, in every region that the app reads from.

    IAM's documented rules are applied to the derived policies; nothing is asked of AWS. The answer names the statement
    that decides, and the line of the spec that the grant comes from.
    """
    from components.derivation.answers import Selector  # noqa: PLC0415
    from lockstep.answers import can_json, can_text  # noqa: PLC0415
    from lockstep.asking import asked_stacks, meant_objects, stacks_with  # noqa: PLC0415

    del deed  # there is one so far
    asked = asked_stacks(source.stacks(), environment=source.environment, boundary=boundary)
    selector = Selector(stage=stage, version_id=version_id) if stage or version_id else None
    answers = [
        (one, one.answers.can_read(app, item, selector))
        for one in stacks_with(asked, app)
        for item in meant_objects(one, name, store.store if store else None, app)
    ]
    if output_format is ReportFormat.JSON:
        print_json({"answers": [can_json(one, answer) for one, answer in answers]})
    else:
        typer.echo("\n\n".join(can_text(one.stack, answer) for one, answer in answers))
    if not any(answer.is_allowed for _, answer in answers):
        raise typer.Exit(ExitCode.FINDINGS)
