"""The work that every figure is about: a pod with 10 secrets and 12 parameters, IRSA, the region set.

Not done here: time (`schedules`), sending (`driver_client`).

Apps are numbered; app N is one identity (namespace, service account, role) with objects of its own, so that another
number is always a first mount and the same number always the same identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from provider_runtime.csi_v1alpha1 import service_pb2
from tests.fakes.driver import Pod
from tests.fakes.tokens import make_token

SECRET_COUNT: Final = 10
PARAMETER_COUNT: Final = 12
FILE_COUNT: Final = SECRET_COUNT + PARAMETER_COUNT
REGION: Final = "eu-west-1"
BACKUP_REGION: Final = "us-east-1"
UNREACHABLE_REGION: Final = "eu-north-1"
"""Its addresses swallow packets: connections are never accepted (private room only)."""
SILENT_REGION: Final = "eu-south-1"
"""It accepts connections and requests, and never answers."""
REGIONS: Final = (REGION, BACKUP_REGION, UNREACHABLE_REGION, SILENT_REGION)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountOf:
    """One mount of one volume: which app, which of its pods, where."""

    app: int
    pod: int = 0
    target_root: str = "/var/lib/kubelet"
    region: str = REGION
    failover_region: str = ""

    @property
    def target_path(self) -> str:
        """Where kubelet wants the volume."""
        return f"{self.target_root}/pods/{self.app}-{self.pod}/volumes/kubernetes.io~csi/secrets/mount"


def name_namespace(app: int) -> str:
    """Return the namespace of an app; its service account is called `web`."""
    return f"app-{app:05d}"


def name_role(app: int) -> str:
    """Return the ARN of the app's role."""
    return f"arn:aws:iam::111122223333:role/bench-{app:05d}"


def name_secret(app: int, index: int) -> str:
    """Return the name of one secret."""
    return f"bench/{app:05d}/secret-{index:02d}"


@lru_cache(maxsize=512)
def render_objects(app: int) -> str:
    """Return the class's `objects` document."""
    secrets = [
        f"- objectName: {name_secret(app, index)}\n  objectType: secretsmanager" for index in range(SECRET_COUNT)
    ]
    parameters = [
        f"- objectName: /bench/{app:05d}/parameter-{index:02d}\n  objectType: ssmparameter"
        for index in range(PARAMETER_COUNT)
    ]
    return "\n".join([*secrets, *parameters])


def render_request(mount: MountOf, *, serial: int) -> service_pb2.MountRequest:
    """Return what driver 1.6 sends; another `serial` makes a rotated token of the same identity."""
    token = make_token(name_namespace(mount.app), "web", serial=serial)
    parameters = {"failoverRegion": mount.failover_region} if mount.failover_region else {}
    return Pod(
        objects=render_objects(mount.app),
        parameters=parameters,
        region=mount.region,
        role_arn=name_role(mount.app),
        name=f"web-{mount.pod}",
        namespace=name_namespace(mount.app),
        uid=f"{mount.app:08d}-0000-4000-8000-{mount.pod:012d}",
        service_account="web",
        class_name="web",
        tokens={"sts.amazonaws.com": token},
        target_path=mount.target_path,
    ).request()
