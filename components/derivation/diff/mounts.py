"""What an app's pods see: SecretProviderClasses to facts about files, modes, synced Secrets and settings.

The `objects` document is read by the provider's own codec. Beside the facts stands what a mount will ask for, so that a
mount without a grant and a grant without a mount can be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from provider_runtime.errors import MountError
from provider_runtime.file_paths import PathTranslation
from provider_runtime.secret_objects import (
    FileTemplate,
    JsonKey,
    ObjectType,
    SecretObject,
    parse_objects,
    parse_path_translation,
)

from ..arn import Arn, parameter_arn, secret_pattern
from .documents import AppDocument, Document
from .facts import HIDDEN, About, FactList, Subject
from .trust import own_accounts

#: Parameters whose values are names of things; the value of any other one is compared and not shown.
_SHOWN = frozenset(
    {
        "assumeRoleArn",
        "objectVersions",
        "pathTranslation",
        "preferredAddressType",
        "refreshInterval",
        "region",
        "roleArn",
        "shareAcrossPods",
        "usePodIdentity",
    }
)
_DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Need:
    """One object that a mount asks for in one region.

    Attributes:
        resource: IAM resource; a secret's ends in `-??????` where its suffix is unknown.
        source: Name as the class has it.
        class_name: `namespace/name`.
        files: Subjects of the files that come from it.
    """

    resource: str
    source: str
    class_name: str
    files: tuple[Subject, ...]


def add_mounts(facts: FactList, app: AppDocument) -> tuple[Need, ...]:
    """Add the facts of an app's classes; return what their mounts ask for, sorted."""
    needs: list[Need] = []
    for manifest in app.classes:
        needs += _add_class(facts, app, manifest)
    return tuple(sorted(needs))


def class_title(manifest: Document) -> str:
    """Return `namespace/name` of a class."""
    metadata = _inner(manifest, "metadata")
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def _label(app: AppDocument, manifest: Document) -> str:
    """Return what a class is called in facts, for an app of ours its name alone: then a move is one row.

    Anybody else's role may be several namespaces', and a class of the same name elsewhere is another one.
    """
    metadata = _inner(manifest, "metadata")
    own = {account.partition("/")[0] for account in own_accounts(app)} or {
        str(_inner(other, "metadata").get("namespace", "")) for other in app.classes
    }
    # What is not ours is called after its kind: `role NAME`; an app's name has no space.
    is_own = " " not in app.app and own == {str(metadata.get("namespace", ""))}
    return str(metadata.get("name", "")) if is_own else class_title(manifest)


def _add_class(facts: FactList, app: AppDocument, manifest: Document) -> list[Need]:
    name, spec = _label(app, manifest), _inner(manifest, "spec")
    parameters = {key: str(value) for key, value in _inner(spec, "parameters").items()}
    _add_settings(facts, app, manifest, parameters)
    _add_syncs(facts, spec, name.rpartition("/")[0])
    if spec.get("provider") != "aws":
        objects = {f"{HIDDEN}objects": parameters.get("objects", "")}
        facts.add(Subject(about=About.MOUNT, parts=(name, "objects of another provider")), texts=objects)
        return []
    regions = _regions(parameters)
    try:
        translation = parse_path_translation(parameters.get("pathTranslation", ""), where=f"class {name}")
        objects_of = parse_objects(
            parameters.get("objects", ""), region=regions[0], failover_regions=regions[1:], translation=translation
        )
    except MountError:
        # The provider would refuse the mount too. Its message quotes the document, which may hold anything.
        reason = {"value": "the provider cannot read its objects", f"{HIDDEN}objects": parameters.get("objects", "")}
        facts.add(Subject(about=About.UNKNOWN, parts=(f"class {class_title(manifest)}",)), texts=reason)
        return []
    return [need for item in objects_of for need in _add_object(facts, app, manifest, item, regions, translation)]


def _regions(parameters: Mapping[str, str]) -> tuple[str, ...]:
    failover = parameters.get("failoverRegions") or parameters.get("failoverRegion") or ""
    return (parameters.get("region", ""), *(region.strip() for region in failover.split(",") if region.strip()))


