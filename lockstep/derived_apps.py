"""What apps become by themselves, each derived once in each environment that somebody asks about."""

from __future__ import annotations

import contextlib

from components.derivation import AppSpec, Environment, SpecErrors
from components.derivation.fleet import DerivedApp, derive_app


class DerivedApps:
    """A memory for the length of one command. Specs are told apart by identity, so it keeps them."""

    def __init__(self) -> None:
        """Start knowing nothing."""
        self._apps: dict[int, list[tuple[AppSpec, Environment, DerivedApp | SpecErrors]]] = {}

    def prepare(self, spec: AppSpec, environment: Environment) -> None:
        """Derive an app now that will be asked for. Whatever is wrong is raised then, and nothing now.

        A bug of ours, too: raised here it would hide what is wrong with specs that are not read yet.
        """
        with contextlib.suppress(Exception):
            self._derived(spec, environment)

    def derive(self, spec: AppSpec, environment: Environment) -> DerivedApp:
        """Return what `derive_app` returns, or raise what it raises."""
        found = self._derived(spec, environment)
        if isinstance(found, SpecErrors):
            raise SpecErrors(found.problems)
        return found

    def _derived(self, spec: AppSpec, environment: Environment) -> DerivedApp | SpecErrors:
        known = self._apps.setdefault(id(spec), [])
        found = next((result for _, other, result in known if other == environment), None)
        if found is None:
            try:
                found = derive_app(spec, environment)
            except SpecErrors as errors:
                found = errors
            known.append((spec, environment, found))
        return found
