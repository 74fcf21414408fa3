"""What the driver sends, in the words of the contract's base request B: fakePod in fakeNS, region fakeRegion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from provider_runtime.errors import MountError
from provider_runtime.mount_request import MountRequest, parse_mount_request
from provider_runtime.secret_objects import SecretObject, parse_objects, parse_path_translation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

deterministic = settings(derandomize=True, database=None, deadline=None)
"""For property tests: the same examples in every run, on a machine of any speed."""
CANARY = "c4n4ry-5ecret-value"
TOKENS = {
    "sts.amazonaws.com": {"token": "fake-sts", "expirationTimestamp": "2026-01-01T00:00:00Z"},
    "pods.eks.amazonaws.com": {"token": "fake-pods", "expirationTimestamp": "2026-01-01T00:00:00Z"},
}
ONE_SECRET = "- {objectName: TestSecret1, objectType: secretsmanager}"


def attributes(*, without: Sequence[str] = (), **changed: str) -> str:
    """Build the attributes of request B; keyword names replace the class parameters, `tokens` the tokens' text."""
    values = {
        "csi.storage.k8s.io/pod.name": "fakePod",
        "csi.storage.k8s.io/pod.namespace": "fakeNS",
        "csi.storage.k8s.io/pod.uid": "fakeUID",
        "csi.storage.k8s.io/serviceAccount.name": "fakeSvcAcc",
        "csi.storage.k8s.io/ephemeral": "true",
        "secretProviderClass": "fakeClass",
        "csi.storage.k8s.io/serviceAccount.tokens": changed.pop("tokens", json.dumps(TOKENS)),
        "region": "fakeRegion",
        "objects": ONE_SECRET,
        **changed,
    }
    return json.dumps({key: value for key, value in values.items() if key not in without})


def request(**changed: str) -> MountRequest:
    """Build request B, parsed."""
    permission = changed.pop("permission", "420")
    return parse_mount_request(attributes(**changed), "/mnt", permission, (), default_region=None)


def objects(text: str, *regions: str, translation: str = "") -> tuple[SecretObject, ...]:
    """Parse a document; without regions the primary is us-west-2 and there is no failover."""
    primary, *failover = regions or ("us-west-2",)
    return parse_objects(
        text, region=primary, failover_regions=tuple(failover), translation=parse_path_translation(translation)
    )


def failure(call: Callable[[], object]) -> MountError:
    """Return the MountError that the call must raise."""
    with pytest.raises(MountError) as raised:
        call()
    return raised.value


def problem_of(call: Callable[[], object]) -> MountError | None:
    """Return the MountError of a call that may raise nothing else, or `None` when it succeeds."""
    try:
        call()
    except MountError as error:
        return error
    return None
