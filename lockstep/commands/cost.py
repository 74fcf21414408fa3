"""`lockstep cost`: monthly cost of AWS calls and quota headroom, beside AWS's own provider."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import (
    Report,
    ReportFormat,
    print_json,
)
from lockstep.commands.asked_input import PROJECT, AskedInput, takes_input

if TYPE_CHECKING:
    from lockstep.cost.model import FleetLoad

_DURATION = re.compile(r"(?P<count>[0-9]+(?:\.[0-9]+)?)(?P<unit>s|m|h)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_EPILOG = """\b
Examples:
  lockstep cost --stack prod --pods 300 --nodes 20
  lockstep cost --stack prod --pods 300 --pods-of payments=120 --nodes 20 --interval 1h
  lockstep cost --pods 10000 --nodes 500 --apps 200 --secrets 5 --parameters 5 --customer-keys
  lockstep cost --stack prod --pods 300 --nodes 20 --format json
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(takes_input(cost))


def cost(  # noqa: PLR0917 - the framework passes them by name
    pods: Annotated[int, typer.Option(min=1, help="Pods of all apps together.")],
    nodes: Annotated[int, typer.Option(min=1, help="Nodes that they run on.")],
    pods_of: Annotated[
        list[str] | None, typer.Option("--pods-of", help="APP=PODS, for apps whose number is known; repeat.")
    ] = None,
    interval: Annotated[str, typer.Option(help="The driver's rotationPollInterval, for AWS's provider.")] = "2m",
    refresh: Annotated[str, typer.Option(help="This provider's refresh interval, for specs that name none.")] = "2m",
    resync: Annotated[str, typer.Option(help="Time between two republishes of a volume by kubelet.")] = "75s",
    rollout: Annotated[str, typer.Option(help="Time in which a rollout mounts every pod anew.")] = "60s",
    apps: Annotated[int | None, typer.Option(min=1, help="Without specs: number of equal apps.")] = None,
    secrets: Annotated[int, typer.Option(min=0, help="Without specs: secrets of each app.")] = 0,
    parameters: Annotated[int, typer.Option(min=0, help="Without specs: parameters of each app.")] = 0,
    regions: Annotated[int, typer.Option(min=1, help="Without specs: regions of each class.")] = 1,
    source: AskedInput = PROJECT,
    output_format: Report = ReportFormat.TEXT,
    *,
    higher_throughput: Annotated[
        bool, typer.Option("--higher-throughput", help="Parameter Store has higher throughput, which is billed.")
    ] = False,
    customer_keys: Annotated[
        bool, typer.Option("--customer-keys", help="Without specs: the secrets are under customer keys.")
    ] = False,
) -> None:
    """What do the mounts of a fleet cost in AWS calls, and how near do they come to AWS's quotas?

    Compares this provider with AWS's own for the apps of a stack, or for equal apps with --apps. A model: every
    assumption and every source is printed with the numbers. Nothing is asked of AWS.
    """
    from lockstep.asking import asked_stacks  # noqa: PLC0415
    from lockstep.cost.fleets import loads_of, plain_loads, stored_secrets  # noqa: PLC0415
    from lockstep.cost.model import FleetLoad  # noqa: PLC0415
    from lockstep.cost.report import cost_json, cost_text  # noqa: PLC0415

    shape = FleetLoad(
        apps=(),
        nodes=nodes,
        interval_seconds=_seconds(interval, "--interval"),
        resync_seconds=_seconds(resync, "--resync"),
        rollout_seconds=_seconds(rollout, "--rollout"),
        has_higher_throughput=higher_throughput,
    )
    refresh_seconds = _seconds(refresh, "--refresh")
    fleets: list[tuple[str, FleetLoad]] = []
    if apps is not None:
        if source != PROJECT or pods_of:
            raise typer.BadParameter(
                "--apps stands in the place of specs: it goes with no project, stack, specs, place or --pods-of"
            )
        loads = plain_loads(
            pods=pods,
            apps=apps,
            secrets=secrets,
            parameters=parameters,
            regions=regions,
            keyed=customer_keys,
            refresh_seconds=refresh_seconds,
        )
        fleets.append(("a plain fleet", replace(shape, apps=loads, stored_secrets=apps * secrets * regions)))
    else:
        placed = _placed(pods_of or [])
        for one in asked_stacks(source.stacks(), environment=source.environment):
            fleet = one.answers.fleet
            loads = loads_of(fleet, pods=pods, pods_of=placed, refresh_seconds=refresh_seconds)
            fleets.append((one.stack, replace(shape, apps=loads, stored_secrets=stored_secrets(fleet))))
    if output_format is ReportFormat.JSON:
        print_json({"fleets": [cost_json(name, fleet) for name, fleet in fleets]})
    else:
        typer.echo("\n\n".join(cost_text(name, fleet) for name, fleet in fleets))


def _seconds(text: str, flag: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None or not float(match["count"]):
        raise typer.BadParameter(f"{flag} is a duration such as 90s, 2m or 1h, not {text!r}")
    return float(match["count"]) * _UNITS[match["unit"]]


def _placed(texts: list[str]) -> dict[str, int]:
    placed: dict[str, int] = {}
    for text in texts:
        name, _, count = text.partition("=")
        if not name or not count.isdigit() or name in placed:
            raise typer.BadParameter(f"--pods-of is APP=PODS, each app once, not {text!r}")
        placed[name] = int(count)
    return placed
