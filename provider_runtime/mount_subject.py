"""Which volume of which pod a mount is about: for logs, metrics and events, whatever else is wrong with the request.

Not done here: reading the rest of the request (`mount_request`). A class that was edited into something unreadable must
still be reported under the name of the pod that it breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provider_runtime.errors import MountError
from provider_runtime.request_json import parse_text_map

if TYPE_CHECKING:
    from provider_runtime.mount_request import MountRequest

_POD: Final = "csi.storage.k8s.io/pod.name"
_NAMESPACE: Final = "csi.storage.k8s.io/pod.namespace"
_POD_UID: Final = "csi.storage.k8s.io/pod.uid"
_SERVICE_ACCOUNT: Final = "csi.storage.k8s.io/serviceAccount.name"
_CLASS_NAME: Final = "secretProviderClass"
_READABLE_CHARACTERS: Final = 2 * 1024 * 1024
"""Longer attributes are refused anyway and are not read a second time for their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSubject:
    """Names as the driver sent them; empty when it sent none."""

    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    service_account: str = ""
    class_name: str = ""
    target_path: str = ""


def subject_of(request: MountRequest) -> MountSubject:
    """Take the names from a request that could be read."""
    return MountSubject(
        namespace=request.pod_namespace,
        pod=request.pod_name,
        pod_uid=request.pod_uid,
        service_account=request.service_account,
        class_name=request.class_name,
        target_path=request.target_path,
    )


def read_subject(attributes: str, target_path: str) -> MountSubject:
    """Take the names from the attributes of a request that could not be read; never raises."""
    try:
        values = parse_text_map(attributes if len(attributes) <= _READABLE_CHARACTERS else "")
    except MountError:
        return MountSubject(target_path=target_path)
    return MountSubject(
        namespace=values.get(_NAMESPACE, ""),
        pod=values.get(_POD, ""),
        pod_uid=values.get(_POD_UID, ""),
        service_account=values.get(_SERVICE_ACCOUNT, ""),
        class_name=values.get(_CLASS_NAME, ""),
        target_path=target_path,
    )
