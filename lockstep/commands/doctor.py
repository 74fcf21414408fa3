"""`lockstep doctor`: is what stands what was derived?"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import (
    Context,
    Kubeconfig,
    ProjectFolder,
    Report,
    ReportFormat,
    chosen_stack,
    print_json,
    refuse_empty,
)
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lockstep.doctor.aws_reader import AwsReader
    from lockstep.doctor.cluster_objects import ClusterObjects
    from lockstep.doctor.examination import Absent

_EPILOG = """\b
Exit code: 2 when a check fails. What cannot be seen is skipped with its reason; --require makes that a failure.
Examples:
  lockstep doctor --stack prod
  lockstep doctor --stack prod --before-up
  lockstep doctor --stack prod --context prod --require cluster --format json
  lockstep doctor --stack prod --offline saved.json --offline values.yaml

\b
It reads and never changes anything, and never asks for a value: only GET of the Kubernetes API, only
Get, List, Describe and Simulate of AWS.
"""


class PartName(StrEnum):
    """What must be looked at."""

    CLUSTER = "cluster"
    AWS = "aws"


class FailOn(StrEnum):
    """The least status that ends with exit code 2."""

    FAIL = "fail"
    WARN = "warn"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(doctor)


def doctor(  # noqa: PLR0917 - the framework passes options by name
    project: ProjectFolder = Path(),
    stack: Annotated[
        str | None, typer.Option(help="One stack of the project.", show_default=False, callback=refuse_empty)
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    offline: Annotated[
        list[Path] | None,
        typer.Option(
            help="Look at files instead: manifests, saved `kubectl get -o json`, the driver's Helm values.",
            show_default=False,
        ),
    ] = None,
    before_up: Annotated[  # noqa: FBT002 - the framework passes options by name
        bool, typer.Option("--before-up", help="What `pulumi up` makes may be missing.")
    ] = False,
    require: Annotated[
        list[PartName] | None, typer.Option(help="Fail when it cannot be looked at.", show_default=False)
    ] = None,
    fail_on: Annotated[FailOn, typer.Option(help="Least status that ends with exit code 2.")] = FailOn.FAIL,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """Examine a stack's cluster and AWS account: is what stands there what was derived?

    Every check prints one line, ok, fail, warn or skipped, with the fix beside each failure.
    """
    from lockstep.doctor.endpoint_checks import check_names  # noqa: PLC0415
    from lockstep.doctor.examination import Absent, Part, examine_aws, examine_cluster, required  # noqa: PLC0415
    from lockstep.doctor.expected import Expected  # noqa: PLC0415
    from lockstep.doctor.report import json_report, text_report  # noqa: PLC0415

    if offline and (kubeconfig or context):
        raise typer.BadParameter("--offline looks at files, and --kubeconfig and --context at a cluster: give one")
    chosen = chosen_stack(project, stack)
    expected = Expected.of(chosen, is_before_up=before_up)
    verdicts = [*examine_cluster(expected, _objects(offline or (), kubeconfig, context))]
    verdicts += examine_aws(expected, Absent("--offline asks nobody") if offline else _aws())
    verdicts += () if offline else check_names(expected)
    verdicts = [*required(verdicts, [Part(each.value) for each in require or ()])]
    if output_format is ReportFormat.JSON:
        print_json(json_report(chosen.name, verdicts))
    else:
        for line in text_report(chosen.name, verdicts):
            typer.echo(line)
    failing = {"fail"} if fail_on is FailOn.FAIL else {"fail", "warn"}
    if any(verdict.status.value in failing for verdict in verdicts):
        raise typer.Exit(ExitCode.FINDINGS)


def _objects(files: Sequence[Path], kubeconfig: Path | None, context: str | None) -> ClusterObjects | Absent:
    from lockstep.cluster.api_server import ApiError, ClusterReader  # noqa: PLC0415
    from lockstep.cluster.kubeconfig import kubeconfig_files, load_kubeconfig  # noqa: PLC0415
    from lockstep.doctor.cluster_objects import FileObjects, LiveObjects  # noqa: PLC0415
    from lockstep.doctor.examination import Absent  # noqa: PLC0415
    from lockstep.input_errors import InputError  # noqa: PLC0415

    if files:
        return FileObjects(files)
    found = kubeconfig_files(kubeconfig, os.environ)
    if not found:
        return Absent("there is no kubeconfig ($KUBECONFIG, ~/.kube/config): give one with --kubeconfig")
    reader = ClusterReader(load_kubeconfig(found, context))
    try:
        reader.get("/version")
    except ApiError as error:
        return Absent(error.reason)
    except InputError as error:
        return Absent(str(error))  # a session that expired hides the cluster, and AWS may still be asked
    return LiveObjects(reader)


def _aws() -> AwsReader | Absent:
    from lockstep.doctor.aws_reader import AwsReader, find_session  # noqa: PLC0415
    from lockstep.doctor.examination import Absent  # noqa: PLC0415

    session = find_session()
    return Absent(session) if isinstance(session, str) else AwsReader(session)
