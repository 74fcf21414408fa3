"""One value → the files of its object: its own, one for each jmesPath entry, one for each key of `keys: "*"`.

Collisions between files, templates and absent objects are `payload`'s. Values stay `SecretBytes` from end to end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.file_paths import is_reserved, path_problem
from provider_runtime.json_documents import extract_keys, size_problem
from provider_runtime.json_paths import extract_texts, not_base64_error
from provider_runtime.mount_request import ObjectVersions
from provider_runtime.object_values import Encoding
from provider_runtime.object_versions import FileShape, object_version
from provider_runtime.redaction import SecretBytes
from provider_runtime.value_decoding import NotBase64Error, decode_base64

if TYPE_CHECKING:
    from provider_runtime.fetch_plan import ReadResult
    from provider_runtime.jmespath_dialect import StepBudget
    from provider_runtime.mount_request import MountRequest
    from provider_runtime.object_values import JsonKey, SecretObject


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFiles:
    """What one object gives.

    Args:
        named: Files whose names the class says, in its order: the object's own, then its JSON keys'.
        by_key: Files of `keys: "*"`: (top-level key, file), sorted by key; names not yet compared with others.
        problems: Why files are missing, in the class's order.
    """

    named: tuple[MountFile, ...]
    by_key: tuple[tuple[str, MountFile], ...] = ()
    problems: tuple[MountError, ...] = ()

    @property
    def files(self) -> tuple[MountFile, ...]:
        """All of them, those that the class names first."""
        return (*self.named, *[file for _, file in self.by_key]) if self.by_key else self.named


class ObjectCutter:
    """Cuts the values of one mount.

    Args:
        request: Gives translation, default mode and kind of versions.
        budget: JMESPath steps of the whole mount.
    """

    def __init__(self, request: MountRequest, budget: StepBudget) -> None:
        self._request = request
        self._budget = budget
        self._is_rendered = request.object_versions is ObjectVersions.CONTENT

    def cut(self, value: SecretObject, result: ReadResult, where: str) -> ObjectFiles:
        """Cut one value into files; never raises.

        Args:
            value: What the class says about it.
            result: What AWS gave.
            where: Place of the object, for messages.
        """
        contents = self._decode(value, result, where)
        if isinstance(contents, MountError):
            return ObjectFiles(named=(), problems=(contents,))
        own = self._own_file(value, result, contents)
        if not (value.json_keys or value.all_keys):
            return ObjectFiles(named=(own,))
        children, child_problems = self._cut_keys(value, result, contents, where)
        by_key, key_problems = self._cut_all_keys(value, result, contents, where)
        return ObjectFiles(named=(own, *children), by_key=by_key, problems=(*child_problems, *key_problems))

    def shape(self, value: SecretObject, result: ReadResult, file_name: str, mode: int | None = None) -> FileShape:
        """Return the shape of a file of this object, in its own mode unless another is given."""
        return FileShape(
            store=value.type,
            region=result.region or self._request.region or "",
            name=value.name,
            file_name=file_name,
            mode=value.file_mode(self._request.default_mode) if mode is None else mode,
            optional=value.optional,
            object_encoding=value.encoding,
        )

    def _decode(self, value: SecretObject, result: ReadResult, where: str) -> SecretBytes | MountError:
        if value.encoding is Encoding.AS_IS:
            return result.value
        if problem := size_problem(result.value, object_name=value.name, where=where, used_by="encoding: base64"):
            return problem
        try:
            return decode_base64(result.value)
        except NotBase64Error as error:
            cause = str(error)
        file_name = value.file_name(self._request.translation)
        return not_base64_error(value.name, file_name, cause, where=f"{where}.encoding")

    def _cut_keys(
        self, value: SecretObject, result: ReadResult, contents: SecretBytes, where: str
    ) -> tuple[list[MountFile], list[MountError]]:
        default = value.non_text.is_rendered(default=self._is_rendered)
        texts = extract_texts(
            contents, value.json_keys, self._budget, object_name=value.name, where=where, is_rendered=default
        )
        files: list[MountFile] = []
        problems: list[MountError] = []
        for key, text in zip(value.json_keys, texts, strict=True):
            if isinstance(text, MountError):
                problems.append(text)
            else:
                files.append(self._file(self._key_shape(value, key, result, is_rendered=default), result, text))
        return files, problems

    def _key_shape(self, value: SecretObject, key: JsonKey, result: ReadResult, *, is_rendered: bool) -> FileShape:
        mode = value.key_mode(key, self._request.default_mode)
        return replace(
            self.shape(value, result, key.file_name(self._request.translation), mode),
            json_path=key.path,
            encoding=key.encoding,
            is_non_text_refused=not key.non_text.is_rendered(default=is_rendered),
        )

    def _cut_all_keys(
        self, value: SecretObject, result: ReadResult, contents: SecretBytes, where: str
    ) -> tuple[tuple[tuple[str, MountFile], ...], list[MountError]]:
        if not value.all_keys:
            return (), []
        is_rendered = value.non_text.is_rendered(default=True)
        found = extract_keys(contents, object_name=value.name, where=where, is_rendered=is_rendered)
        if isinstance(found, MountError):
            return (), [found]
        files: list[tuple[str, MountFile]] = []
        problems: list[MountError] = []
        for key, text in found:
            path = self._request.translation.translate(key)
            problem = text if isinstance(text, MountError) else _name_problem(key, path, value.name, where)
            if isinstance(text, MountError) or problem:
                problems.extend([problem] if problem else [])
                continue
            shape = replace(self.shape(value, result, path), json_key=key, is_non_text_refused=not is_rendered)
            files.append((key, self._file(shape, result, text)))
        return tuple(files), problems

    def _own_file(self, value: SecretObject, result: ReadResult, contents: SecretBytes) -> MountFile:
        path = value.file_name(self._request.translation)
        if self._request.object_versions is not ObjectVersions.UPSTREAM:
            return self._file(self.shape(value, result, path), result, contents)
        mode = value.file_mode(self._request.default_mode)  # upstream's version needs no shape
        return MountFile(path=path, mode=mode, contents=contents, object_id=path, version=result.version)

    def _file(self, shape: FileShape, result: ReadResult, contents: SecretBytes) -> MountFile:
        return MountFile(
            path=shape.file_name,
            mode=shape.mode,
            contents=contents,
            object_id=shape.file_name,
            version=object_version(self._request.object_versions, result, shape),
        )


def _name_problem(key: str, path: str, object_name: str, where: str) -> MountError | None:
    problem = path_problem(path)
    cause = problem[1] if problem else "file name starts with '..', which the driver keeps for itself"
    if not problem and not is_reserved(path):
        return None
    return MountError(
        ErrorCode.KEY_FILE_NAME,
        where=f"{where}.keys",
        what=f"key '{shown(key)}' of {shown(object_name)} cannot name a file: {cause}",
        rule="File names are relative, clean paths below the mount point, elements of at most 255 bytes",
        fix="rename the key in the secret, or list the keys that are needed in jmesPath with an objectAlias",
    )
