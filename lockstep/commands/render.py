"""`lockstep render`: what follows from app specs, and what they stand on, as one document or a folder of files."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lockstep.commands.arguments import ProjectFolder, chosen_stack, refuse_empty
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.derivation import FleetAccess

_RENDER_EXAMPLE = """\b
Examples:
  lockstep render stacks/apps --environment dev --region eu-west-1 \\
    --account 111122223333 --cluster dev \\
    --oidc-issuer https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE
  lockstep render --stack prod --format dir --output rendered/apps
  lockstep render --stack prod --platform --format dir --output rendered/platform
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
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Spec files, or folders of them.", show_default=False)
    ] = None,
    environment: Annotated[
        str | None, typer.Option(help="Value of ${environment}, and the overlay to use.", show_default=False)
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Region of the cluster, like eu-west-1.", show_default=False)
    ] = None,
    account: Annotated[str | None, typer.Option(help="AWS account, 12 digits.", show_default=False)] = None,
    oidc_issuer: Annotated[
        str | None, typer.Option(help="Issuer URL of the cluster, https://…", show_default=False)
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Name of the EKS cluster.", show_default=False)] = None,
    partition: Annotated[str, typer.Option(help="aws, aws-cn or aws-us-gov.")] = "aws",
    identity: Annotated[str, typer.Option(help="irsa or podIdentity, for apps that name none.")] = "irsa",
    role_path: Annotated[str, typer.Option(help="IAM path of the roles.")] = "/",
    permissions_boundary: Annotated[str | None, typer.Option(help="ARN of a managed policy.")] = None,
    deployer_role: Annotated[str | None, typer.Option(help="ARN of the role that deploys.")] = None,
    guard_image: Annotated[
        str | None, typer.Option(help="Provider's image by digest, for a guard in every pod; see lockstep:guard.")
    ] = None,
    create_oidc_provider: Annotated[  # noqa: FBT002 - the framework passes options by name
        bool, typer.Option(help="Whether the deployer makes the account's OIDC provider for the issuer.")
    ] = True,
    project: ProjectFolder = Path(),
    stack: Annotated[
        str | None,
        typer.Option(
            help="Take specs and environment of a stack instead of all the above.",
            show_default=False,
            callback=refuse_empty,
        ),
    ] = None,
    platform: Annotated[  # noqa: FBT002 - the framework passes options by name
        bool, typer.Option("--platform", help="Of a stack: driver chart and values, provider, admission policies.")
    ] = False,
    output_format: Annotated[
        Format, typer.Option("--format", help="One document, or a folder of files.")
    ] = Format.YAML,
    output: Annotated[
        Path | None, typer.Option(help="Folder for --format dir; new, empty, or from an earlier run.")
    ] = None,
) -> None:
    """Print what follows from app specs in one environment: IAM, trust, SecretProviderClass, service account, mount.

    Give specs and their environment, or a stack. With --platform it is what the stack's apps stand on, for clusters
    that something else than Pulumi deploys to.
    """
    if (output_format is Format.DIR) != (output is not None):
        raise typer.BadParameter("--format dir and --output FOLDER go together")
    place = {
        "--environment": environment,
        "--region": region,
        "--account": account,
        "--oidc-issuer": oidc_issuer,
        "--cluster": cluster,
    }
    given = [name for name, value in {**place, "PATHS": paths}.items() if value]
    if stack is None:
        _refuse_missing(place, paths, is_platform=platform)
        options = {
            "partition": partition,
            "role_path": role_path,
            "permissions_boundary": permissions_boundary,
            "deployer_role": deployer_role,
            "guard_image": guard_image,
            "creates_oidc_provider": create_oidc_provider,
        }
        fleet = _fleet(paths or [], place, identity, options)
    elif given:
        raise typer.BadParameter(f"--stack says what {', '.join(given)} would say: give one", param_hint="--stack")
    elif platform:
        _print_platform(project, stack, output_format, output)
        return
    else:
        fleet = chosen_stack(project, stack).fleet()
    _print_fleet(fleet, output_format, output)


def _refuse_missing(place: Mapping[str, str | None], paths: Sequence[Path] | None, *, is_platform: bool) -> None:
    if is_platform:
        raise typer.BadParameter("a platform is a stack's: name it", param_hint="--stack")
    missing = [name for name, value in place.items() if value is None] + ([] if paths else ["PATHS"])
    if missing:
        raise typer.BadParameter(f"missing: {', '.join(missing)}; or name a --stack")


def _fleet(
    paths: Sequence[Path], place: Mapping[str, str | None], identity: str, options: Mapping[str, Any]
) -> FleetAccess:
    from components.derivation import Environment, Identity  # noqa: PLC0415
    from lockstep.spec_reading import load_fleet  # noqa: PLC0415

    if identity not in set(Identity):
        raise typer.BadParameter(f"{identity!r} is not one of {', '.join(Identity)}", param_hint="--identity")
    environment = Environment(
        name=place["--environment"] or "",
        region=place["--region"] or "",
        account=place["--account"] or "",
        cluster=place["--cluster"] or "",
        oidc_issuer=place["--oidc-issuer"] or "",
        default_identity=Identity(identity),
        **options,
    )
    return load_fleet(paths, environment)


def _print_fleet(fleet: FleetAccess, output_format: Format, output: Path | None) -> None:
    from components.derivation import render_fleet, render_fleet_files  # noqa: PLC0415

    if output is None:
        _print_document(render_fleet(fleet), output_format)
    else:
        _write_folder(render_fleet_files(fleet), output, f"{len(fleet.apps)} apps")


def _print_platform(project: Path, stack: str, output_format: Format, output: Path | None) -> None:
    from lockstep.platform_manifests import platform_manifests  # noqa: PLC0415

    rendered = platform_manifests(project, chosen_stack(project, stack))
    if output is None:
        _print_document(rendered.document(), output_format)
    else:
        _write_folder(rendered.files(), output, f"the platform of {stack}")


def _print_document(document: Mapping[str, object], output_format: Format) -> None:
    from components.derivation import dump_json, dump_yaml  # noqa: PLC0415

    sys.stdout.write(dump_json(document) if output_format is Format.JSON else dump_yaml(document))


def _write_folder(files: Mapping[str, str], folder: Path, what: str) -> None:
    from lockstep.folder_output import FolderOccupiedError, replace_folder  # noqa: PLC0415

    try:
        replace_folder(folder, files)
    except FolderOccupiedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(ExitCode.INVALID_INPUT) from error
    typer.echo(f"{len(files)} files of {what} in {folder}")
