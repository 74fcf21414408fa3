"""One class to entries of a spec: each object that the provider takes, and a note for each that it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from provider_runtime.errors import MountError
from provider_runtime.secret_objects import (
    FailoverObject,
    FileTemplate,
    JsonKey,
    ObjectType,
    SecretObject,
    parse_objects,
)

from ..arn import Arn
from ..lint.class_document import ClassDocument, spelled
from ..lint.part import Part
from ..spec import DEFAULT_MODE
from ..spec_shape import JSON_KEY, PARAMETER, SECRET
from .notes import Note, NoteKind

Entry = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedObject:
    """One object: what the provider reads, where it stands, and its entry without a key."""

    value: SecretObject
    part: Part
    entry: Entry

    @property
    def is_secret(self) -> bool:
        """Whether it is a secret, else a parameter."""
        return self.value.type is ObjectType.SECRETS_MANAGER


def read_entries(item: ClassDocument, mount: str, notes: list[Note]) -> Iterator[ImportedObject]:
    """Yield what the provider takes; notes are added for everything else."""
    if not item.values and not item.entries:
        for verdict in item.verdicts:
            what = f"the class {item.shown!r} cannot be read: {verdict.error.what}"
            notes.append(Note(spot=verdict.part.spot, kind=NoteKind.LOST, what=what))
    for index, part in enumerate(item.entries):
        value = item.values[index] if index < len(item.values) else _alone(item, part, notes)
        if value is not None:
            yield ImportedObject(value=value, part=part, entry=_entry(value, item, mount, part, notes))


def _alone(item: ClassDocument, part: Part, notes: list[Note]) -> SecretObject | None:
    """Read one entry of a class that is refused as a whole."""
    regions = item.failover_regions
    region = item.region or _region_of(part) or "us-east-1"
    try:
        text = str(yaml.serialize(yaml.SequenceNode("tag:yaml.org,2002:seq", [part.node])))
        (value,) = parse_objects(text, region=region, failover_regions=regions, translation=item.translation)
    except (MountError, yaml.YAMLError) as error:
        cause = error.what if isinstance(error, MountError) else "it is no YAML"
        name = spelled(part, "objectName").text
        what = f"the object {name!r}, which the provider refuses: {cause}"
        notes.append(Note(spot=part.spot, kind=NoteKind.LOST, what=what))
        return None
    return value


def _region_of(part: Part) -> str:
    arn = Arn.parse(spelled(part, "objectName").text)
    return arn.region if arn else ""


def _entry(value: SecretObject, item: ClassDocument, mount: str, part: Part, notes: list[Note]) -> Entry:
    known = (SECRET if value.type is ObjectType.SECRETS_MANAGER else PARAMETER).names
    entry: Entry = {"name": _name(value, part, notes), "file": value.file_name(item.translation)}
    entry["mode"] = value.permission or DEFAULT_MODE
    wanted: Entry = {
        "mount": mount,
        **_selector(value.type, value.version, value.version_label),
        "optional": value.optional,
        "encoding": value.encoding.value,
        "nonText": value.non_text.value,
        "keys": "*" if value.all_keys and not value.json_keys else _keys(value, item, part, notes),
        "template": _template(value.template, item),
        "failover": _failover(value, item),
    }
    if value.all_keys and value.json_keys:
        what = f"{value.name!r} asks for every key and for some by name; the spec has those by name"
        notes.append(Note(spot=part.spot, kind=NoteKind.LOST, what=what))
    for key, content in wanted.items():
        if not content:
            continue
        if key in known and (key != "keys" or isinstance(content, dict) or "template" in known):
            entry[key] = content
        else:
            what = f"{key!r} of {value.name!r}: app specs cannot say it"
            notes.append(Note(spot=part.spot, kind=NoteKind.LOST, what=what))
    _unknown_fields(part, value, notes)
    return entry


def _name(value: SecretObject, part: Part, notes: list[Note]) -> str:
    """Escape what would be a variable of the spec; a selector inside a parameter's name has keys of its own."""
    if "${" in value.name:
        what = f"the name {value.name!r} holds '${{', which a spec reads as a variable"
        notes.append(Note(spot=part.spot, kind=NoteKind.LOST, what=what))
    return value.name


def _selector(kind: ObjectType, version: str, label: str) -> Entry:
    if kind is ObjectType.SECRETS_MANAGER:
        return {"versionId": version, "stage": label}
    return {"version": int(version) if version.isdigit() and version.isascii() else version, "label": label}


def _keys(value: SecretObject, item: ClassDocument, part: Part, notes: list[Note]) -> Entry:
    keys: Entry = {}
    for key in value.json_keys:
        if key.path in keys:
            what = f"a second file for the key {key.path!r} of {value.name!r}"
            notes.append(Note(spot=part.spot, kind=NoteKind.LOST, what=what))
            continue
        keys[key.path] = _key(key, item, part, notes)
    return keys


def _key(key: JsonKey, item: ClassDocument, part: Part, notes: list[Note]) -> object:
    file = key.file_name(item.translation)
    more: Entry = {"mode": key.permission, "encoding": key.encoding.value, "nonText": key.non_text.value}
    said = {name: content for name, content in more.items() if content}
    for name in [name for name in said if name not in JSON_KEY.names]:
        what = f"{name!r} of the key {key.path!r}: app specs cannot say it"
        notes.append(Note(spot=part.spot, kind=NoteKind.LOST, what=what))
        del said[name]
    return {"file": file, **said} if said else file


def _template(template: FileTemplate | None, item: ClassDocument) -> Entry:
    if template is None:
        return {}
    mode = {"mode": template.permission} if template.permission else {}
    return {"file": template.file_name(item.translation), "text": template.text, **mode}


def _failover(value: SecretObject, item: ClassDocument) -> Entry:
    """Return what differs by region, beyond what a spec takes for granted: an ARN's replica, the same version."""
    found: Entry = {}
    for number, region in enumerate(item.failover_regions, start=1):
        differs = value.failover_in(number) or FailoverObject()
        own = Arn.parse(value.name)
        expected = str(own.in_region(region)) if own else value.name
        named = differs.name and value.name_in(region, number)
        inner: Entry = {"name": named} if named and named != expected else {}
        label = value.version_label_in(number)
        if label != value.version_label:
            inner |= {key: text for key, text in _selector(value.type, "", label).items() if text}
        if inner:
            found[region] = inner
    return found


def _unknown_fields(part: Part, value: SecretObject, notes: list[Note]) -> None:
    known = {
        "objectname",
        "objectalias",
        "objecttype",
        "objectversion",
        "objectversionlabel",
        "filepermission",
        "jmespath",
        "failoverobject",
        "optional",
        "encoding",
        "nontext",
        "keys",
        "template",
    }
    for key, _ in part.entries():
        if key.text.lower() not in known:
            what = f"the field {key.text!r} of {value.name!r}, which the provider ignores"
            notes.append(Note(spot=key.spot, kind=NoteKind.LOST, what=what))
