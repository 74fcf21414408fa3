"""The rules between the entries of an `objects` document: duplicates and file names.

Upstream's duplicate rules come first, in its words; then every file gets its own name after translation, where the Go
provider lets the last file win. Names that only a value tells (`keys: "*"`) are checked in `payload`.
Source: contract of the Go provider, sections 3.5 and 7.8 (X16 to X21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.file_paths import EMPTY_MARKER, path_problem, paths_below_files
from provider_runtime.object_additions import is_optional

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provider_runtime.file_paths import PathTranslation
    from provider_runtime.object_drafts import ObjectDraft

FILE_LIMIT = 5000
"""Files of one class, those of JSON keys and templates included."""


def check_collisions(drafts: Sequence[ObjectDraft], translation: PathTranslation) -> list[tuple[int, MountError]]:
    """Check the entries against each other.

    Returns:
        (index in the list, error); of one entry in the order of the rules.
    """
    problems: list[tuple[int, MountError]] = []
    reported: set[str] = set()
    for draft, where, problem in _check_duplicates(drafts):
        problems.append((draft.index, problem))
        reported.add(where)
    problems.extend(_check_files(drafts, translation, reported))
    problems.extend(_check_marker(drafts, translation))
    problems.extend(_check_count(drafts))
    return problems


def _check_count(drafts: Sequence[ObjectDraft]) -> Iterator[tuple[int, MountError]]:
    count = sum(1 for _ in _file_names(drafts))
    if count > FILE_LIMIT:
        yield (
            drafts[0].index,
            MountError(
                ErrorCode.DOCUMENT_TOO_LARGE,
                where=drafts[0].where.removesuffix(f"[{drafts[0].index}]"),
                what=f"objects asks for {count} files",
                rule=f"A class has at most {FILE_LIMIT} files",
                fix="split the class over several volumes",
            ),
        )


def _check_marker(drafts: Sequence[ObjectDraft], translation: PathTranslation) -> Iterator[tuple[int, MountError]]:
    """Keep the marker's name free where it may be needed: it must not be taken for a secret."""
    if not all(is_optional(draft.optional) for draft in drafts):
        return
    for draft, where, name in _file_names(drafts):
        if translation.translate(name) == EMPTY_MARKER:
            what = f"file name '{EMPTY_MARKER}' is the marker of a class whose objects are all absent"
            yield draft.index, _duplicate(ErrorCode.FILE_COLLISION, where, what)


def _check_duplicates(drafts: Sequence[ObjectDraft]) -> Iterator[tuple[ObjectDraft, str, MountError]]:
    latest: dict[str, ObjectDraft] = {}
    aliases: set[str] = set()
    for draft in drafts:
        twin = latest.get(draft.name) if draft.name else None
        latest[draft.name] = draft
        cause = _twin_cause(draft, twin) if twin else ""
        if cause:
            what = f"found descriptor with duplicate object name {shown(draft.name)}, {cause}"
            yield draft, draft.where, _duplicate(ErrorCode.DUPLICATE_NAME, draft.where, what)
        elif draft.alias in aliases:
            what = f"found duplicate object alias {shown(draft.alias)}"
            yield draft, draft.where, _duplicate(ErrorCode.DUPLICATE_ALIAS, draft.where, what)
        aliases.update({draft.alias} - {""})
        for key in draft.json_keys:
            if key.alias in aliases:
                what = (
                    f"Name already in use for objectAlias: found duplicate object alias {shown(key.alias)}"
                    f" in JMES path entry {shown(key.path)}"
                )
                yield draft, key.where, _duplicate(ErrorCode.DUPLICATE_ALIAS, key.where, what)
            aliases.update({key.alias} - {""})


def _twin_cause(draft: ObjectDraft, twin: ObjectDraft) -> str:
    """Say why two entries of one name are duplicates (contract 3.5); an empty text when they are not."""
    same_alias, same_label = draft.alias == twin.alias, draft.version_label == twin.version_label
    if not (same_alias and same_label):
        return ""
    alias, label = shown(draft.alias), shown(draft.version_label)
    alias_text = f"duplicate object alias {alias}" if alias else "no object alias"
    label_text = f"duplicate version label {label}" if label else "no version label"
    return f"{alias_text}, and {label_text}"


def _duplicate(code: ErrorCode, where: str, what: str) -> MountError:
    return MountError(
        code,
        where=where,
        what=what,
        rule="Every file of a class has its own name",
        fix="give each entry an objectAlias of its own, or remove one",
    )


def _check_files(
    drafts: Sequence[ObjectDraft], translation: PathTranslation, reported: set[str]
) -> Iterator[tuple[int, MountError]]:
    owners: dict[str, tuple[ObjectDraft, str]] = {}
    files = [(draft, where, translation.translate(name)) for draft, where, name in _file_names(drafts)]
    files = [file for file in files if path_problem(file[2]) is None]  # what cannot be a file is reported as such
    for draft, where, path in files:
        owner = owners.setdefault(path, (draft, where))
        if owner[1] != where and where not in reported and not _is_labelled_twin(draft, where, *owner):
            what = f"file name '{shown(path)}' is already used by {_short(owner[1])}"
            yield draft.index, _duplicate(ErrorCode.FILE_COLLISION, where, what)
    parents = paths_below_files(owners)
    for draft, where, path in files:
        if path in parents:
            parent = parents[path]
            error = MountError(
                ErrorCode.PATH_PREFIX,
                where=where,
                what=f"file name '{shown(path)}' needs a directory '{shown(parent)}',"
                f" but that is a file of {_short(owners[parent][1])}",
                fix="rename one of the two with objectAlias",
            )
            yield draft.index, error


def _short(where: str) -> str:
    """Cut the class off a place that stands inside a message which already begins with it."""
    return where.rpartition("parameters.")[2]


def _file_names(drafts: Iterable[ObjectDraft]) -> Iterator[tuple[ObjectDraft, str, str]]:
    for draft in drafts:
        if draft.alias or draft.name:
            yield draft, draft.where, draft.alias or draft.name
        for key in draft.json_keys:
            if key.alias:
                yield draft, key.where, key.alias
        if draft.template and draft.template.alias:
            yield draft, draft.template.where, draft.template.alias


def _is_labelled_twin(draft: ObjectDraft, where: str, owner: ObjectDraft, owner_where: str) -> bool:
    """Say whether upstream takes both on purpose: one name under two labels, no alias; the later file wins."""
    return (
        where == draft.where
        and owner_where == owner.where
        and draft.name == owner.name
        and not (draft.alias or owner.alias)
        and bool(draft.version_label and owner.version_label)
        and draft.version_label != owner.version_label
    )
