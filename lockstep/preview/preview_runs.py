"""Gets the document of a preview: from the Pulumi CLI, from the embedded engine, or from a saved file.

Not done here: reading it. The CLI streams engine events, because its plain JSON leaves policy violations out. The
embedded engine asks no cloud: what is deployed is taken from a state file, or made from the specs and settings of a git
revision, which are laid out as data; only this project's own program runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from components.settings import load_settings
from components.stack_config import SettingsErrors, load_stack_config, stack_file
from lockstep.diff_sides import lay_out_settings, settings_of_revision
from lockstep.engine import EngineResult, EngineState, Mode, run_program
from lockstep.git_tree import GitTree
from lockstep.preview.engine_events import NotEventsError, document_of_events
from lockstep.preview.offline_lookups import OfflineLookups, offline_lookups
from lockstep.project import load_project

_SHOWN_STDERR = 4000
#: A preview asks the cloud about every resource; past this something hangs.
_TIMEOUT_SECONDS = 1800


class Engine(StrEnum):
    """Who runs a preview."""

    AUTO = "auto"
    PULUMI = "pulumi"
    EMBEDDED = "embedded"


class PreviewError(Exception):
    """A preview that gave no document; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRun:
    """One preview.

    Attributes:
        document: The shape of `pulumi preview --json`.
        failed: Whether the run failed; the document then has what was known until there.
        notes: Sentences about what the run could not see.
    """

    document: Mapping[str, object]
    failed: bool = False
    notes: tuple[str, ...] = ()


def failed_run(*messages: str) -> PreviewRun:
    """Return a run that ended before it knew anything, so that its report says why."""
    told = [{"severity": "error", "message": message, "urn": ""} for message in messages]
    return PreviewRun(document={"steps": [], "diagnostics": told, "changeSummary": {}}, failed=True)


def pulumi_path() -> str | None:
    """Return where the Pulumi CLI is, None for nowhere."""
    return shutil.which("pulumi")


