"""The commands: arguments in, text out. What they do lives in the packages that they call.

Heavy imports stand inside the commands, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.exit_codes import ExitCode, table

if TYPE_CHECKING:
    from components.derivation import AppAccess, AppSpec

app = typer.Typer(
    name="lockstep",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From one app spec to IAM, trust, SecretProviderClass and mount for apps on Amazon EKS.",
    epilog="\b\nExit codes of every command:\n" + table(),
)

Paths = Annotated[list[Path], typer.Argument(help="Spec files, or folders of them.", show_default=False)]


_RENDER_EXAMPLE = """\b
Example:
  lockstep render stacks/apps --environment dev --region eu-west-1 \\
    --account 111122223333 --cluster dev \\
    --oidc-issuer https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE
"""


class Format(StrEnum):
    """How `render` prints."""

    JSON = "json"
    YAML = "yaml"
    DIR = "dir"


@app.callback(invoke_without_command=True)
def _main(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.WRONG_USAGE)


@app.command(epilog="\b\nExample:\n  lockstep check stacks/apps")
def check(paths: Paths) -> None:
    """Check app specs, for every environment that they name; report every problem at once."""
    specs = _load(paths)
    environments = sorted({name for spec in specs for name in spec.overlays})
    overlays = f" (with differences in {', '.join(environments)})" if environments else ""
    typer.echo(f"{len(specs)} app{'' if len(specs) == 1 else 's'} checked{overlays}: fine")


@app.command(epilog=_RENDER_EXAMPLE)
def render(  # noqa: PLR0917 - one option per value of the environment; the framework passes them by name
    paths: Paths,
    environment: Annotated[str, typer.Option(help="Value of ${environment}, and the overlay to use.")],
    region: Annotated[str, typer.Option(help="Region of the cluster, like eu-west-1.")],
    account: Annotated[str, typer.Option(help="AWS account, 12 digits.")],
    oidc_issuer: Annotated[str, typer.Option(help="Issuer URL of the cluster, https://…")],
    cluster: Annotated[str, typer.Option(help="Name of the EKS cluster.")],
    partition: Annotated[str, typer.Option(help="aws, aws-cn or aws-us-gov.")] = "aws",
    identity: Annotated[str, typer.Option(help="irsa or podIdentity, for apps that name none.")] = "irsa",
    role_path: Annotated[str, typer.Option(help="IAM path of the roles.")] = "/",
    permissions_boundary: Annotated[str | None, typer.Option(help="ARN of a managed policy.")] = None,
    output_format: Annotated[
        Format, typer.Option("--format", help="One document, or a folder of files.")
    ] = Format.YAML,
    output: Annotated[
        Path | None, typer.Option(help="Folder for --format dir; new, empty, or from an earlier run.")
    ] = None,
) -> None:
    """Print what follows from app specs in one environment: IAM, trust, SecretProviderClass, service account, mount."""
    from components.derivation import Environment, Identity, derive_all, render_json, render_yaml  # noqa: PLC0415

    if (output_format is Format.DIR) != (output is not None):
        raise typer.BadParameter("--format dir and --output FOLDER go together")
    if identity not in set(Identity):
        raise typer.BadParameter(f"{identity!r} is not one of {', '.join(Identity)}", param_hint="--identity")
    place = Environment(
        name=environment,
        region=region,
        account=account,
        cluster=cluster,
        oidc_issuer=oidc_issuer,
        partition=partition,
        default_identity=Identity(identity),
        role_path=role_path,
        permissions_boundary=permissions_boundary,
    )
    apps = derive_all(_load(paths), place)
    if output is not None:
        _write_folder(apps, output)
    else:
        text = render_json(apps, environment) if output_format is Format.JSON else render_yaml(apps, environment)
        sys.stdout.write(text)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the app spec, for editors and other tools."""
    from components.derivation import json_schema  # noqa: PLC0415
    from components.derivation.render import dump_json  # noqa: PLC0415

    sys.stdout.write(dump_json(json_schema()))


def _load(paths: list[Path]) -> tuple[AppSpec, ...]:
    from components.derivation import load_specs  # noqa: PLC0415

    return load_specs(paths)


def _write_folder(apps: tuple[AppAccess, ...], folder: Path) -> None:
    from components.derivation import render_files  # noqa: PLC0415
    from lockstep.folder_output import FolderOccupiedError, replace_folder  # noqa: PLC0415

    files = render_files(apps)
    try:
        replace_folder(folder, files)
    except FolderOccupiedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(ExitCode.INVALID_INPUT) from error
    typer.echo(f"{len(files)} files of {len(apps)} apps in {folder}")
