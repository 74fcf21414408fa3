"""The codec of the `objects` document of a SecretProviderClass: text → values → text, and every rule in between.

The reader owns the format: the derivation writes these documents with `dump_objects` and can check them with
`parse_objects`, which is what the daemon runs. Law: `parse_objects(dump_objects(x)) == x` for every x that it accepts.
Nothing is fetched here, and no file is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_runtime.errors import join_errors
from provider_runtime.file_paths import PathTranslation, parse_path_translation
from provider_runtime.go_scalars import dump_yaml_text
from provider_runtime.object_additions import ALL_KEYS
from provider_runtime.object_collisions import check_collisions
from provider_runtime.object_drafts import load_drafts
from provider_runtime.object_rules import check_object
from provider_runtime.object_templates import check_references
from provider_runtime.object_values import (
    Encoding,
    FailoverObject,
    FileTemplate,
    JsonKey,
    NonText,
    ObjectType,
    SecretObject,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provider_runtime.errors import MountError

__all__ = [
    "Encoding",
    "FailoverObject",
    "FileTemplate",
    "JsonKey",
    "NonText",
    "ObjectType",
    "PathTranslation",
    "SecretObject",
    "dump_objects",
    "parse_objects",
    "parse_path_translation",
]


def parse_objects(
    text: str,
    *,
    region: str,
    failover_regions: tuple[str, ...],
    translation: PathTranslation,
    where: str = "parameters.objects",
) -> tuple[SecretObject, ...]:
    """Read and validate one `objects` document; report every problem of it at once.

    Args:
        text: YAML (1.1, the dialect of Go's sigs.k8s.io/yaml), at most 1 MiB, without anchors and aliases; only the
            first document counts; at most OBJECT_LIMIT entries and FILE_LIMIT files.
        region: Primary region; ARNs must name it.
        failover_regions: In order of use; empty when there is no failover.
        translation: How names become file names, see `parse_path_translation`.
        where: Start of every message, for example `SecretProviderClass payments/db parameters.objects`.

    Returns:
        In document order, at least one; file names are unique, except for one name under several labels without
        alias, where the last entry wins (as upstream does it).

    Raises:
        MountError: All problems joined in document order; codes LSP2xx, or LSP402 for a JMESPath that does not parse.
    Source: contract of the Go provider, sections 3.1 to 3.6, and 9.4 for what it lets pass and we refuse.
    """
    drafts, problems = load_drafts(text, where)
    is_whole = not problems
    objects: list[tuple[int, SecretObject]] = []
    for draft in drafts:
        found = check_object(draft, region, failover_regions, translation)
        if isinstance(found, SecretObject):
            objects.append((draft.index, found))
        else:
            problems.extend(found)
    problems.extend(check_collisions(drafts, translation))
    if is_whole:  # a name may be a file of an entry that could not be read
        problems.extend(check_references(drafts, translation))
    if problems:
        raise join_errors([error for _, error in sorted(problems, key=_document_order)])
    return tuple(value for _, value in objects)


def dump_objects(objects: Sequence[SecretObject]) -> str:
    """Write the canonical document: fixed key order, two-space steps, texts quoted where YAML 1.1 sees another type.

    The same values give the same bytes on every Python. Text beyond ASCII is escaped, so the result is ASCII. Our own
    keys (optional, encoding, nonText, keys, template, failoverObject as a list) are written only where they are used:
    a class without them is one for the Go provider too.
    """
    return "".join([line for value in objects for line in _dump_object(value)])


def _document_order(problem: tuple[int, MountError]) -> int:
    return problem[0]


def _dump_object(value: SecretObject) -> Iterable[str]:
    fields = (
        ("objectName", value.name),
        ("objectType", value.type.value),
        ("objectAlias", value.alias),
        ("objectVersion", value.version),
        ("objectVersionLabel", value.version_label),
        ("filePermission", value.permission),
    )
    yield from _dump_fields(fields, first="- ", rest="  ")
    if value.optional:
        yield "  optional: true\n"
    if value.encoding or value.non_text or value.all_keys:
        additions = (
            ("encoding", value.encoding.value),
            ("nonText", value.non_text.value),
            ("keys", ALL_KEYS if value.all_keys else ""),
        )
        yield from _dump_fields(additions, first="  ", rest="  ")
    if value.json_keys:
        yield "  jmesPath:\n"
    for key in value.json_keys:
        key_fields = (
            ("path", key.path),
            ("objectAlias", key.alias),
            ("filePermission", key.permission),
            ("encoding", key.encoding.value),
            ("nonText", key.non_text.value),
        )
        yield from _dump_fields(key_fields, first="    - ", rest="      ")
    if value.template:
        yield "  template:\n"
        template = value.template
        template_fields = (
            ("objectAlias", template.alias),
            ("filePermission", template.permission),
            ("text", template.text),
        )
        yield from _dump_fields(template_fields, first="    ", rest="    ")
    if value.failover or value.failover_by_region:
        yield "  failoverObject:\n"
    if value.failover:
        yield from _dump_fields(_failover_fields(value.failover), first="    ", rest="    ")
    for failover in value.failover_by_region:
        if failover == FailoverObject():
            yield "    - {}\n"
        yield from _dump_fields(_failover_fields(failover), first="    - ", rest="      ")


def _failover_fields(failover: FailoverObject) -> tuple[tuple[str, str], ...]:
    return (
        ("objectName", failover.name),
        ("objectVersion", failover.version),
        ("objectVersionLabel", failover.version_label),
    )


def _dump_fields(fields: Sequence[tuple[str, str]], *, first: str, rest: str) -> Iterable[str]:
    lines = [f"{rest}{key}: {dump_yaml_text(text)}\n" for key, text in fields if text]
    if lines:
        lines[0] = f"{first}{lines[0].removeprefix(rest)}"
    return lines
