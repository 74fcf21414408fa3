"""What an import has to say beside the specs: what was lost, what was assumed, what is wider or newly granted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..errors import Spot


class NoteKind(StrEnum):
    """What a note is about."""

    #: It stands in the input and not in the specs.
    LOST = "not carried over"
    #: Existing access that no mount needs; the derived role will not have it.
    WIDER = "wider than the mounts need"
    #: A mount that no given policy grants; the derived role will grant it.
    NEW = "newly granted"
    #: The input does not say it; this was taken.
    ASSUMED = "assumed"
    #: A mechanical mistake of the input, mended before it was read.
    MENDED = "mended"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Note:
    """One note. `app` "" means: of no app in particular; `spot` is a place of the input."""

    spot: Spot
    kind: NoteKind
    what: str
    app: str = ""

    def __str__(self) -> str:
        return f"{self.spot}: {self.kind}: {self.what}."
