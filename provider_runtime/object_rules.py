"""The rules of an `objects` document: each entry by itself, then all of them together.

Texts in `what` are the Go provider's own; its checks run in its order. Unlike it, every problem is reported, and the
collisions that it resolves by letting the last file win are refused. Reads no YAML and asks nobody.
Source: contract of the Go provider, sections 3.3 to 3.5 and 7.8 (X14, X16 to X21).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.file_paths import has_control_character, path_problem
from provider_runtime.json_paths import json_path_problem
from provider_runtime.object_values import ARN_PARTS, ARN_PREFIX, FailoverObject, JsonKey, ObjectType, SecretObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provider_runtime.file_paths import PathTranslation
    from provider_runtime.object_document import JsonKeyDraft, ObjectDraft, PermissionText

_SERVICE_TYPES = {
    "secretsmanager": ObjectType.SECRETS_MANAGER,
    "ssm": ObjectType.PARAMETER,
    "ssmparameter": ObjectType.PARAMETER,  # no such service, but upstream takes it
}
_TYPE_TEXTS = {kind.value: kind for kind in ObjectType}
_OCTAL_MODE = re.compile(r"[0-7]{4}")


def check_object(
    draft: ObjectDraft, region: str, failover_regions: Sequence[str], translation: PathTranslation
) -> SecretObject | list[tuple[int, MountError]]:
    """Check one entry by itself.

    Returns:
        The value, or every problem as (index in the list, error).
    """
    kind = _resolve_type(draft)
    problems = [
        *_check_name(draft, draft.name, (region,)),
        *_check_versions(draft, kind),
        *_check_controls(draft),
        *_check_path(draft.where, draft.alias or draft.name, draft.name, translation),
        *_check_permission(draft.where, draft.permission),
        *(problem for key in draft.json_keys for problem in _check_key(key, translation)),
        *_check_failover(draft, kind, failover_regions),
    ]
    if problems or kind is None:
        return [(draft.index, problem) for problem in problems]
    return SecretObject(
        name=draft.name,
        type=kind,
        alias=draft.alias,
        version=draft.version,
        version_label=draft.version_label,
        permission=draft.permission.text,
        json_keys=tuple(
            JsonKey(path=key.path, alias=key.alias, permission=key.permission.text) for key in draft.json_keys
        ),
        failover=draft.failover,
    )


def _resolve_type(draft: ObjectDraft) -> ObjectType | None:
    if draft.type_text:
        return _TYPE_TEXTS.get(draft.type_text)
    arn = _split_arn(draft.name)
    return _SERVICE_TYPES.get(arn[2]) if arn else None


def _split_arn(name: str) -> list[str] | None:
    parts = name.split(":", ARN_PARTS - 1)
    return parts if name.startswith(ARN_PREFIX) and len(parts) == ARN_PARTS else None


def _check_name(draft: ObjectDraft, name: str, regions: Sequence[str]) -> Iterator[MountError]:
    """Check one name against the regions that it may serve (the primary, or the failover regions)."""
    where, shown_name = draft.where, shown(name)
    if not name:
        yield MountError(
            ErrorCode.NAME_MISSING, where=where, what="Object name must be specified", fix="add objectName"
        )
        return
    is_arn = name.startswith(ARN_PREFIX)
    arn = _split_arn(name)
    if is_arn and arn is None:
        yield MountError(
            ErrorCode.ARN_FORMAT,
            where=where,
            what=f"Invalid ARN format in object name: {shown_name}",
            rule="arn:<partition>:<service>:<region>:<account>:<resource>",
            fix="write the full ARN, or the plain name with objectType",
        )
        return
    if arn and arn[3] not in regions:
        yield MountError(
            ErrorCode.ARN_REGION,
            where=where,
            what=f"ARN region must match region {shown(', '.join(regions))}: {shown_name}",
            fix="use the ARN of that region, or correct the class parameters region and failoverRegion",
        )
    yield from _check_type(draft, shown_name, arn[2] if arn else None)


def _check_type(draft: ObjectDraft, shown_name: str, service: str | None) -> Iterator[MountError]:
    where, text = draft.where, draft.type_text
    if not text and service is None:
        yield MountError(
            ErrorCode.TYPE_MISSING,
            where=where,
            what=f"Must use objectType when a full ARN is not specified: {shown_name}",
            fix="add objectType: secretsmanager or objectType: ssmparameter",
        )
    elif not text and service not in _SERVICE_TYPES:
        yield MountError(
            ErrorCode.ARN_SERVICE,
            where=where,
            what=f"Invalid service in ARN: {shown(service or '')}",
            rule="secretsmanager or ssm",
            fix="use the ARN of a secret or of a parameter",
        )
    elif text and text not in _TYPE_TEXTS:
        yield MountError(
            ErrorCode.TYPE_INVALID,
            where=where,
            what=f"Invalid objectType: {shown(text)}",
            rule="secretsmanager or ssmparameter, in lower case",
            fix="correct objectType",
        )
    elif text and service is not None and _SERVICE_TYPES.get(service) is not _TYPE_TEXTS[text]:
        yield MountError(
            ErrorCode.TYPE_MISMATCH,
            where=where,
            what=f"objectType does not match ARN: {shown_name}",
            fix="remove objectType, or correct one of the two",
        )


def _check_versions(draft: ObjectDraft, kind: ObjectType | None) -> Iterator[MountError]:
    if kind is ObjectType.PARAMETER and draft.version and draft.version_label:
        yield _version_and_label(draft)


def _version_and_label(draft: ObjectDraft) -> MountError:
    return MountError(
        ErrorCode.VERSION_AND_LABEL,
        where=draft.where,
        what=f"ssm parameters can not specify both objectVersion and objectVersionLabel: {shown(draft.name)}",
        fix="keep one of the two",
    )


def _check_controls(draft: ObjectDraft) -> Iterator[MountError]:
    failover = draft.failover or FailoverObject()
    fields = (
        ("objectName", draft.name),
        ("objectVersion", draft.version),
        ("objectVersionLabel", draft.version_label),
        ("failoverObject.objectName", failover.name),
        ("failoverObject.objectVersion", failover.version),
        ("failoverObject.objectVersionLabel", failover.version_label),
    )
    for field, text in fields:
        if has_control_character(text):
            yield MountError(
                ErrorCode.CONTROL_CHARACTER,
                where=f"{draft.where}.{field}",
                what=f"'{shown(text)}' contains a control character",
                rule="Names, versions and labels are one line of text",
                fix="remove it; in YAML, a block text (|) ends with a line break, use |- or quotes",
            )


def _check_path(where: str, file_name: str, subject: str, translation: PathTranslation) -> Iterator[MountError]:
    if not file_name:
        return
    problem = path_problem(translation.translate(file_name))
    if problem:
        code, what = problem
        yield MountError(
            code,
            where=where,
            what=f"{what}: {shown(subject)}",
            rule="File names are relative, clean paths below the mount point, elements of at most 255 bytes",
            fix="set objectAlias to another file name",
        )


def _check_permission(where: str, permission: PermissionText) -> Iterator[MountError]:
    text, source = permission.text, permission.source
    if not text or (text == source and _OCTAL_MODE.fullmatch(text)):
        return
    what, fix = f"Invalid File Permission: {shown(text)}", 'write four octal digits, for example "0400"'
    if text != source:
        what += f" (unquoted {shown(source)} is a number in YAML: a leading 0 means octal, so it became {shown(text)})"
        fix = f'quote it: filePermission: "{shown(source)}"'
    yield MountError(
        ErrorCode.FILE_PERMISSION, where=f"{where}.filePermission", what=what, rule="Four octal digits", fix=fix
    )


def _check_key(key: JsonKeyDraft, translation: PathTranslation) -> Iterator[MountError]:
    if not key.path:
        yield MountError(
            ErrorCode.JMES_PATH_MISSING,
            where=key.where,
            what="Path must be specified for JMES object",
            fix="add path",
        )
    elif problem := json_path_problem(key.path, where=key.where):
        yield problem
    if not key.alias:
        yield MountError(
            ErrorCode.JMES_ALIAS_MISSING,
            where=key.where,
            what="Object alias must be specified for JMES object",
            fix="add objectAlias: the name of the file",
        )
    yield from _check_path(key.where, key.alias, key.alias, translation)
    yield from _check_permission(key.where, key.permission)


def _check_failover(
    draft: ObjectDraft, kind: ObjectType | None, failover_regions: Sequence[str]
) -> Iterator[MountError]:
    """Check failoverObject; without an objectName of its own it is not checked, but still counts (as upstream)."""
    failover = draft.failover
    if failover is None or not failover.name:
        return
    where, shown_name = f"{draft.where}.failoverObject", shown(draft.name)
    if not draft.alias:
        yield MountError(
            ErrorCode.FAILOVER_ALIAS_MISSING,
            where=where,
            what=f"object alias must be specified for objects with failover entries: {shown_name}",
            fix="add objectAlias: the file name must not depend on the region",
        )
    if failover_regions:
        yield from _check_name(draft, failover.name, failover_regions)
    else:
        yield MountError(
            ErrorCode.FAILOVER_REGION_MISSING,
            where=where,
            what=f"failover object allowed only when failover region is defined: {shown_name}",
            fix="set failoverRegion, or remove failoverObject",
        )
    if kind is ObjectType.PARAMETER and failover.version and failover.version_label:
        yield _version_and_label(draft)
    if failover.version != draft.version:
        yield MountError(
            ErrorCode.FAILOVER_VERSION,
            where=where,
            what=f"object versions must match between primary and failover regions: {shown_name}",
            fix="use the same objectVersion in both",
        )


def check_collisions(drafts: Sequence[ObjectDraft], translation: PathTranslation) -> list[tuple[int, MountError]]:
    """Check the entries against each other: upstream's duplicate rules, then file names after translation."""
    problems: list[tuple[int, MountError]] = []
    reported: set[str] = set()
    for draft, where, problem in _check_duplicates(drafts):
        problems.append((draft.index, problem))
        reported.add(where)
    problems.extend(_check_files(drafts, translation, reported))
    return problems


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
    parents = _files_as_directories(owners)
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


def _files_as_directories(paths: Iterable[str]) -> dict[str, str]:
    """Find the paths that lie below another one: path → the outermost file that it would need as a directory."""
    found: dict[str, str] = {}
    outer = ""
    # Sorted by elements, everything below `a` comes directly behind `a`.
    for path in sorted(paths, key=lambda path: path.split("/")):
        if outer and path.startswith(f"{outer}/"):
            found[path] = outer
        else:
            outer = path
    return found


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
