"""File names that only the values tell (`keys: "*"`) against all other names of the class.

The names that the class itself says were checked when it was parsed. They stay taken when their object is absent: else
a key's file would change its meaning on the day when the object appears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.file_paths import paths_below_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provider_runtime.file_paths import PathTranslation
    from provider_runtime.object_files import ObjectFiles
    from provider_runtime.object_values import SecretObject


def check_key_files(
    objects: Sequence[SecretObject], cuts: Mapping[int, ObjectFiles], translation: PathTranslation, place: str
) -> list[tuple[int, MountError]]:
    """Find the keys whose file has the name of another, or needs one as a directory.

    Args:
        objects: In document order.
        cuts: Index in the document → its files; absent and failed objects are not there.
        translation: How names become file names.
        place: Start of the messages.

    Returns:
        (index in the document, error).
    """
    if not any(cut.by_key for cut in cuts.values()):
        return []
    owners = dict(_static_owners(objects, translation))
    keys: dict[str, tuple[int, str]] = {}
    problems: list[tuple[int, MountError]] = []
    for index in sorted(cuts):
        for key, file in cuts[index].by_key:
            if file.path in owners:
                what = f"file name '{shown(file.path)}' is already used by {owners[file.path]}"
                problems.append((index, _error(index, key, what, place)))
                continue
            owners[file.path] = f"key '{shown(key)}' of objects[{index}]"
            keys[file.path] = (index, key)
    for path, parent in paths_below_files(owners).items():
        if path in keys or parent in keys:
            index, key = keys[path] if path in keys else keys[parent]
            what = f"file name '{shown(path)}' needs a directory '{shown(parent)}', but that is a file"
            problems.append((index, _error(index, key, what, place)))
    return problems


def _static_owners(objects: Sequence[SecretObject], translation: PathTranslation) -> Iterator[tuple[str, str]]:
    for index, value in enumerate(objects):
        yield value.file_name(translation), f"objects[{index}]"
        for number, key in enumerate(value.json_keys):
            yield key.file_name(translation), f"objects[{index}].jmesPath[{number}]"
        if value.template:
            yield value.template.file_name(translation), f"objects[{index}].template"


def _error(index: int, key: str, what: str, place: str) -> MountError:
    return MountError(
        ErrorCode.KEY_COLLISION,
        where=f"{place}[{index}].keys",
        what=f"key '{shown(key)}': {what}",
        rule='Every file of a class has its own name; keys: "*" names files after the keys of the value',
        fix="rename the key in the secret, or list the keys that are needed in jmesPath, each with an objectAlias",
    )
