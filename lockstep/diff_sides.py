"""The two sides of `lockstep diff`: a revision, a folder, rendered JSON or a preview, each read into documents.

Not done here: comparing (components.derivation.diff). A side is data: nothing of it is run, and a revision is read
without being checked out, so that the tool of one revision can look at the data of another.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from components.derivation import Problem, SpecErrors
from components.derivation.diff import (
    FleetDocuments,
    NotAPreviewError,
    NotRenderedError,
    Sides,
    read_preview,
    read_rendered,
    read_sides,
)
from components.derivation.spec_files import DiskFiles, SpecFiles
from components.stack_config import SettingsErrors, SettingsProblem, project_name, stack_file
from lockstep.access_report.redaction import Redaction, redaction_of
from lockstep.git_tree import GitTree, GitTreeError, folder_in_repository
from lockstep.preview.engine_events import document_of_events
from lockstep.project import Project, load_project
from lockstep.shared_derivation import SharedDerivation

#: What reads a document recurses, and Python's parser takes more levels than Python itself does.
_MOST_LEVELS = 200


class SideError(Exception):
    """A side that cannot be read: where, what, rule, fix and code, one line per problem."""


class Kind(StrEnum):
    """What an argument turned out to be."""

    REVISION = "git revision"
    FOLDER = "folder"
    RENDERED = "rendered JSON"
    PREVIEW = "preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideStack:
    """One stack of a side.

    Attributes:
        name: Of the stack; of a rendered document its environment.
    """

    name: str
    documents: FleetDocuments


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side, read.

    Attributes:
        argument: As the user wrote it.
        project: Name of the project, "" unknown.
        stack_names: Of every stack of the project, also of those that were not read; empty for a document.
        preview: The steps, for a preview.
        read_text: Reads another file of a revision or folder (for approvals); None where there are no files.
        redaction: Takes the values of a preview out of a text.
    """

    argument: str
    kind: Kind
    project: str
    stacks: tuple[SideStack, ...]
    stack_names: tuple[str, ...] = ()
    preview: Sides | None = None
    read_text: Callable[[str], str] | None = None
    redaction: Redaction = field(default_factory=Redaction)


def read_side(
    argument: str, *, project_folder: Path, stack: str | None, shared: SharedDerivation | None = None
) -> Side:
    """Read one side.

    Args:
        argument: An existing file or folder, else a git revision of the project's repository.
        project_folder: Folder of Pulumi.yaml; for a revision, the folder in its repository.
        stack: Only this one.
        shared: Of the other side, so that what is the same there is read and derived once.

    Raises:
        SideError: It cannot be read.
        SettingsErrors: A stack's configuration is wrong.
        SpecErrors: Specs are wrong.
    """
    path = Path(argument)
    shared = shared or SharedDerivation()
    try:
        if path.is_dir():
            return _read_folder(path, argument, stack, shared)
        if path.exists():  # a pipe too, such as a shell's `<(pulumi preview --json)`
            return _read_file(path, argument)
        return _read_revision(argument, project_folder, stack, shared)
    except GitTreeError as error:
        raise SideError(f"{error} [DIFF001]") from None


# --------------------------------------------------------------------------------------------------------------- files
def _read_file(path: Path, argument: str) -> Side:
    return side_of_document(load_document(path), argument)


