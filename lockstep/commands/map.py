"""`lockstep map`: the access graph of apps, owners, secrets, accounts and nodes."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.asked_input import PROJECT, AskedInput, takes_input

if TYPE_CHECKING:
    from components.derivation.answers.graph import AccessGraph

_EPILOG = """\b
Examples:
  lockstep map --stack prod > access.mmd
  lockstep map --format dot | dot -Tsvg > access.svg
  lockstep map --format html --output access.html
  lockstep map --stack prod --node general=payments,mailer --node batch=reports
"""


class MapFormat(StrEnum):
    """How the graph is printed."""

    MERMAID = "mermaid"
    DOT = "dot"
    HTML = "html"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("map", epilog=_EPILOG)(takes_input(show_map))


def show_map(
    source: AskedInput = PROJECT,
    node: Annotated[
        list[str] | None,
        typer.Option("--node", help="NAME=APP,APP: a node or node group and what runs there; repeat."),
    ] = None,
    output_format: Annotated[
        MapFormat, typer.Option("--format", help="Mermaid, DOT, one HTML page with filters, or data.")
    ] = MapFormat.MERMAID,
    output: Annotated[Path | None, typer.Option(help="File to write; default: standard output.")] = None,
) -> None:
    """Draw who reads what: apps, their owners, secrets and parameters, accounts and nodes.

    Only reads that the derived policies allow are drawn. The HTML page is self-contained: it loads and sends nothing.
    """
    from components.derivation.answers.graph import access_graph  # noqa: PLC0415
    from lockstep.asking import asked_stacks, stacks_with  # noqa: PLC0415

    nodes = _nodes(node or [])
    asked = asked_stacks(source.stacks(), environment=source.environment)
    for app in sorted({app for apps in nodes.values() for app in apps}):
        stacks_with(asked, app)
    graph = access_graph({one.stack: one.answers for one in asked}, nodes)
    text = _drawn(graph, output_format)
    if output is None:
        sys.stdout.write(text)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(f"{output}: {len(graph.vertices)} things, {len(graph.edges)} relations")


def _drawn(graph: AccessGraph, output_format: MapFormat) -> str:
    from components.derivation.render import dump_json  # noqa: PLC0415
    from lockstep.access_map.diagrams import dot, mermaid  # noqa: PLC0415
    from lockstep.access_map.page import graph_json, page  # noqa: PLC0415

    match output_format:
        case MapFormat.MERMAID:
            return mermaid(graph)
        case MapFormat.DOT:
            return dot(graph)
        case MapFormat.HTML:
            return page(graph)
        case MapFormat.JSON:
            return dump_json(graph_json(graph))


def _nodes(texts: list[str]) -> dict[str, tuple[str, ...]]:
    nodes: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, _, listed = text.partition("=")
        apps = tuple(app.strip() for app in listed.split(",") if app.strip())
        if not name.strip() or not apps or name in nodes:
            raise typer.BadParameter(f"--node is NAME=APP,APP, each name once, not {text!r}")
        nodes[name] = apps
    return nodes
