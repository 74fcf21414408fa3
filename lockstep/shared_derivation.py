"""Specs that are the same on both sides of a comparison are read and derived once.

What one text says, what one app becomes in an environment and which documents that makes are functions of their inputs,
so equal inputs share one result. What only all apps together show (shared accounts, resource policies, renames) is
computed for each side from all of its apps, as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from components.derivation import AppAccess, AppSpec, Environment, SpecErrors
from components.derivation.diff import FleetDocuments, read_derived
from components.derivation.diff.documents import AppDocument, derived_app
from components.derivation.errors import ProblemList
from components.derivation.fleet import DerivedApp, derive_app, derive_fleet
from components.derivation.spec_files import SpecFiles
from components.derivation.spec_reader import ReadSource, SpecSource, join_sources, list_sources
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
        self._apps: dict[int, list[tuple[AppSpec, Environment, DerivedApp | SpecErrors]]] = {}
        self._documents: dict[int, tuple[AppAccess, AppDocument]] = {}

    def specs(self, paths: Sequence[Path], files: SpecFiles) -> tuple[AppSpec, ...]:
        """Read specs like `load_specs`; names are those by which `files` knows them. Raises `SpecErrors`."""
        problems = ProblemList()
        sources = list_sources(paths, files, problems)
        new = [source for source in sources if self._known(source) is None]
        for source, result in zip(new, read_sources(new), strict=True):
            self._sources.setdefault((source.name, source.text), []).append((source, result))
        return join_sources(filter(None, map(self._known, sources)), problems)

    def documents(self, specs: Sequence[AppSpec], environment: Environment) -> FleetDocuments:
        """Derive an environment's fleet and return its documents; raises `SpecErrors`."""
        return read_derived(derive_fleet(specs, environment, self._derive), self._document)

    def _known(self, source: SpecSource) -> ReadSource | None:
        known = self._sources.get((source.name, source.text), ())
        return next((result for other, result in known if other.defaults == source.defaults), None)

    def _derive(self, spec: AppSpec, environment: Environment) -> DerivedApp:
        known = self._apps.setdefault(id(spec), [])
        found = next((result for _, other, result in known if other == environment), None)
        if found is None:
            try:
                found = derive_app(spec, environment)
            except SpecErrors as errors:
                found = errors
            known.append((spec, environment, found))
        if isinstance(found, SpecErrors):
            raise SpecErrors(found.problems)
        return found

    def _document(self, access: AppAccess) -> AppDocument:
        if id(access) not in self._documents:
            self._documents[id(access)] = (access, derived_app(access))
        return self._documents[id(access)][1]
