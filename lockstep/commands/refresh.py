"""`lockstep refresh`: bring a new value into running pods now."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.commands.arguments import (
    Context,
    EnvironmentName,
    Kubeconfig,
    ProjectFolder,
    Report,
    ReportFormat,
    StackName,
    chosen_stacks,
    print_json,
)
from lockstep.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.derivation import AppAccess
    from lockstep.cluster.api_server import ClusterWriter
    from lockstep.project import ProjectStack
    from lockstep.refresh.bell import MountResult
    from lockstep.refresh.mounted_pods import MountedClass
    from lockstep.refresh.newest_versions import Newest

_EPILOG = """\b
Exit code: 0 when every pod holds what is new, 2 when one does not; the report then says why.
Examples:
  lockstep refresh payments --stack prod
  lockstep refresh payments --environment prod --dry-run
  lockstep refresh payments --stack prod --context prod --timeout 120 --format json

\b
It needs leave to list and patch pods and to list secretproviderclasspodstatuses in the app's
namespace. With AWS credentials that may describe the app's objects it knows what is new.
An app must read its files again to notice; environment variables of a process never change.
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(refresh)


def refresh(  # noqa: PLR0917 - the framework passes options by name
    app: Annotated[str, typer.Argument(help="Name of the app.", show_default=False)],
    project: ProjectFolder = Path(),
    stack: StackName = None,
    environment: EnvironmentName = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Annotated[float, typer.Option(min=1, max=3600, help="Seconds to wait for the pods.")] = 60,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the pods and change nothing.")] = False,  # noqa: FBT002 - the framework passes options by name
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """Bring a new value into an app's running pods now: touches each pod, and waits until its files are new.

    Touching (an annotation) makes kubelet publish the pod's volumes again at once. The driver passes that on when its
    interval has passed; the provider answers with values of at most its --first-mount-max-age.
    """
    from lockstep.cluster.api_server import ApiError  # noqa: PLC0415
    from lockstep.input_errors import InputError  # noqa: PLC0415
    from lockstep.refresh.mounted_pods import find_mounts  # noqa: PLC0415

    chosen = _stack(project, stack, environment)
    access = _access(chosen, app)
    cluster = _cluster(kubeconfig, context)
    try:
        _refuse_another(cluster, chosen)
        mounts = find_mounts(access, cluster)
        if dry_run:
            _print_plan(app, mounts, output_format)
            return
        results = _run(access, chosen, mounts, cluster, timeout)
        why = _reasons(results, cluster)
    except ApiError as error:
        fix = "ask for leave to list and patch pods, and to list secretproviderclasspodstatuses, in that namespace"
        raise InputError(f"cluster {cluster.access.context}: {error}. Fix: {fix}. [REF002]") from None
    finally:
        cluster.close()
    _print(app, results, why, output_format)
    if not results or why:
        raise typer.Exit(ExitCode.FINDINGS)


def _stack(project: Path, name: str | None, environment: str | None) -> ProjectStack:
    stacks = [one for one in chosen_stacks(project, name) if environment in {None, one.environment.name}]
    if len(stacks) != 1:
        found = ", ".join(one.name for one in stacks) or "none"
        raise typer.BadParameter(f"one cluster is refreshed, and the stacks are: {found}", param_hint="--stack")
    return stacks[0]


def _access(stack: ProjectStack, app: str) -> AppAccess:
    from lockstep.asking import asked_stacks, stacks_with  # noqa: PLC0415

    (asked,) = stacks_with(asked_stacks([stack]), app)
    access = asked.answers.app(app)
    assert access is not None  # noqa: S101 - stacks_with found it
    return access


def _cluster(kubeconfig: Path | None, context: str | None) -> ClusterWriter:
    from lockstep.cluster.api_server import ClusterWriter  # noqa: PLC0415
    from lockstep.cluster.kubeconfig import kubeconfig_files, load_kubeconfig  # noqa: PLC0415

    files = kubeconfig_files(kubeconfig, os.environ)
    if not files:
        raise typer.BadParameter("there is no kubeconfig ($KUBECONFIG, ~/.kube/config)", param_hint="--kubeconfig")
    return ClusterWriter(load_kubeconfig(files, context))


def _refuse_another(cluster: ClusterWriter, stack: ProjectStack) -> None:
    """Refuse a cluster that is known to be another than the stack's; one that does not tell its issuer is taken."""
    from lockstep.cluster.api_server import ApiError  # noqa: PLC0415
    from lockstep.input_errors import InputError  # noqa: PLC0415

    try:
        issuer = str(cluster.get("/.well-known/openid-configuration").get("issuer", ""))
    except ApiError as error:
        if not error.status:
            raise
        return
    if issuer != stack.environment.oidc_issuer:
        raise InputError(
            f"context {cluster.access.context}: its tokens are of {issuer}, the stack {stack.name} is for "
            f"{stack.environment.oidc_issuer}. Pods of another cluster are not touched. "
            "Fix: name the stack's cluster with --context. [REF001]"
        )


def _run(
    access: AppAccess, stack: ProjectStack, mounts: tuple[MountedClass, ...], cluster: ClusterWriter, timeout: float
) -> tuple[MountResult, ...]:
    from lockstep.refresh.bell import Timing  # noqa: PLC0415
    from lockstep.refresh.bell import refresh as ring  # noqa: PLC0415

    newest = _newest(access, stack)
    return ring(mounts, newest, cluster, Timing(time.monotonic, time.sleep, timeout))


def _newest(access: AppAccess, stack: ProjectStack) -> Newest:
    """Ask AWS what is new, with credentials of the stack's account; nothing is known without."""
    from lockstep.doctor.aws_reader import AwsReader, find_session  # noqa: PLC0415
    from lockstep.doctor.verdicts import UnseenError  # noqa: PLC0415
    from lockstep.refresh.newest_versions import fetch_newest  # noqa: PLC0415

    session = find_session()
    if isinstance(session, str) or access.chain is not None:
        return {}
    reader = AwsReader(session)
    region = stack.environment.region
    try:
        if reader.call("sts", "GetCallerIdentity", region=region)["Account"] != stack.environment.account:
            return {}
        return fetch_newest(access, region, reader)
    except UnseenError:
        return {}
    finally:
        reader.close()


def _reasons(results: Sequence[MountResult], cluster: ClusterWriter) -> tuple[str, ...]:
    from lockstep.refresh.bell import Outcome  # noqa: PLC0415
    from lockstep.refresh.reasons import reasons  # noqa: PLC0415

    stuck = [result for result in results if result.outcome is Outcome.UNCHANGED]
    return tuple(reasons(cluster, is_known_behind=any(result.behind for result in stuck))) if stuck else ()


def _print_plan(app: str, mounts: Sequence[MountedClass], output_format: ReportFormat) -> None:
    if output_format is ReportFormat.JSON:
        listed = [{"namespace": each.namespace, "pod": each.pod, "class": each.class_name} for each in mounts]
        print_json({"app": app, "dryRun": True, "mounts": listed})
        return
    for each in mounts:
        typer.echo(f"would touch {each.namespace}/{each.pod} for class {each.class_name}")
    if not mounts:
        typer.echo(f"no running pod of {app} mounts one of its classes")


def _print(app: str, results: Sequence[MountResult], why: Sequence[str], output_format: ReportFormat) -> None:
    if output_format is ReportFormat.JSON:
        listed = [
            {
                "namespace": each.mount.namespace,
                "pod": each.mount.pod,
                "class": each.mount.class_name,
                "outcome": each.outcome.value,
                "changed": list(each.changed),
                "behind": list(each.behind),
            }
            for each in results
        ]
        print_json({"app": app, "dryRun": False, "mounts": listed, "reasons": list(why)})
        return
    for each in results:
        files = f": {', '.join(each.changed)}" if each.changed else ""
        late = f"; AWS has a newer version of {', '.join(each.behind)}" if each.behind else ""
        typer.echo(
            f"{each.outcome.value:<9}  {each.mount.namespace}/{each.mount.pod}  {each.mount.class_name}{files}{late}"
        )
    for sentence in why:
        typer.echo(f"why: {sentence}")
    if not results:
        typer.echo(f"no running pod of {app} mounts one of its classes: new pods read what is new")
