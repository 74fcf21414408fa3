"""`lockstep check`: are these specs valid, in every environment that they name?"""

from __future__ import annotations

import typer

from lockstep.commands.arguments import Paths, read_specs


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="\b\nExample:\n  lockstep check stacks/apps")(check)


def check(paths: Paths) -> None:
    """Check app specs, for every environment that they name; report every problem at once."""
    specs = read_specs(paths)
    environments = sorted({name for spec in specs for name in spec.overlays})
    overlays = f" (with differences in {', '.join(environments)})" if environments else ""
    typer.echo(f"{len(specs)} app{'' if len(specs) == 1 else 's'} checked{overlays}: fine")
