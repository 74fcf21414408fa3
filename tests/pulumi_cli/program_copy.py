"""A copy of the program that a test may change, and that the CLI may write its salt into."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from tests.e2e.kubernetes_api import KubernetesApi

#: What the program is made of.
_PROGRAM: Final = ("Pulumi.yaml", "__main__.py", "stacks", "components", "provider_runtime")


def copy_program(project: Path, copy: Path) -> Path:
    """Copy the program into a folder, with the project's environment, and return the folder."""
    copy.mkdir(exist_ok=True)
    for name in _PROGRAM:
        source = project / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, copy / name, ignore=ignored) if source.is_dir() else shutil.copy(source, copy / name)
    (copy / ".venv").symlink_to(project / ".venv")
    return copy


def change_settings(project: Path, stack: str, settings: Mapping[str, object]) -> None:
    """Set keys of a stack's configuration."""
    path = project / "stacks" / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["config"].update(settings)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def place_settings(api: KubernetesApi, chart_repository: str) -> dict[str, str]:
    """Return the settings that say where cluster and chart are."""
    return {
        "lockstep:clusterEndpoint": api.url,
        "lockstep:clusterCertificate": base64.b64encode(api.certificate.read_bytes()).decode(),
        "lockstep:csiDriverChartRepository": chart_repository,
    }
