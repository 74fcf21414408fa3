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
from provider_runtime.object_document import load_drafts
from provider_runtime.object_rules import check_collisions, check_object
from provider_runtime.object_values import FailoverObject, JsonKey, ObjectType, SecretObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provider_runtime.errors import MountError

__all__ = [
    "FailoverObject",
    "JsonKey",
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
            first document counts.
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
    objects: list[tuple[int, SecretObject]] = []
    for draft in drafts:
        found = check_object(draft, region, failover_regions, translation)
        if isinstance(found, SecretObject):
            objects.append((draft.index, found))
        else:
            problems.extend(found)
    problems.extend(check_collisions(drafts, translation))
    if problems:
        raise join_errors([error for _, error in sorted(problems, key=_document_order)])
    return tuple(value for _, value in objects)


def dump_objects(objects: Sequence[SecretObject]) -> str:
    """Write the canonical document: fixed key order, two-space steps, texts quoted where YAML 1.1 sees another type.

    The same values give the same bytes on every Python. Text beyond ASCII is escaped, so the result is ASCII.
    """
    return "".join(line for value in objects for line in _dump_object(value))


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
    if value.json_keys:
        yield "  jmesPath:\n"
    for key in value.json_keys:
        key_fields = (("path", key.path), ("objectAlias", key.alias), ("filePermission", key.permission))
        yield from _dump_fields(key_fields, first="    - ", rest="      ")
    if value.failover:
        yield "  failoverObject:\n"
        failover_fields = (
            ("objectName", value.failover.name),
            ("objectVersion", value.failover.version),
            ("objectVersionLabel", value.failover.version_label),
        )
        yield from _dump_fields(failover_fields, first="    ", rest="    ")


def _dump_fields(fields: Sequence[tuple[str, str]], *, first: str, rest: str) -> Iterable[str]:
    lead = first
    for key, text in fields:
        if text:
            yield f"{lead}{key}: {dump_yaml_text(text)}\n"
            lead = rest
