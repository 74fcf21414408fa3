"""The mounts of an app: which there are, and whether they fit beside each other.

A mount is a class and a volume of its own. Kubelet cannot place a volume inside a read-only one, and a class without
objects is an error in the provider.
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import ProblemList, Spot
from .shape import Read, ReadMap
from .spec import MountEntry, ObjectEntry, SyncEntry


def read_mounts(read: Read | None) -> tuple[MountEntry, ...]:
    """Return the further mounts that could be read, sorted by name."""
    if read is None or not isinstance(read.value, ReadMap):
        return ()
    return tuple(
        MountEntry(name=name.text, path=value.value, at=value.node.at)
        for name, value in sorted(read.value.entries, key=lambda entry: entry[0].text)
        if isinstance(value.value, str)
    )


def check_mounts(
    mounts: Sequence[MountEntry],
    objects: Sequence[ObjectEntry],
    sync: Sequence[SyncEntry],
    default: tuple[str, Spot],
    problems: ProblemList,
    *,
    reads_something: bool,
) -> None:
    """Check that every mount that is named exists, that every mount is used, and that no path lies inside another.

    Args:
        mounts: The further ones.
        objects: Of all mounts.
        sync: Copies of mounted files.
        default: Path of the default mount and its place in the spec.
        problems: Where findings go.
        reads_something: Whether the app names anything at all; that it does not is said elsewhere.
    """
    known = {mount.name: mount for mount in mounts}
    wanted = [(item.mount, item.mount_at) for item in objects] + [(item.mount, item.at) for item in sync]
    for name, at in wanted:
        if name and name not in known:
            rule = f"The mounts of this app are {', '.join(known)}" if known else "This app has no 'mounts:'"
            problems.add(at, "SPEC028", f"there is no mount {name!r}", rule, f"add {name!r} to 'mounts:' with its path")
    used = {item.mount for item in objects}
    for mount in mounts:
        if reads_something and mount.name not in used:
            rule = "A mount shows the files of its objects"
            fix = f"write 'mount: {mount.name}' in an object, or remove the mount"
            problems.add(mount.at, "SPEC028", f"the mount {mount.name!r} holds nothing", rule, fix)
    _check_paths([*([MountEntry(name="", path=default[0], at=default[1])] if "" in used else []), *mounts], problems)


def _check_paths(mounts: Sequence[MountEntry], problems: ProblemList) -> None:
    for index, mount in enumerate(mounts):
        for other in mounts[:index]:
            if f"{mount.path}/".startswith(f"{other.path}/") or f"{other.path}/".startswith(f"{mount.path}/"):
                name = f"mount {other.name!r}" if other.name else "default mount"
                what = f"the path {mount.path!r} and {other.path!r} of the {name} lie in each other"
                rule = "Mounts are read-only, so none can be placed inside another"
                problems.add(mount.at, "SPEC028", what, rule, "give them paths side by side")
