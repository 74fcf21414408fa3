"""Which customer key decrypts an object in a region: read from the Decrypt statements of the given policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provider_runtime.object_values import ObjectType

from ..arn import Arn
from ..lint.class_document import ClassDocument
from ..lint.grant_rules import MountedName
from ..lint.policies import PolicyText, StatementText, matches
from ..spec import OWN_KEY
from .entries import ImportedObject
from .notes import Note, NoteKind

_CONTEXT = {
    ObjectType.SECRETS_MANAGER: ("kms:EncryptionContext:SecretARN", "secretsmanager"),
    ObjectType.PARAMETER: ("kms:EncryptionContext:PARAMETER_ARN", "ssm"),
}
_MULTI_REGION = "key/mrk-"


def keys_of(
    found: ImportedObject, item: ClassDocument, policies: Iterable[PolicyText], notes: list[Note]
) -> str | dict[str, str]:
    """Return the `kmsKey` of an object: "" for none, one ARN, or for each region an ARN or AWS's own."""
    documents = tuple(policies)
    regions = (item.region, *item.failover_regions)
    keys: dict[str, str] = {}
    is_unclear = False
    for number, region in enumerate(regions):
        name = MountedName(
            entry=found.part,
            store=found.value.type,
            name=_name_in(found, region, number),
            region=region,
        )
        candidates = sorted(set(_candidates(name, documents)))
        if len(candidates) > 1:
            what = f"which of {len(candidates)} keys encrypts {found.value.name!r} in {region or 'its region'}"
            notes.append(Note(spot=found.part.spot, kind=NoteKind.LOST, what=what))
            is_unclear = True
        elif candidates:
            keys[region] = candidates[0]
    if is_unclear or not keys:
        return ""
    missing = [region for region in regions if region not in keys]
    if missing:
        what = f"{found.value.name!r} is under AWS's own key in {', '.join(missing)}: no given policy names another one"
        notes.append(Note(spot=found.part.spot, kind=NoteKind.ASSUMED, what=what))
    return _shortest(regions, {**dict.fromkeys(missing, OWN_KEY), **keys})


def _name_in(found: ImportedObject, region: str, number: int) -> str:
    name = found.value.name_in(region, number) if region else found.value.name
    arn = Arn.parse(name)
    return str(arn.in_region(region)) if arn and number and region else name


def _shortest(regions: tuple[str, ...], keys: dict[str, str]) -> str | dict[str, str]:
    first = Arn.parse(keys[regions[0]])
    same = first is not None and all(keys[region] == str(first.in_region(region)) for region in regions if region)
    is_single = len(regions) == 1 or (first is not None and first.resource.startswith(_MULTI_REGION))
    return keys[regions[0]] if same and is_single else dict(sorted(keys.items()))


def _candidates(name: MountedName, documents: Iterable[PolicyText]) -> Iterator[str]:
    for document in documents:
        for item in document.allows():
            if item.grants("kms:Decrypt") and _is_for(item, name):
                for resource in item.resources:
                    arn = Arn.parse(resource.text)
                    in_region = arn is not None and (not name.region or arn.region == name.region)
                    if arn is not None and in_region and arn.resource.startswith("key/") and "*" not in resource.text:
                        yield resource.text


def _is_for(item: StatementText, name: MountedName) -> bool:
    """Say whether a Decrypt serves an object; what a statement does not say excludes nothing."""
    key, service = _CONTEXT[name.store]
    contexts = [test for test in item.tests() if test.key.text.lower().startswith("kms:encryptioncontext:")]
    if contexts and not any(
        name.is_covered_by(value.text) for test in contexts if test.is_on(key) for value in test.values
    ):
        return False
    via = [value.text for test in item.tests_on("kms:ViaService") for value in test.values]
    wanted = f"{service}.{name.region or '*'}.amazonaws.com"
    return not via or any(matches(text, wanted) or text.startswith(wanted.rstrip("*")) for text in via)
