"""What an `object_version` says: the Go provider's text, or that text plus a digest of the object's shape.

The driver rewrites a synced Kubernetes Secret only when an id or a version changes, so a derived class asks for
`objectVersions: content`. No secret value enters a version: anyone with view rights can read them.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from provider_runtime.mount_request import ObjectVersions

if TYPE_CHECKING:
    from provider_runtime.fetch_plan import ReadResult
    from provider_runtime.object_values import ObjectType

RENDERER_REVISION = 1
"""Raise it when the same value starts to be written differently, so that synced Secrets follow."""
DIGEST_DIGITS = 12
"""Hex digits of the shape's SHA-256: 48 bits tell the few shapes of one object apart."""


def object_version(
    kind: ObjectVersions,
    result: ReadResult,
    *,
    store: ObjectType,
    region: str,
    name: str,
    json_path: str,
    file_name: str,
    mode: int,
) -> str:
    """Return the version of one file.

    Args:
        kind: What the class asked for.
        result: Its `version` is the upstream text, `last_modified` counts for parameters.
        store: Secrets Manager or Parameter Store.
        region: Where the value was read.
        name: The object's name in the class.
        json_path: JMESPath expression of a JSON key's file; empty for the object's own.
        file_name: The id.
        mode: Permission bits.

    Returns:
        `<VersionId or number>`, or with CONTENT `<that>-<12 hex digits>`.
    """
    if kind is ObjectVersions.UPSTREAM:
        return result.version
    shape = [RENDERER_REVISION, store.value, region, name, json_path, file_name, mode, result.last_modified]
    # JSON keeps the fields apart: no two shapes give the same bytes.
    digest = hashlib.sha256(json.dumps(shape, ensure_ascii=True).encode()).hexdigest()
    return f"{result.version}-{digest[:DIGEST_DIGITS]}"