def load_document(path: Path) -> object:
    """Read JSON, or the lines of JSON that a streaming preview writes.

    Raises:
        SideError: It is neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SideError(f"{path}: it is not UTF-8 text. Fix: name a JSON file. [DIFF002]") from None
    try:
        return _parsed(text, path)
    except ValueError:
        pass
    try:
        return document_of_events(_parsed(line, path) for line in text.splitlines() if line.strip())
    except ValueError:
        rule = "A side is a revision, a folder, or JSON of `lockstep render` or `pulumi preview`"
        raise SideError(f"{path}: it is not JSON. {rule}. Fix: name one of them. [DIFF002]") from None


def _parsed(text: str, path: Path) -> object:
    rule = "What `lockstep render` and `pulumi preview` write nests a few levels"
    refusal = SideError(f"{path}: it nests too deeply. {rule}. Fix: name such a file. [DIFF002]")
    try:
        document: object = json.loads(text)
    except RecursionError:
        raise refusal from None
    if _nests_deeper(document, _MOST_LEVELS):
        raise refusal
    return document


def _nests_deeper(document: object, levels: int) -> bool:
    inside = [document]
    for _ in range(levels + 1):
        inside = [
            child
            for item in inside
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not inside:
            return False
    return True


def side_of_document(document: object, argument: str) -> Side:
    """Return the side that a JSON document is.

    Raises:
        SideError: It is of no known kind.
    """
    try:
        if isinstance(document, Mapping) and "steps" in document:
            _refuse_failed(document, argument)
            sides = read_sides(document)
            _, after = read_preview(sides)
            return Side(
                argument=argument,
                kind=Kind.PREVIEW,
                project=sides.project,
                stacks=(SideStack(name=sides.stack, documents=after),),
                preview=sides,
                redaction=redaction_of([document]),
            )
        documents = read_rendered(document)
    except (NotRenderedError, NotAPreviewError) as error:
        rule = "It is what `lockstep render --format json` or `pulumi preview --json` wrote"
        raise SideError(f"{argument}: {error}. {rule}. Fix: name such a file. [DIFF002]") from None
    stack = SideStack(name=documents.environment, documents=documents)
    return Side(argument=argument, kind=Kind.RENDERED, project="", stacks=(stack,))


def _refuse_failed(preview: Mapping[str, object], argument: str) -> None:
    """Refuse a preview that ended early: what it did not reach would read as lost, or as no change.

    Its messages may hold values, so they are not shown here.
    """
    diagnostics = preview.get("diagnostics")
    if isinstance(diagnostics, list) and any(
        isinstance(item, Mapping) and item.get("severity") == "error" for item in diagnostics
    ):
        raise SideError(
            f"{argument}: the preview failed. What it did not reach is not in it, so nothing can be compared with it. "
            f"Fix: preview again; `lockstep preview --digest {argument}` says why it failed. [DIFF002]"
        )


def read_text_file(path: Path) -> str:
    """Read a file of approvals.

    Raises:
        SideError: There is none, or it is no text.
    """
    if not path.exists() or path.is_dir():
        raise SideError(f"{path}: there is no such file. Fix: correct the path. [DIFF003]")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SideError(f"{path}: it is not UTF-8 text. Fix: correct it. [DIFF003]") from None


# ---------------------------------------------------------------------------------------------- folders and revisions
def _read_folder(folder: Path, argument: str, stack: str | None, shared: SharedDerivation) -> Side:
    def read_text(name: str) -> str:
        return read_text_file(folder / name)

    project = load_project(folder)
    try:
        stacks = _derive(project, _chosen(project, stack), DiskFiles(folder), shared)
    except SpecErrors as errors:
        raise _renamed(errors, lambda source: str(folder / source)) from None
    name = project_name(folder)
    return Side(
        argument=argument,
        kind=Kind.FOLDER,
        project=name,
        stacks=stacks,
        stack_names=project.stack_names,
        read_text=read_text,
    )


def _read_revision(argument: str, project_folder: Path, stack: str | None, shared: SharedDerivation) -> Side:
    tree = GitTree.open(argument, project_folder, shared.contents)

    def read_text(name: str) -> str:
        try:
            return tree.read(name)
        except GitTreeError as error:
            raise SideError(f"{error} [DIFF003]") from None

    with tempfile.TemporaryDirectory(prefix="lockstep-diff-") as temporary:
        folder = Path(temporary)
        try:
            lay_out_settings(tree, folder)
            project = load_project(folder)
            stacks = _derive(project, _chosen(project, stack), tree, shared)
            name = project_name(folder)
        except SpecErrors as errors:
            raise _renamed(errors, lambda source: f"{argument}:{source}") from None
        except SettingsErrors as errors:
            raise settings_of_revision(errors, argument) from None
    return Side(
        argument=argument,
        kind=Kind.REVISION,
        project=name,
        stacks=stacks,
        stack_names=project.stack_names,
        read_text=read_text,
    )


def settings_of_revision(errors: SettingsErrors, revision: str) -> SettingsErrors:
    """Return the problems as those of a revision: its files are named as git does."""
    return SettingsErrors(tuple(_of_revision(problem, revision) for problem in errors.problems))


def _of_revision(problem: SettingsProblem, revision: str) -> SettingsProblem:
    """Name a problem's file as the revision does; what is committed already is mended by a commit, or not at all."""
    fix = problem.fix if problem.fix.endswith("?") else f"{problem.fix} and commit it, or name another revision"
    return replace(problem, file=f"{revision}:{problem.file}", fix=fix)


def lay_out_settings(tree: GitTree, folder: Path) -> None:
    """Write the project's configuration of a revision into a folder: Pulumi.yaml and the files of its stacks.

    Raises:
        GitTreeError: The revision has no project in its folder, or see `GitTree.write`.
        SettingsErrors: Its Pulumi.yaml is wrong.
    """
    tree.write(folder, ["Pulumi.yaml"])
    if not (folder / "Pulumi.yaml").is_file():
        place = PurePosixPath(folder_in_repository(tree.repository)) / "Pulumi.yaml"
        raise GitTreeError(
            f"{tree.revision}:{place}: there is no such file. A project is a folder with a Pulumi.yaml. "
            "Fix: name its folder with --project, or name another revision"
        )
    pattern = PurePosixPath(stack_file(folder, "*"))
    names = tree.names_in(pattern.parent) or ()
    tree.write(folder, [str(pattern.parent / name) for name in names if fnmatchcase(name, pattern.name)])


def _chosen(project: Project, stack: str | None) -> tuple[str, ...]:
    if stack is None:
        return project.stack_names
    return (stack,) if stack in project.stack_names else ()


def _derive(
    project: Project, names: Iterable[str], files: SpecFiles, shared: SharedDerivation
) -> tuple[SideStack, ...]:
    """Derive the stacks. All problems are raised together; files are named as seen from the project's folder."""
    found: list[SideStack] = []
    problems: list[Problem] = []
    for name in names:
        stack = project.stack(name)
        try:
            documents = shared.documents([Path(path) for path in stack.settings.apps], files, stack.environment)
            found.append(SideStack(name=name, documents=documents))
        except SpecErrors as errors:
            problems += errors.problems
    if problems:
        raise SpecErrors(problems)
    return tuple(found)


def _renamed(errors: SpecErrors, rename: Callable[[str], str]) -> SpecErrors:
    return SpecErrors(
        replace(problem, spot=problem.spot._replace(source=rename(problem.spot.source))) for problem in errors.problems
    )
