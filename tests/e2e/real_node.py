"""A node for tests whose driver and API server are real: the same stage as `tests/local/node_stage.py`.

The provider is scripted, kubelet is the stand-in's. Tests that were written for the stand-in of the driver run here
unchanged, so whatever holds of one holds of the other.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import grpc

from local.driver import DriverSettings
from local.node import Kubelet
from provider_runtime.csi_v1alpha1 import service_pb2_grpc
from tests.e2e import toolbox
from tests.e2e.control_plane import NODE, ControlPlane
from tests.e2e.csi_driver import RealDriver, mount_points
from tests.e2e.kubernetes_api import KubernetesApi
from tests.local.node_stage import CLASS, NAMESPACE, NodeStage, RecordedTokens, ScriptedProvider, make_class

_CLASS_API: Final = "secrets-store.csi.x-k8s.io/v1"


@dataclass(slots=True, kw_only=True)
class ClassesOfServer(MutableMapping[tuple[str, str], Mapping[str, object]]):
    """SecretProviderClasses by namespace and name, in the API server and in the driver's own watch of it."""

    api: KubernetesApi
    driver: RealDriver | None = None

    def __setitem__(self, key: tuple[str, str], manifest: Mapping[str, object]) -> None:
        namespace, name = key
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.api.delete(self._path(key))
        self.api.create(
            {
                "apiVersion": _CLASS_API,
                "kind": "SecretProviderClass",
                "metadata": {"name": name, "namespace": namespace},
                "spec": manifest["spec"],
            }
        )
        self._wait()

    def __getitem__(self, key: tuple[str, str]) -> Mapping[str, object]:
        found = self.api.find(self._path(key))
        if found is None:
            raise KeyError(key)
        return cast("Mapping[str, object]", found)

    def __delitem__(self, key: tuple[str, str]) -> None:
        self.api.delete(self._path(key))
        self._wait()

    def _wait(self) -> None:
        if self.driver is not None:
            self.driver.wait_for_classes()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        items: list[Any] = self.api.call("GET", f"/apis/{_CLASS_API}/secretproviderclasses")["items"]
        return iter([(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items])

    def __len__(self) -> int:
        return len(list(iter(self)))

    @staticmethod
    def _path(key: tuple[str, str]) -> str:
        return f"/apis/{_CLASS_API}/namespaces/{key[0]}/secretproviderclasses/{key[1]}"


@contextlib.contextmanager
def real_node_stage(
    control_plane: ControlPlane,
    root: Path,
    *,
    rotation_interval_seconds: float | None = 0.0,
    audiences: tuple[str, ...] = (),
    are_tokens_secrets: bool = False,
    deadline_seconds: float = 120.0,
    tool: toolbox.Tool = toolbox.DRIVER,
) -> Iterator[NodeStage]:
    """Run a provider and a real driver, and make a node of them."""
    with tempfile.TemporaryDirectory(prefix="lse-", dir="/tmp") as text:  # pytest's paths are too long for a socket
        folder = Path(text)
        provider, tokens = ScriptedProvider(), RecordedTokens()
        waits: list[float] = []
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=(("grpc.so_reuseport", 0),))
        service_pb2_grpc.add_CSIDriverProviderServicer_to_server(provider, server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(f"unix:{folder}/aws.sock")
        server.start()
        classes = ClassesOfServer(api=control_plane.admin)
        classes[NAMESPACE, CLASS] = make_class()
        driver = RealDriver(
            control_plane=control_plane,
            settings=DriverSettings(
                socket_directories=(folder / "nothing-here", folder),
                rotation_interval_seconds=rotation_interval_seconds,
                node_name=NODE,
            ),
            folder=folder,
            tool=tool,
        )
        kubelet = Kubelet(
            root=root / "kubelet",
            driver=driver,
            tokens=tokens,
            audiences=audiences,
            are_tokens_secrets=are_tokens_secrets,
            deadline_seconds=deadline_seconds,
            sleep=waits.append,
        )
        try:
            driver.start()
            classes.driver = driver
            driver.wait_for_classes()
            yield NodeStage(
                root=root / "kubelet",
                kubelet=cast("Any", kubelet),  # the stage's types are those of the stand-in
                driver=cast("Any", driver),
                provider=provider,
                cluster=cast("Any", driver.cluster),
                tokens=tokens,
                classes=cast("Any", classes),
                waits=waits,
            )
        finally:
            _unmount_below(root, driver)
            driver.close()
            server.stop(0).wait()
            for key in list(classes):
                control_plane.admin.delete(ClassesOfServer._path(key))
            for status in driver.cluster.statuses:
                driver.cluster.forget(status)


def _unmount_below(root: Path, driver: RealDriver) -> None:
    """Unmount what a test left, through the driver that mounted it."""
    for point in sorted(mount_points()):
        if Path(point).is_relative_to(root):
            driver.unpublish(Path(point))
