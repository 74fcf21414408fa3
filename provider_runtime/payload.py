"""Values of one class → the files of its volume, all of them or one error that names every object that failed.

Nothing is fetched or written here. Values stay `SecretBytes` from end to end; an error names objects, paths and
aliases, never a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider_runtime.errors import MountError, join_errors
from provider_runtime.json_paths import StepBudget, extract_texts
from provider_runtime.object_versions import object_version
from provider_runtime.redaction import SecretBytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_runtime.fetch_plan import ReadResult
    from provider_runtime.mount_request import MountRequest
    from provider_runtime.object_values import SecretObject

MOUNT_STEP_LIMIT = 1_000_000
"""JMESPath steps of all expressions of one mount; see json_paths for what a step is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFile:
    """One file of the volume.

    Args:
        path: Relative, clean, below the mount point.
        mode: Permission bits, 0..0o777.
        contents: The bytes, possibly none.
        object_id: Id in object_version; the same text as the path.
        version: See object_versions.
    """

    path: str
    mode: int
    contents: SecretBytes
    object_id: str
    version: str


def assemble_files(
    request: MountRequest, objects: Sequence[SecretObject], results: Sequence[ReadResult | MountError]
) -> tuple[MountFile, ...]:
    """Cut the values into files.

    Args:
        request: Gives translation, default mode, kind of versions and the place for messages.
        objects: In document order.
        results: Parallel to the objects: the value, or why there is none.

    Returns:
        Sorted by path, paths unique. Where upstream's rules let two entries share a file name (one name, no alias,
        several labels), the last entry in document order wins.

    Raises:
        MountError: Every failing object and JSON key, in document order. Never a part of the files.
    """
    budget = StepBudget(MOUNT_STEP_LIMIT)
    files: dict[str, MountFile] = {}
    problems: list[MountError] = []
    for index, (value, result) in enumerate(zip(objects, results, strict=True)):
        if isinstance(result, MountError):
            problems.append(result)
            continue
        own_files, own_problems = _files_of_object(
            request, value, result, budget, f"{request.where} parameters.objects[{index}]"
        )
        problems.extend(own_problems)
        files.update((file.path, file) for file in own_files)
    if problems:
        raise join_errors(problems)
    return tuple(files[path] for path in sorted(files))


def _files_of_object(
    request: MountRequest, value: SecretObject, result: ReadResult, budget: StepBudget, where: str
) -> tuple[list[MountFile], list[MountError]]:
    own_name = value.file_name(request.translation)
    own_mode = value.file_mode(request.default_mode)
    files = [_file(request, value, result, own_name, own_mode, "", result.value)]
    problems: list[MountError] = []
    texts = extract_texts(result.value, value.json_keys, budget, object_name=value.name, where=where)
    for key, text in zip(value.json_keys, texts, strict=True):
        if isinstance(text, MountError):
            problems.append(text)
            continue
        name = key.file_name(request.translation)
        mode = value.key_mode(key, request.default_mode)
        files.append(_file(request, value, result, name, mode, key.path, text))
    return files, problems


def _file(
    request: MountRequest,
    value: SecretObject,
    result: ReadResult,
    name: str,
    mode: int,
    json_path: str,
    contents: SecretBytes,
) -> MountFile:
    version = object_version(
        request.object_versions,
        result,
        store=value.type,
        region=result.region or request.region or "",
        name=value.name,
        json_path=json_path,
        file_name=name,
        mode=mode,
    )
    return MountFile(path=name, mode=mode, contents=contents, object_id=name, version=version)
