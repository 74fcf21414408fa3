"""`lockstep why`: which of grant, trust, KMS, region, name or association a refused mount lacks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import (
    Boundary,
    Report,
    ReportFormat,
    print_json,
)
from lockstep.commands.asked_input import PROJECT, AskedInput, takes_input
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from lockstep.asking import AskedStack
    from lockstep.diagnoses import Explained

_LIMIT_CHARACTERS = 100_000
_EPILOG = """\b
Exit code: 0 when nothing is missing by the specs, 2 when something is.
Examples:
  kubectl describe pod payments-0 -n payments | lockstep why --stack prod
  kubectl get events -n payments -o yaml | lockstep why
  lockstep why --event event.txt --format json
  lockstep why payments prod/payments/db --stack prod
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(takes_input(why))


def why(
    app: Annotated[
        str | None, typer.Argument(help="Name of the app; without it the event is read.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="Secret or parameter that it should read.", show_default=False)
    ] = None,
    event: Annotated[
        Path | None, typer.Option("--event", help="File with the pod's event; default: standard input.")
    ] = None,
    source: AskedInput = PROJECT,
    boundary: Boundary = None,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """Why is a mount refused? Says which of grant, trust, KMS, region, name or association is missing.

    Give the text of the pod's FailedMount event, of this provider or of AWS's own, or an app and an object. The specs
    are asked, not AWS: where nothing is missing by them, the answer says what else can refuse.
    """
    from lockstep.asking import asked_stacks  # noqa: PLC0415
    from lockstep.diagnoses import explained_json, explained_text  # noqa: PLC0415

    if (app is None) != (name is None) or (app is not None and event is not None):
        raise typer.BadParameter("give APP and NAME, or an event, not a part of both")
    text = "" if app else _event_text(event)
    asked = asked_stacks(source.stacks(), environment=source.environment, boundary=boundary)
    explained = _about(asked, app, name) if app and name else _of_event(asked, text)
    if output_format is ReportFormat.JSON:
        print_json({"problems": [explained_json(one) for one in explained]})
    else:
        typer.echo("\n\n".join(explained_text(one) for one in explained))
    if any(one.is_missing_something for one in explained):
        raise typer.Exit(ExitCode.FINDINGS)


def _about(asked: tuple[AskedStack, ...], app: str, name: str) -> tuple[Explained, ...]:
    from components.derivation.answers import diagnose  # noqa: PLC0415
    from lockstep.asking import meant_objects, stacks_with  # noqa: PLC0415
    from lockstep.diagnoses import Explained  # noqa: PLC0415

    found = []
    for one in stacks_with(asked, app):
        meant_objects(one, name, app=app)
        found += [(one.stack, diagnosis) for diagnosis in diagnose(one.answers, app, name=name)]
    named = [(stack, diagnosis) for stack, diagnosis in found if diagnosis.spots]
    return (Explained(problem=None, diagnoses=tuple(named or found)),)


def _of_event(asked: tuple[AskedStack, ...], text: str) -> tuple[Explained, ...]:
    from components.derivation.answers import parse_event  # noqa: PLC0415
    from lockstep.diagnoses import explain  # noqa: PLC0415

    return tuple(explain(asked, problem) for problem in parse_event(text))


def _event_text(event: Path | None) -> str:
    from lockstep.input_errors import InputError  # noqa: PLC0415

    if event is None and sys.stdin.isatty():
        raise typer.BadParameter("pipe the pod's event into it, or give --event FILE, or APP and NAME")
    text = event.read_text(encoding="utf-8", errors="replace") if event else sys.stdin.read(_LIMIT_CHARACTERS + 1)
    where = str(event or "standard input")
    if not text.strip():
        raise InputError(f"{where}: it is empty. An event's text is read. Fix: paste the FailedMount event. [ASK004]")
    if len(text) > _LIMIT_CHARACTERS:
        raise InputError(
            f"{where}: more than {_LIMIT_CHARACTERS:,} characters. One pod's events are read. "
            "Fix: paste the FailedMount event only. [ASK004]"
        )
    return text
