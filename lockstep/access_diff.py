"""What `lockstep diff` does: read two sides, pair their stacks, compare, and lay approvals beside the rows.

Not done here: reading a side (diff_sides.py), comparing (components.derivation.diff) and printing (access_report).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
import gc
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.derivation.diff import FleetDocuments, diff_fleets, read_preview
from components.stack_config import SettingsErrors
from lockstep.access_report.approvals import Approvals, no_approvals, parse_approvals
from lockstep.access_report.report import FailOn, Report, StackReport
from lockstep.diff_sides import Kind, Side, SideError, SideStack, read_side, read_text_file
from lockstep.git_tree import GitTree, GitTreeError, folder_in_repository
from lockstep.project import load_project
from lockstep.shared_derivation import SharedDerivation

_PROTECTED = re.compile(r"(?:.*-)?prod(?:uction)?(?:-.*)?")
#: Sides that are one environment each, and not a project.
_DOCUMENTS = frozenset({Kind.RENDERED, Kind.PREVIEW})


class RequestError(Exception):
    """Two sides that cannot be compared as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRequest:
    """What was asked for.

    Attributes:
        head: None means the project as it stands, or the other side of a preview.
        approvals: File in BASE, or `revision:file`.
        protected: Names of protected stacks; None means those that `is_protected` takes by themselves.
        today: Decides about the expiry of approvals.
        in_ci: Whether nobody may bring his own approvals along; None asks the environment.
    """

    base: str
    head: str | None = None
    project: Path = Path()
    stack: str | None = None
    fail_on: FailOn = field(default_factory=FailOn)
    approvals: str | None = None
    protected: tuple[str, ...] | None = None
    today: dt.date = field(default_factory=lambda: dt.datetime.now(tz=dt.UTC).date())
    in_ci: bool | None = None


def diff_sides(request: DiffRequest) -> Report:
    """Read, pair and compare.

    Raises:
        RequestError: The sides do not fit each other.
        SideError, SettingsErrors, SpecErrors, ApprovalsError: See `read_side` and `parse_approvals`.
    """
    with _no_collector():
        return _diff_sides(request)


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Pause the cycle collector: what a comparison makes stays until its end, and to look for garbage costs a tenth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _diff_sides(request: DiffRequest) -> Report:
    shared = SharedDerivation()
    base = read_side(request.base, project_folder=request.project, stack=request.stack, shared=shared)
    approvals = _approvals(request, base)
    if request.head is None and base.preview is not None:
        refuse_other_stack(request.stack, base.preview.stack, base.preview.project, where=base.argument)
        before, after = read_preview(base.preview)
        pairs = [(base.stacks[0].name, before, after)]
        head = base
    else:
        named = request.head or str(request.project)
        head = read_side(named, project_folder=request.project, stack=request.stack, shared=shared)
        for side in (base, head):
            _refuse_partial(side)
        pairs = pair_stacks(base, head, request.stack)
    known = {*(name for name, _, _ in pairs), *base.stack_names, *head.stack_names}
    has_names = bool(base.stack_names or head.stack_names)
    doubts = check_protected(request.protected, known, None if has_names else request.project)
    stacks = tuple(
        StackReport(stack=name, difference=diff_fleets(old, new, is_protected=is_protected(name, request.protected)))
        for name, old, new in pairs
    )
    return Report(
        project=head.project or base.project,
        stacks=stacks,
        fail_on=request.fail_on,
        approvals=approvals,
        notes=(
            *_notes(request, head),
            *doubts,
            *_of_another(base, head, pairs),
            *_without_stack(base, head, pairs),
            *_not_compared(pairs),
        ),
        folder=folder_in_repository(Path(head.argument) if head.kind is Kind.FOLDER else request.project),
        redaction=base.redaction.joined(head.redaction),
    )


def is_protected(stack: str, names: tuple[str, ...] | None) -> bool:
    """Say whether a stack is protected.

    It is named, or (without names) one of the parts of its name between hyphens is prod or production. Names that
    Pulumi writes in full, `organization/project/stack`, are taken by their end.
    """
    stack = _short(stack)
    return stack in map(_short, names) if names is not None else _PROTECTED.fullmatch(stack) is not None


def _short(stack: str) -> str:
    return stack.rpartition("/")[2]


