"""The program on a whole node: its objects in the API server, those of its Helm release included."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.csi_driver import wait_for
from tests.e2e.kubernetes_api import Manifest, object_path
from tests.e2e.real_stage import RealDeployment
from tests.e2e_node.chart import render_release


@dataclass(slots=True)
class NodeDeployment(RealDeployment):
    """The program's objects in the API server, those of its release included.

    Attributes:
        work_dir: For Helm.
        rendered: What Helm made of the release.
    """

    work_dir: Path = Path()
    rendered: list[dict[str, Any]] = field(default_factory=list)

    def place_releases(self, releases: Sequence[Mapping[str, Any]]) -> None:
        """Render and apply each release, once."""
        for release in releases:
            objects = render_release(release, self.work_dir)
            if objects == self.rendered:
                continue
            self.rendered = objects
            for manifest in objects:
                self._api.apply(manifest)
                if manifest["kind"] == "CustomResourceDefinition":
                    path = object_path(manifest)
                    wait_for(functools.partial(self._is_established, path), what=f"{path} to be established")

    def daemon_set(self) -> Manifest:
        """Return the provider's DaemonSet as the program rendered it."""
        (found,) = [item for key, item in self.kubernetes.objects.items() if key.kind == "DaemonSet"]
        return found

    def _is_established(self, path: str) -> bool:
        conditions = self._api.call("GET", path).get("status", {}).get("conditions") or []
        return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)
