"""Which classes belong to one app: those that pods of one service account mount. Names and paths of their mounts.

Where nothing given says who mounts a class, a guess is made and noted. Not done here: what the classes hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..lint.class_document import ClassDocument
from ..lint.material import Material, PodText
from ..lint.part import Part
from ..manifests import VOLUME_NAME
from ..spec import DEFAULT_MOUNT_PATH
from .notes import Note, NoteKind

_NOT_LABEL = re.compile(r"[^a-z0-9-]+")
_MOUNT_NAME_LIMIT = 40
_LABEL_LIMIT = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedClass:
    """One class of an app: the mount's name ("" for the default one), its path, and the volume that mounts it."""

    document: ClassDocument
    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppGroup:
    """One app to be: its name, where its pods run and as whom, its mounts, and what was guessed."""

    app: str
    namespace: str
    service_account: str
    mounts: tuple[MountedClass, ...]
    notes: tuple[Note, ...]


@dataclass(slots=True)
class _User:
    """A service account that mounts classes."""

    namespace: str
    service_account: str
    classes: list[ClassDocument] = field(default_factory=list)
    volumes: dict[str, tuple[PodText, Part]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def group_classes(material: Material) -> tuple[AppGroup, ...]:
    """Return the apps, sorted by name; every class belongs to at least one."""
    users: dict[tuple[str, str], _User] = {}
    for item in material.classes:
        for namespace, account, note in _accounts_of(item, material):
            user = users.setdefault((namespace, account), _User(namespace=namespace, service_account=account))
            if item not in user.classes:
                user.classes.append(item)
            user.notes += note
    for pod in material.pods:
        for item in material.classes_of(pod):
            namespace = pod.namespace or item.namespace
            mounter = users[namespace, pod.service_account]
            for volume, csi in pod.volumes():
                if csi.get("volumeAttributes", "secretProviderClass").text == item.name:
                    mounter.volumes.setdefault(item.name, (pod, volume))
    taken: set[str] = set()
    return tuple(sorted((_group(user, taken) for _, user in sorted(users.items())), key=lambda group: group.app))


def _accounts_of(item: ClassDocument, material: Material) -> Iterator[tuple[str, str, list[Note]]]:
    """Yield namespace and service account of everybody who mounts a class, or a guess with its note."""
    found = {
        (pod.namespace or item.namespace, pod.service_account)
        for pod in material.pods
        if any(used is item for used in material.classes_of(pod))
    }
    if len(found) > 1:
        shown = ", ".join(account for _, account in sorted(found))
        what = f"the class {item.shown!r} is mounted as {shown}; each gets an app, a role and a class of its own"
        yield from ((*who, [Note(spot=item.part.spot, kind=NoteKind.LOST, what=what)]) for who in sorted(found))
        return
    if found:
        yield (*found.pop(), [])
        return
    account, why = _guessed(item, material)
    what = f"no given pod mounts the class {item.shown!r}; its service account is taken to be {account!r} ({why})"
    yield item.namespace, account, [Note(spot=item.part.spot, kind=NoteKind.ASSUMED, what=what)]


def _guessed(item: ClassDocument, material: Material) -> tuple[str, str]:
    near = [account for account in material.service_accounts if item.may_share_namespace(account.namespace)]
    role = item.parameters.get("roleArn").text
    same_role = sorted({account.name for account in near if role and account.role.text == role})
    if len(same_role) == 1:
        return same_role[0], "it has the class's role"
    if item.name in {account.name for account in near}:
        return item.name, "it has the class's name"
    if len(near) == 1:
        return near[0].name, "it is the only one given in that namespace"
    return item.name, "the class's name"


def _group(user: _User, taken: set[str]) -> AppGroup:
    named = _named(user)
    app, notes = _free(named[0], user, taken)
    mounts = tuple(_mounts(user, named[1], notes))
    if not user.namespace:
        spot = user.classes[0].part.spot
        what = "the input names no namespace, so 'default' is taken"
        notes.append(Note(spot=spot, kind=NoteKind.ASSUMED, what=what))
    return AppGroup(
        app=app,
        namespace=user.namespace or "default",
        service_account=user.service_account,
        mounts=mounts,
        notes=tuple(dict.fromkeys([*user.notes, *notes])),
    )


def _named(user: _User) -> tuple[str, dict[str, str]]:
    """Return the app's name, and class → name of its mount.

    Lockstep's own classes say both: `<app>-<mount>` in a volume `lockstep-secrets-<mount>`.
    """
    names = sorted(item.name for item in user.classes)
    mounts = {name: _own_mount(user.volumes.get(name)) for name in names}
    apps = {name.removesuffix(f"-{mount}") if mount else name for name, mount in mounts.items() if mount is not None}
    if len(apps) == 1 and None not in mounts.values():
        return apps.pop(), {name: mount or "" for name, mount in mounts.items()}
    first = min(names, key=len)
    rest = {name: name.removeprefix(f"{first}-") for name in names if name.startswith(f"{first}-")}
    if len(rest) == len(names) - 1:
        return first, {first: "", **rest}
    return user.service_account, {name: "" if name == user.service_account else name for name in names}


def _own_mount(found: tuple[PodText, Part] | None) -> str | None:
    """Return the mount of a volume with one of Lockstep's names, or None for another name."""
    name = found[1].get("name").text if found else ""
    if name == VOLUME_NAME:
        return ""
    return name.removeprefix(f"{VOLUME_NAME}-") if name.startswith(f"{VOLUME_NAME}-") else None


def label(text: str, limit: int = _LABEL_LIMIT) -> str:
    """Turn a name of Kubernetes into a DNS label.

    >>> label("payments.db")
    'payments-db'
    """
    return _NOT_LABEL.sub("-", text.lower())[:limit].strip("-") or "app"


def _free(name: str, user: _User, taken: set[str]) -> tuple[str, list[Note]]:
    """Return a name that no other app has, as a label."""
    spot = user.classes[0].part.spot
    candidates = [label(name), label(f"{name}-{user.namespace}"), label(f"{name}-{user.service_account}")]
    candidates += [label(f"{name[:50]}-{number}") for number in range(2, len(taken) + 3)]
    chosen = next(item for item in candidates if item not in taken)
    taken.add(chosen)
    if chosen == name:
        return chosen, []
    return chosen, [Note(spot=spot, kind=NoteKind.ASSUMED, what=f"the app of {name!r} is called {chosen!r}")]


def _mounts(user: _User, names: dict[str, str], notes: list[Note]) -> Iterator[MountedClass]:
    used: set[str] = set()
    for item in sorted(user.classes, key=lambda item: names[item.name]):
        name = label(names[item.name], _MOUNT_NAME_LIMIT) if names[item.name] else ""
        while name in used:
            name = f"{name[:36]}-{len(used)}"
        used.add(name)
        paths = list(dict.fromkeys(_paths(user, item)))
        for mount in _sub_paths(user, item):
            what = f"the {mount.text!r} of a subPath mount: the whole directory is mounted"
            notes.append(Note(spot=mount.spot, kind=NoteKind.LOST, what=what))
        path = paths[0] if paths else DEFAULT_MOUNT_PATH + (f"-{name}" if name else "")
        if not paths:
            what = f"no given container says where {item.shown!r} appears; {path!r} is taken"
            notes.append(Note(spot=item.part.spot, kind=NoteKind.ASSUMED, what=what))
        for other in paths[1:]:
            what = f"{item.shown!r} is mounted at {other!r} too; the spec has {path!r}"
            notes.append(Note(spot=item.part.spot, kind=NoteKind.LOST, what=what))
        yield MountedClass(document=item, name=name, path=path)


def _volume_mounts(user: _User, item: ClassDocument) -> Iterator[Part]:
    found = user.volumes.get(item.name)
    for container in found[0].containers() if found else ():
        for mount in container.get("volumeMounts").items():
            if found and mount.get("name").text == found[1].get("name").text:
                yield mount


def _paths(user: _User, item: ClassDocument) -> Iterable[str]:
    return (
        text.rstrip("/") or "/"
        for mount in _volume_mounts(user, item)
        if (text := mount.get("mountPath").text) and not mount.get("subPath")
    )


def _sub_paths(user: _User, item: ClassDocument) -> Iterable[Part]:
    return (mount.get("subPath") for mount in _volume_mounts(user, item) if mount.get("subPath"))