def preview_with_pulumi(project: Path, stack: str, *, program: str) -> PreviewRun:
    """Run `pulumi preview`.

    Args:
        project: Folder of Pulumi.yaml.
        stack: Its name for the CLI.
        program: Path of the CLI.

    Raises:
        PreviewError: It wrote nothing that is a preview.
    """
    command = [program, "preview", "--stack", stack, "--json", "--show-sames", "--non-interactive"]
    environment = {**os.environ, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true", "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        ended = subprocess.run(  # noqa: S603 - the CLI with an argument list
            command,
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PreviewError(
            f"pulumi preview of {stack} did not end within {_TIMEOUT_SECONDS} s. Fix: run it by hand"
        ) from None
    failed = ended.returncode != 0
    document = _document_of(ended.stdout)
    if document is None:
        if not failed:
            raise PreviewError(f"pulumi preview of {stack} wrote no preview. Fix: update the Pulumi CLI")
        document = {"steps": [], "diagnostics": [], "changeSummary": {}}
    return PreviewRun(document=_with_stderr(document, ended.stderr) if failed else document, failed=failed)


def _document_of(text: str) -> dict[str, object] | None:
    """Return the document of one JSON text or of a stream of events; None for neither."""
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    if isinstance(whole, dict) and "steps" in whole:
        return whole
    events = []
    for line in text.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue  # the CLI may say something between two events
    try:
        return document_of_events(events)
    except NotEventsError:
        return None


def _with_stderr(document: Mapping[str, object], stderr: str) -> dict[str, object]:
    """Add what the CLI said on its way out, unless a diagnostic has said it."""
    told = document.get("diagnostics")
    diagnostics = list(told) if isinstance(told, list) else []
    text = stderr[-_SHOWN_STDERR:].strip()
    has_error = any(isinstance(item, Mapping) and item.get("severity") == "error" for item in diagnostics)
    if text and not has_error:
        diagnostics.insert(0, {"severity": "error", "message": text, "urn": ""})
    return {**document, "diagnostics": diagnostics}


def preview_embedded(project: Path, stack: str, *, state: Path | None, base: str | None) -> PreviewRun:
    """Run the program on the embedded engine, against no cloud.

    Args:
        project: Folder of Pulumi.yaml.
        stack: Such as `prod`.
        state: State file of the embedded engine, which exists; None for none.
        base: Git revision whose specs and settings count as deployed; None for none, and where there is a state.

    Raises:
        GitTreeError: The revision cannot be read.
        SettingsErrors: The configuration is wrong, here or in the revision.
        PreviewError: What the revision says cannot be deployed.
        StateFileError: The state file cannot be used.
    """
    # What is wrong here is told first: the revision is deployed by the program of today, and would be blamed for it.
    settings = load_settings(project, stack)
    if not (project / "__main__.py").is_file():
        raise PreviewError(
            f"{project}: it has no __main__.py. The embedded engine runs the project's Python program. "
            "Fix: name the project's folder with --project, or use --engine pulumi"
        )
    notes: tuple[str, ...] = ()
    before = EngineState()
    if state is not None:
        before = EngineState.load(state)
    elif base is not None:
        before = _state_of_revision(project, stack, base, later_issuer=settings.oidc_issuer)
    else:
        notes = ("nothing is known to be deployed: everything counts as new. --base or --state names what is there",)
    lookups = offline_lookups(settings, stack_file(project, stack))
    result = _run(project, stack, "preview", before, lookups, {})
    return PreviewRun(document=result.digest, failed=not result.ok, notes=(*notes, *lookups.notes))


def _state_of_revision(project: Path, stack: str, revision: str, *, later_issuer: str | None) -> EngineState:
    """Return the state that this program would leave with the specs and settings of a revision."""
    tree = GitTree.open(revision, project)
    with tempfile.TemporaryDirectory(prefix="lockstep-preview-") as temporary:
        folder = Path(temporary)
        try:
            lay_out_settings(tree, folder)
            if stack not in load_project(folder).stack_names:
                return EngineState()  # the stack is new
            settings = load_settings(folder, stack)
        except SettingsErrors as errors:
            raise settings_of_revision(errors, revision) from None
        apps = [str(path) for path in settings.apps]
        tree.write(folder, apps)
        overrides = dict(load_stack_config(folder, stack).as_text())
        overrides["lockstep:apps"] = json.dumps([str(folder / path) for path in apps])
        file = f"{revision}:{stack_file(folder, stack)}"
        lookups = offline_lookups(settings, file, later_issuer=later_issuer)
        result = _run(project, stack, "up", EngineState(), lookups, overrides)
    if not result.ok:
        raise PreviewError(_refusal(result, revision, folder))
    return result.state


def _refusal(result: EngineResult, revision: str, folder: Path) -> str:
    """Say why a revision could not be deployed, with its files named as git does: nobody can open the folder."""
    problems = "; ".join(item.message for item in result.errors)
    named = problems.replace(f"{folder}/", f"{revision}:")
    if named == problems:
        fix = "Fix: mend the program if that is what fails, or name another --base"
        return f"{revision}: the program as it stands cannot deploy its specs and settings ({problems}). {fix}"
    wrong = [line for line in named.splitlines() if line.startswith(f"{revision}:")]
    fix = "Fix: mend them and commit that, or name another --base"
    return "\n".join([f"{revision}: its specs are wrong, so what is deployed is not known. {fix}", *wrong])


def _run(
    project: Path,
    stack: str,
    mode: Mode,
    state: EngineState,
    lookups: OfflineLookups,
    overrides: Mapping[str, str],
) -> EngineResult:
    return run_program(
        project_dir=project,
        stack=stack,
        mode=mode,
        state=state,
        providers=lookups.providers,
        config_overrides={**overrides, **lookups.overrides},
        show_sames=True,
    )
