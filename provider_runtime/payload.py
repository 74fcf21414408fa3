"""Values of one class → the files of its volume, all of them or one error that names every object that failed.

Nothing is fetched or written here. Values stay `SecretBytes` from end to end; an error names objects, paths, keys and
aliases, never a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, join_errors
from provider_runtime.file_paths import EMPTY_MARKER
from provider_runtime.json_paths import StepBudget
from provider_runtime.key_collisions import check_key_files
from provider_runtime.object_collisions import FILE_LIMIT
from provider_runtime.object_files import MountFile, ObjectCutter
from provider_runtime.redaction import SecretBytes
from provider_runtime.template_files import render_templates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_runtime.fetch_plan import ReadResult
    from provider_runtime.mount_request import MountRequest
    from provider_runtime.object_files import ObjectFiles
    from provider_runtime.object_values import ObjectType, SecretObject

__all__ = ["AbsentObject", "AssembledMount", "MountFile", "assemble_files", "assemble_mount"]

MOUNT_STEP_LIMIT = 1_000_000
"""JMESPath steps of all expressions of one mount; see json_paths for what a step is."""
CONTENTS_LIMIT_BYTES = 32 * 1024 * 1024
"""Bytes of all files of one mount. An answer over gRPC holds 4 MiB by the driver's default."""
MARKER_CONTENTS = b"Every object of this class is optional, and none of them exists.\n"
MARKER_MODE = 0o444
MARKER_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentObject:
    """An optional object that does not exist: it gave no file.

    Args:
        index: In the document.
        name: As the class has it.
        type: The store.
        file_name: The file that is not there, and whose JSON keys are not there either.
        reason: AWS's answer, as the error that a required object would have given.
    """

    index: int
    name: str
    type: ObjectType
    file_name: str
    reason: MountError


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembledMount:
    """What one mount delivers.

    Args:
        files: Sorted by path, paths unique, at least one.
        absent: Optional objects that do not exist, in document order; to be counted and logged.
    """

    files: tuple[MountFile, ...]
    absent: tuple[AbsentObject, ...] = ()


def assemble_mount(
    request: MountRequest, objects: Sequence[SecretObject], results: Sequence[ReadResult | MountError]
) -> AssembledMount:
    """Cut the values into files.

    An optional object whose error says `is_missing` gives no file. If nothing is left, one marker file stands for the
    empty class: the driver needs a version, and files of objects that are gone must go.

    Args:
        request: Gives translation, default mode, kind of versions and the place for messages.
        objects: In document order.
        results: Parallel to the objects: the value, or why there is none.

    Returns:
        All files. Where upstream's rules let two entries share a file name (one name, no alias, several labels), the
        last entry in document order wins.

    Raises:
        MountError: Every failing object and JSON key, in document order; templates are filled in only when nothing
            else failed. Never a part of the files.
    """
    place = f"{request.where} parameters.objects"
    cutter = ObjectCutter(request, StepBudget(MOUNT_STEP_LIMIT))
    cuts: dict[int, ObjectFiles] = {}
    problems: list[tuple[int, MountError]] = []
    absent: list[AbsentObject] = []
    size_bytes = 0
    for index, (value, result) in enumerate(zip(objects, results, strict=True)):
        if isinstance(result, MountError):
            if value.optional and result.is_missing:
                absent.append(_absent(index, value, result, request))
            else:
                problems.append((index, result))
            continue
        cut = cuts[index] = cutter.cut(value, result, f"{place}[{index}]")
        problems.extend([(index, problem) for problem in cut.problems])
        size_bytes += sum([len(file.contents) for file in cut.files])
        _check_size(size_bytes, place)
    problems.extend(check_key_files(objects, cuts, request.translation, place))
    if problems:
        raise join_errors([problem for _, problem in sorted(problems, key=lambda one: one[0])])
    files = {file.path: file for index in sorted(cuts) for file in cuts[index].files}
    rendered = render_templates(request, objects, results, files, cutter, place)
    files.update((file.path, file) for file in rendered)
    _check_count(len(files), place)
    if not files:
        files[EMPTY_MARKER] = _marker()
    return AssembledMount(files=tuple(files[path] for path in sorted(files)), absent=tuple(absent))


def assemble_files(
    request: MountRequest, objects: Sequence[SecretObject], results: Sequence[ReadResult | MountError]
) -> tuple[MountFile, ...]:
    """Return the files of assemble_mount alone."""
    return assemble_mount(request, objects, results).files


def _absent(index: int, value: SecretObject, reason: MountError, request: MountRequest) -> AbsentObject:
    return AbsentObject(
        index=index,
        name=value.name,
        type=value.type,
        file_name=value.file_name(request.translation),
        reason=reason,
    )


def _marker() -> MountFile:
    return MountFile(
        path=EMPTY_MARKER,
        mode=MARKER_MODE,
        contents=SecretBytes(MARKER_CONTENTS),
        object_id=EMPTY_MARKER,
        version=MARKER_VERSION,
    )


def _check_size(size_bytes: int, place: str) -> None:
    if size_bytes > CONTENTS_LIMIT_BYTES:
        raise MountError(
            ErrorCode.VALUE_TOO_LARGE,
            where=place,
            what="the files of this class are too large together",
            rule=f"All files of a mount have at most {CONTENTS_LIMIT_BYTES} bytes",
            fix="split the class over several volumes",
        )


def _check_count(count: int, place: str) -> None:
    if count > FILE_LIMIT:
        raise MountError(
            ErrorCode.VALUE_TOO_LARGE,
            where=place,
            what=f"the values of this class make {count} files",
            rule=f"A class has at most {FILE_LIMIT} files",
            fix='list the keys that are needed in jmesPath instead of keys: "*", or split the class',
        )