def check_protected(names: Sequence[str] | None, stacks: Iterable[str], project: Path | None) -> tuple[str, ...]:
    """Refuse a name of a protected stack that no stack has: it would take the protection off, and nobody would see it.

    Args:
        names: As the user wrote them; None for none.
        stacks: Names that are known.
        project: Its folder, where `stacks` may not be all; None where they are.

    Returns:
        Notes about names that nobody here can judge, because there is no project.

    Raises:
        RequestError: There is no such stack.
    """
    known = set(map(_short, stacks))
    is_whole = project is None
    if project is not None:
        with contextlib.suppress(SettingsErrors):  # a document needs no project beside it
            known |= set(load_project(project).stack_names)
            is_whole = True
    unknown = [name for name in dict.fromkeys(names or ()) if _short(name) not in known]
    if not is_whole:
        doubt = "there is no project here that could say whether it exists"
        return tuple(f"--protected {name}: {doubt}" for name in unknown)
    if not unknown:
        return ()
    told, there = ", ".join(map(repr, unknown)), ", ".join(sorted(known)) or "none"
    near = [found for name in unknown for found in difflib.get_close_matches(_short(name), sorted(known), n=1)]
    fix = f"did you mean {near[0]!r}?" if near and len(unknown) == 1 else "correct --protected."
    raise RequestError(f"--protected: there is no stack {told}. The stacks are: {there}. Fix: {fix} [DIFF005]")


def refuse_other_stack(named: str | None, stack: str, project: str, *, where: str) -> None:
    """Refuse a preview that is not of the stack that was named: its report would be told as that stack's.

    Args:
        named: As the user wrote it: `dev`, or as Pulumi names it in full, `organization/project/dev`; None for any.
        stack: Of the preview; "" where it does not say.
        project: Likewise.
        where: Its file.

    Raises:
        RequestError: It is of another one.
    """
    if named is None or not stack:
        return
    *before, name = named.split("/")
    is_other_project = len(before) > 1 and project and before[-1] != project
    if name != stack or is_other_project:
        found = f"{stack!r} of project {project!r}" if is_other_project else f"{stack!r}"
        raise RequestError(
            f"{where}: it is a preview of stack {found}, and --stack names {named!r}. A preview is of one stack. "
            f"Fix: write --stack {stack}, or name another preview. [DIFF005]"
        )


def _refuse_partial(side: Side) -> None:
    if side.preview is not None and not side.preview.is_whole:
        raise RequestError(
            f"{side.argument}: it leaves out {side.preview.left_out} unchanged resources. Beside another side, a "
            "preview must show all of them. Fix: write it with `pulumi preview --json --show-sames`. [DIFF005]"
        )


def _notes(request: DiffRequest, head: Side) -> tuple[str, ...]:
    if request.head is None and head.preview is not None and not head.preview.is_whole:
        count = head.preview.left_out
        return (f"the preview leaves out {count} unchanged resources: mounts and grants could not be matched",)
    return ()


def _of_another(base: Side, head: Side, pairs: Sequence[tuple[str, FleetDocuments, FleetDocuments]]) -> Iterator[str]:
    """Say which documents were compared as a stack that they are not of: every row of it may come from that alone."""
    for side, other in ((base, head), (head, base)):
        if side is other or side.kind not in _DOCUMENTS:
            continue
        (name, old, new) = pairs[0]
        own, theirs = side.stacks[0], new if side is base else old
        if side.kind is Kind.PREVIEW:
            if own.name and own.name != name:
                yield f"{side.argument} is a preview of stack {own.name}: it was compared as stack {name}"
            continue
        # Beside another document the stack is only a name; beside a project it has an environment of its own.
        environment = name if other.kind in _DOCUMENTS else theirs.environment
        if own.name and own.name != environment:
            what = f"stack {name}" if name == environment else f"stack {name} of environment {environment}"
            yield f"{side.argument} is of environment {own.name}: it was compared as {what}"


def _without_stack(
    base: Side, head: Side, pairs: Sequence[tuple[str, FleetDocuments, FleetDocuments]]
) -> Iterator[str]:
    """Say which stacks the head has no more: whoever runs no such stack any more removes nothing that it deployed."""
    if base.kind in _DOCUMENTS or head.kind in _DOCUMENTS:
        return
    for name, _, _ in pairs:
        if name in base.stack_names and name not in head.stack_names:
            yield f"{head.argument} has no stack {name}: what it has deployed stays until the stack is destroyed"


