"""Existing classes, service accounts and policies to app specs: `import_apps(material) -> Imported`.

Every spec that is returned is one that the strict reader takes: what it refuses is left out and noted, entry by entry.
Messy input gives notes, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from provider_runtime.class_parameters import parse_refresh_interval
from provider_runtime.errors import MountError

from ..errors import Problem, SpecErrors, Spot
from ..lint.class_document import ClassDocument
from ..lint.grant_rules import policies_of
from ..lint.material import Material
from ..render import dump_yaml
from ..spec_reader import parse_specs
from ..spec_shape import APP, SECRET
from .entries import Entry, ImportedObject, read_entries
from .grouping import AppGroup, MountedClass, group_classes
from .keys import keys_of
from .leftovers import leftovers
from .notes import Note, NoteKind
from .parameter_paths import paths_of

_ENTRY = re.compile(r"(secrets|parameters|sync)\[([0-9]+)\]")
_ROUND_LIMIT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedApp:
    """One app: its name, its spec as plain data in the order of keys, and the same as YAML."""

    app: str
    spec: Entry
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Apps sorted by name, and everything there is to say, sorted by place."""

    apps: tuple[ImportedApp, ...]
    notes: tuple[Note, ...]


def import_apps(material: Material) -> Imported:
    """Build app specs from what is deployed by hand.

    Args:
        material: Classes with the pods, service accounts, policies and associations beside them. Pods say who mounts a
            class and where; policies say which keys decrypt.

    Returns:
        Valid specs without variables. `derive` gives them a role each; what the input has beyond is noted.
    """
    groups = group_classes(material)
    notes: list[Note] = [*leftovers(material, groups)]
    apps: list[ImportedApp] = []
    for group in groups:
        own = list(group.notes)
        spec = _spec(group, material, own)
        app = _valid(group, spec, own)
        if app is not None:
            apps.append(app)
        notes += [Note(spot=note.spot, kind=note.kind, what=note.what, app=group.app) for note in own]
    return Imported(apps=tuple(apps), notes=tuple(sorted(set(notes))))


def _spec(group: AppGroup, material: Material, notes: list[Note]) -> Entry:
    documents = [mounted.document for mounted in group.mounts]
    first = documents[0]
    spec: Entry = {"version": 1, "app": group.app, "namespace": group.namespace}
    if group.service_account != group.app:
        spec["serviceAccount"] = group.service_account
    spec["identity"] = "podIdentity" if first.uses_pod_identity else "irsa"
    _same(documents, "usePodIdentity", notes)
    spec |= _identity_settings(group, first, material, notes)
    objects = [
        (mounted, found) for mounted in group.mounts for found in read_entries(mounted.document, mounted.name, notes)
    ]
    spec |= _paths(group, objects)
    spec |= _settings(documents, notes)
    for title in ("secrets", "parameters"):
        entries = [
            _with_key(mounted.document, found, material, notes)
            for mounted, found in objects
            if found.is_secret == (title == "secrets")
        ]
        if entries:
            spec[title] = entries
    paths = paths_of(documents, material, notes)
    if paths:
        spec["parameterPaths"] = paths
    sync = [entry for mounted in group.mounts for entry in _sync(mounted, notes)]
    if sync:
        spec["sync"] = sync
    order = {name: number for number, name in enumerate(APP.names)}
    return dict(sorted(spec.items(), key=lambda pair: order[pair[0]]))


def _paths(group: AppGroup, objects: Iterable[tuple[MountedClass, ImportedObject]]) -> Entry:
    used = {mounted.name for mounted, _ in objects}
    mounts = {mounted.name: mounted.path for mounted in group.mounts if mounted.name in used}
    default = mounts.pop("", None)
    paths: Entry = {} if default is None else {"mountPath": default}
    return paths | ({"mounts": dict(sorted(mounts.items()))} if mounts else {})


def _identity_settings(group: AppGroup, first: ClassDocument, material: Material, notes: list[Note]) -> Entry:
    """Return the second role and the settings of Pod Identity, where specs have keys for them."""
    texts = {key.text: value.text for key, value in first.parameters.entries()}
    found: Entry = {}
    if texts.get("assumeRoleArn"):
        external = {"externalId": texts["externalId"]} if texts.get("externalId") else {}
        found["assumeRole"] = {"role": texts["assumeRoleArn"], **external}
    own = _pod_identity(group, texts, material, notes) if first.uses_pod_identity else {}
    if own:
        found["podIdentity"] = own
    for key in [key for key in found if key not in APP.names]:
        del found[key]
        what = f"{key!r}: app specs cannot say it"
        notes.append(Note(spot=first.parameters.spot, kind=NoteKind.LOST, what=what))
    return found


def _pod_identity(group: AppGroup, texts: dict[str, str], material: Material, notes: list[Note]) -> Entry:
    associations = [
        item
        for item in material.associations
        if (item.namespace, item.service_account) == (group.namespace, group.service_account)
    ]
    own: Entry = {}
    if any(_has_tags(document, material) for document in (mounted.document for mounted in group.mounts)):
        own["scope"] = "sessionTags"
    for item in associations:
        if item.part.get("policy"):
            own["scope"] = "sessionPolicy"
            what = "the association's session policy: `scope: sessionPolicy` derives one from the mounts"
            notes.append(Note(spot=item.part.get("policy").spot, kind=NoteKind.LOST, what=what))
        target = item.part.get("targetRoleArn")
        if target.text:
            own["targetRole"] = target.text
    if texts.get("shareAcrossPods", "").lower() in {"1", "t", "true"} and own.get("scope") != "sessionPolicy":
        own["shareAcrossPods"] = True
    if texts.get("preferredAddressType", "").lower() in {"ipv4", "ipv6"}:
        own["addressType"] = texts["preferredAddressType"].lower()
    return own


