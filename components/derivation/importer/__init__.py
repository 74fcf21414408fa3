"""Import: app specs from what is deployed by hand, with a list of everything that a spec does not say. Pure."""

from components.derivation.importer.apps import Imported, ImportedApp, import_apps
from components.derivation.importer.notes import Note, NoteKind

__all__ = ["Imported", "ImportedApp", "Note", "NoteKind", "import_apps"]
