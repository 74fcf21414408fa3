"""Spec files to `AppSpec` values: strict, every problem of every file at once.

The form comes from spec_shape.py, the rules of one object from object_checks.py; here are the rules of one app and of
all apps together. What needs the environment (does this ARN lie in its region?) is checked by the derivation.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import Problem, ProblemList, Spot
from .folder_defaults import FILE_NAME as DEFAULTS_FILE
from .folder_defaults import read_defaults, with_defaults
from .overlay import lay_over
from .shape import BROKEN, Read, ReadRecord
from .spec import AppName, AppSpec, AppVariant
from .spec_files import DISK, SpecFiles
from .spec_shape import APP
from .variant_reader import ObjectMemory, read_variant
from .yaml_source import Mapping, Node, Scalar, parse_yaml

_SUFFIXES = (".yaml", ".yml")


def load_specs(paths: Sequence[str | os.PathLike[str]]) -> tuple[AppSpec, ...]:
    """Read spec files; of a directory every `*.yaml` and `*.yml` in it, sorted by name.

    A `_defaults.yaml` beside a file is no spec: it gives values of keys that the specs of its folder leave out.

    Returns:
        The apps sorted by name.

    Raises:
        SpecErrors: With every problem of every file.
    """
    problems = ProblemList()
    sources = list_sources([Path(path) for path in paths], DISK, problems)
    return join_sources(map(read_source, sources), problems)


def load_spec_texts(paths: Sequence[str | os.PathLike[str]]) -> tuple[tuple[str, str], ...]:
    """Return name and text of every file that `load_specs` would read, line ends as they are; no folder defaults.

    Raises:
        SpecErrors: SPEC027 for every file that cannot be read.
    """
    problems = ProblemList()
    sources = list_sources([Path(path) for path in paths], DISK, problems)
    problems.raise_if_any()
    return tuple((source.name, source.text) for source in sources)


def parse_specs(text: str, source: str = "<text>") -> tuple[AppSpec, ...]:
    """Read the apps of one text (one YAML document each); like `load_specs`, without the defaults of a folder."""
    return join_sources([read_source(SpecSource(name=source, text=text))], ProblemList())


def parse_spec_texts(sources: Iterable[tuple[str, str]]) -> tuple[AppSpec, ...]:
    """Read the apps of several files that are read already, as name and text; like `load_specs`.

    The defaults of each file's folder count as they do there.
    """
    problems = ProblemList()
    texts = tuple(sources)
    defaults = _read_folders([Path(name).parent for name, _ in texts], DISK, problems)
    whole = [SpecSource(name=name, text=text, defaults=defaults[Path(name).parent]) for name, text in texts]
    return join_sources(map(read_source, whole), problems)


# --------------------------------------------------------------------------------------------------------------- files
@dataclass(frozen=True, slots=True, kw_only=True)
class SpecSource:
    """A text with the name for messages and the defaults of its folder."""

    name: str
    text: str
    defaults: Mapping | None = None


def list_sources(paths: Sequence[Path], files: SpecFiles, problems: ProblemList) -> list[SpecSource]:
    """Read the texts of spec files and folders; adds SPEC027 for what cannot be read, and problems of defaults."""
    listed = [file for path in paths for file in _list_files(path, files, problems)]
    defaults = _read_folders([file.parent for file in listed], files, problems)
    return [
        SpecSource(name=str(file), text=text, defaults=defaults[file.parent])
        for file in listed
        if (text := _read_text(file, files, problems)) is not None
    ]


def _read_folders(folders: Iterable[Path], files: SpecFiles, problems: ProblemList) -> dict[Path, Mapping | None]:
    return {folder: read_defaults(folder, files, problems) for folder in sorted(set(folders))}


def _list_files(path: Path, files: SpecFiles, problems: ProblemList) -> list[Path]:
    names = files.names_in(path)
    if names is None:
        return [path]
    found = [path / name for name in sorted(names) if name.endswith(_SUFFIXES) and name != DEFAULTS_FILE]
    if not found:
        spot = Spot(source=str(path), line=1, column=1)
        problems.add(spot, "SPEC027", "the folder holds no *.yaml", "App specs are YAML files", "name another folder")
    return found


def _read_text(path: Path, files: SpecFiles, problems: ProblemList) -> str | None:
    spot = Spot(source=str(path), line=1, column=1)
    try:
        return files.content(path).decode("utf-8")
    except UnicodeDecodeError:
        problems.add(spot, "SPEC027", "the file is not UTF-8 text", "A spec is YAML in UTF-8", "save it as UTF-8")
    except OSError as error:
        what = f"the file cannot be read ({error.strerror})"
        problems.add(spot, "SPEC027", what, "A spec is a file or a folder of files", "check the path and its rights")
    return None


# --------------------------------------------------------------------------------------------------------------- texts
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSource:
    """What one text says by itself: a function of its `SpecSource`, so that equal texts need one reading."""

    specs: tuple[AppSpec, ...]
    problems: tuple[Problem, ...]


def read_source(source: SpecSource) -> ReadSource:
    """Read the apps of one text; never raises for what stands in it."""
    specs: list[AppSpec] = []
    problems = ProblemList()
    documents = parse_yaml(source.text, source.name, problems)
    if not documents and not len(problems):
        spot = Spot(source=source.name, line=1, column=1)
        rule = "A spec names an app and what it reads"
        problems.add(spot, "SPEC021", "the file is empty", rule, "write an app spec")
    for document in documents:
        whole = with_defaults(document, source.defaults) if isinstance(document, Mapping) else document
        spec = _read_app(whole, problems)
        if spec is not None:
            specs.append(spec)
    return ReadSource(specs=tuple(specs), problems=problems.added)


def join_sources(sources: Iterable[ReadSource], problems: ProblemList) -> tuple[AppSpec, ...]:
    """Put the apps of all texts together, sorted by name.

    Raises:
        SpecErrors: With `problems`, those of every text, and what only all apps together show.
    """
    specs: list[AppSpec] = []
    for source in sources:
        specs += source.specs
        problems.extend(source.problems)
    _check_unique(specs, problems)
    _check_renames(specs, problems)
    problems.raise_if_any()
    return tuple(sorted(specs, key=lambda spec: spec.app))


def _read_app(node: Node, problems: ProblemList) -> AppSpec | None:
    if not _version_is_known(node, problems):
        return None
    record = APP.read(node, problems)
    if not isinstance(node, Mapping):
        return None
    if record is BROKEN:
        # A required key is missing; what the rest means is still checked, on an app without that key.
        record = ReadRecord(
            fields={
                field.name: Read(value=field.shape.read(child, problems), node=child)
                for field in APP.fields
                if (child := node.get(field.name)) is not None
            }
        )
    memory = ObjectMemory()
    base = read_variant(record, node.at, problems, memory)
    overlays: dict[str, AppVariant | None] = {}
    environments = node.get("environments")
    if isinstance(environments, Mapping):
        for key, overlay in environments.items:
            if isinstance(overlay, Mapping):
                merged = lay_over(node, overlay)
                again = APP.read(merged, problems, known=record)
                overlays[key.text] = None if again is BROKEN else read_variant(again, merged.at, problems, memory)
    if base is None or any(variant is None for variant in overlays.values()):
        return None
    whole = {name: variant for name, variant in overlays.items() if variant is not None}
    return AppSpec(app=base.app, base=base, overlays=whole, at=base.at)


def _version_is_known(node: Node, problems: ProblemList) -> bool:
    version = node.get("version") if isinstance(node, Mapping) else None
    if isinstance(version, Scalar) and version.text.isdigit() and version.text != "1":
        what = f"version {version.text} is not known to this release"
        problems.add(
            version.at, "SPEC024", what, "This release reads version 1", "write 'version: 1', or update Lockstep"
        )
        return False
    return True


def _check_unique(specs: list[AppSpec], problems: ProblemList) -> None:
    first: dict[str, Spot] = {}
    for spec in specs:
        if spec.app in first:
            other = first[spec.app]
            what = f"the app {spec.app!r} stands here and in {other.source}:{other.line}"
            problems.add(spec.at, "SPEC019", what, "An app has one spec", "rename or remove one of them")
        first.setdefault(spec.app, spec.at)
    environments = sorted({name for spec in specs for name in spec.overlays})
    for environment in ("", *environments):
        accounts: dict[tuple[str, str], AppVariant] = {}
        for variant in (spec.for_environment(environment) for spec in specs):
            key = (variant.namespace, variant.service_account)
            other_variant = accounts.setdefault(key, variant)
            if other_variant.app != variant.app:
                what = f"the service account {key[0]}/{key[1]} belongs to the app {other_variant.app!r} too"
                rule = "Pods of one service account share one role, so two apps would read each other's secrets"
                problems.add(variant.at, "SPEC020", what, rule, "give each app a 'serviceAccount:' of its own")


def _check_renames(specs: list[AppSpec], problems: ProblemList) -> None:
    """Check that nobody else has, or had, an app's earlier name: its role and class still carry it."""
    owners = {spec.app: spec.app for spec in specs}
    for spec in specs:
        for name in spec.base.renamed_from:
            other = owners.setdefault(AppName(name), spec.app)
            if other != spec.app:
                what = f"the earlier name {name!r} belongs to the app {other!r}"
                rule = "What a renamed app keeps still carries its earlier name"
                problems.add(spec.at, "SPEC037", what, rule, "remove it from one of the two")
