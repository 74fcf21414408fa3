"""The embedded stack on a whole node: what `make local` runs, with nothing played but AWS.

The Pulumi program's objects go to a real API server as they are, the image's name being a setting of the program. The
driver comes from its chart with the release's values. Scheduler, controllers, kubelet and containerd do the rest.
"""

from __future__ import annotations

import copy
import functools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from components.derivation import AppAccess
from local.deployment import Deployment
from local.stage import Stage
from lockstep.engine import AwsProvider
from tests.e2e import toolbox
from tests.e2e.control_plane import NODE, ControlPlane
from tests.e2e.csi_driver import wait_for
from tests.e2e.kubernetes_api import KubernetesApi, Manifest, object_path
from tests.e2e.real_stage import RealStage
from tests.e2e_node import enclosure, node_images
from tests.e2e_node.images import Image
from tests.e2e_node.machine import Machine
from tests.e2e_node.node_deployment import NodeDeployment
from tests.e2e_node.node_services import NodeServices
from tests.e2e_node.pulumi_deployment import PulumiDeployment, find_pulumi
from tests.pulumi_cli.installed_parts import MissingParts
from tests.pulumi_cli.real_cluster import serve_chart

NAMESPACE: Final = "kube-system"
DRIVER_SET: Final = "secrets-store-csi-driver"
PROVIDER_SET: Final = "secrets-store-csi-driver-provider-aws"

#: Shortest that the program takes: a person waits for these tests.
REFRESH_SECONDS: Final = 30
#: The provider's own default: a first mount takes values this old.
FIRST_MOUNT_SECONDS: Final = 10
#: kubelet publishes a mounted volume again within this time. Source: its sync every 60 s, with up to half as much more.
REPUBLISH_SECONDS: Final = 90
_AWS_PORT: Final = 4566
_START_SECONDS: Final = 240.0


