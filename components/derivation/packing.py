"""Fit an app's statements into IAM's limits: inline while they fit, else managed policies, else an error with numbers.

Nothing is widened to save room: a statement is only split, by resource or by encryption context, and every piece keeps
its conditions. The same statements always pack the same way.

Source of the limits: IAM and STS quotas (IAM user guide); characters are counted without white space.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from .iam import LIMITS, Condition, PolicyDocument, Statement


class PolicyKind(StrEnum):
    """How a policy is attached to its role."""

    INLINE = "inline"
    MANAGED = "managed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """Room that is left. `used` and `limit` count characters, of all documents together."""

    kind: PolicyKind
    used: int
    limit: int

    @property
    def share(self) -> float:
        """Used share, 0 to 1."""
        return self.used / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Documents in order, all of one kind, and the room they leave."""

    kind: PolicyKind
    documents: tuple[PolicyDocument, ...]
    headroom: Headroom


class DoesNotFitError(Exception):
    """The statements need more than a role can carry."""

    def __init__(self, used: int, limit: int, documents: int) -> None:
        """Keep the numbers: characters needed, characters there are, documents needed."""
        self.used, self.limit, self.documents = used, limit, documents
        super().__init__(f"{used} of {limit} characters, {documents} documents")


def pack(document: PolicyDocument) -> Packing:
    """Pack one document.

    Returns:
        One inline document where it fits, else managed ones, each within its limit.

    Raises:
        DoesNotFitError: More managed policies are needed than a role may have.
    """
    inline_limit = LIMITS["role inline policies"]
    used = document.size()
    if used <= inline_limit:
        room = Headroom(kind=PolicyKind.INLINE, used=used, limit=inline_limit)
        return Packing(kind=PolicyKind.INLINE, documents=(document,), headroom=room)
    return pack_managed(document)


def pack_managed(document: PolicyDocument) -> Packing:
    """Pack one document into managed policies, however few; raises like `pack`."""
    documents = tuple(_split(document, LIMITS["managed policy"]))
    limit = LIMITS["managed policy"] * LIMITS["managed policies per role"]
    used = sum(part.size() for part in documents)
    if len(documents) > LIMITS["managed policies per role"]:
        raise DoesNotFitError(used, limit, len(documents))
    room = Headroom(kind=PolicyKind.MANAGED, used=used, limit=limit)
    return Packing(kind=PolicyKind.MANAGED, documents=documents, headroom=room)


def _split(document: PolicyDocument, limit: int) -> Iterator[PolicyDocument]:
    """Fill one document after the other, in the order of the statements and their pieces."""
    current: list[Statement] = []
    for piece in (piece for statement in document.statements for piece in _pieces(statement)):
        extended = _joined(current, piece)
        if current and PolicyDocument(statements=tuple(extended)).size() > limit:
            yield PolicyDocument(statements=tuple(current))
            extended = [piece]
        current = extended
    if current:
        yield PolicyDocument(statements=tuple(current))


def _pieces(statement: Statement) -> Iterator[Statement]:
    """Yield statements that together allow exactly what one allows: one resource, or one context value, each."""
    if len(statement.resources) > 1:
        for resource in statement.resources:
            yield replace(statement, resources=(resource,))
        return
    context = _context(statement)
    if context is None:
        yield statement
        return
    for value in context.values:
        yield _with_context(statement, context, (value,))


def _joined(current: list[Statement], piece: Statement) -> list[Statement]:
    """Put a piece into the last statement when both came from one, else behind it."""
    if not current or current[-1].sid != piece.sid:
        return [*current, piece]
    last = current[-1]
    if last.resources != piece.resources:
        return [*current[:-1], replace(last, resources=(*last.resources, *piece.resources))]
    old, new = _context(last), _context(piece)
    if old is None or new is None:
        return [*current, piece]
    return [*current[:-1], _with_context(last, old, (*old.values, *new.values))]


def _context(statement: Statement) -> Condition | None:
    return next((test for test in statement.conditions if test.key.startswith("kms:EncryptionContext:")), None)


def _with_context(statement: Statement, context: Condition, values: Iterable[str]) -> Statement:
    others = tuple(test for test in statement.conditions if test is not context)
    return replace(statement, conditions=(*others, Condition.of(context.operator, context.key, values)))
