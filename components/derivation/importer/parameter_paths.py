"""Existing leave to read by path to `parameterPaths` of a spec. What cannot be kept exactly is a note.

A policy does not say why somebody reads by path, so that every entry asks for its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..arn import Arn, below
from ..errors import Spot
from ..lint.class_document import ClassDocument
from ..lint.grant_rules import policies_of
from ..lint.material import Material
from ..lint.part import Part
from ..lint.policies import PolicyText
from ..spec_shape import PARAMETER_PATH_NAME
from .entries import Entry
from .notes import Note, NoteKind

REASON = "imported: the policy allows it; say who reads it and why, or remove it"
_ACTION = "ssm:GetParametersByPath"
_PREFIX = "parameter"
_CONTEXT = "kms:EncryptionContext:PARAMETER_ARN"


def paths_of(documents: Iterable[ClassDocument], material: Material, notes: list[Note]) -> list[Entry]:
    """Return the paths that an app's policies let it read, sorted; each spelling of a path is the same one."""
    policies = tuple(dict.fromkeys(policy for item in documents for policy in policies_of(item, material)))
    arns: dict[str, Spot] = {}
    for resource in _resources(policies):
        if not re.fullmatch(PARAMETER_PATH_NAME.pattern, _path(resource.text)):
            what = f"{_ACTION} on {resource.text!r}: a spec names paths without wildcards"
            notes.append(Note(spot=resource.spot, kind=NoteKind.LOST, what=what))
        else:
            arns.setdefault(resource.text.removesuffix("/"), resource.spot)
    paths: dict[str, Entry] = {}
    for text, spot in sorted(arns.items()):
        path = _path(text)
        if path in paths:
            what = f"{_ACTION} on {text!r}: a path is granted in the region of the stack only"
            notes.append(Note(spot=spot, kind=NoteKind.LOST, what=what))
            continue
        key = next(_keys(text, policies), "")
        paths[path] = {"path": path, "reason": REASON, **({"kmsKey": key} if key else {})}
        what = f"{path!r} is read by path by the app itself, for no mount can; find out whether anybody does"
        notes.append(Note(spot=spot, kind=NoteKind.ASSUMED, what=what))
    return list(paths.values())


def _path(resource: str) -> str:
    """Return the path that a resource names; a text that no path is where it names none."""
    arn = Arn.parse(resource)
    is_parameter = arn is not None and arn.service == "ssm" and arn.resource.startswith(_PREFIX)
    return arn.resource.removeprefix(_PREFIX).removesuffix("/") if arn is not None and is_parameter else ""


def _resources(policies: Iterable[PolicyText]) -> Iterator[Part]:
    for policy in policies:
        for item in policy.allows():
            if item.names(_ACTION):
                yield from item.resources


def _keys(path_arn: str, policies: Iterable[PolicyText]) -> Iterator[str]:
    """Yield the keys that a Decrypt allows for everything below a path."""
    for policy in policies:
        for item in policy.allows():
            contexts = {value.text for test in item.tests() if test.is_on(_CONTEXT) for value in test.values}
            if item.grants("kms:Decrypt") and below(path_arn) in contexts:
                yield from (resource.text for resource in item.resources if ":key/" in resource.text)
