"""Arguments that several verbs share, and what they stand for: spec files, stacks of the project, output formats."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.derivation import AppSpec, Store
    from lockstep.project import ProjectStack


def refuse_empty(parameter: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse a text that is empty: what an unset variable of a script leaves is no choice, and means no default."""
    if value == "":
        is_option = parameter.param_type_name == "option"
        raise _empty(parameter.opts[0] if is_option else str(parameter.name).upper(), is_needed=parameter.required)
    return value


def _project_folder(text: str | Path) -> Path:
    # Here and not in a callback: `Path("")` is the working folder.
    if text == "":
        raise _empty("--project", is_needed=False)
    return Path(text)


def _empty(name: str, *, is_needed: bool) -> TyperException:
    # The outermost place makes wrong usage of it, as of everything that the command line itself refuses.
    way_out = "" if is_needed else ", or leave it out"
    return TyperException(f"{name} is empty. Fix: give it a value (is a variable unset?){way_out}")


Paths = Annotated[list[Path], typer.Argument(help="Spec files, or folders of them.", show_default=False)]
ProjectFolder = Annotated[
    Path, typer.Option("--project", help="Folder of Pulumi.yaml.", parser=_project_folder, metavar="<path>")
]
StackName = Annotated[
    str | None,
    typer.Option("--stack", help="One stack of the project; default: all.", show_default=False, callback=refuse_empty),
]

EnvironmentName = Annotated[
    str | None,
    typer.Option(
        "--environment", help="Only stacks of this environment; the name of a given place.", show_default=False
    ),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="Default: $KUBECONFIG, or ~/.kube/config.", show_default=False),
]
Context = Annotated[
    str | None, typer.Option("--context", help="Of the kubeconfig; default: its current one.", show_default=False)
]
Boundary = Annotated[
    Path | None,
    typer.Option("--boundary", help="JSON document of the roles' permissions boundary.", show_default=False),
]


class StoreWord(StrEnum):
    """The two stores as people call their objects."""

    SECRET = "secret"  # noqa: S105 - a word
    PARAMETER = "parameter"

    @property
    def store(self) -> Store:
        """The store."""
        from components.derivation import Store  # noqa: PLC0415

        return Store.SECRETS_MANAGER if self is StoreWord.SECRET else Store.PARAMETER_STORE


StoreName = Annotated[
    StoreWord | None,
    typer.Option("--kind", help="What the name is; default: what the specs name so.", show_default=False),
]


class ReportFormat(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"


Report = Annotated[ReportFormat, typer.Option("--format", help="For people, or for programs.")]


def read_specs(paths: Sequence[Path]) -> tuple[AppSpec, ...]:
    """Read spec files; see `lockstep.spec_reading.load_specs`."""
    from lockstep.spec_reading import load_specs  # noqa: PLC0415

    return load_specs(paths)


def chosen_stacks(project: Path, stack: str | None) -> tuple[ProjectStack, ...]:
    """Return the named stack of the project, or all of them sorted by name."""
    from lockstep.project import load_project  # noqa: PLC0415

    whole = load_project(project)
    return (whole.stack(stack),) if stack else whole.all_stacks()


def chosen_stack(project: Path, stack: str | None) -> ProjectStack:
    """Return the named stack of the project, or its only one."""
    from lockstep.project import load_project  # noqa: PLC0415

    whole = load_project(project)
    if stack is None and len(whole.stack_names) > 1:
        raise typer.BadParameter(f"the stacks are {', '.join(whole.stack_names)}: name one", param_hint="--stack")
    return whole.stack(stack or whole.stack_names[0])


def print_json(document: Mapping[str, object]) -> None:
    """Print a report for programs: indented JSON that ends in a newline."""
    from components.derivation.render import dump_json  # noqa: PLC0415

    sys.stdout.write(dump_json(document))
