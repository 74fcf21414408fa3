"""Builds the wheel: the same files under names that cannot collide with a user's own packages.

In the repository the components are called `components` and the provider `provider_runtime`, as they are started and
read there. Beside somebody's own packages those are names of anybody. So the wheel holds `lockstep_components`, with
the pure modules of the provider that it imports inside, and the command line `lockstep`; imports are renamed where they
stand, found by Python's own parser, and nothing else is touched. An editable installation keeps the repository's names.

setuptools calls this module (`tool.setuptools.cmdclass`); the wheel does not hold it.

Source: setuptools, "Extending or Customizing Setuptools" (build_py, editable mode).
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from setuptools.command.build_py import build_py

PACKAGE: Final = "lockstep_components"
_COMPONENTS, _PROVIDER = "components", "provider_runtime"
_RENAMED: Final = {_COMPONENTS: PACKAGE, _PROVIDER: f"{PACKAGE}.{_PROVIDER}"}
#: What is started by its place in the repository, and this module.
_LEFT_OUT = (
    "lockstep/wheel.py",
    f"{PACKAGE}/__main__.py",
    f"{PACKAGE}/PulumiPlugin.yaml",
    f"{PACKAGE}/policy_pack/__main__.py",
    f"{PACKAGE}/policy_pack/PulumiPolicy.yaml",
)


class RenamingBuildPy(build_py):  # type: ignore[misc] # setuptools has no types
    """Copies the packages as always, and renames what it copied."""

    def run(self) -> None:
        """Build; in editable mode nothing is copied."""
        super().run()
        if not self.editable_mode:
            rename(Path(self.build_lib))
            information = Path(self.get_finalized_command("egg_info").egg_info)
            (information / "top_level.txt").write_text(f"lockstep\n{PACKAGE}\n", encoding="utf-8")


def rename(build: Path) -> None:
    """Turn a folder of copied packages into what the wheel holds.

    Raises:
        ValueError: An import cannot be renamed.
    """
    provider = build / PACKAGE / _PROVIDER
    shutil.rmtree(build / PACKAGE, ignore_errors=True)
    shutil.move(build / _COMPONENTS, build / PACKAGE)
    shutil.move(build / _PROVIDER, provider)
    for name in _LEFT_OUT:
        (build / name).unlink()
    ours = [file for file in sorted(build.rglob("*.py")) if provider not in file.parents]
    needed = _needed(provider, ours)
    for file in sorted(provider.rglob("*.py")):
        if file not in needed:
            file.unlink()
    shutil.rmtree(provider / "csi_v1alpha1")
    for file in sorted({*ours, *needed}):
        _rename_imports(file)


def _needed(provider: Path, files: list[Path]) -> set[Path]:
    """Return the provider's modules that these files import, directly or through one another."""
    needed = {provider / "__init__.py"}
    waiting = list(files)
    while waiting:
        for node in _imports(waiting.pop()):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in (str(node.module), *names):
                root, *path = name.split(".")
                module = provider.joinpath(*path).with_suffix(".py") if root == _PROVIDER and path else None
                if module is not None and module.exists() and module not in needed:
                    needed.add(module)
                    waiting.append(module)
    return needed


def _rename_imports(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    for node in _imports(file):
        module = str(node.module)
        root, dot, rest = module.partition(".")
        if root in _RENAMED:
            line, old = node.lineno - 1, f"from {module} import"
            if not lines[line][node.col_offset :].startswith(old):
                raise ValueError(f"{file}:{node.lineno}: the import is not written `{old} …`. Fix: write it so")
            head, tail = lines[line][: node.col_offset], lines[line][node.col_offset + len(old) :]
            lines[line] = f"{head}from {_RENAMED[root]}{dot}{rest} import{tail}"
    if "".join(lines) != text:
        file.write_text("".join(lines), encoding="utf-8")


def _imports(file: Path) -> Iterator[ast.ImportFrom]:
    """Yield the absolute `from … import …` of a file, wherever they stand.

    Raises:
        ValueError: It imports one of the renamed packages in another way, which binds the old name.
    """
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] in _RENAMED for alias in node.names):
            raise ValueError(f"{file}:{node.lineno}: `import {node.names[0].name}`. Fix: write `from … import …`")
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node
