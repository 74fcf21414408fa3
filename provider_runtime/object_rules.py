"""The rules of an `objects` document for each entry by itself; those for all of them together: `object_collisions`.

Texts in `what` are the Go provider's own; its checks run in its order, then those of our own keys (`object_additions`).
Unlike it, every problem is reported. Reads no YAML and asks nobody.
Source: contract of the Go provider, sections 3.3, 3.4 and 7.8 (X14, X20, X21).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.file_paths import has_control_character, path_problem
from provider_runtime.json_paths import json_path_problem
from provider_runtime.object_additions import (
    check_encoding,
    check_keys,
    check_non_text,
    check_optional,
    encoding_of,
    is_optional,
    non_text_of,
)
from provider_runtime.object_templates import check_template
from provider_runtime.object_values import (
    ARN_PARTS,
    ARN_PREFIX,
    FailoverObject,
    FileTemplate,
    JsonKey,
    ObjectType,
    SecretObject,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provider_runtime.file_paths import PathTranslation
    from provider_runtime.object_drafts import JsonKeyDraft, ObjectDraft, PermissionText, TemplateDraft

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
        *_check_failover_list(draft, kind, failover_regions),
        *_check_additions(draft, translation),
    ]
    if problems or kind is None:
        return [(draft.index, problem) for problem in problems]
    return _build(draft, kind)


def _build(draft: ObjectDraft, kind: ObjectType) -> SecretObject:
    """Turn a draft that passed every check into its value."""
    return SecretObject(
        name=draft.name,
        type=kind,
        alias=draft.alias,
        version=draft.version,
        version_label=draft.version_label,
        permission=draft.permission.text,
        json_keys=tuple(
            JsonKey(
                path=key.path,
                alias=key.alias,
                permission=key.permission.text,
                encoding=encoding_of(key.encoding),
                non_text=non_text_of(key.non_text),
            )
            for key in draft.json_keys
        ),
        failover=draft.failover,
        failover_by_region=draft.failover_by_region,
        optional=is_optional(draft.optional),
        encoding=encoding_of(draft.encoding),
        all_keys=bool(draft.keys),
        non_text=non_text_of(draft.non_text),
        template=_build_template(draft.template),
    )


def _build_template(draft: TemplateDraft | None) -> FileTemplate | None:
    if draft is None:
        return None
    return FileTemplate(alias=draft.alias, text=draft.text, permission=draft.permission.text)


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
    several = [
        (f"failoverObject[{index}].{field}", text)
        for index, entry in enumerate(draft.failover_by_region)
        for field, text in (
            ("objectName", entry.name),
            ("objectVersion", entry.version),
            ("objectVersionLabel", entry.version_label),
        )
    ]
    fields = (
        ("objectName", draft.name),
        ("objectVersion", draft.version),
        ("objectVersionLabel", draft.version_label),
        ("failoverObject.objectName", failover.name),
        ("failoverObject.objectVersion", failover.version),
        ("failoverObject.objectVersionLabel", failover.version_label),
        *several,
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
    yield from check_encoding(key.encoding, where=key.where)
    yield from check_non_text(key.non_text, where=key.where)


def _check_failover(
    draft: ObjectDraft, kind: ObjectType | None, failover_regions: Sequence[str]
) -> Iterator[MountError]:
    """Check upstream's mapping; without an objectName of its own it is not checked, but still counts (as upstream)."""
    failover = draft.failover
    if failover is None or not failover.name:
        return
    where, shown_name = f"{draft.where}.failoverObject", shown(draft.name)
    if not draft.alias:
        yield _failover_alias_missing(draft, where)
    if failover_regions:
        yield from _check_name(draft, failover.name, failover_regions)
    else:
        yield MountError(
            ErrorCode.FAILOVER_REGION_MISSING,
            where=where,
            what=f"failover object allowed only when failover region is defined: {shown_name}",
            fix="set failoverRegion, or remove failoverObject",
        )
    yield from _check_failover_versions(draft, failover, kind, where)


def _check_failover_list(
    draft: ObjectDraft, kind: ObjectType | None, failover_regions: Sequence[str]
) -> Iterator[MountError]:
    """Check our list: the mapping's rules for each entry, against the one region that it stands for."""
    failovers, where = draft.failover_by_region, f"{draft.where}.failoverObject"
    if len(failovers) > len(failover_regions):
        yield MountError(
            ErrorCode.FAILOVER_REGION_MISSING,
            where=where,
            what=f"failover object allowed only when failover region is defined: {shown(draft.name)}:"
            f" {len(failovers)} entries for {len(failover_regions)} failover regions",
            rule="The first entry serves the first failover region, and so on",
            fix="add the regions to failoverRegions, or remove entries",
        )
    if any(failover.name for failover in failovers) and not draft.alias:
        yield _failover_alias_missing(draft, where)
    for index, (failover, region) in enumerate(zip(failovers, failover_regions, strict=False)):
        if failover.name:
            yield from _check_name(draft, failover.name, (region,))
            yield from _check_failover_versions(draft, failover, kind, f"{where}[{index}]")


def _failover_alias_missing(draft: ObjectDraft, where: str) -> MountError:
    return MountError(
        ErrorCode.FAILOVER_ALIAS_MISSING,
        where=where,
        what=f"object alias must be specified for objects with failover entries: {shown(draft.name)}",
        fix="add objectAlias: the file name must not depend on the region",
    )


def _check_failover_versions(
    draft: ObjectDraft, failover: FailoverObject, kind: ObjectType | None, where: str
) -> Iterator[MountError]:
    if kind is ObjectType.PARAMETER and failover.version and failover.version_label:
        yield _version_and_label(draft)
    if failover.version != draft.version:
        yield MountError(
            ErrorCode.FAILOVER_VERSION,
            where=where,
            what=f"object versions must match between primary and failover regions: {shown(draft.name)}",
            fix="use the same objectVersion in both",
        )


def _check_additions(draft: ObjectDraft, translation: PathTranslation) -> Iterator[MountError]:
    """Check the keys that only this provider knows."""
    yield from check_optional(draft.optional, where=draft.where)
    yield from check_encoding(draft.encoding, where=draft.where)
    yield from check_non_text(draft.non_text, where=draft.where)
    yield from check_keys(draft.keys, where=draft.where)
    template = draft.template
    if template is not None:
        yield from check_template(template)
        yield from _check_path(template.where, template.alias, template.alias, translation)
        yield from _check_permission(template.where, template.permission)
