"""`lockstep schema`: the JSON Schema of the app spec."""

from __future__ import annotations

import sys

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="\b\nExample:\n  lockstep schema > app-spec.schema.json")(schema)


def schema() -> None:
    """Print the JSON Schema of the app spec, for editors and other tools."""
    from components.derivation import json_schema  # noqa: PLC0415
    from components.derivation.render import dump_json  # noqa: PLC0415

    sys.stdout.write(dump_json(json_schema()))
