"""Import: app specs from what is deployed by hand, with a list of everything that a spec does not say. Pure."""

from .apps import Imported, ImportedApp, import_apps
from .notes import Note, NoteKind

__all__ = ["Imported", "ImportedApp", "Note", "NoteKind", "import_apps"]
