"""The `secrets` and `parameters` of an app to `ObjectEntry` values, one entry at a time, for spec_reader.py."""

from __future__ import annotations

from collections.abc import Iterator

from .arn import Arn
from .errors import ProblemList, Spot
from .object_checks import FileSets, check_file, check_json_path, check_name, check_optional, default_file
from .read_fields import Fields
from .shape import Read, ReadList, ReadMap, ReadRecord
from .spec import (
    DEFAULT_MODE,
    OWN_KEY,
    FailoverEntry,
    JsonKeyEntry,
    KeyEntry,
    ObjectEntry,
    RestrictEntry,
    Selector,
    Store,
    TemplateEntry,
)
from .suppression_reader import read_suppressions
from .variables import SAMPLE, substitute

#: Multi-Region keys keep their id in every region; others do not exist elsewhere.
_MULTI_REGION_KEY = "key/mrk-"
_SELECTORS = ("version", "label", "stage", "versionId")


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
        fields = Fields(item.value, item.node.at)
        entry = _EntryReader(fields, store, files, problems).read(failover_regions)
        if entry is not None:
            yield entry


class _EntryReader:
    def __init__(self, fields: Fields, store: Store, files: FileSets, problems: ProblemList) -> None:
        self._fields = fields
        self._store = store
        self._mount = fields.text("mount") or ""
        if fields.is_broken("mount"):
            files.give_up()
        self._files = files.of(self._mount)
        self._problems = problems

    def read(self, failover_regions: tuple[str, ...]) -> ObjectEntry | None:
        fields = self._fields
        name, name_at = fields.text("name"), fields.at("name")
        if name is not None:
            check_name(name, self._store, name_at, self._problems)
        file, file_at = self._file(name, name_at)
        keys = tuple(self._keys())
        template = self._template()
        kms_keys = (*self._kms_keys(), *self._failover_kms_keys())
        self._check_failover_keys(kms_keys, failover_regions)
        selector = self._selector(fields)
        failover = tuple(self._failover(failover_regions, selector))
        restrict = self._restrict()
        if name is None:
            return None
        entry = ObjectEntry(
            store=self._store,
            name=name,
            file=file,
            mode=fields.text("mode") or DEFAULT_MODE,
            mount=self._mount,
            owner=fields.text("owner") or "",
            keys=keys,
            kms_keys=kms_keys,
            selector=selector,
            failover=failover,
            optional=fields.flag("optional"),
            encoding=fields.text("encoding") or "",
            non_text=fields.text("nonText") or "",
            all_keys=self._has_all_keys,
            template=template,
            full_arn=fields.flag("fullArn"),
            restrict=restrict,
            suppress=read_suppressions(fields.get("suppress")),
            at=name_at,
            file_at=file_at,
            mount_at=fields.at("mount") if "mount" in fields else name_at,
        )
        check_optional(entry, self._problems)
        return entry

    @property
    def _has_all_keys(self) -> bool:
        return self._fields.text("keys") is not None

    # ------------------------------------------------------------------------------------------------------- files
    def _file(self, name: str | None, name_at: Spot) -> tuple[str | None, Spot]:
        if self._fields.is_broken("file"):
            self._files.complete = False
            return None, self._fields.at("file")
        file = self._fields.text("file")
        if file is not None:
            self._add_file(file, self._fields.at("file"))
            return file, self._fields.at("file")
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
        if self._has_all_keys or not isinstance(read.value, ReadMap):
            self._files.complete = False  # only the value tells which files there are
            return
        for key, value in read.value.entries:
            check_json_path(key.text, key.at, self._problems)
            entry = _json_key(key.text, value)
            if entry is None:
                self._files.complete = False
                continue
            self._add_file(entry.file, entry.at)
            yield entry

    def _template(self) -> TemplateEntry | None:
        fields = self._fields.record("template")
        file, text = (fields.text("file"), fields.text("text")) if fields else (None, None)
        if fields is None or file is None:
            return None
        self._add_file(file, fields.at("file"))
        self._files.templates.add(file)
        if text is None:
            return None
        return TemplateEntry(file=file, text=text, mode=fields.text("mode"), at=fields.at("text"))

    # -------------------------------------------------------------------------------------------------------- keys
    def _kms_keys(self) -> Iterator[KeyEntry]:
        single = self._fields.text("kmsKey")
        if single is not None:
            yield KeyEntry(region=None, arn=_key_arn(single), at=self._fields.at("kmsKey"))
        for region, _, value in self._fields.entries("kmsKey"):
            if isinstance(value.value, str):
                self._check_region(region, value.value, "key", value.node.at)
                yield KeyEntry(region=region, arn=_key_arn(value.value), at=value.node.at)

    def _failover_kms_keys(self) -> Iterator[KeyEntry]:
        named = {region for region, _, _ in self._fields.entries("kmsKey")}
        for region, _, value in self._fields.entries("failover"):
            fields = Fields(value.value, value.node.at) if isinstance(value.value, ReadRecord) else None
            arn = fields.text("kmsKey") if fields else None
            if fields is None or arn is None:
                continue
            at = fields.at("kmsKey")
            self._check_region(region, arn, "key", at)
            if region in named:
                what = f"the key of {region} stands in 'kmsKey' too"
                self._problems.add(at, "SPEC022", what, "A region has one key", "remove one of them")
            yield KeyEntry(region=region, arn=_key_arn(arn), at=at)

    def _check_region(self, region: str, arn_text: str, what: str, at: Spot) -> None:
        written = Arn.parse(arn_text)
        if written is not None and written.region not in {region, "${region}"}:
            found = f"the {what} of {region} lies in {written.region}"
            rule = f"{'A key serves' if what == 'key' else 'An ARN is read in'} its own region"
            self._problems.add(at, "SPEC011", found, rule, f"name the {what} of {region}")

    def _check_failover_keys(self, keys: tuple[KeyEntry, ...], failover_regions: tuple[str, ...]) -> None:
        by_region = {key.region: key for key in keys}
        single = by_region.get(None)
        if not keys or (single is not None and (not single.arn or _MULTI_REGION_KEY in single.arn)):
            return
        for region in failover_regions:
            if region not in by_region:
                what = f"there is no key for the failover region {region}"
                rule = (
                    "A replica is encrypted by a key of its own region (only multi-Region keys, mrk-…, keep their id)"
                )
                fix = f"write 'kmsKey:' as a mapping, with a line for {region} ('{OWN_KEY}' for AWS's own key)"
                self._problems.add(keys[0].at, "SPEC022", what, rule, fix)

    # ------------------------------------------------------------------------------------------ versions and regions
    def _selector(self, fields: Fields) -> Selector:
        given = [name for name in _SELECTORS if name in fields]
        if len(given) > 1:
            kind = "secret" if self._store is Store.SECRETS_MANAGER else "parameter"
            what = f"{given[0]!r} and {given[1]!r} stand together"
            rule = f"A {kind} is read by one selector"
            self._problems.add(fields.at(given[1]), "SPEC012", what, rule, "remove one of them")
        return Selector(
            version=fields.number("version"),
            label=fields.text("label") or "",
            stage=fields.text("stage") or "",
            version_id=fields.text("versionId") or "",
        )

    def _failover(self, failover_regions: tuple[str, ...], primary: Selector) -> Iterator[FailoverEntry]:
        for region, at, value in self._fields.entries("failover"):
            if not isinstance(value.value, ReadRecord):
                continue
            if region not in failover_regions:
                rule = "What differs is said for regions of 'failoverRegions'"
                fix = f"add {region} to 'failoverRegions', or remove it here"
                self._problems.add(at, "SPEC022", f"{region} is no failover region of this app", rule, fix)
            yield self._failover_entry(region, Fields(value.value, value.node.at), primary)

    def _failover_entry(self, region: str, fields: Fields, primary: Selector) -> FailoverEntry:
        name = fields.text("name")
        if name is not None:
            check_name(name, self._store, fields.at("name"), self._problems)
            self._check_region(region, name, "ARN", fields.at("name"))
        selector = self._selector(fields)
        at = fields.at(selector.kind) if selector.kind else fields.at("name")
        if selector.kind and selector.kind != primary.kind:
            elsewhere = repr(primary.kind) if primary.kind else "no selector"
            what = f"{selector.kind!r} is asked for in {region}, and {elsewhere} elsewhere"
            rule = "Every region is read by the same kind of selector"
            self._problems.add(at, "SPEC012", what, rule, f"give the object {selector.kind!r} too, or remove it here")
        elif selector.kind in {"version", "versionId"} and selector != primary and (name or self._is_arn):
            rule = "Where the failover region has a name or ARN of its own, the provider asks for the same version"
            self._problems.add(at, "SPEC012", f"the version in {region} is another one", rule, "remove it here")
        return FailoverEntry(region=region, name=name, selector=selector, at=at)

    @property
    def _is_arn(self) -> bool:
        return (self._fields.text("name") or "").startswith("arn:")

    def _restrict(self) -> RestrictEntry | None:
        fields = self._fields.record("restrict")
        if fields is None:
            return None
        return RestrictEntry(
            break_glass=tuple(text for text, _ in fields.texts("breakGlass")),
            rotation_role=fields.text("rotationRole"),
            readers=tuple(text for text, _ in fields.texts("readers")),
            adopt=fields.flag("adopt"),
            at=self._fields.at("restrict"),
        )


def _key_arn(text: str) -> str:
    return "" if text == OWN_KEY else text


def _json_key(path: str, value: Read) -> JsonKeyEntry | None:
    if isinstance(value.value, str):
        return JsonKeyEntry(path=path, file=value.value, mode=None, at=value.node.at)
    fields = Fields(value.value, value.node.at) if isinstance(value.value, ReadRecord) else None
    file = fields.text("file") if fields else None
    if fields is None or file is None:
        return None
    return JsonKeyEntry(
        path=path,
        file=file,
        mode=fields.text("mode"),
        encoding=fields.text("encoding") or "",
        non_text=fields.text("nonText") or "",
        at=fields.at("file"),
    )