def _add_settings(facts: FactList, app: AppDocument, manifest: Document, parameters: Mapping[str, str]) -> None:
    name, spec = _label(app, manifest), _inner(manifest, "spec")
    facts.add(Subject(about=About.MOUNT, parts=(name, "provider")), texts={"value": str(spec.get("provider", ""))})
    if app.mount_paths is not None:
        path = app.mount_paths.get(str(_inner(manifest, "metadata").get("name", "")), "")
        facts.add(Subject(about=About.MOUNT, parts=(name, "path")), texts={"value": path or "mounted by no pod"})
    failover = ", ".join(_regions(parameters)[1:])
    if failover:
        facts.add(Subject(about=About.MOUNT, parts=(name, "failover regions")), texts={"value": failover})
    for key, value in parameters.items():
        if key in {"objects", "failoverRegion", "failoverRegions"} or (key == "roleArn" and value == app.role_arn):
            continue
        shown = key in _SHOWN
        facts.add(Subject(about=About.MOUNT, parts=(name, key)), texts={"value" if shown else f"{HIDDEN}value": value})


def _add_syncs(facts: FactList, spec: Document, namespace: str) -> None:
    entries = spec.get("secretObjects")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, Mapping):
            continue
        data = entry.get("data")
        items = [item for item in data if isinstance(item, Mapping)] if isinstance(data, list) else []
        texts = {f"key {item.get('key', '')}": f"file {item.get('objectName', '')}" for item in items}
        texts["type"] = str(entry.get("type", "Opaque"))
        name = str(entry.get("secretName", ""))
        facts.add(Subject(about=About.SYNC, parts=(f"{namespace}/{name}" if namespace else name,)), texts=texts)


def _add_object(
    facts: FactList,
    app: AppDocument,
    manifest: Document,
    item: SecretObject,
    regions: tuple[str, ...],
    translation: PathTranslation,
) -> Iterator[Need]:
    name = _label(app, manifest)
    files: list[Subject] = []
    for path, texts in _files(item, translation):
        files.append(Subject(about=About.FILE, parts=(name, path)))
        facts.add(files[-1], texts=texts)
    role = Arn.parse(app.chain_role or app.role_arn)
    partition, account = (role.partition, role.account) if role else ("aws", "*")
    for index, region in enumerate(regions):
        source = item.name_in(region, index)
        resource = secret_pattern if item.type is ObjectType.SECRETS_MANAGER else parameter_arn
        yield Need(
            resource=resource(source, partition=partition, region=region or "*", account=account),
            source=source,
            class_name=class_title(manifest),
            files=tuple(files),
        )


def _files(item: SecretObject, translation: PathTranslation) -> Iterator[tuple[str, dict[str, str]]]:
    kind = "secret" if item.type is ObjectType.SECRETS_MANAGER else "parameter"
    told = {
        "source": f"{kind} {item.name}",
        "version": item.version,
        "label": item.version_label,
        "optional": "yes" if item.optional else "",
        "encoding": item.encoding.value,
        "non-text": item.non_text.value,
    }
    source = {name: text for name, text in told.items() if text}
    for index, other in enumerate(item.failover_by_region or ((item.failover,) if item.failover else ()), start=1):
        parts = (other.name, other.version, other.version_label)
        source[f"failover {index}"] = ", ".join(part for part in parts if part)
    yield item.file_name(translation), {**source, "mode": _mode(item.file_mode(_DEFAULT_MODE))}
    if item.all_keys:
        mode = _mode(item.file_mode(_DEFAULT_MODE))
        yield f"{item.file_name(translation)} (each key)", {**source, "mode": mode, "json key": "every one"}
    for key in item.json_keys:
        own = {"encoding": key.encoding.value, "non-text": key.non_text.value}
        texts = {**source, **{name: text for name, text in own.items() if text}, "json key": key.path}
        yield key.file_name(translation), {**texts, "mode": _part_mode(item, key)}
    if item.template:
        texts = {**source, f"{HIDDEN}template": item.template.text, "made by": "a template"}
        yield item.template.file_name(translation), {**texts, "mode": _part_mode(item, item.template)}


def _part_mode(item: SecretObject, part: JsonKey | FileTemplate) -> str:
    return _mode(item.key_mode(part, _DEFAULT_MODE))


def _mode(bits: int) -> str:
    return f"{bits:04o}"


def _inner(document: Document, key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}