@dataclass(slots=True)
class NodeStage(RealStage):
    """See `Stage`.

    Attributes:
        node: The node's services and machine.
        measured: What tests took the time of, as sentences.
    """

    node: NodeServices = field(init=False)
    measured: list[str] = field(default_factory=list, init=False)
    _layers: tuple[bytes, bytes] = field(init=False, repr=False)
    _aws_url: str = field(init=False)

    @property
    def api(self) -> KubernetesApi:
        """The API server, as its admin."""
        return self.control_plane.admin

    @property
    def program(self) -> NodeDeployment:
        """The program's deployment."""
        assert isinstance(self.deployment, NodeDeployment)
        return self.deployment

    def start_issuer(self, key_document: Path) -> None:
        """Start the control plane, whose API server signs the tokens."""
        enclosure.make_network()
        folder = self.work_dir / "cluster"
        folder.mkdir(mode=0o700)
        self.control_plane = ControlPlane(
            folder=folder, issuer=self.settings.oidc_issuer or "", node_address=enclosure.NODE_ADDRESS
        )
        self.down.enter_context(self.control_plane)
        self.control_plane.write_key_document(key_document)

    def make_deployment(self, aws: AwsProvider) -> Deployment:
        """Return the program's deployment, with the image that is made here."""
        self._aws_url = enclosure.forward(_AWS_PORT, urlsplit(self.emulator.endpoint).port or 0)
        self._layers = node_images.provider_layers(self.work_dir)
        plain = Stage.make_deployment(self, aws)
        applied = NodeDeployment(
            project=plain.project,
            stack=plain.stack,
            aws=plain.aws,
            kubernetes=plain.kubernetes,
            state_path=plain.state_path,
            config={
                "lockstep:providerImage": self.provider_image("1").reference,
                "lockstep:refreshInterval": f"{REFRESH_SECONDS}s",
            },
            api=self.api,
            work_dir=self.work_dir,
        )
        return self._by_pulumi(applied)

    def _by_pulumi(self, applied: NodeDeployment) -> NodeDeployment:
        """Let Pulumi bring the objects to the API server, where there is one."""
        found = find_pulumi()
        if isinstance(found, MissingParts):
            self.measured.append(f"the objects came by the embedded engine, because {found.reason}")
            return applied
        repository = self.down.enter_context(serve_chart(self.work_dir / "repository"))
        deployment = PulumiDeployment.start(
            applied, parts=found, emulator=self.emulator, repository=repository, region=self.settings.region
        )
        self.measured.append(f"the objects came by {deployment.describe()}")
        return deployment

    def provider_image(self, build: str) -> Image:
        """Return the provider's image; another `build`, another digest."""
        return node_images.provider_image(self._layers, aws=self._aws_url, build=build)

    def start_provider(self) -> None:
        """Start nothing: its DaemonSet does."""

    def start_node(self) -> None:
        """Boot the node, and wait until the DaemonSets of driver and provider are ready on it."""
        machine = Machine(folder=self.work_dir / "machine")
        self.node = NodeServices(
            machine=machine,
            kubeconfig=self.control_plane.kubelet_kubeconfig,
            control_group=enclosure.make_control_group(),
            log_dir=self.work_dir,
        )
        self.down.callback(self.node.lose_power)
        machine.boot()
        self.node.start_containerd()
        for image in (*node_images.small_images(), *self._driver_images(), self.provider_image("1")):
            self.node.load(image)
        self.node.start_kubelet()
        self.wait_until_ready()

    def wait_until_ready(self) -> float:
        """Wait for node and DaemonSets; return the seconds it took."""
        started = time.monotonic()
        wait_for(self._is_node_ready, seconds=_START_SECONDS, what="the node to be ready")
        for name in (DRIVER_SET, PROVIDER_SET):
            wait_for(functools.partial(self.is_rolled_out, name), seconds=_START_SECONDS, what=f"{name} to be ready")
        return time.monotonic() - started

    def is_rolled_out(self, name: str) -> bool:
        """Say whether the one pod of a DaemonSet is up to date and ready, and no older one is left."""
        found = self.api.find(f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/{name}")
        if found is None:
            return False
        status = found["status"]
        counts = [status.get(key, 0) for key in ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady")]
        seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return seen and counts == [1, 1, 1] and len(self.pods_of(name)) == 1

    def pods_of(self, name: str) -> list[Any]:
        """Return the pods of a DaemonSet, leaving ones included."""
        items: list[Any] = self.api.call("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app={name}")[
            "items"
        ]
        return items

    def provider_pod(self) -> Any:  # noqa: ANN401 - JSON
        """Return the provider's one pod."""
        (pod,) = self.pods_of(PROVIDER_SET)
        return pod

    def python_in_provider(self, code: str) -> str:
        """Run Python in the provider's container, as its user, and return what it printed."""
        container = self.provider_pod()["status"]["containerStatuses"][0]["containerID"]
        return self.node.run_in(container, "python", "-c", code)

    def app_pod(self, app: AppAccess, name: str, *, class_name: str | None = None) -> dict[str, Any]:
        """Return a pod of an app; its container ends with an error if one of its derived files is not there.

        Args:
            app: Which.
            name: Of the pod.
            class_name: Mount this class instead of the app's own; the files are not looked for then.
        """
        mounts = app.mounts if class_name is None else app.mounts[:1]
        volumes = [copy.deepcopy(dict(mount.volume)) for mount in mounts]
        if class_name is not None:
            volumes[0]["csi"]["volumeAttributes"]["secretProviderClass"] = class_name  # type: ignore[index]
        wanted = [f"{mount.path}/{file.path}" for mount in mounts for file in mount.files if class_name is None]
        look = "".join(f"[ -s '{path}' ] || {{ echo 'missing: {path}'; exit 1; }}; " for path in wanted)
        script = f"{look}echo {node_images.FOUND_ALL}; trap 'exit 0' TERM; while :; do sleep 1; done"
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": app.namespace},
            "spec": {
                "serviceAccountName": app.service_account,
                "terminationGracePeriodSeconds": 5,
                "containers": [
                    {
                        "name": "app",
                        "image": node_images.APP,
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["/bin/sh", "-c", script],
                        "volumeMounts": [dict(mount.volume_mount) for mount in mounts],
                    }
                ],
                "volumes": volumes,
            },
        }

    def create_pod(self, manifest: Manifest) -> str:
        """Create a pod and return its path in the API."""
        self.api.create(manifest)
        return object_path(manifest)

    def wait_until_runs(self, path: str, *, seconds: float = 120.0) -> Any:  # noqa: ANN401 - JSON
        """Wait until a pod's container runs and has found its files, and return the pod."""
        try:
            return wait_for(lambda: self._running(path), seconds=seconds, what=f"{path} to run")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.events(path)}") from None

    def delete_pod(self, path: str, *, seconds: float = 60.0) -> None:
        """Delete a pod as a person does, and wait until it is gone."""
        self.api.call("DELETE", path)
        wait_for(lambda: self.api.find(path) is None, seconds=seconds, what=f"{path} to be gone")

    def container_id(self, path: str) -> str:
        """Return the id of a pod's only container."""
        found: str = self.api.call("GET", path)["status"]["containerStatuses"][0]["containerID"]
        return found

    def restarts(self, path: str) -> int:
        """Return how often a pod's only container was started again."""
        count: int = self.api.call("GET", path)["status"]["containerStatuses"][0]["restartCount"]
        return count

    def wait_for_event(self, path: str, fragment: str, *, seconds: float = 60.0) -> str:
        """Wait for a failed mount of a pod that has a text in it, and return its message."""
        found: str = wait_for(
            lambda: next((text for text in self.events(path) if fragment in text), None),
            seconds=seconds,
            what=f"an event with {fragment!r}",
        )
        return found

    def digest(self, path: str, file: str) -> str:
        """Return the SHA-256 of a file as the pod's container reads it."""
        return self.node.run_in(self.container_id(path), "sha256sum", file).split()[0]

    def events(self, path: str) -> list[str]:
        """Return the messages of a pod's failed mounts, oldest first; other warnings (no cluster DNS) are expected."""
        pod = self.api.find(path)
        if pod is None:
            return []
        metadata = pod["metadata"]
        items = self.api.call(
            "GET",
            f"/api/v1/namespaces/{metadata['namespace']}/events?fieldSelector=involvedObject.uid={metadata['uid']}",
        )["items"]
        items.sort(key=lambda item: item["firstTimestamp"] or item["eventTime"])
        return [item["message"] for item in items if item["reason"] == "FailedMount"]

    def is_running(self, path: str) -> bool:
        """Say whether every container of a pod runs."""
        return self._running(path) is not None

    def _running(self, path: str) -> Any:  # noqa: ANN401 - JSON
        pod = self.api.call("GET", path)
        states = pod["status"].get("containerStatuses", [])
        runs = bool(states) and all("running" in item["state"] and item["ready"] for item in states)
        return pod if runs and node_images.FOUND_ALL in self.node.pod_log(pod["metadata"]["uid"]) else None

    def _is_node_ready(self) -> bool:
        node = self.api.find(f"/api/v1/nodes/{NODE}")
        conditions = node["status"].get("conditions", []) if node else []
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    def _driver_images(self) -> list[Image]:
        """Return images under the names that the chart gives."""
        programs = {
            "secrets-store": (toolbox.DRIVER, "/secrets-store-csi", True),
            "node-driver-registrar": (toolbox.REGISTRAR, "/csi-node-driver-registrar", False),
            "liveness-probe": (toolbox.LIVENESS_PROBE, "/livenessprobe", False),
        }
        (daemon_set,) = [item for item in self.program.rendered if item["kind"] == "DaemonSet"]
        images = []
        for container in daemon_set["spec"]["template"]["spec"]["containers"]:
            tool, entrypoint, mounts = programs[container["name"]]
            images.append(node_images.program_image(container["image"], tool.path, entrypoint, mounts=mounts))
        return images
