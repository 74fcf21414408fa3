"""The input flags that every question shares: stacks of the project, or spec files in a place that flags give.

`takes_input` puts them behind a verb's own arguments, so that all questions take the same ones, named as `render` does.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from lockstep.commands.arguments import ProjectFolder, StackName, chosen_stacks

if TYPE_CHECKING:
    from components.derivation import Environment
    from lockstep.asking import Askable

SpecPaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--specs",
        metavar="PATH",
        help="Spec files or folders instead of a project's stacks; repeat. Needs the flags of a place, as render does.",
        show_default=False,
    ),
]
Place = Annotated[
    str | None,
    typer.Option("--environment", help="Only stacks of this environment; with --specs its name.", show_default=False),
]
Region = Annotated[
    str | None, typer.Option("--region", help="Region of the cluster, like eu-west-1.", show_default=False)
]
Account = Annotated[str | None, typer.Option("--account", help="AWS account, 12 digits.", show_default=False)]
OidcIssuer = Annotated[
    str | None, typer.Option("--oidc-issuer", help="Issuer URL of the cluster, https://…", show_default=False)
]
Cluster = Annotated[str | None, typer.Option("--cluster", help="Name of the EKS cluster.", show_default=False)]
Partition = Annotated[
    str | None, typer.Option("--partition", help="aws (default), aws-cn or aws-us-gov.", show_default=False)
]
IdentityWord = Annotated[
    str | None,
    typer.Option("--identity", help="irsa (default) or podIdentity, for apps that name none.", show_default=False),
]
RolePath = Annotated[str | None, typer.Option("--role-path", help="IAM path of the roles.", show_default=False)]
PermissionsBoundary = Annotated[
    str | None, typer.Option("--permissions-boundary", help="ARN of a managed policy.", show_default=False)
]
DeployerRole = Annotated[
    str | None, typer.Option("--deployer-role", help="ARN of the role that deploys.", show_default=False)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFlags:
    """One environment as flags give it; None for a flag that is not given."""

    region: Region = None
    account: Account = None
    oidc_issuer: OidcIssuer = None
    cluster: Cluster = None
    partition: Partition = None
    identity: IdentityWord = None
    role_path: RolePath = None
    permissions_boundary: PermissionsBoundary = None
    deployer_role: DeployerRole = None

    def given(self) -> tuple[str, ...]:
        """Return the flags that are given."""
        return tuple(_flag(item.name) for item in fields(self) if getattr(self, item.name) is not None)

    def environment(self, name: str | None) -> Environment:
        """Build the environment.

        Raises:
            BadParameter: A flag is missing, or `--identity` is no identity.
            SpecErrors: SPEC026 for every malformed value.
        """
        from components.derivation import Environment, Identity  # noqa: PLC0415

        needed = {
            "--environment": name,
            "--region": self.region,
            "--account": self.account,
            "--cluster": self.cluster,
            "--oidc-issuer": self.oidc_issuer,
        }
        missing = [flag for flag, value in needed.items() if value is None]
        if missing:
            raise typer.BadParameter(f"spec files need a place: {', '.join(missing)} is missing")
        identity = self.identity or Identity.IRSA.value
        if identity not in set(Identity):
            raise typer.BadParameter(f"{identity!r} is not one of {', '.join(Identity)}", param_hint="--identity")
        return Environment(
            name=name or "",
            region=self.region or "",
            account=self.account or "",
            cluster=self.cluster or "",
            oidc_issuer=self.oidc_issuer or "",
            partition=self.partition or "aws",
            default_identity=Identity(identity),
            role_path=self.role_path or "/",
            permissions_boundary=self.permissions_boundary,
            deployer_role=self.deployer_role,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedInput:
    """Where a question finds its apps."""

    project: ProjectFolder = Path()
    stack: StackName = None
    environment: Place = None
    specs: SpecPaths = None
    place: PlaceFlags = PlaceFlags()

    def stacks(self) -> tuple[Askable, ...]:
        """Return what is asked: stacks of the project, or the given specs as one that is named as its environment.

        Raises:
            BadParameter: Flags of both, or a place that is not whole.
            SettingsErrors: The project cannot be read.
        """
        if not self.specs:
            if self.place.given():
                raise typer.BadParameter(f"{', '.join(self.place.given())} goes with --specs")
            return chosen_stacks(self.project, self.stack)
        if self.stack:
            raise typer.BadParameter("--stack names a stack of the project, and --specs stands in its place")
        from lockstep.project import GivenSpecs  # noqa: PLC0415

        return (GivenSpecs(environment=self.place.environment(self.environment), app_paths=tuple(self.specs)),)


#: Every stack of the project in the working directory.
PROJECT = AskedInput()
_OWN = tuple(item.name for item in fields(AskedInput) if item.name != "place")
_PLACE = tuple(item.name for item in fields(PlaceFlags))


def takes_input(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a verb whose parameter `source` is made of the shared flags, which stand in its place."""

    @functools.wraps(verb)
    def run(**given: Any) -> None:  # noqa: ANN401 - typer calls it by the names below
        place = PlaceFlags(**{name: given.pop(name) for name in _PLACE})
        source = AskedInput(**{name: given.pop(name) for name in _OWN}, place=place)
        verb(**given, source=source)

    hints = get_type_hints(verb, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name == "source":
            parameters += _flags(AskedInput, _OWN) + _flags(PlaceFlags, _PLACE)
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _flags(of: type[AskedInput | PlaceFlags], names: tuple[str, ...]) -> list[inspect.Parameter]:
    hints = get_type_hints(of, include_extras=True)
    defaults = {item.name: item.default for item in fields(of)}
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name])
        for name in names
    ]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
