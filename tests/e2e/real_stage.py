"""The embedded stack with real parts: what `make local` runs, on a real API server and behind a real CSI driver.

Emulated AWS checks tokens that the API server signed; classes, service accounts and everything else that the Pulumi
program made are applied to the API server; the driver reads them from there. The provider is the real one in any case.
Kubelet is the stand-in's, with tokens from the TokenRequest API.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from components.derivation import AppAccess
from local.deployment import Deployment
from local.driver import DriverSettings
from local.node import Kubelet
from local.pods import Pod, PodUid
from local.stage import Stage
from lockstep.engine import AwsProvider
from lockstep.engine.kubernetes_manifests import ObjectKey
from tests.e2e import toolbox
from tests.e2e.control_plane import NODE, ControlPlane
from tests.e2e.csi_driver import RealDriver, mount_points, wait_for
from tests.e2e.kubernetes_api import ApiError, KubernetesApi, object_path

#: Kinds that are no objects of a cluster: a release is rendered by Helm, which does not run here.
_NOT_APPLIED: Final = frozenset({"Release"})
#: Applied before everything else.
_FIRST: Final = ("Namespace", "ServiceAccount")
#: The driver reads classes from a watch of its own. One that is no process of ours cannot be asked whether it has them.
_WATCH_SECONDS: Final = 0.4


@dataclass(slots=True)
class RealDeployment(Deployment):
    """The Pulumi program, with its objects applied to an API server after each run.

    Attributes:
        api: The server.
        drivers: Processes that read its classes; none on a node with containers.
    """

    api: KubernetesApi | None = None
    drivers: list[RealDriver] = field(default_factory=list)
    _applied: dict[ObjectKey, Mapping[str, Any]] = field(default_factory=dict)

    def up(self, apps: Path | None = None) -> None:
        """Run the program, then apply what changed and delete what went."""
        Deployment.up(self, apps)
        self.place_releases([item for key, item in self.kubernetes.objects.items() if key.kind in _NOT_APPLIED])
        objects = {key: item for key, item in self.kubernetes.objects.items() if key.kind not in _NOT_APPLIED}
        for key in sorted(objects, key=_order):
            if self._applied.get(key) != objects[key]:
                self._api.apply(objects[key])
        for key in sorted(self._applied.keys() - objects.keys()):
            self._api.delete(object_path(self._applied[key]))
        self._applied = dict(objects)
        self.wait_for_classes()

    def place_releases(self, releases: Sequence[Mapping[str, Any]]) -> None:
        """Do what Helm would; nothing here, where the driver is a process."""

    def write_class(self, namespace: str, name: str, copied_from: str, **parameters: str) -> None:
        """Write a class by hand, in the API server too."""
        Deployment.write_class(self, namespace, name, copied_from, **parameters)
        self._api.apply(self.find_class(namespace, name) or {})
        self.wait_for_classes()

    def wait_for_classes(self) -> None:
        """Wait until every driver that runs has the classes as they are now."""
        for driver in self.drivers:
            if driver.is_running:
                driver.wait_for_classes()
        if not self.drivers:
            time.sleep(_WATCH_SECONDS)

    @property
    def _api(self) -> KubernetesApi:
        assert self.api is not None
        return self.api


@dataclass(slots=True, kw_only=True)
class ApiTokens:
    """kubelet's token manager in front of the real TokenRequest API: one token per pod and audience."""

    kubelet: KubernetesApi
    _kept: dict[tuple[str, str], Mapping[str, object]] = field(default_factory=dict)

    def tokens(
        self, *, namespace: str, service_account: str, pod_name: str, pod_uid: str, audiences: Sequence[str]
    ) -> Mapping[str, Mapping[str, object]]:
        """Return a token per audience, bound to the pod, as kubelet asks for them."""
        return {
            audience: self._token(namespace, service_account, {"name": pod_name, "uid": pod_uid}, audience)
            for audience in audiences
        }

    def _token(self, namespace: str, account: str, pod: Mapping[str, str], audience: str) -> Mapping[str, object]:
        key = (pod["uid"], audience)
        if key not in self._kept:
            request = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "audiences": [audience],
                    "expirationSeconds": 3600,
                    "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", **pod},
                },
            }
            path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
            # The node authorizer learns of a new pod a moment after the API server has it; kubelet tries again, too.
            answer = wait_for(lambda: self._try(path, request), what=f"a token for {namespace}/{account}")
            self._kept[key] = {name: answer["status"][name] for name in ("token", "expirationTimestamp")}
        return self._kept[key]

    def _try(self, path: str, request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        try:
            return self.kubelet.call("POST", path, request)
        except ApiError as error:
            if error.status == 403:
                return None
            raise


@dataclass(slots=True)
class RealStage(Stage):
    """See `Stage`; the control plane lives as long as the stage.

    Attributes:
        tool: The driver's version.
        driver_settings: Replaces what the program's Helm values say, for tests of what they are good for.
    """

    tool: toolbox.Tool = toolbox.DRIVER
    control_plane: ControlPlane = field(init=False)
    driver: RealDriver = field(init=False)

    def start_issuer(self, key_document: Path) -> None:
        """Start the control plane, whose API server signs the tokens."""
        folder = self.work_dir / "cluster"
        folder.mkdir(mode=0o700)
        self.control_plane = ControlPlane(folder=folder, issuer=self.settings.oidc_issuer or "")
        self.down.enter_context(self.control_plane)
        self.control_plane.write_key_document(key_document)

    def make_deployment(self, aws: AwsProvider) -> Deployment:
        """Return the program's deployment, applied to the API server."""
        plain = Stage.make_deployment(self, aws)
        return RealDeployment(
            project=plain.project,
            stack=plain.stack,
            aws=plain.aws,
            kubernetes=plain.kubernetes,
            state_path=plain.state_path,
            api=self.control_plane.admin,
        )

    def start_node(self) -> None:
        """Start the real driver with the settings that the program placed, and kubelet."""
        values = self.deployment.driver_values()
        settings = replace(values.driver_settings(self.provider.socket_dir), node_name=NODE)
        self._place_csi_driver(values.audiences)
        self.driver = self.new_driver(settings)
        self.kubelet = self.kubelet_with(self.driver)

    def new_driver(
        self,
        settings: DriverSettings,
        *,
        name: str = "csi",
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
    ) -> RealDriver:
        """Start a driver; it ends with the stage."""
        folder = self.work_dir / name
        folder.mkdir(mode=0o700)
        driver = RealDriver(
            control_plane=self.control_plane,
            settings=settings,
            folder=folder,
            tool=self.tool,
            environment=environment or {},
            wrapper=wrapper,
        )
        driver.start()
        self.down.callback(driver.close)
        self.down.callback(self._unmount_all, driver)
        driver.wait_for_classes()
        assert isinstance(self.deployment, RealDeployment)
        self.deployment.drivers.append(driver)
        return driver

    def apply_class(self, manifest: Mapping[str, Any]) -> None:
        """Write a class that no program made, or change one; the drivers have it then."""
        self.control_plane.admin.apply(manifest)
        self.wait_for_classes()

    def wait_for_classes(self) -> None:
        """Wait until the drivers have the classes as they are now."""
        assert isinstance(self.deployment, RealDeployment)
        self.deployment.wait_for_classes()

    def kubelet_with(self, driver: RealDriver) -> Any:  # noqa: ANN401 - typed for the stand-in in Stage
        """Return a kubelet that uses a driver; its pods are found below the stage's folder."""
        return Kubelet(
            root=self.work_dir / "kubelet",
            driver=driver,
            tokens=ApiTokens(kubelet=self.control_plane.kubelet),
            audiences=self.deployment.driver_values().audiences,
            # The chart of 1.5 does not know the setting: there the tokens are in the volume's context.
            are_tokens_secrets=self.tool is not toolbox.OLD_DRIVER,
        )

    def pod(self, app: AppAccess, number: int, *, class_name: str | None = None) -> Pod:
        """Create the pod in the API server, bound to the node; the server gives it its uid."""
        pod = Stage.pod(self, app, number, class_name=class_name)
        return self.place(pod)

    def place(self, pod: Pod) -> Pod:
        """Create a pod in the API server and return it with the server's uid; raises ApiError when it is refused."""
        api = self.control_plane.admin
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        api.delete(path)
        wait_for(lambda: api.find(path) is None, what=f"{pod.label} to be gone")
        made = api.create(pod_manifest(pod))
        return replace(pod, uid=PodUid(made["metadata"]["uid"]))

    def _place_csi_driver(self, audiences: tuple[str, ...]) -> None:
        """Apply the CSIDriver object that the chart makes of the program's values."""
        self.control_plane.admin.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSIDriver",
                "metadata": {"name": "secrets-store.csi.k8s.io"},
                "spec": {
                    "podInfoOnMount": True,
                    "attachRequired": False,
                    "volumeLifecycleModes": ["Ephemeral"],
                    "requiresRepublish": True,
                    "serviceAccountTokenInSecrets": True,
                    "tokenRequests": [{"audience": audience} for audience in audiences],
                },
            }
        )

    def _unmount_all(self, driver: RealDriver) -> None:
        for point in sorted(mount_points()):
            if Path(point).is_relative_to(self.work_dir) and Path(point).parents[1].name == "kubernetes.io~csi":
                driver.unpublish(Path(point))


def pod_manifest(pod: Pod) -> dict[str, Any]:
    """Return a pod on the node that mounts its volumes and does nothing."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "spec": {
            "serviceAccountName": pod.service_account,
            "nodeName": NODE,
            "containers": [
                {
                    "name": "app",
                    "image": "lockstep.example/app",
                    "volumeMounts": [
                        {"name": volume.name, "mountPath": f"/mnt/{volume.name}", "readOnly": True}
                        for volume in pod.volumes
                    ],
                }
            ],
            "volumes": [
                {
                    "name": volume.name,
                    "csi": {
                        "driver": "secrets-store.csi.k8s.io",
                        "readOnly": volume.read_only,
                        "volumeAttributes": dict(volume.attributes),
                    },
                }
                for volume in pod.volumes
            ],
        },
    }


def _order(key: ObjectKey) -> tuple[int, ObjectKey]:
    return (_FIRST.index(key.kind) if key.kind in _FIRST else len(_FIRST), key)
