"""The small world of a chaos run: who exists, what they may read, what each class gives, what a value looks like.

Values only. Every value names its object and its number, so a file says by itself where it came from and how old it
is; what a class must give is spelled out here, not derived, so that the derivation is judged too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APPS: Final = Path(__file__).resolve().parent / "apps"
#: Stands in every value, so that a leak is found by searching for one word.
MARK: Final = "lockstep-chaos-value"
SECRETS: Final = ("chaos/shared", "chaos/alpha", "chaos/beta", "chaos/gamma")
PARAMETERS: Final = ("/chaos/alpha/first", "/chaos/alpha/second", "/chaos/gamma/only")

_VALUE: Final = re.compile(rf"{MARK}:(?P<object>[\w/-]+):(?P<number>\d+):")
_FILLER: Final = "x" * 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What AWS authorises: a service account that asks as a role.

    Attributes:
        subject: `sub` of the account's tokens.
        role: Last part of the role's ARN.
    """

    subject: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRule:
    """One file of a class: the object that it comes from, and the JSON key, or "" for the whole value."""

    object: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRule:
    """One class and who mounts it.

    Attributes:
        name: SecretProviderClass.
        app: The app whose service account and namespace its pods have.
        identity: Who its pods are for AWS.
        files: By path.
        pods: How many pods mount it.
        may_read: Objects that the identity may ever read; a class with others never mounts.
    """

    name: str
    app: str
    identity: Identity
    files: Mapping[str, FileRule]
    pods: int
    may_read: frozenset[str]

    @property
    def objects(self) -> frozenset[str]:
        """What its files come from."""
        return frozenset(rule.object for rule in self.files.values())

    @property
    def is_permitted(self) -> bool:
        """Whether it can mount at all while nothing is revoked."""
        return self.objects <= self.may_read


def _identity(namespace: str, account: str, role: str) -> Identity:
    return Identity(subject=f"system:serviceaccount:{namespace}:{account}", role=f"lockstep-local-us-east-1-{role}")


_ALPHA_FILES: Final = {
    "shared.json": FileRule(object="chaos/shared"),
    "shared-one": FileRule(object="chaos/shared", key="one"),
    "shared-two": FileRule(object="chaos/shared", key="two"),
    "alpha.json": FileRule(object="chaos/alpha"),
    "first": FileRule(object="/chaos/alpha/first"),
    "second": FileRule(object="/chaos/alpha/second"),
}
_ALPHA_OBJECTS: Final = frozenset(rule.object for rule in _ALPHA_FILES.values())
_BETA_FILES: Final = {
    "shared.json": FileRule(object="chaos/shared"),
    "beta.json": FileRule(object="chaos/beta"),
    "beta-one": FileRule(object="chaos/beta", key="one"),
    "beta-two": FileRule(object="chaos/beta", key="two"),
}
_GAMMA_FILES: Final = {"gamma.json": FileRule(object="chaos/gamma"), "only": FileRule(object="/chaos/gamma/only")}

#: The apps' own classes first. `twin` and `lesser` are alpha's pods under other roles that trust them; `thief` is
#: beta's account naming alpha's role, which trusts it not.
CLASSES: Final = (
    ClassRule(
        name="alpha",
        app="alpha",
        identity=_identity("chaos-a", "alpha", "alpha"),
        files=_ALPHA_FILES,
        pods=6,
        may_read=_ALPHA_OBJECTS,
    ),
    ClassRule(
        name="beta",
        app="beta",
        identity=_identity("chaos-b", "beta", "beta"),
        files=_BETA_FILES,
        pods=6,
        may_read=frozenset({"chaos/shared", "chaos/beta"}),
    ),
    ClassRule(
        name="gamma",
        app="gamma",
        identity=_identity("chaos-a", "gamma", "gamma"),
        files=_GAMMA_FILES,
        pods=3,
        may_read=frozenset({"chaos/gamma", "/chaos/gamma/only"}),
    ),
    ClassRule(
        name="twin",
        app="alpha",
        identity=_identity("chaos-a", "alpha", "twin"),
        files=_ALPHA_FILES,
        pods=2,
        may_read=_ALPHA_OBJECTS,
    ),
    ClassRule(
        name="lesser",
        app="alpha",
        identity=_identity("chaos-a", "alpha", "lesser"),
        files=_ALPHA_FILES,
        pods=1,
        may_read=frozenset({"chaos/shared"}),
    ),
    ClassRule(
        name="thief",
        app="beta",
        identity=_identity("chaos-b", "beta", "alpha"),
        files=_ALPHA_FILES,
        pods=1,
        may_read=frozenset(),
    ),
)
CLASS_OF: Final[Mapping[str, ClassRule]] = {rule.name: rule for rule in CLASSES}
#: Pod name → its class.
PODS: Final[Mapping[str, ClassRule]] = {
    f"{rule.name}-{number}": rule for rule in CLASSES for number in range(rule.pods)
}
#: Whose access a run takes away and gives back, and to what.
GRANTS: Final = tuple((rule.name, each) for rule in CLASSES if rule.is_permitted for each in sorted(rule.objects))
#: Roles whose trust a run takes away and gives back.
TRUSTS: Final = tuple(rule.name for rule in CLASSES if rule.is_permitted)


def render_value(name: str, number: int) -> str:
    """Return the value that an object has as its `number`th: JSON of two keys for a secret, else plain text."""
    if name in PARAMETERS:
        return f"{MARK}:{name}:{number}:whole:{_FILLER}"
    return json.dumps({key: f"{MARK}:{name}:{number}:{key}:{_FILLER}" for key in ("one", "two")})


def render_file(rule: FileRule, number: int) -> bytes:
    """Return what a file holds while its object has its `number`th value."""
    value = render_value(rule.object, number)
    return (json.loads(value)[rule.key] if rule.key else value).encode()


def parse_value(content: bytes | str) -> tuple[str, int] | None:
    """Return the object and the number that a value says of itself; None for anything else."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    found = _VALUE.search(text)
    return (found["object"], int(found["number"])) if found else None
