"""The Kubernetes side of an app's access: SecretProviderClass, ServiceAccount, volume and volumeMount.

Sources: Secrets Store CSI driver (API secrets-store.csi.x-k8s.io/v1; inline volume, `readOnly: true` is required),
EKS user guide (annotation of the role on a service account).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .access import Manifest
from .spec import Identity, SyncEntry

VOLUME_NAME = "lockstep-secrets"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
GUARD_NAME = "lockstep-guard"

#: A user without rights; names are visible to everybody, so the guard needs none.
_GUARD_USER = 65532

_LABELS = {"app.kubernetes.io/managed-by": "lockstep"}


def secret_provider_class(
    *, name: str, namespace: str, parameters: Mapping[str, str], sync: Iterable[SyncEntry]
) -> Manifest:
    """Return the class; `sync` are the copies of this class's files."""
    spec: Manifest = {"provider": "aws", "parameters": dict(sorted(parameters.items()))}
    secret_objects = [
        {
            "secretName": entry.secret,
            "type": entry.type,
            "data": [{"key": item.key, "objectName": item.file} for item in sorted(entry.data, key=lambda i: i.key)],
        }
        for entry in sorted(sync, key=lambda entry: entry.secret)
    ]
    if secret_objects:
        spec["secretObjects"] = secret_objects
    return {
        "apiVersion": "secrets-store.csi.x-k8s.io/v1",
        "kind": "SecretProviderClass",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(_LABELS)},
        "spec": spec,
    }


def service_account(*, name: str, namespace: str, identity: Identity, role_arn: str) -> Manifest:
    """Return the service account; for IRSA it carries the role, as every AWS SDK in the pod expects."""
    metadata: Manifest = {"name": name, "namespace": namespace, "labels": dict(_LABELS)}
    if identity is Identity.IRSA:
        metadata["annotations"] = {ROLE_ANNOTATION: role_arn}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def volume_name(mount: str) -> str:
    """Return the name of a mount's volume; "" is the default mount.

    >>> volume_name("tls")
    'lockstep-secrets-tls'
    """
    return f"{VOLUME_NAME}-{mount}" if mount else VOLUME_NAME


def volume(mount: str, class_name: str) -> Manifest:
    """Return the entry for the pod's `volumes`."""
    return {
        "name": volume_name(mount),
        "csi": {
            "driver": "secrets-store.csi.k8s.io",
            "readOnly": True,
            "volumeAttributes": {"secretProviderClass": class_name},
        },
    }


def guard(*, image: str, files: Iterable[str], volume_mounts: Iterable[Manifest]) -> Manifest:
    """Return the entry for the pod's `initContainers` that ends well only when all of the files are there.

    Args:
        image: The provider's, by digest.
        files: Absolute paths in the container.
        volume_mounts: Of the volumes that hold them.
    """
    return {
        "name": GUARD_NAME,
        "image": image,
        "command": ["python", "-m", "provider_runtime", "await-files"],
        "args": list(files),
        "volumeMounts": list(volume_mounts),
        # Measured: 14 MiB resident, a tenth of a second of CPU.
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsGroup": _GUARD_USER,
            "runAsNonRoot": True,
            "runAsUser": _GUARD_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def volume_mount(mount: str, path: str) -> Manifest:
    """Return the entry for the container's `volumeMounts`."""
    return {"name": volume_name(mount), "mountPath": path, "readOnly": True}
