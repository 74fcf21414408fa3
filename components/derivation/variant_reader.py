"""One variant of an app, the base or an environment's, from a record that was read to an `AppVariant`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from .errors import ProblemList, Spot
from .mount_reader import check_mounts, read_mounts
from .object_checks import FileSet, FileSets
from .object_reader import read_objects
from .read_fields import Fields
from .shape import BROKEN, Read, ReadList, ReadMap, ReadRecord
from .spec import (
    DEFAULT_MOUNT_PATH,
    AppName,
    AppVariant,
    ChainEntry,
    Identity,
    ObjectEntry,
    PathEntry,
    PodIdentityEntry,
    PodIdentityScope,
    Store,
    SyncEntry,
    SyncItem,
)
from .suppression_reader import read_suppressions
from .template_checks import check_template

_TLS_TYPE, _TLS_KEYS = "kubernetes.io/tls", {"tls.crt", "tls.key"}


class ObjectMemory:
    """The objects of an app as read last, so that an overlay that leaves them alone costs nothing."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._key: tuple[Read | None, Read | None, tuple[str, ...]] | None = None
        self._value: tuple[tuple[ObjectEntry, ...], FileSets] = ((), FileSets())

    def read(
        self, fields: Fields, failover: tuple[str, ...], problems: ProblemList
    ) -> tuple[tuple[ObjectEntry, ...], FileSets]:
        """Return the objects of a variant and the files of its mounts."""
        secrets, parameters = fields.get("secrets"), fields.get("parameters")
        key = self._key
        if key is None or key[0] is not secrets or key[1] is not parameters or key[2] != failover:
            files = FileSets()
            objects = (
                *read_objects(secrets, Store.SECRETS_MANAGER, files, failover, problems),
                *read_objects(parameters, Store.PARAMETER_STORE, files, failover, problems),
            )
            self._key, self._value = (secrets, parameters, failover), (objects, files)
        return self._value


def read_variant(record: ReadRecord, at: Spot, problems: ProblemList, memory: ObjectMemory) -> AppVariant | None:
    """Read one variant. Goes on after problems; returns None when a value that it needs is unknown."""
    return _VariantReader(Fields(record, at), problems, memory).read()


