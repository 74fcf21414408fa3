"""What the example apps become in every stack, compared to the byte. Review reads the diff of these files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.derivation import derive_all, load_specs, render_files
from components.settings import load_settings

STACKS = ("local", "dev", "staging", "prod")
GOLDEN = Path(__file__).parent / "apps"


@pytest.mark.parametrize("stack", STACKS)
def test_the_example_apps_become_exactly_these_files(stack: str, project: Path, *, rewrite_golden: bool) -> None:
    settings = load_settings(project, stack)
    specs = load_specs([project / path for path in settings.apps])
    files = render_files(derive_all(specs, settings.environment(settings.oidc_issuer or "")))
    folder = GOLDEN / stack
    if rewrite_golden:
        shutil.rmtree(folder, ignore_errors=True)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    stored = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert stored == {name: text.encode() for name, text in files.items()}
