"""The Kubernetes Secrets that an app's classes copy files into, and when they go.

The driver never deletes one; the garbage collector does, when its last owner has gone. The driver writes it without
owners (also over those that it had) when a status is new or changed, when the driver has started, and every 5 minutes;
files that are not there yet are tried again after pauses that double. A round of its own names the owners every 5 s, if
pod and class of every status of the node can be found. So a Secret goes with its pod only if its owners were named
after it was last written and before the pod went.

Source: driver 1.6.0, `controllers/secretproviderclasspodstatus_controller.go`; Kubernetes 1.36, the garbage collector,
which looks every 30 s for kinds that are new to it and acts on what it watches at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, cast

from components.derivation import AppAccess
from tests.e2e.csi_driver import wait_for
from tests.e2e.kubernetes_api import KubernetesApi

#: Longest pause between two attempts to copy, as long as whatever held the files up, and the round after it.
_NAMED_SECONDS: Final = 120.0
#: The collector's search for new kinds, and five times as much again for a busy machine.
COLLECTED_SECONDS: Final = 180.0


def copied_secrets(app: AppAccess) -> dict[str, dict[str, str]]:
    """Return the file of each key of each Secret that the app's classes ask for, by path in the API and key."""
    copies: dict[str, dict[str, str]] = {}
    for mount in app.mounts:
        spec = cast("Mapping[str, list[Mapping[str, object]]]", mount.secret_provider_class["spec"])
        for entry in spec.get("secretObjects", ()):
            data = cast("list[Mapping[str, str]]", entry["data"])
            copies[f"/api/v1/namespaces/{app.namespace}/secrets/{entry['secretName']}"] = {
                item["key"]: f"{mount.path}/{item['objectName']}" for item in data
            }
    return copies


def wait_until_owned(api: KubernetesApi, app: AppAccess) -> None:
    """Wait until each of an app's Secrets would go with its pods."""
    for path in copied_secrets(app):
        wait_for(lambda path=path: owners(api, path), seconds=_NAMED_SECONDS, what=f"{path} to have an owner")


def wait_until_collected(api: KubernetesApi, paths: Collection[str]) -> None:
    """Wait until Secrets are gone whose owners are."""
    assert paths, "an example app copies at least one Secret"
    try:
        wait_for(lambda: not [path for path in paths if api.find(path)], seconds=COLLECTED_SECONDS, what="them to go")
    except AssertionError as error:
        left = {path: owners(api, path) for path in paths if api.find(path)}
        raise AssertionError(f"copied Secrets with their owners: {left}") from error


def owners(api: KubernetesApi, path: str) -> list[Mapping[str, str]] | None:
    """Return the owners of a Secret, None without a Secret."""
    found = api.find(path)
    return found["metadata"].get("ownerReferences", []) if found else None
