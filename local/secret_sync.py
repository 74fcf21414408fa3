"""The driver's controller that copies mounted files into Kubernetes Secrets, for apps that need environment variables.

It reads the files as they are mounted, not the provider's answer, and it runs when a pod's status has changed (that is,
when an object version differs) or when asked again, as every 5 minutes in the driver. So a value that changes under an
unchanged version reaches the file and not the Secret: kept on purpose. It writes a Secret without owners; a round of
its own, every 5 seconds in the driver, names them. A Secret whose last pod goes before that round stays.

Different from the driver: it runs at once and not in the background; of `kubernetes.io/tls` a PFX is refused, and what
is wrong with a bundle is said in other words; Secrets of several pods are not raced for.

Source: secrets-store-csi-driver 1.6.0, `controllers/secretproviderclasspodstatus_controller.go`, `pkg/util/secretutil`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from local.atomic_writer import load_contents, load_visible_paths
from local.cluster_objects import ClusterObjects, PodStatus
from local.pods import ProviderClass, SyncedSecret

MANAGED_LABEL: Final = "secrets-store.csi.k8s.io/managed"

_TLS_TYPE: Final = "kubernetes.io/tls"
_PEM_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_CERTIFICATE: Final = b"CERTIFICATE"


class SyncError(Exception):
    """One Secret could not be made; the text is the driver's."""


def sync_secrets(status: PodStatus, provider_class: ProviderClass, cluster: ClusterObjects) -> tuple[str, ...]:
    """Write every Secret of the class from the pod's files.

    Returns:
        Lines for the driver's log, one per Secret that could not be written; the others are written all the same.
    """
    files = load_visible_paths(Path(status.target_path))
    where = f"{provider_class.namespace}/{provider_class.name}"
    problems: list[str] = []
    for synced in provider_class.synced:
        try:
            manifest = _render_secret(synced, status.namespace, files, where)
        except SyncError as error:
            problems.append(str(error))
            continue
        cluster.put_secret(manifest, namespace=status.namespace, name=synced.name.strip())
    return tuple(problems)


def name_owners(status: PodStatus, provider_class: ProviderClass, cluster: ClusterObjects) -> None:
    """Make the pod's status an owner of each Secret of the class, so that they go with it."""
    for synced in provider_class.synced:
        cluster.name_owner(namespace=status.namespace, name=synced.name.strip(), owner=status)


def _render_secret(synced: SyncedSecret, namespace: str, files: Mapping[str, Path], where: str) -> dict[str, object]:
    for is_missing, problem in (
        (not synced.name, "secret name is empty"),
        (not synced.type, "secret type is empty"),
        (not synced.data, "data is empty"),
    ):
        if is_missing:
            raise SyncError(f"failed to validate secret object in spc {where}, err: {problem}")
    name = synced.name.strip()
    try:
        data = _load_data(synced, files)
    except SyncError as error:
        raise SyncError(f"failed to get data in spc {where} for secret {name}, err: {error}") from None
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**synced.labels, MANAGED_LABEL: "true"},
            "annotations": dict(synced.annotations),
        },
        "type": synced.type.strip(),
        "data": data,
    }


def _load_data(synced: SyncedSecret, files: Mapping[str, Path]) -> dict[str, str]:
    data: dict[str, str] = {}
    for entry in synced.data:
        object_name, key = entry.object_name.strip(), entry.key.strip()
        if not object_name:
            raise SyncError("object name in secretObjects.data")
        if not key:
            raise SyncError("key in secretObjects.data is empty")
        if object_name not in files:
            raise SyncError(f"file matching objectName {object_name} not found in the pod")
        content = load_contents(files[object_name])
        if synced.type.strip() == _TLS_TYPE:
            try:
                content = _take_part(content, key)
            except SyncError as error:
                raise SyncError(f"failed to get cert data from file {files[object_name]}, err: {error}") from None
        data[key] = base64.b64encode(content).decode()
    return data


def _take_part(bundle: bytes, key: str) -> bytes:
    """Return the part of a PEM bundle that a key of a TLS Secret holds: all certificates, or the last key.

    A key is written in the traditional form, whatever form it came in.
    """
    blocks = [(found[1], found[0]) for found in _PEM_BLOCK.finditer(bundle)]
    try:
        match key:
            case "tls.crt":
                certificates = [text for kind, text in blocks if kind == _CERTIFICATE]
                if not certificates:
                    raise SyncError("no certificate in PEM; a PFX is not played by this node")
                return b"".join(
                    x509.load_pem_x509_certificate(text).public_bytes(Encoding.PEM) for text in certificates
                )
            case "tls.key":
                keys = [text for kind, text in blocks if kind != _CERTIFICATE]
                if not keys:
                    raise SyncError("no private key in PEM; a PFX is not played by this node")
                return _write_key(keys[-1])
            case _:
                raise SyncError(f"key '{key}' is not supported. Only 'tls.key' and 'tls.crt' are supported")
    except (ValueError, UnsupportedAlgorithm):
        raise SyncError("its PEM cannot be read") from None


def _write_key(text: bytes) -> bytes:
    key = load_pem_private_key(text, password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise SyncError("unknown private key type found while getting key. Only rsa and ecdsa are supported")
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
