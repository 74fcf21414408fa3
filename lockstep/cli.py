"""The command line, assembled: one module of `lockstep/commands/` per verb.

Heavy imports stand inside the verbs, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import typer

from lockstep.commands import (
    blast_radius,
    can,
    check,
    cost,
    diff,
    doctor,
    import_,
    lint,
    preview,
    refresh,
    render,
    rule,
    schema,
    what,
    who,
    why,
)
from lockstep.commands import map as map_verb
from lockstep.exit_codes import ExitCode, table

app = typer.Typer(
    name="lockstep",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From one app spec to IAM, trust, SecretProviderClass and mount for apps on Amazon EKS.",
    epilog="\b\nExit codes of every command:\n" + table(),
)


@app.callback(invoke_without_command=True)
def _main(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.WRONG_USAGE)


for verb in (
    blast_radius,
    can,
    check,
    cost,
    diff,
    doctor,
    import_,
    lint,
    map_verb,
    preview,
    refresh,
    render,
    rule,
    schema,
    what,
    who,
    why,
):
    verb.register(app)
