"""The Kubernetes side of an app's access: SecretProviderClass, ServiceAccount, volume and volumeMount.

Sources: Secrets Store CSI driver (API secrets-store.csi.x-k8s.io/v1; inline volume, `readOnly: true` is required),
EKS user guide (annotation of the role on a service account).
"""

from __future__ import annotations

from components.derivation.access import Manifest
from components.derivation.environment import Environment
from components.derivation.spec import AppVariant, Identity
from provider_runtime.secret_objects import SecretObject, dump_objects

VOLUME_NAME = "lockstep-secrets"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
_LABELS = {"app.kubernetes.io/managed-by": "lockstep"}


def secret_provider_class(
    variant: AppVariant,
    objects: tuple[SecretObject, ...],
    *,
    namespace: str,
    identity: Identity,
    role_arn: str,
    environment: Environment,
) -> Manifest:
    """Return the class. It carries region and role, so that a mount costs no call to the Kubernetes API."""
    parameters = {"objectVersions": "content", "objects": dump_objects(objects), "region": environment.region}
    if variant.failover_regions:
        plural = "failoverRegion" if len(variant.failover_regions) == 1 else "failoverRegions"
        parameters[plural] = ",".join(variant.failover_regions)
    if any("/" in file for item in objects for file in (item.alias, *(key.alias for key in item.json_keys))):
        parameters["pathTranslation"] = "False"
    if identity is Identity.IRSA:
        parameters["roleArn"] = role_arn
    else:
        parameters["usePodIdentity"] = "true"
    spec: Manifest = {"provider": "aws", "parameters": dict(sorted(parameters.items()))}
    if variant.sync:
        spec["secretObjects"] = [
            {
                "secretName": entry.secret,
                "type": entry.type,
                "data": [
                    {"key": item.key, "objectName": item.file} for item in sorted(entry.data, key=lambda i: i.key)
                ],
            }
            for entry in sorted(variant.sync, key=lambda entry: entry.secret)
        ]
    return {
        "apiVersion": "secrets-store.csi.x-k8s.io/v1",
        "kind": "SecretProviderClass",
        "metadata": {"name": str(variant.app), "namespace": namespace, "labels": dict(_LABELS)},
        "spec": spec,
    }


def service_account(*, name: str, namespace: str, identity: Identity, role_arn: str) -> Manifest:
    """Return the service account; for IRSA it carries the role, as every AWS SDK in the pod expects."""
    metadata: Manifest = {"name": name, "namespace": namespace, "labels": dict(_LABELS)}
    if identity is Identity.IRSA:
        metadata["annotations"] = {ROLE_ANNOTATION: role_arn}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def volume(class_name: str) -> Manifest:
    """Return the entry for the pod's `volumes`."""
    return {
        "name": VOLUME_NAME,
        "csi": {
            "driver": "secrets-store.csi.k8s.io",
            "readOnly": True,
            "volumeAttributes": {"secretProviderClass": class_name},
        },
    }


def volume_mount(mount_path: str) -> Manifest:
    """Return the entry for the container's `volumeMounts`."""
    return {"name": VOLUME_NAME, "mountPath": mount_path, "readOnly": True}
