"""The `secrets` and `parameters` of an app to `ObjectEntry` values, one entry at a time, for spec_reader.py."""

from __future__ import annotations

from collections.abc import Iterator

from components.derivation.arn import Arn
from components.derivation.errors import ProblemList, Spot
from components.derivation.object_checks import FileSets, check_file, check_json_path, check_name, default_file
from components.derivation.shape import Read, ReadList, ReadMap, ReadRecord, ReadValue
from components.derivation.spec import DEFAULT_MODE, JsonKeyEntry, KeyEntry, ObjectEntry, Store
from components.derivation.suppression_reader import read_suppressions
from components.derivation.variables import SAMPLE, substitute

#: Multi-Region keys keep their id in every region; others do not exist elsewhere.
_MULTI_REGION_KEY = "key/mrk-"


def read_objects(
    read: Read | None, store: Store, files: FileSets, failover_regions: tuple[str, ...], problems: ProblemList
) -> Iterator[ObjectEntry]:
    """Yield the entries of one list that could be read, and add their files to `files`."""
    if read is None:
        return
    if not isinstance(read.value, ReadList):
        files.give_up()
        return
    for item in read.value.items:
        if not isinstance(item.value, ReadRecord):
            files.give_up()
            continue
        entry = _EntryReader(item.value, store, files, problems).read(failover_regions)
        if entry is not None:
            yield entry


class _EntryReader:
    def __init__(self, record: ReadRecord, store: Store, files: FileSets, problems: ProblemList) -> None:
        self._fields = record.fields
        self._store = store
        mount = self._value("mount")
        self._mount = mount if isinstance(mount, str) else ""
        if "mount" in self._fields and not isinstance(mount, str):
            files.give_up()
        self._files = files.of(self._mount)
        self._problems = problems

    def read(self, failover_regions: tuple[str, ...]) -> ObjectEntry | None:
        name = self._fields["name"]
        name_text = name.value if isinstance(name.value, str) else None
        if name_text is not None:
            check_name(name_text, self._store, name.node.at, self._problems)
        file, file_at = self._file(name_text, name.node.at)
        keys = tuple(self._keys())
        kms_keys = tuple(self._kms_keys())
        self._check_failover_keys(kms_keys, failover_regions)
        version, label = self._value("version"), self._value("label")
        if "version" in self._fields and "label" in self._fields:
            at = self._fields["label"].node.at
            rule = "A parameter is read by one selector"
            self._problems.add(at, "SPEC012", "a version and a label stand together", rule, "remove one of them")
        if name_text is None:
            return None
        mode, owner = self._value("mode"), self._value("owner")
        return ObjectEntry(
            store=self._store,
            name=name_text,
            file=file,
            mode=mode if isinstance(mode, str) else DEFAULT_MODE,
            mount=self._mount,
            owner=owner if isinstance(owner, str) else "",
            keys=keys,
            kms_keys=kms_keys,
            version=version if isinstance(version, int) else None,
            label=label if isinstance(label, str) else None,
            at=name.node.at,
            file_at=file_at,
            mount_at=self._fields["mount"].node.at if "mount" in self._fields else name.node.at,
            suppress=read_suppressions(self._fields.get("suppress")),
        )

    def _value(self, name: str) -> ReadValue | None:
        read = self._fields.get(name)
        return read.value if read else None

    def _file(self, name: str | None, name_at: Spot) -> tuple[str | None, Spot]:
        read = self._fields.get("file")
        if read is not None and not isinstance(read.value, str):
            self._files.complete = False
            return None, read.node.at
        if read is not None and isinstance(read.value, str):
            self._add_file(read.value, read.node.at)
            return read.value, read.node.at
        if name is not None:
            self._add_file(default_file(name), name_at, derived_from_name=True)
        else:
            self._files.complete = False
        return None, name_at

    def _add_file(self, file: str, at: Spot, *, derived_from_name: bool = False) -> None:
        checked = substitute(file, SAMPLE)
        if check_file(checked, at, self._problems, derived_from_name=derived_from_name):
            self._files.add(file, at, self._problems)
        else:
            self._files.complete = False

    def _keys(self) -> Iterator[JsonKeyEntry]:
        read = self._fields.get("keys")
        if read is None:
            return
        if not isinstance(read.value, ReadMap):
            self._files.complete = False
            return
        for key, value in read.value.entries:
            check_json_path(key.text, key.at, self._problems)
            file, mode, at = _key_target(value)
            if file is None:
                self._files.complete = False
                continue
            self._add_file(file, at)
            yield JsonKeyEntry(path=key.text, file=file, mode=mode, at=at)

    def _kms_keys(self) -> Iterator[KeyEntry]:
        read = self._fields.get("kmsKey")
        if read is None:
            return
        if isinstance(read.value, str):
            yield KeyEntry(region=None, arn=read.value, at=read.node.at)
        elif isinstance(read.value, ReadMap):
            for region, value in read.value.entries:
                if isinstance(value.value, str):
                    self._check_key_region(region.text, value.value, value.node.at)
                    yield KeyEntry(region=region.text, arn=value.value, at=value.node.at)

    def _check_key_region(self, region: str, arn: str, at: Spot) -> None:
        written = Arn.parse(arn)
        if written is not None and written.region not in {region, "${region}"}:
            what = f"the key of {region} lies in {written.region}"
            self._problems.add(at, "SPEC011", what, "A key serves its own region", f"name the key of {region}")

    def _check_failover_keys(self, keys: tuple[KeyEntry, ...], failover_regions: tuple[str, ...]) -> None:
        by_region = {key.region: key for key in keys}
        single = by_region.get(None)
        if not keys or (single is not None and _MULTI_REGION_KEY in single.arn):
            return
        for region in failover_regions:
            if region not in by_region:
                what = f"there is no key for the failover region {region}"
                rule = (
                    "A replica is encrypted by a key of its own region (only multi-Region keys, mrk-…, keep their id)"
                )
                fix = f"write 'kmsKey:' as a mapping, with a line for {region}"
                self._problems.add(keys[0].at, "SPEC022", what, rule, fix)


def _key_target(value: Read) -> tuple[str | None, str | None, Spot]:
    if isinstance(value.value, str):
        return value.value, None, value.node.at
    if isinstance(value.value, ReadRecord):
        file, mode = value.value.fields.get("file"), value.value.fields.get("mode")
        file_text = file.value if file and isinstance(file.value, str) else None
        mode_text = mode.value if mode and isinstance(mode.value, str) else None
        return file_text, mode_text, file.node.at if file else value.node.at
    return None, None, value.node.at
