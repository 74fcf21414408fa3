"""What `lockstep lint` and `lockstep import` read: spec files, manifests and policies, as texts by name.

Not done here: what the texts mean (components/derivation/lint). Everything is read before anything is judged, so that
mending can happen in memory and be written as a whole.
"""

from __future__ import annotations

import errno
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.derivation import AppSpec, Environment, derive_fleet
from components.derivation.errors import ProblemList, Spot
from components.derivation.lint import DerivedStack, Given, Material, read_material
from components.derivation.lint.part import Part, UnreadableError, read_documents
from components.derivation.spec_reader import load_spec_texts, parse_spec_texts
from lockstep.project import ProjectStack

STDIN = "<stdin>"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecSet:
    """Spec files that are read together; `environment` None when nobody said where they run."""

    names: tuple[str, ...]
    environment: Environment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LintInput:
    """Everything that one run reads.

    Attributes:
        texts: Name → text, of every file.
        given: Manifests and policies: name → what it was given as.
        spec_sets: Which of the texts are specs.
        environments: Names of all environments there are, or None.
    """

    texts: Mapping[str, str]
    given: Mapping[str, Given] = field(default_factory=dict)
    spec_sets: tuple[SpecSet, ...] = ()
    environments: frozenset[str] | None = None

    def material(self, texts: Mapping[str, str]) -> Material:
        """Read other texts of the same names.

        Raises:
            SpecErrors: What cannot be read or derived.
        """
        material = read_material((kind, name, texts[name]) for name, kind in self.given.items())
        specs: dict[Spot, AppSpec] = {}
        stacks: list[DerivedStack] = []
        for group in self.spec_sets:
            found = parse_spec_texts((name, texts[name]) for name in group.names)
            specs |= {spec.at: spec for spec in found}
            if group.environment is not None:
                apps = derive_fleet(found, group.environment).apps
                stacks.append(DerivedStack(environment=group.environment, specs=found, apps=apps))
        names = dict.fromkeys(name for group in self.spec_sets for name in group.names)
        roots = tuple(root for name in names for root in _documents(name, texts[name]))
        return material.with_specs(
            tuple(specs[at] for at in sorted(specs)), tuple(stacks), environments=self.environments, roots=roots
        )


def _documents(name: str, text: str) -> tuple[Part, ...]:
    try:
        return read_documents(text, name)
    except UnreadableError:
        return ()  # the strict reader took it, so it can be judged; only mending needs the parts


def read_input(
    specs: Sequence[Path] = (),
    stacks: Sequence[ProjectStack] = (),
    files: Iterable[tuple[Given, Path]] = (),
    *,
    environments: frozenset[str] | None = None,
) -> LintInput:
    """Read files.

    Args:
        specs: Spec files and folders. With `stacks` they are derived there, in place of the stacks' own specs.
        stacks: Stacks of the project.
        files: Manifests and policies; `-` is standard input.
        environments: Names of all environments, if known.

    Raises:
        SpecErrors: SPEC027 for every file that cannot be read.
    """
    texts: dict[str, str] = {}
    sets: list[SpecSet] = []
    for paths, environment in _groups(specs, stacks):
        sources = load_spec_texts(paths)
        texts |= dict(sources)
        sets.append(SpecSet(names=tuple(name for name, _ in sources), environment=environment))
    given: dict[str, Given] = {}
    problems = ProblemList()
    for kind, path in files:
        name = STDIN if str(path) == "-" else str(path)
        text = _read(path, name, problems)
        if text is not None:
            given[name], texts[name] = kind, text
    problems.raise_if_any()
    return LintInput(texts=texts, given=given, spec_sets=tuple(sets), environments=environments)


def _groups(
    specs: Sequence[Path], stacks: Sequence[ProjectStack]
) -> Iterable[tuple[Sequence[Path], Environment | None]]:
    if not stacks and specs:
        yield specs, None
    for stack in stacks:
        yield specs or _near(stack.app_paths), stack.environment


def _near(paths: Iterable[Path]) -> list[Path]:
    """Name files below the working directory from there, as people and editors do."""
    here = Path.cwd()
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in paths]


def _read(path: Path, name: str, problems: ProblemList) -> str | None:
    spot = Spot(source=name, line=1, column=1)
    try:
        data = sys.stdin.buffer.read() if name == STDIN else path.read_bytes()
        return data.decode("utf-8")
    except UnicodeDecodeError:
        problems.add(spot, "SPEC027", "the file is not UTF-8 text", "It is YAML or JSON in UTF-8", "save it as UTF-8")
    except OSError as error:
        what = f"the file cannot be read ({error.strerror})"
        problems.add(spot, "SPEC027", what, "It is a file of YAML or JSON", "check the path and its rights")
    return None


def write_all(texts: Mapping[str, str]) -> None:
    """Write files, all or none: each beside its place first, then moved there; what was moved is put back on failure.

    Raises:
        OSError: Some file could not be written; every file is as it was.
    """
    with tempfile.TemporaryDirectory() as backups:
        staged: list[tuple[Path, Path, Path]] = []
        try:
            for number, (name, text) in enumerate(texts.items()):
                target = Path(name).resolve()
                new = target.with_name(f".{target.name}.lockstep")
                backup = Path(backups) / str(number)
                shutil.copy2(target, backup)
                staged.append((target, new, backup))
                new.write_bytes(text.encode("utf-8"))
                shutil.copymode(target, new)
            for target, new, _ in staged:
                new.replace(target)
        except OSError:
            for target, new, backup in staged:
                new.unlink(missing_ok=True)
                if backup.is_file() and backup.read_bytes() != target.read_bytes():
                    shutil.copy2(backup, target)
            raise


def create_all(texts: Mapping[Path, str]) -> None:
    """Create files, all or none; their folder is made if it is missing.

    Raises:
        FileExistsError: One of them is there already; none was written.
        OSError: One could not be written; none is left.
    """
    for path in texts:
        if path.exists():
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
    written: list[Path] = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError:
        for path in written:
            path.unlink(missing_ok=True)
        raise
