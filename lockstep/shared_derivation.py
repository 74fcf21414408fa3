"""Specs that are the same on both sides of a comparison are read and derived once.

What one text says, what one app becomes in an environment and which documents that makes are functions of their inputs,
so equal inputs share one result. What only all apps together show (shared accounts, resource policies, renames) is
computed for each side from all of its apps, as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from components.derivation import AppAccess, Environment, derive_fleet
from components.derivation.diff import FleetDocuments, read_derived
from components.derivation.diff.documents import AppDocument, derived_app
from components.derivation.errors import ProblemList
from components.derivation.spec_files import SpecFiles
from components.derivation.spec_reader import ReadSource, SpecSource, join_sources, list_sources
from lockstep.derived_apps import DerivedApps
from lockstep.spec_reading import read_sources


class SharedDerivation:
    """Remembers, for as long as one comparison takes. Results are found by the identity of values that it keeps.

    Attributes:
        contents: Git blobs by digest, for `GitTree.open`.
    """

    def __init__(self) -> None:
        """Start knowing nothing."""
        self.contents: dict[str, bytes] = {}
        self._sources: dict[tuple[str, str], list[tuple[SpecSource, ReadSource]]] = {}
        self._apps = DerivedApps()
        self._documents: dict[int, tuple[AppAccess, AppDocument]] = {}

    def documents(self, paths: Sequence[Path], files: SpecFiles, environment: Environment) -> FleetDocuments:
        """Read specs and derive their fleet in an environment; names are those by which `files` knows them.

        Raises:
            SpecErrors: Like `lockstep.spec_reading.load_fleet`.
        """
        problems = ProblemList()
        sources = list_sources(paths, files, problems)
        new = [source for source in sources if self._known(source) is None]
        read = read_sources(new, lambda spec: self._apps.prepare(spec, environment))
        for source, result in zip(new, read, strict=True):
            self._sources.setdefault((source.name, source.text), []).append((source, result))
        specs = join_sources(filter(None, map(self._known, sources)), problems)
        return read_derived(derive_fleet(specs, environment, self._apps.derive), self._document)

    def _known(self, source: SpecSource) -> ReadSource | None:
        known = self._sources.get((source.name, source.text), ())
        return next((result for other, result in known if other.defaults == source.defaults), None)

    def _document(self, access: AppAccess) -> AppDocument:
        if id(access) not in self._documents:
            self._documents[id(access)] = (access, derived_app(access))
        return self._documents[id(access)][1]
