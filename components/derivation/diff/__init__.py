"""Who gains and who loses access to what, between two sides of one environment. Pure.

A side is `FleetDocuments`: from derived values (`read_derived`), from rendered JSON (`read_rendered`) or from the
resources of a preview (`read_preview`). `diff_fleets` compares any two of them; `Row` is one difference.
"""

from .documents import FleetDocuments, NotRenderedError, read_derived, read_rendered
from .facts import About
from .fleets import Difference, diff_fleets
from .preview_documents import read_preview
from .preview_resources import NotAPreviewError, Sides, read_sides
from .rows import MEANINGS, Change, Risk, Row, question_identity

__all__ = [
    "MEANINGS",
    "About",
    "Change",
    "Difference",
    "FleetDocuments",
    "NotAPreviewError",
    "NotRenderedError",
    "Risk",
    "Row",
    "Sides",
    "diff_fleets",
    "question_identity",
    "read_derived",
    "read_preview",
    "read_rendered",
    "read_sides",
]