class _VariantReader:
    def __init__(self, fields: Fields, problems: ProblemList, memory: ObjectMemory) -> None:
        self._fields = fields
        self._problems = problems
        self._memory = memory

    def read(self) -> AppVariant | None:
        fields = self._fields
        app, namespace = fields.text("app"), fields.text("namespace")
        failover = self._failover_regions()
        objects, files = self._memory.read(fields, failover, self._problems)
        paths = tuple(self._paths())
        self._check_objects(objects, files)
        sync = self._sync(files)
        mount_path = fields.text("mountPath") or DEFAULT_MOUNT_PATH
        mounts = read_mounts(fields.get("mounts"))
        if self._is_whole("mounts"):
            default = (mount_path, fields.at("mountPath"))
            reads = bool(objects or paths)
            check_mounts(mounts, objects, sync, default, self._problems, reads_something=reads)
        chain, pod_identity = self._chain(), self._pod_identity()
        if chain and pod_identity and pod_identity.target_role:
            rule = "One second role reads: either the provider assumes it, or EKS"
            what = "'assumeRole' and 'podIdentity.targetRole' stand together"
            self._problems.add(chain.at, "SPEC029", what, rule, "remove one of them")
        renamed_from = self._renamed_from(app)
        if app is None or namespace is None:
            return None
        identity = fields.text("identity")
        return AppVariant(
            app=AppName(app),
            owner=fields.text("owner") or "",
            namespace=namespace,
            service_account=fields.text("serviceAccount") or (renamed_from or (app,))[0],
            identity=Identity(identity) if identity else None,
            mount_path=mount_path,
            mounts=mounts,
            refresh_interval_seconds=fields.number("refreshInterval"),
            failover_regions=failover,
            objects=objects,
            sync=sync,
            paths=paths,
            chain=chain,
            pod_identity=pod_identity,
            pod_labels=self._pod_labels(),
            renamed_from=renamed_from,
            suppress=read_suppressions(fields.get("suppress")),
            at=fields.at("app"),
            failover_at=fields.at("failoverRegions"),
        )

    def _check_objects(self, objects: tuple[ObjectEntry, ...], files: FileSets) -> None:
        if not objects and not self._names_objects():
            rule = "An app spec says what the app reads"
            fix = "add 'secrets:' or 'parameters:'"
            self._problems.add(self._fields.at("app"), "SPEC021", "the app reads nothing", rule, fix)
        for entry in objects:
            own = files.of(entry.mount)
            # A default name with variables is known in its environment only; the derivation checks it there.
            if entry.template and not any("${" in name for name in own.names()):
                check_template(entry.template, own, self._problems)

    def _names_objects(self) -> bool:
        lists = [read.value for name in ("secrets", "parameters", "parameterPaths") if (read := self._fields.get(name))]
        return any(not isinstance(value, ReadList) or value.items for value in lists)

    def _is_whole(self, name: str) -> bool:
        """Say whether a mapping is absent, or was read without a problem."""
        read = self._fields.get(name)
        value = read.value if read else None
        return read is None or (
            isinstance(value, ReadMap) and all(entry.value is not BROKEN for _, entry in value.entries)
        )

    def _failover_regions(self) -> tuple[str, ...]:
        regions: list[str] = []
        for region, at in self._fields.texts("failoverRegions"):
            if region in regions:
                what = f"the region {region!r} stands twice"
                self._problems.add(at, "SPEC022", what, "Each region is asked once", "remove one")
            else:
                regions.append(region)
        return tuple(regions)

    def _paths(self) -> Iterator[PathEntry]:
        seen: dict[str, Spot] = {}
        for fields in self._fields.records("parameterPaths"):
            path, at = fields.text("path"), fields.at("path")
            if path is None:
                continue
            if path in seen:
                what = f"the path {path!r} stands here and in line {seen[path].line}"
                self._problems.add(at, "SPEC019", what, "A path is named once", "join the two entries")
                continue
            seen[path] = at
            yield PathEntry(
                path=path,
                reason=fields.text("reason") or "",
                kms_key=fields.text("kmsKey") or "",
                owner=fields.text("owner") or "",
                suppress=read_suppressions(fields.get("suppress")),
                at=at,
                key_at=fields.at("kmsKey") if "kmsKey" in fields else at,
            )

    def _chain(self) -> ChainEntry | None:
        fields = self._fields.record("assumeRole")
        role = fields.text("role") if fields else None
        if fields is None or role is None:
            return None
        return ChainEntry(role=role, external_id=fields.text("externalId") or "", at=fields.at("role"))

    def _pod_identity(self) -> PodIdentityEntry | None:
        fields = self._fields.record("podIdentity")
        if fields is None:
            return None
        return PodIdentityEntry(
            scope=PodIdentityScope(fields.text("scope") or PodIdentityScope.ROLE),
            target_role=fields.text("targetRole"),
            share_across_pods=fields.flag("shareAcrossPods"),
            address_type=fields.text("addressType") or "",
            at=self._fields.at("podIdentity"),
        )

    def _pod_labels(self) -> tuple[tuple[str, str], ...]:
        entries = self._fields.entries("podLabels")
        return tuple(sorted((key, value.value) for key, _, value in entries if isinstance(value.value, str)))

    def _renamed_from(self, app: str | None) -> tuple[str, ...]:
        names: list[str] = []
        for name, at in self._fields.texts("renamedFrom"):
            if name == app or name in names:
                rule = "It lists the names that the app had before, the first one first, each once"
                self._problems.add(at, "SPEC037", f"{name!r} is no earlier name", rule, "remove it")
            else:
                names.append(name)
        return tuple(names)

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
