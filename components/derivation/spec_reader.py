"""Spec files to `AppSpec` values: strict, every problem of every file at once.

The form comes from spec_shape.py, the rules of one object from object_checks.py; here are the rules of one app and of
all apps together. What needs the environment (does this ARN lie in its region?) is checked by the derivation.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from components.derivation.errors import ProblemList, Spot
from components.derivation.mount_reader import check_mounts, read_mounts
from components.derivation.object_checks import FileSet, FileSets
from components.derivation.object_reader import read_objects
from components.derivation.overlay import lay_over
from components.derivation.shape import BROKEN, Read, ReadList, ReadMap, ReadRecord
from components.derivation.spec import (
    DEFAULT_MOUNT_PATH,
    AppName,
    AppSpec,
    AppVariant,
    Identity,
    Store,
    SyncEntry,
    SyncItem,
)
from components.derivation.spec_shape import APP
from components.derivation.suppression_reader import read_suppressions
from components.derivation.yaml_source import Mapping, Node, Scalar, parse_yaml

_SUFFIXES = (".yaml", ".yml")
_TLS_TYPE, _TLS_KEYS = "kubernetes.io/tls", {"tls.crt", "tls.key"}


def load_specs(paths: Sequence[str | os.PathLike[str]]) -> tuple[AppSpec, ...]:
    """Read spec files; of a directory every `*.yaml` and `*.yml` in it, sorted by name.

    Returns:
        The apps sorted by name.

    Raises:
        SpecErrors: With every problem of every file.
    """
    problems = ProblemList()
    sources = _read_paths(paths, problems)
    specs = _read_sources(sources, problems)
    problems.raise_if_any()
    return specs


def load_spec_texts(paths: Sequence[str | os.PathLike[str]]) -> tuple[tuple[str, str], ...]:
    """Return name and text of every file that `load_specs` would read, line ends as they are.

    Raises:
        SpecErrors: SPEC027 for every file that cannot be read.
    """
    problems = ProblemList()
    sources = _read_paths(paths, problems)
    problems.raise_if_any()
    return tuple(sources)


def parse_specs(text: str, source: str = "<text>") -> tuple[AppSpec, ...]:
    """Read the apps of one text (one YAML document each); like `load_specs`."""
    return parse_spec_texts([(source, text)])


def parse_spec_texts(sources: Iterable[tuple[str, str]]) -> tuple[AppSpec, ...]:
    """Read the apps of several files that are read already, as name and text; like `load_specs`."""
    problems = ProblemList()
    specs = _read_sources(sources, problems)
    problems.raise_if_any()
    return specs


def _read_paths(paths: Sequence[str | os.PathLike[str]], problems: ProblemList) -> list[tuple[str, str]]:
    return [entry for path in paths for entry in _read_files(Path(path), problems)]


def _read_files(path: Path, problems: ProblemList) -> list[tuple[str, str]]:
    spot = Spot(source=str(path), line=1, column=1)
    if path.is_dir():
        files = sorted(item for item in path.iterdir() if item.suffix in _SUFFIXES and item.is_file())
        if not files:
            problems.add(
                spot, "SPEC027", "the folder holds no *.yaml", "App specs are YAML files", "name another folder"
            )
        return [entry for file in files for entry in _read_files(file, problems)]
    try:
        return [(str(path), path.read_bytes().decode("utf-8"))]
    except UnicodeDecodeError:
        problems.add(spot, "SPEC027", "the file is not UTF-8 text", "A spec is YAML in UTF-8", "save it as UTF-8")
    except OSError as error:
        what = f"the file cannot be read ({error.strerror})"
        problems.add(spot, "SPEC027", what, "A spec is a file or a folder of files", "check the path and its rights")
    return []


def _read_sources(sources: Iterable[tuple[str, str]], problems: ProblemList) -> tuple[AppSpec, ...]:
    specs: list[AppSpec] = []
    for source, text in sources:
        before = len(problems)
        documents = parse_yaml(text, source, problems)
        if not documents and len(problems) == before:
            spot = Spot(source=source, line=1, column=1)
            problems.add(
                spot, "SPEC021", "the file is empty", "A spec names an app and what it reads", "write an app spec"
            )
        for document in documents:
            spec = _read_app(document, problems)
            if spec is not None:
                specs.append(spec)
    _check_unique(specs, problems)
    return tuple(sorted(specs, key=lambda spec: spec.app))


def _read_app(node: Node, problems: ProblemList) -> AppSpec | None:
    if not _version_is_known(node, problems):
        return None
    record = APP.read(node, problems)
    if not isinstance(node, Mapping):
        return None
    if record is BROKEN:
        # A required key is missing; what the rest means is still checked, on an app without that key.
        record = ReadRecord(
            fields={
                field.name: Read(value=field.shape.read(child, problems), node=child)
                for field in APP.fields
                if (child := node.get(field.name)) is not None
            }
        )
    base = _VariantReader(record, node, problems).read()
    overlays: dict[str, AppVariant | None] = {}
    environments = node.get("environments")
    if isinstance(environments, Mapping):
        for key, overlay in environments.items:
            if isinstance(overlay, Mapping):
                merged = lay_over(node, overlay)
                again = APP.read(merged, problems)
                overlays[key.text] = None if again is BROKEN else _VariantReader(again, merged, problems).read()
    if base is None or any(variant is None for variant in overlays.values()):
        return None
    whole = {name: variant for name, variant in overlays.items() if variant is not None}
    return AppSpec(app=base.app, base=base, overlays=whole, at=base.at)


def _version_is_known(node: Node, problems: ProblemList) -> bool:
    version = node.get("version") if isinstance(node, Mapping) else None
    if isinstance(version, Scalar) and version.text.isdigit() and version.text != "1":
        what = f"version {version.text} is not known to this release"
        problems.add(
            version.at, "SPEC024", what, "This release reads version 1", "write 'version: 1', or update Lockstep"
        )
        return False
    return True


class _VariantReader:
    """Reads one variant of an app. Goes on after problems; returns None when a value that it needs is unknown."""

    def __init__(self, record: ReadRecord, node: Mapping, problems: ProblemList) -> None:
        self._fields = record.fields
        self._node = node
        self._problems = problems

    def read(self) -> AppVariant | None:
        app = self._text("app")
        namespace = self._text("namespace")
        failover = self._failover_regions()
        files = FileSets()
        objects = [
            *read_objects(self._fields.get("secrets"), Store.SECRETS_MANAGER, files, failover, self._problems),
            *read_objects(self._fields.get("parameters"), Store.PARAMETER_STORE, files, failover, self._problems),
        ]
        if not objects and not self._names_objects():
            rule = "An app spec says what the app reads"
            self._problems.add(
                self._at("app"), "SPEC021", "the app reads nothing", rule, "add 'secrets:' or 'parameters:'"
            )
        sync = self._sync(files)
        mounts = read_mounts(self._fields.get("mounts"))
        mount_path = self._text("mountPath") or DEFAULT_MOUNT_PATH
        if self._is_whole("mounts"):
            check_mounts(mounts, objects, sync, (mount_path, self._at("mountPath")), self._problems)
        refresh = self._fields.get("refreshInterval")
        if app is None or namespace is None:
            return None
        identity = self._text("identity")
        return AppVariant(
            app=AppName(app),
            owner=self._text("owner") or "",
            namespace=namespace,
            service_account=self._text("serviceAccount") or app,
            identity=Identity(identity) if identity else None,
            mount_path=mount_path,
            mounts=mounts,
            refresh_interval_seconds=refresh.value if refresh and isinstance(refresh.value, int) else None,
            failover_regions=failover,
            objects=tuple(objects),
            sync=sync,
            at=self._at("app"),
            failover_at=self._at("failoverRegions"),
            suppress=read_suppressions(self._fields.get("suppress")),
        )

    def _names_objects(self) -> bool:
        lists = [read.value for name in ("secrets", "parameters") if (read := self._fields.get(name))]
        return any(not isinstance(value, ReadList) or value.items for value in lists)

    def _is_whole(self, name: str) -> bool:
        """Say whether a mapping is absent, or was read without a problem."""
        read = self._fields.get(name)
        value = read.value if read else None
        return read is None or (
            isinstance(value, ReadMap) and all(entry.value is not BROKEN for _, entry in value.entries)
        )

    def _at(self, name: str) -> Spot:
        read = self._fields.get(name)
        return read.node.at if read else self._node.at

    def _text(self, name: str) -> str | None:
        read = self._fields.get(name)
        return read.value if read and isinstance(read.value, str) else None

    def _failover_regions(self) -> tuple[str, ...]:
        read = self._fields.get("failoverRegions")
        if read is None or not isinstance(read.value, ReadList):
            return ()
        regions: list[str] = []
        for item in read.value.items:
            if not isinstance(item.value, str):
                continue
            if item.value in regions:
                what = f"the region {item.value!r} stands twice"
                self._problems.add(item.node.at, "SPEC022", what, "Each region is asked once", "remove one")
            else:
                regions.append(item.value)
        return tuple(regions)

    def _sync(self, files: FileSets) -> tuple[SyncEntry, ...]:
        read = self._fields.get("sync")
        if read is None or not isinstance(read.value, ReadList):
            return ()
        entries: list[SyncEntry] = []
        seen: dict[str, Spot] = {}
        for item in read.value.items:
            if not isinstance(item.value, ReadRecord):
                continue
            entry = self._sync_entry(item.value, item.node.at, files)
            if entry.secret in seen:
                what = f"the Secret {entry.secret!r} stands here and in line {seen[entry.secret].line}"
                self._problems.add(entry.at, "SPEC019", what, "A Secret is filled by one entry", "join the two entries")
            elif entry.secret:
                seen[entry.secret] = entry.at
                entries.append(entry)
        return tuple(entries)

    def _sync_entry(self, record: ReadRecord, at: Spot, files: FileSets) -> SyncEntry:
        secret, kind, data = (record.fields.get(name) for name in ("secret", "type", "data"))
        mount = record.fields.get("mount")
        mount_name = mount.value if mount and isinstance(mount.value, str) else ""
        items: list[SyncItem] = []
        if data and isinstance(data.value, ReadMap):
            for key, value in data.value.entries:
                if isinstance(value.value, str):
                    items.append(SyncItem(key=key.text, file=value.value, at=value.node.at))
                    self._check_reference(value.value, value.node.at, files.of(mount_name))
        kind_text = kind.value if kind and isinstance(kind.value, str) else "Opaque"
        if kind_text == _TLS_TYPE and data and {item.key for item in items} != _TLS_KEYS:
            rule = f"A Secret of type {_TLS_TYPE} has exactly the keys tls.crt and tls.key"
            self._problems.add(
                data.node.at, "SPEC016", "the keys do not fit the type", rule, "name both keys, and only them"
            )
        name = secret.value if secret and isinstance(secret.value, str) else ""
        place = secret.node.at if secret else at
        return SyncEntry(secret=name, mount=mount_name, type=kind_text, data=tuple(items), at=place)

    def _check_reference(self, file: str, at: Spot, files: FileSet) -> None:
        if not files.complete or file in files:
            return
        close = difflib.get_close_matches(file, files.names(), n=1)
        names = ", ".join(files.names())
        fix = f"name one of: {names}" if names else "name the mount that holds it with 'mount:'"
        fix = f"did you mean {close[0]!r}?" if close else fix
        rule = "A synced key copies a file of its mount, by the file's name"
        self._problems.add(at, "SPEC015", f"no object of the mount is the file {file!r}", rule, fix)


def _check_unique(specs: list[AppSpec], problems: ProblemList) -> None:
    first: dict[str, Spot] = {}
    for spec in specs:
        if spec.app in first:
            other = first[spec.app]
            what = f"the app {spec.app!r} stands here and in {other.source}:{other.line}"
            problems.add(spec.at, "SPEC019", what, "An app has one spec", "rename or remove one of them")
        first.setdefault(spec.app, spec.at)
    environments = sorted({name for spec in specs for name in spec.overlays})
    for environment in ("", *environments):
        accounts: dict[tuple[str, str], AppVariant] = {}
        for variant in (spec.for_environment(environment) for spec in specs):
            key = (variant.namespace, variant.service_account)
            other_variant = accounts.setdefault(key, variant)
            if other_variant.app != variant.app:
                what = f"the service account {key[0]}/{key[1]} belongs to the app {other_variant.app!r} too"
                rule = "Pods of one service account share one role, so two apps would read each other's secrets"
                problems.add(variant.at, "SPEC020", what, rule, "give each app a 'serviceAccount:' of its own")