def _has_tags(document: ClassDocument, material: Material) -> bool:
    return any(
        test.key.text.lower().startswith("aws:principaltag/kubernetes-")
        for policy in policies_of(document, material)
        for item in policy.allows()
        for test in item.tests()
    )


def _settings(documents: list[ClassDocument], notes: list[Note]) -> Entry:
    first = documents[0]
    spec: Entry = {}
    for key in ("failoverRegion", "failoverRegions", "refreshInterval", "region", "roleArn", "assumeRoleArn"):
        _same(documents, key, notes)
    if first.failover_regions:
        spec["failoverRegions"] = list(first.failover_regions)
    interval = first.parameters.get("refreshInterval")
    try:
        seconds = parse_refresh_interval(interval.text, "")
    except MountError as error:
        notes.append(Note(spot=interval.spot, kind=NoteKind.LOST, what=f"refreshInterval: {error.what}"))
        seconds = None
    if seconds is not None:
        spec["refreshInterval"] = f"{int(seconds)}s"
        if seconds != int(seconds):
            notes.append(Note(spot=interval.spot, kind=NoteKind.LOST, what=f"the fraction of {interval.text!r}"))
    if first.region:
        what = f"the region {first.region!r} is the stack's: deploy the app in a stack of that region"
        notes.append(Note(spot=first.parameters.get("region").spot, kind=NoteKind.ASSUMED, what=what))
    return spec


def _same(documents: list[ClassDocument], key: str, notes: list[Note]) -> None:
    """Note a parameter in which classes of one app differ: a spec says it once."""
    first, *others = documents
    for item in others:
        part = item.parameters.get(key)
        if part.text != first.parameters.get(key).text:
            what = f"{key} {part.text!r} of the class {item.name!r}: the app has that of the class {first.name!r}"
            notes.append(Note(spot=part.spot, kind=NoteKind.LOST, what=what))


def _with_key(document: ClassDocument, found: ImportedObject, material: Material, notes: list[Note]) -> Entry:
    key = keys_of(found, document, policies_of(document, material), notes)
    if not key:
        return found.entry
    order = {name: number for number, name in enumerate(("name", "file", "mode", "kmsKey", *SECRET.names))}
    return dict(sorted({**found.entry, "kmsKey": key}.items(), key=lambda pair: order.get(pair[0], len(order))))


def _sync(mounted: MountedClass, notes: list[Note]) -> Iterator[Entry]:
    for secret in mounted.document.secret_objects():
        data: dict[str, str] = {}
        for item in secret.get("data").items():
            if item.get("key").text in data:
                what = f"the key {item.get('key').text!r} of a synced Secret stands twice"
                notes.append(Note(spot=item.spot, kind=NoteKind.LOST, what=what))
            data.setdefault(item.get("key").text, item.get("objectName").text)
        mount = {"mount": mounted.name} if mounted.name else {}
        kind = secret.get("type").text or "Opaque"
        yield {"secret": secret.get("secretName").text, **mount, "type": kind, "data": data}


# ------------------------------------------------------------------------------------------------ what the reader takes


def _valid(group: AppGroup, spec: Entry, notes: list[Note]) -> ImportedApp | None:
    """Leave out what the reader refuses, until it takes the rest; None when nothing is left."""
    spot = group.mounts[0].document.part.spot
    for _ in range(_ROUND_LIMIT):
        text = dump_yaml(spec)
        try:
            parse_specs(text)
        except SpecErrors as errors:
            if not _without(spec, errors.problems[0], spot, notes):
                break
            continue
        return ImportedApp(app=group.app, spec=spec, text=text)
    gone = [name for title in ("secrets", "parameters", "sync") for name in _names(spec.get(title))]
    what = f"the app {group.app!r}" + (f" with {', '.join(map(repr, gone))}" if gone else "")
    notes.append(Note(spot=spot, kind=NoteKind.LOST, what=f"{what}: nothing is left that a spec can say"))
    return None


def _names(entries: object) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else []:
        yield str(entry.get("name") or entry.get("secret")) if isinstance(entry, dict) else str(entry)


def _without(spec: Entry, problem: Problem, spot: Spot, notes: list[Note]) -> bool:
    """Take away the smallest thing that a problem is about; say whether there was one."""
    cause = f"{problem.what} [{problem.code}]"
    found = _ENTRY.match(problem.spot.field)
    if found:
        entries = spec.get(found[1])
        if isinstance(entries, list) and int(found[2]) < len(entries):
            gone = entries.pop(int(found[2]))
            if not entries:
                del spec[found[1]]
            (name,) = _names([gone])
            notes.append(Note(spot=spot, kind=NoteKind.LOST, what=f"{found[1]} entry {name!r}: {cause}"))
            return bool(spec.get("secrets") or spec.get("parameters"))
    key = problem.spot.field.partition(".")[0].partition("[")[0]
    if key in spec and key not in {"version", "app", "namespace"}:
        notes.append(Note(spot=spot, kind=NoteKind.LOST, what=f"{key!r}: {cause}"))
        del spec[key]
        return True
    notes.append(Note(spot=spot, kind=NoteKind.LOST, what=cause))
    return False
