"""What an `object_version` says: the Go provider's text, or that text plus a digest of the object's shape.

The driver rewrites a synced Kubernetes Secret only when an id or a version changes, so a derived class asks for
`objectVersions: content`. A file that is made of others carries a digest in every class: its content can change while
its own object's version stays. No secret value enters a version: anyone with view rights can read them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from provider_runtime.mount_request import ObjectVersions
from provider_runtime.object_values import Encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provider_runtime.fetch_plan import ReadResult
    from provider_runtime.object_values import ObjectType

RENDERER_REVISION = 1
"""Raise it when the same value starts to be written differently, so that synced Secrets follow."""
DIGEST_DIGITS = 12
"""Hex digits of the shape's SHA-256: 48 bits tell the few shapes of one object apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileShape:
    """What decides a file's bytes and mode beside the value.

    Args:
        store: Secrets Manager or Parameter Store.
        region: Where the value was read.
        name: The object's name in the class.
        file_name: The id.
        mode: Permission bits.
        json_path: JMESPath expression of a JSON key's file; empty for other files.
        optional: Whether the object may be absent.
        object_encoding: How the whole value is stored.
        encoding: How the JSON key's text is stored.
        is_non_text_refused: Whether this file is of a JSON key whose results are not rendered.
        json_key: Top-level key of a file of `keys: "*"`; `None` for other files.
        template: Text of a template; empty for other files.
    """

    store: ObjectType
    region: str
    name: str
    file_name: str
    mode: int
    json_path: str = ""
    optional: bool = False
    object_encoding: Encoding = Encoding.AS_IS
    encoding: Encoding = Encoding.AS_IS
    is_non_text_refused: bool = False
    json_key: str | None = None
    template: str = ""

    def digest(self, *more: object) -> str:
        """Return a short digest of the shape and of more plain data."""
        fields = [RENDERER_REVISION, self.store.value, self.region, self.name, self.json_path, self.file_name]
        # Only what is used: a class without our keys keeps its versions when more keys come.
        additions = {
            "optional": self.optional,
            "objectEncoding": self.object_encoding.value,
            "encoding": self.encoding.value,
            "refuse": self.is_non_text_refused,
            "key": self.json_key,
            "template": self.template,
        }
        used = {name: addition for name, addition in additions.items() if addition not in {None, False, ""}}
        if self.json_key == "":
            used["key"] = ""
        # JSON keeps the fields apart: no two shapes give the same bytes.
        shape = [*fields, self.mode, *more, *([used] if used else [])]
        text = json.dumps(shape, ensure_ascii=True, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]


def object_version(kind: ObjectVersions, result: ReadResult, shape: FileShape) -> str:
    """Return the version of one file.

    Args:
        kind: What the class asked for.
        result: Its `version` is the upstream text, `last_modified` counts for parameters.
        shape: Of the file.

    Returns:
        `<VersionId or number>`, or with CONTENT `<that>-<12 hex digits>`.
    """
    if kind is ObjectVersions.UPSTREAM:
        return result.version
    return f"{result.version}-{_digest(shape, result.last_modified)}"


@lru_cache(maxsize=4096)
def _digest(shape: FileShape, last_modified: str) -> str:
    """The same for every mount of a class; shapes hold names and no value, and no template's text comes here."""
    return shape.digest(last_modified)


def template_version(result: ReadResult, shape: FileShape, sources: Mapping[str, str]) -> str:
    """Return the version of a rendered template: `<version of its object>-<12 hex digits>`, in every kind of class.

    Args:
        result: Of the object that carries the template.
        shape: Of the rendered file.
        sources: Path of each file that it quotes → its version; an absent one has an empty text.
    """
    return f"{result.version}-{shape.digest(result.last_modified, sorted(sources.items()))}"
