"""What is compared: facts of one app, each a subject and the terms on which it holds.

Nothing is computed here. Two apps have equal access exactly when their facts are equal, whatever text they were read
from: a derived value, a rendered document, or the resources of a preview.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from .conditions import Tests

#: Name of a text that takes part in the comparison and is never shown: it came from a field that may hold anything.
HIDDEN = "~"


class About(StrEnum):
    """What a fact, and a row of a diff, is about; the order is the order of a report."""

    READ = "read"
    POWER = "power"
    KEY = "key"
    REGION = "region"
    DENIAL = "denial"
    IDENTITY = "identity"
    TRUST = "trust"
    RESOURCE_POLICY = "resource policy"
    OTHER_ACCOUNT = "other account"
    SYNC = "sync"
    FILE = "file"
    MODE = "mode"
    MOUNT = "mount"
    MOUNT_WITHOUT_GRANT = "mount without grant"
    GRANT_WITHOUT_MOUNT = "grant without mount"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Subject:
    """The identity of a fact inside its app.

    Attributes:
        parts: By kind. READ: ARN without region. POWER: power, action, resource. DENIAL: action, resource. IDENTITY:
            attribute. TRUST: who. RESOURCE_POLICY: resource, effect, who, action. OTHER_ACCOUNT: account, kind,
            object, role. SYNC: Kubernetes Secret. FILE: class, path. MOUNT: class, setting (Secret
            and class with their namespace, unless it is the app's own). The last three: where, or what.
    """

    about: About
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way in which something is allowed (or denied): in a region, by an action, under conditions."""

    region: str = ""
    action: str = ""
    tests: Tests = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms on which a fact holds.

    Attributes:
        ways: Any of them is enough.
        texts: Name → text; a name that begins with `HIDDEN` is compared and never shown.
        why: The statements that make it so; no part of the comparison.
    """

    ways: frozenset[Way] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)
    why: tuple[str, ...] = field(default=(), compare=False)


Facts: TypeAlias = Mapping[Subject, Terms]


class FactList:
    """Collects facts; terms of one subject are put together."""

    def __init__(self) -> None:
        """Start with no fact."""
        self._ways: dict[Subject, set[Way]] = {}
        self._texts: dict[Subject, dict[str, set[str]]] = {}
        self._why: dict[Subject, set[str]] = {}

    def add(
        self,
        subject: Subject,
        *,
        way: Way | None = None,
        texts: Mapping[str, str] | None = None,
        why: str = "",
    ) -> None:
        """Add a fact, or to a fact."""
        ways = self._ways.setdefault(subject, set())
        if way is not None:
            ways.add(way)
        kept = self._texts.setdefault(subject, {})
        for name, text in (texts or {}).items():
            kept.setdefault(name, set()).add(text)
        reasons = self._why.setdefault(subject, set())
        if why:
            reasons.add(why)

    def __contains__(self, subject: Subject) -> bool:
        return subject in self._ways

    def ways(self, subject: Subject) -> frozenset[Way]:
        """Return the ways of one subject so far."""
        return frozenset(self._ways[subject])

    def of(self, about: About) -> tuple[Subject, ...]:
        """Return the subjects of one kind, sorted."""
        return tuple(sorted(subject for subject in self._ways if subject.about is about))

    def facts(self) -> dict[Subject, Terms]:
        """Return everything, in canonical order."""
        return {
            subject: Terms(
                ways=frozenset(self._ways[subject]),
                texts={name: ", ".join(sorted(found)) for name, found in sorted(self._texts[subject].items())},
                why=tuple(sorted(self._why[subject])),
            )
            for subject in sorted(self._ways)
        }
