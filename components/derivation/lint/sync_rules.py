"""Rules about how large a synced Secret can become.

A linter knows no value, but what its store takes at most. Of one object the keys of its JSON together are no larger
than the object.

Source: Kubernetes (a Secret's data is 1 MiB at most; the API server refuses a larger one).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from provider_runtime.object_values import ObjectType

from ..limits import PARAMETER_VALUE, SECRET_VALUE, SYNCED_SECRET
from ..mounts import file_of
from ..spec import AppVariant, ObjectEntry, Store
from .class_document import ClassDocument, spelled
from .examples import spc
from .material import Material
from .part import Part
from .rule import Example, Hit, Rule, Severity

#: What a file copies: the object, its largest size, and whether the file is the whole of it.
_Copied = tuple[Hashable, int, bool]


def _largest(copied: Iterable[_Copied]) -> int:
    """Return the bytes of a Secret whose objects are as large as they can be."""
    whole, parts = 0, dict[Hashable, int]()
    for item, size, is_whole in copied:
        if is_whole:
            whole += size
        else:
            parts[item] = size
    return whole + sum(parts.values())


def _in_words(name: str, size: int) -> str:
    return f"the Secret {name!r} can take {size:,} bytes, and the API server refuses more than {SYNCED_SECRET.amount:,}"


def _of_classes(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        sources = _files_of_class(item)
        for secret in item.secret_objects():
            names = [entry.get("objectName").text for entry in secret.get("data").items()]
            size = _largest(sources[name] for name in names if name in sources)
            if size > SYNCED_SECRET.amount:
                yield Hit.on(secret, _in_words(secret.get("secretName").text, size))


def _files_of_class(item: ClassDocument) -> dict[str, _Copied]:
    found: dict[str, _Copied] = {}
    for number, entry in enumerate(item.entries):
        whole = spelled(entry, "objectAlias").text or spelled(entry, "objectName").text
        for file, of in item.files().items():
            if of is entry:
                found[file] = (number, _limit_of_entry(entry), file == item.translation.translate(whole))
    return found


def _limit_of_entry(entry: Part) -> int:
    kind, name = spelled(entry, "objectType").text, spelled(entry, "objectName").text
    is_parameter = kind == ObjectType.PARAMETER.value or (not kind and name.startswith("arn:") and ":ssm:" in name)
    return PARAMETER_VALUE.amount if is_parameter else SECRET_VALUE.amount


def _of_specs(material: Material) -> Iterator[Hit]:
    for variant in material.variants():
        sources = dict(_files_of_spec(variant))
        for entry in variant.sync:
            copied = (sources[entry.mount, item.file] for item in entry.data if (entry.mount, item.file) in sources)
            size = _largest(copied)
            if size > SYNCED_SECRET.amount:
                yield Hit(spot=entry.at, what=_in_words(entry.secret, size), suppressions=variant.suppress)


def _files_of_spec(variant: AppVariant) -> Iterator[tuple[tuple[str, str], _Copied]]:
    for entry in variant.objects:
        limit = _limit_of_object(entry)
        yield (entry.mount, file_of(entry)), (entry.at, limit, True)
        for key in entry.keys:
            yield (entry.mount, key.file), (entry.at, limit, False)


def _limit_of_object(entry: ObjectEntry) -> int:
    return SECRET_VALUE.amount if entry.store is Store.SECRETS_MANAGER else PARAMETER_VALUE.amount


def _objects(count: int) -> str:
    return "".join(f"- objectName: s{number}\n  objectType: secretsmanager\n" for number in range(count))


def _copies(count: int) -> str:
    data = "".join(f"    - objectName: s{number}\n      key: K{number}\n" for number in range(count))
    return f"  secretObjects:\n  - secretName: shop-env\n    type: Opaque\n    data:\n{data}"


def _spec(count: int) -> str:
    secrets = "".join(f"  - name: s{number}\n" for number in range(count))
    data = "".join(f"      K{number}: s{number}\n" for number in range(count))
    return f"version: 1\napp: shop\nnamespace: shop\nsecrets:\n{secrets}sync:\n  - secret: shop-env\n    data:\n{data}"


_TOO_MANY = SYNCED_SECRET.amount // SECRET_VALUE.amount + 1
_WHY = (
    "Secrets Manager takes 64 KiB a value, the API server 1 MiB a Secret. Once the values have grown that far the "
    "Secret is no longer written, in the driver's log only, and pods that take it as environment keep the old one."
)
_FIX = "sync the keys that pods need, or write several Secrets"

RULES = (
    Rule(
        code="LS535",
        severity=Severity.WARNING,
        title="The objects of a synced Secret fit into it",
        why=_WHY,
        fix=_FIX,
        bad=Example(manifests=spc(_objects(_TOO_MANY), more=_copies(_TOO_MANY))),
        good=Example(manifests=spc(_objects(_TOO_MANY), more=_copies(_TOO_MANY - 1))),
        check=_of_classes,
    ),
    Rule(
        code="LS813",
        severity=Severity.WARNING,
        title="The objects that a spec syncs into one Secret fit into it",
        why=_WHY,
        fix=_FIX,
        bad=Example(spec=_spec(_TOO_MANY)),
        good=Example(spec=_spec(_TOO_MANY - 1)),
        check=_of_specs,
    ),
)
