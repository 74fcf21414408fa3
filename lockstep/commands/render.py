"""`lockstep render`: what follows from app specs in one environment, as one document or a folder of files."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import Paths, read_specs
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from components.derivation import FleetAccess

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


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_RENDER_EXAMPLE)(render)


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
    deployer_role: Annotated[str | None, typer.Option(help="ARN of the role that deploys.")] = None,
    guard_image: Annotated[
        str | None, typer.Option(help="Provider's image by digest, for a guard in every pod; see lockstep:guard.")
    ] = None,
    output_format: Annotated[
        Format, typer.Option("--format", help="One document, or a folder of files.")
    ] = Format.YAML,
    output: Annotated[
        Path | None, typer.Option(help="Folder for --format dir; new, empty, or from an earlier run.")
    ] = None,
) -> None:
    """Print what follows from app specs in one environment: IAM, trust, SecretProviderClass, service account, mount."""
    from components.derivation import Environment, Identity, derive_fleet, dump_json, dump_yaml, render_fleet  # noqa: PLC0415

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
        deployer_role=deployer_role,
        guard_image=guard_image,
    )
    fleet = derive_fleet(read_specs(paths), place)
    if output is not None:
        _write_folder(fleet, output)
    else:
        document = render_fleet(fleet)
        sys.stdout.write(dump_json(document) if output_format is Format.JSON else dump_yaml(document))


def _write_folder(fleet: FleetAccess, folder: Path) -> None:
    from components.derivation import render_fleet_files  # noqa: PLC0415
    from lockstep.folder_output import FolderOccupiedError, replace_folder  # noqa: PLC0415

    files = render_fleet_files(fleet)
    try:
        replace_folder(folder, files)
    except FolderOccupiedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(ExitCode.INVALID_INPUT) from error
    typer.echo(f"{len(files)} files of {len(fleet.apps)} apps in {folder}")
