"""What `lockstep preview` does: run or read a preview per stack, then report access and resources."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from components.derivation.diff import NotAPreviewError, read_sides
from components.stack_config import SettingsErrors, project_name
from lockstep.access_diff import RequestError, check_protected, is_protected, read_approvals, refuse_other_stack
from lockstep.access_report.redaction import redaction_of
from lockstep.access_report.report import FailOn, Report
from lockstep.diff_sides import SideError, load_document
from lockstep.preview.preview_report import StackPreview, read_run
from lockstep.preview.preview_runs import (
    Engine,
    PreviewError,
    PreviewRun,
    failed_run,
    preview_embedded,
    preview_with_pulumi,
    pulumi_path,
)
from lockstep.project import load_project

#: Code of what is wrong with the request and not with a stack: there is no such stack, or no project.
_NO_STACK = "CFG001"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRequest:
    """What was asked for; see `lockstep preview --help`."""

    project: Path = Path()
    stack: str | None = None
    engine: Engine = Engine.AUTO
    digest: Path | None = None
    state: Path | None = None
    base: str | None = None
    fail_on: FailOn = field(default_factory=FailOn)
    approvals: str | None = None
    protected: tuple[str, ...] | None = None
    today: dt.date = field(default_factory=lambda: dt.datetime.now(tz=dt.UTC).date())


def preview_stacks(request: PreviewRequest) -> tuple[Report, tuple[StackPreview, ...]]:
    """Preview the stacks.

    Raises:
        RequestError, SideError, PreviewError, GitTreeError, SettingsErrors, StateFileError, ApprovalsError: It cannot
            be done as asked.
    """
    runs, doubts = _runs(request)
    # One for all: a value of one stack is none of another one's report either.
    redaction = redaction_of(run.document for run in runs.values())
    previews: list[StackPreview] = []
    for stack, run in runs.items():
        is_marked = is_protected(stack, request.protected)
        try:
            found = read_run(stack, run, redaction, is_protected=is_marked)
        except NotAPreviewError as error:
            unread = failed_run(f"what pulumi wrote is no preview: {error}. Fix: update the Pulumi CLI")
            found = read_run(stack, unread, redaction, is_protected=is_marked)
        previews.append(found)
    report = Report(
        project=_project_name(request),
        stacks=tuple(preview.access for preview in previews),
        fail_on=request.fail_on,
        notes=doubts,
        approvals=read_approvals(request.approvals, project=request.project, today=request.today),
        redaction=redaction,
    )
    return report, tuple(previews)


def _runs(request: PreviewRequest) -> tuple[Mapping[str, PreviewRun], tuple[str, ...]]:
    """Return the runs by stack, and notes about what was asked for."""
    if request.digest is not None:
        if request.state or request.base:
            raise RequestError("--digest is a finished preview. Fix: leave out --state and --base. [DIFF006]")
        return _saved(request, request.digest)
    _refuse_state(request)
    names = (request.stack,) if request.stack else load_project(request.project).stack_names
    doubts = check_protected(request.protected, names, request.project)  # before a run of minutes
    return {name: _run(request, name) for name in names}, doubts


def _saved(request: PreviewRequest, file: Path) -> tuple[Mapping[str, PreviewRun], tuple[str, ...]]:
    document = load_document(file)
    try:
        sides = read_sides(document)
    except NotAPreviewError as error:
        rule = "A preview is what `pulumi preview --json` wrote"
        raise SideError(f"{file}: it is no preview: {error}. {rule}. Fix: name such a file. [DIFF002]") from None
    refuse_other_stack(request.stack, sides.stack, sides.project, where=str(file))
    name = sides.stack or request.stack or "unknown"
    run = PreviewRun(document=cast("Mapping[str, object]", document))
    return {name: run}, check_protected(request.protected, [name], request.project)


def _refuse_state(request: PreviewRequest) -> None:
    """Refuse a state that says nothing: everything would count as new, or the revision would be ignored."""
    if request.state is None:
        return
    if request.base is not None:
        raise RequestError("--state and --base both say what is deployed. Fix: leave one of them out. [DIFF006]")
    if not request.state.exists():
        raise RequestError(
            f"{request.state}: there is no such file. --state names what is deployed. "
            "Fix: correct the path, or leave out --state where nothing is deployed. [DIFF006]"
        )


def _run(request: PreviewRequest, stack: str) -> PreviewRun:
    """Run one stack's preview; what is wrong with that stack alone is a failed run, which the report tells."""
    program = pulumi_path()
    wants_embedded = request.state is not None or request.base is not None
    is_pulumi = request.engine is Engine.PULUMI or (
        request.engine is Engine.AUTO and program is not None and not wants_embedded
    )
    if is_pulumi and program is None:
        raise PreviewError("pulumi is not on the PATH. Fix: install the Pulumi CLI, or use --engine embedded")
    if is_pulumi and wants_embedded:
        raise RequestError("--state and --base are for the embedded engine. Fix: leave them out. [DIFF006]")
    try:
        if is_pulumi and program is not None:
            return preview_with_pulumi(request.project, stack, program=program)
        return preview_embedded(request.project, stack, state=request.state, base=request.base)
    except PreviewError as error:
        return failed_run(str(error))
    except SettingsErrors as errors:
        if any(problem.code == _NO_STACK for problem in errors.problems):
            raise
        return failed_run(*map(str, errors.problems))


def _project_name(request: PreviewRequest) -> str:
    return project_name(request.project) if (request.project / "Pulumi.yaml").is_file() else ""
