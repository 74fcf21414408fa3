"""`lockstep import`: app specs from classes, service accounts and policies that are deployed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import Report, ReportFormat, print_json
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from components.derivation.importer import Imported, Note
    from components.derivation.lint import Finding

_EXAMPLES = """\b
Examples:
  lockstep import class.yaml deployment.yaml --policy policy.json
  kubectl get secretproviderclass,serviceaccount,pod -A -o json | lockstep import - --output stacks/apps
  lockstep import classes.yaml --policy roles.json --format json

roles.json is what `aws iam get-account-authorization-details` prints: policies by role, so that each app gets its own.
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("import", epilog=_EXAMPLES)(import_specs)


def import_specs(
    manifests: Annotated[
        list[Path],
        typer.Argument(
            help="SecretProviderClasses, with the pods, service accounts and associations beside them; - for stdin.",
            show_default=False,
        ),
    ],
    policy: Annotated[
        list[Path] | None, typer.Option(help="Identity policies of the roles.", show_default=False)
    ] = None,
    trust: Annotated[list[Path] | None, typer.Option(help="Trust policies of the roles.", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for one file per app; no file is overwritten.", show_default=False)
    ] = None,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """Build app specs from existing classes, service accounts and policies, and list what they do not say.

    Mechanical mistakes are mended first. Listed are: what was not carried over, what was assumed, and where existing
    grants are wider than the mounts need. Something lost or wider ends with exit code 2.
    """
    from components.derivation.importer import NoteKind, import_apps  # noqa: PLC0415
    from components.derivation.lint import Given, mend  # noqa: PLC0415
    from lockstep.lint_input import read_input  # noqa: PLC0415

    files = [
        *((Given.MANIFEST, path) for path in manifests),
        *((Given.POLICY, path) for path in policy or []),
        *((Given.TRUST, path) for path in trust or []),
    ]
    if [str(path) for _, path in files].count("-") > 1:
        raise typer.BadParameter("- can be given once: there is one standard input")
    read = read_input(files=files)
    mended = mend(read.texts, read.material)
    imported = import_apps(read.material({**read.texts, **mended.texts}))
    notes = [*imported.notes, *_mended(mended.mended)]
    if output is not None:
        _write(imported, output)
    if output_format is ReportFormat.JSON:
        print_json(_document(imported, notes))
    else:
        _print(imported, notes, with_specs=output is None)
    if any(note.kind in {NoteKind.LOST, NoteKind.WIDER} for note in notes):
        raise typer.Exit(ExitCode.FINDINGS)


def _mended(findings: Sequence[Finding]) -> Iterator[Note]:
    from components.derivation.importer import Note, NoteKind  # noqa: PLC0415

    for finding in findings:
        yield Note(spot=finding.spot, kind=NoteKind.MENDED, what=f"{finding.what} [{finding.code}]")


def _document(imported: Imported, notes: Sequence[Note]) -> Mapping[str, object]:
    return {
        "apps": {app.app: app.spec for app in imported.apps},
        "notes": [
            {
                "kind": note.kind.value,
                "app": note.app or None,
                "file": note.spot.source,
                "line": note.spot.line,
                "column": note.spot.column,
                "what": note.what,
            }
            for note in notes
        ],
    }


def _print(imported: Imported, notes: Sequence[Note], *, with_specs: bool) -> None:
    if with_specs:
        typer.echo("---\n".join(app.text for app in imported.apps), nl=False)
    for note in notes:
        typer.echo(str(note), err=True)
    typer.echo(f"{len(imported.apps)} app{'' if len(imported.apps) == 1 else 's'}, {len(notes)} notes", err=True)


def _write(imported: Imported, folder: Path) -> None:
    """Write one file for each app: all of them, or none where one is there already."""
    from lockstep.lint_input import create_all  # noqa: PLC0415

    try:
        create_all({folder / f"{app.app}.yaml": app.text for app in imported.apps})
    except FileExistsError as error:
        typer.echo(
            f"{error.filename}: it is there already. Nothing is overwritten. Fix: name another folder.", err=True
        )
        raise typer.Exit(ExitCode.INVALID_INPUT) from error
