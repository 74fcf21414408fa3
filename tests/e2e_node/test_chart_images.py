"""The images of the driver's own chart, rendered with a registry of somebody's own: none is upstream's any more.

Needs Helm and the chart, no node.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.driver_images import DriverImages
from components.driver_values import SecretsStoreCsiDriverArgs, derive_driver_values
from tests.e2e import toolbox

MIRROR = "mirror.example/k8s"
DIGEST = f"sha256:{'0' * 64}"


@pytest.fixture
def chart() -> Path:
    if toolbox.missing_go() or toolbox.missing_tools((toolbox.HELM, toolbox.DRIVER)):
        pytest.skip("no Helm or no chart here. Fix: make e2e-node")
    return toolbox.chart()


def render(chart: Path, images: DriverImages, work_dir: Path) -> list[str]:
    """Return the images of everything that the chart makes, hook jobs too, sorted."""
    args = SecretsStoreCsiDriverArgs(
        chart_repository="https://charts.example",
        chart_version=toolbox.DRIVER.name.rpartition("-")[2],
        audiences=("sts.amazonaws.com",),
        sync_secrets=False,
        refresh_interval_seconds=120,
        images=images,
    )
    values = work_dir / "values.yaml"
    values.write_text(yaml.safe_dump(derive_driver_values(args)), encoding="utf-8")
    command = [str(toolbox.HELM.path), "template", "driver", str(chart), f"--values={values}", "--is-upgrade"]
    done = subprocess.run(  # noqa: S603 - an argument list of ours
        [*command, f"--kube-version={toolbox.KUBERNETES_MINOR}"],
        env={**os.environ, "HOME": str(work_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(set(_images([item for item in yaml.safe_load_all(done.stdout) if item])))


def _images(node: Any) -> Iterator[str]:  # noqa: ANN401 - a manifest
    if isinstance(node, list):
        for item in node:
            yield from _images(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "image" and isinstance(value, str):
                yield value
            else:
                yield from _images(value)


def test_the_charts_own_images_are_the_four_that_can_be_elsewhere(chart: Path, tmp_path: Path) -> None:
    upstream = render(chart, DriverImages(), tmp_path)
    mirrored = render(chart, DriverImages(registry=MIRROR), tmp_path)
    assert len(upstream) == 4
    assert mirrored == sorted(f"{MIRROR}/{image.partition('/')[2]}" for image in upstream), "path and tag are kept"


def test_images_by_themselves_are_rendered_as_they_were_named(chart: Path, tmp_path: Path) -> None:
    images = DriverImages(
        driver=f"{MIRROR}/a@{DIGEST}",
        crds=f"{MIRROR}/b:v1@{DIGEST}",
        registrar=f"{MIRROR}/c:v2",
        liveness_probe=f"{MIRROR}/d@{DIGEST}",
    )
    assert render(chart, images, tmp_path) == [
        f"{MIRROR}/a@{DIGEST}",
        f"{MIRROR}/b:v1@{DIGEST}",
        f"{MIRROR}/c:v2",
        f"{MIRROR}/d@{DIGEST}",
    ]
