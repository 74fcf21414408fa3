"""The components under another name: what a platform team installs beside packages of its own."""

from __future__ import annotations

import ast
from pathlib import Path


def test_the_components_name_each_other_relatively(project: Path) -> None:
    """So the same files work as `components` here and as `lockstep_components` where they are installed."""
    absolute = [
        f"{file.relative_to(project)}:{node.lineno}: write the import of {name} with dots"
        for file in sorted((project / "components").rglob("*.py"))
        if file != project / "components" / "__main__.py"  # started as a file, so it has no package
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _names(node)
        if name.split(".")[0] == "components"
    ]
    assert absolute == []


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [] if node.level else [node.module or ""]
