"""The driver's chart, rendered by Helm with the values of the program's own release.

The chart is the one in the driver's Go module: its repository is not asked. Helm runs on this machine and only renders,
so what it does beside rendering is missing: the hook jobs that keep custom resource definitions current.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.e2e import toolbox

_FIRST: Final = ("CustomResourceDefinition", "ServiceAccount")


def render_release(release: Mapping[str, Any], work_dir: Path) -> list[dict[str, Any]]:
    """Return the objects of a release, definitions first."""
    spec = release["spec"]
    assert spec["version"] == toolbox.DRIVER.name.rpartition("-")[2], "another version than the chart that is here"
    values = work_dir / "chart-values.yaml"
    values.write_text(yaml.safe_dump(spec["values"]), encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - an argument list of ours
        [
            str(toolbox.HELM.path),
            "template",
            release["metadata"]["name"],
            str(toolbox.chart()),
            f"--namespace={spec.get('namespace', release['metadata'].get('namespace'))}",
            f"--kube-version={toolbox.KUBERNETES_MINOR}",
            f"--values={values}",
            "--include-crds",
            "--no-hooks",
        ],
        env={**os.environ, "HOME": str(work_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    objects = [item for item in yaml.safe_load_all(done.stdout) if item]
    return sorted(objects, key=lambda item: _FIRST.index(item["kind"]) if item["kind"] in _FIRST else len(_FIRST))
