"""The rules of `template` before any value is there: its fields, and whether the files that it names exist.

References are checked against the names of the whole class. A class with `keys: "*"` has names that only the value
tells; there an unknown reference is left to `payload`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.file_templates import TemplateError, parse_template, referenced_files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from provider_runtime.file_paths import PathTranslation
    from provider_runtime.object_drafts import ObjectDraft, TemplateDraft


def check_template(template: TemplateDraft) -> Iterator[MountError]:
    """Check one template by itself: its name and the syntax of its text."""
    if not template.alias:
        yield MountError(
            ErrorCode.TEMPLATE_INVALID,
            where=template.where,
            what="objectAlias is missing",
            fix="add objectAlias: the name of the file",
        )
    problem = "" if template.text else "text is missing"
    try:
        parse_template(template.text)
    except TemplateError as error:
        problem = str(error)
    if problem:
        yield MountError(
            ErrorCode.TEMPLATE_INVALID,
            where=f"{template.where}.text",
            what=problem,
            rule="${file} stands for the contents of a file of this class, $${ for a plain ${",
            fix="correct the text",
        )


def check_references(drafts: Sequence[ObjectDraft], translation: PathTranslation) -> Iterator[tuple[int, MountError]]:
    """Check what the templates refer to.

    Yields:
        (index in the list, error); at most one for each template and name.
    """
    if not any(draft.template for draft in drafts):
        return
    files = {translation.translate(name) for draft in drafts for name in _plain_files(draft)}
    templates = {translation.translate(draft.template.alias) for draft in drafts if draft.template}
    are_names_open = any(draft.keys for draft in drafts)
    for draft in drafts:
        for name in _names_of(draft.template):
            if name in templates:
                what = f"'{shown(name)}' is the file of a template"
                yield draft.index, _reference_error(draft, what, "A template quotes values, not other templates")
            elif name not in files and not are_names_open:
                what = f"'{shown(name)}' is no file of this class"
                yield draft.index, _reference_error(draft, what, _known(files))


def _plain_files(draft: ObjectDraft) -> Iterator[str]:
    yield draft.alias or draft.name
    yield from (key.alias for key in draft.json_keys)


def _names_of(template: TemplateDraft | None) -> tuple[str, ...]:
    if template is None:
        return ()
    try:
        return referenced_files(parse_template(template.text))
    except TemplateError:
        return ()  # reported by check_template


def _known(files: Collection[str]) -> str:
    return "Names are those of the files, after pathTranslation: " + shown(", ".join(sorted(files)))


def _reference_error(draft: ObjectDraft, what: str, rule: str) -> MountError:
    return MountError(
        ErrorCode.TEMPLATE_REFERENCE,
        where=f"{draft.where}.template.text",
        what=what,
        rule=rule,
        fix="correct the name in ${...}, or write $${ where the text itself is meant",
    )