def _not_compared(pairs: Sequence[tuple[str, FleetDocuments, FleetDocuments]]) -> tuple[str, ...]:
    """Say what only one of two sides shows, where there is something to show."""
    shown = [(old.other_accounts, new.other_accounts) for _, old, new in pairs]
    if any(None in sides and any(sides) for sides in shown):
        return ("what other accounts must add was not compared: one of the sides does not show it",)
    return ()


# ------------------------------------------------------------------------------------------------------------- pairing
def pair_stacks(base: Side, head: Side, stack: str | None) -> list[tuple[str, FleetDocuments, FleetDocuments]]:
    """Pair stacks by name; a document that holds one environment is paired with the stack of that environment.

    Returns:
        Name, before, after; sorted by name. A stack that one side lacks has nothing there.
    """
    if base.kind in _DOCUMENTS and head.kind in _DOCUMENTS:
        name = stack or head.stacks[0].name or base.stacks[0].name
        return [(name, base.stacks[0].documents, head.stacks[0].documents)]
    if base.kind in _DOCUMENTS or head.kind in _DOCUMENTS:
        single, whole = (base, head) if base.kind in _DOCUMENTS else (head, base)
        name, found = _stack_of(single.stacks[0], whole, stack)
        sides = (single.stacks[0].documents, found)
        return [(name, *(sides if single is base else (sides[1], sides[0])))]
    before, after = ({item.name: item.documents for item in side.stacks} for side in (base, head))
    names = sorted(before.keys() | after.keys())
    if not names:
        raise RequestError(f"{stack}: neither side has such a stack. Fix: correct --stack. [DIFF005]")
    return [(name, _side_of(name, before, after), _side_of(name, after, before)) for name in names]


def _side_of(name: str, own: dict[str, FleetDocuments], other: dict[str, FleetDocuments]) -> FleetDocuments:
    """Return a stack's documents; a stack that a side lacks has nothing there, and needs nothing of other accounts."""
    return own[name] if name in own else FleetDocuments(environment=other[name].environment, other_accounts={})


def _stack_of(single: SideStack, whole: Side, stack: str | None) -> tuple[str, FleetDocuments]:
    wanted = stack or single.name
    found = [item for item in whole.stacks if item.name == wanted]
    found = found or [item for item in whole.stacks if item.documents.environment == wanted]
    if len(found) != 1:
        known = ", ".join(item.name for item in whole.stacks) or "none"
        raise RequestError(
            f"{whole.argument}: it has no single stack or environment {wanted!r}. It has: {known}. "
            "Fix: name the stack with --stack. [DIFF005]"
        )
    return found[0].name, found[0].documents


# ----------------------------------------------------------------------------------------------------------- approvals
def _approvals(request: DiffRequest, base: Side) -> Approvals:
    """Read the approvals from BASE: a change must not bring its own."""
    name = request.approvals
    if name is not None and base.read_text is not None:
        if not _names_revision(name):
            return parse_approvals(base.read_text(name), where=name, today=request.today)
        if _is_in_ci(said=request.in_ci):
            raise RequestError(
                f"{name}: in CI approvals are read from BASE, so that nobody approves his own change. "
                f"Fix: write --approvals {name.partition(':')[2]}. [DIFF003]"
            )
    return read_approvals(name, project=request.project, today=request.today, in_ci=request.in_ci)


def _is_in_ci(*, said: bool | None) -> bool:
    """Say whether this runs in CI; where nobody said, every forge sets `CI`."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"} if said is None else said


def _names_revision(name: str) -> bool:
    revision, colon, _ = name.partition(":")
    return bool(colon and revision) and not Path(name).exists()


def read_approvals(name: str | None, *, project: Path, today: dt.date, in_ci: bool | None = None) -> Approvals:
    """Read a file of approvals that no side holds: `revision:file`, or outside CI a plain file.

    Raises:
        RequestError: A plain file in CI: whoever makes a change would bring his own approvals along.
        SideError: The file cannot be read.
        ApprovalsError: It is malformed.
    """
    if name is None:
        return no_approvals()
    if _names_revision(name):
        revision, _, file = name.partition(":")
        try:
            text = GitTree.open(revision, project).read(file)
        except GitTreeError as error:
            raise SideError(f"{error} [DIFF003]") from None
        return parse_approvals(text, where=name, today=today)
    if _is_in_ci(said=in_ci):
        raise RequestError(
            f"{name}: BASE is a document and holds no approvals, and in CI they are read from a revision only, so that "
            "nobody approves his own change. Fix: write --approvals REVISION:FILE. [DIFF003]"
        )
    return parse_approvals(read_text_file(Path(name)), where=name, today=today)
