"""`lockstep blast-radius`: what one node's provider can reach."""

from __future__ import annotations

from typing import Annotated

import typer

from lockstep.commands.arguments import (
    Report,
    ReportFormat,
    print_json,
)
from lockstep.commands.asked_input import PROJECT, AskedInput, takes_input

_EPILOG = """\b
Examples:
  lockstep blast-radius --node-apps payments,mailer --stack prod
  lockstep blast-radius --node-apps payments --node-apps mailer --format json
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("blast-radius", epilog=_EPILOG)(takes_input(blast_radius))


def blast_radius(
    node_apps: Annotated[
        list[str], typer.Option("--node-apps", help="Apps whose pods run on the node: A,B or repeated.")
    ],
    source: AskedInput = PROJECT,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """What can a node reach that runs these apps? The union of what its pods may read, because one provider serves all.

    Kubernetes decides which pods share a node: name the apps that may.
    """
    from lockstep.answers import blast_json, blast_text  # noqa: PLC0415
    from lockstep.asking import asked_stacks, stacks_with  # noqa: PLC0415

    names = sorted({name.strip() for listed in node_apps for name in listed.split(",") if name.strip()})
    if not names:
        raise typer.BadParameter("--node-apps names no app")
    asked = asked_stacks(source.stacks(), environment=source.environment)
    for name in names:
        stacks_with(asked, name)
    reports = []
    for one in asked:
        present = [name for name in names if one.answers.app(name)]
        absent = [name for name in names if name not in present]
        if present:
            reports.append((one, one.answers.blast_radius(present), absent))
    if output_format is ReportFormat.JSON:
        print_json({"nodes": [blast_json(*report) for report in reports]})
    else:
        typer.echo("\n\n".join(blast_text(*report) for report in reports))
