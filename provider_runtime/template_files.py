"""Templates of a class → files, made of the files that its values gave.

A reference to a file of an optional object that is absent stands for nothing: the class says that it may be missing,
and a configuration with an empty setting is what its author can test for. Any other unknown reference is an error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, join_errors, shown
from provider_runtime.fetch_plan import ReadResult
from provider_runtime.file_templates import TemplateError, fill_template, parse_template, referenced_files
from provider_runtime.object_files import MountFile
from provider_runtime.object_versions import template_version
from provider_runtime.redaction import SecretBytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provider_runtime.mount_request import MountRequest
    from provider_runtime.object_files import ObjectCutter
    from provider_runtime.object_values import FileTemplate, SecretObject

TEMPLATES_LIMIT_BYTES = 4 * 1024 * 1024
"""Bytes of all rendered templates of one mount."""


def render_templates(
    request: MountRequest,
    objects: Sequence[SecretObject],
    results: Sequence[ReadResult | MountError],
    files: Mapping[str, MountFile],
    cutter: ObjectCutter,
    place: str,
) -> list[MountFile]:
    """Render the templates of all objects that are there.

    Args:
        request: Gives translation and default mode.
        objects: In document order.
        results: Parallel to the objects; an error is an absent optional object here.
        files: By path, without templates.
        cutter: Gives the shape of a file.
        place: Start of the messages.

    Raises:
        MountError: Every template that cannot be rendered, in document order.
    """
    optional_files, are_names_open = _absent_names(request, objects, results)
    rendered: list[MountFile] = []
    problems: list[MountError] = []
    size_bytes = 0
    for index, (value, result) in enumerate(zip(objects, results, strict=True)):
        template = value.template
        if template is None or not isinstance(result, ReadResult):
            continue
        where = f"{place}[{index}].template"
        sources = referenced_files(parse_template(template.text))
        unknown = [name for name in sources if name not in files and name not in optional_files]
        if unknown and not are_names_open:
            problems.extend(_unknown_error(name, where) for name in unknown)
            continue
        contents = _fill(template, files, where)
        if isinstance(contents, MountError):
            problems.append(contents)
            continue
        size_bytes += len(contents)
        if size_bytes > TEMPLATES_LIMIT_BYTES:
            cause = f"the templates of this class make more than {TEMPLATES_LIMIT_BYTES} bytes together"
            problems.append(_value_error(template, cause, where))
            break
        rendered.append(_file(request, value, template, result, files, contents, cutter))
    if problems:
        raise join_errors(problems)
    return rendered


def _absent_names(
    request: MountRequest, objects: Sequence[SecretObject], results: Sequence[ReadResult | MountError]
) -> tuple[frozenset[str], bool]:
    """Return the files that are absent, and whether there are others whose names nobody knows (`keys: "*"`)."""
    absent = [value for value, result in zip(objects, results, strict=True) if isinstance(result, MountError)]
    names = frozenset(name for value in absent for name in _plain_files(value, request))
    return names, any(value.all_keys for value in absent)


def _plain_files(value: SecretObject, request: MountRequest) -> Iterator[str]:
    yield value.file_name(request.translation)
    yield from (key.file_name(request.translation) for key in value.json_keys)


def _fill(template: FileTemplate, files: Mapping[str, MountFile], where: str) -> SecretBytes | MountError:
    def contents(name: str) -> bytes:
        return files[name].contents.reveal() if name in files else b""

    try:
        return SecretBytes(fill_template(parse_template(template.text), contents))
    except TemplateError as error:
        cause = str(error)
    return _value_error(template, cause, where)


def _file(
    request: MountRequest,
    value: SecretObject,
    template: FileTemplate,
    result: ReadResult,
    files: Mapping[str, MountFile],
    contents: SecretBytes,
    cutter: ObjectCutter,
) -> MountFile:
    path = template.file_name(request.translation)
    mode = value.key_mode(template, request.default_mode)
    sources = {
        name: files[name].version if name in files else "" for name in referenced_files(parse_template(template.text))
    }
    shape = replace(cutter.shape(value, result, path, mode), template=template.text)
    version = template_version(result, shape, sources)
    return MountFile(path=path, mode=mode, contents=contents, object_id=path, version=version)


def _unknown_error(name: str, where: str) -> MountError:
    return MountError(
        ErrorCode.TEMPLATE_REFERENCE,
        where=f"{where}.text",
        what=f"'{shown(name)}' is no file of this class",
        rule='Names are those of the files, after pathTranslation; those of keys: "*" are the keys of the value',
        fix="correct the name in ${...}, add the key to the secret, or write $${ where the text itself is meant",
    )


def _value_error(template: FileTemplate, cause: str, where: str) -> MountError:
    return MountError(
        ErrorCode.TEMPLATE_VALUE,
        where=where,
        what=f"file '{shown(template.alias)}' cannot be made: {cause}",
        rule="A template quotes UTF-8 texts",
        fix="quote other files, or cut the texts that are needed out of JSON with jmesPath",
    )
