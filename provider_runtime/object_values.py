"""The values of one `objects` document: what to read, under which file names, with which modes.

`provider_runtime.secret_objects` is the public door; it reads and writes these values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provider_runtime.file_paths import PathTranslation

ARN_PREFIX = "arn:"
ARN_PARTS = 6
"""arn:partition:service:region:account:resource; everything after the fifth colon is the resource."""
_ARN_REGION_PART = 3
PERMISSION_BITS = 0o777
"""Only these bits of a four-digit mode take effect; both of the driver's write modes lose the special ones."""


class ObjectType(StrEnum):
    """The two stores. The text is the value of `objectType`."""

    SECRETS_MANAGER = "secretsmanager"
    PARAMETER = "ssmparameter"


class Encoding(StrEnum):
    """How a value is stored. The text is the value of `encoding` (ours; upstream ignores the key)."""

    AS_IS = ""
    BASE64 = "base64"


class NonText(StrEnum):
    """What becomes of a JSON result that is no text. The text is the value of `nonText` (ours)."""

    UNSET = ""
    RENDER = "render"
    REFUSE = "refuse"

    def is_rendered(self, *, default: bool) -> bool:
        """Say whether such results are rendered, where `default` counts when the class does not say."""
        return default if self is NonText.UNSET else self is NonText.RENDER


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonKey:
    """One `jmesPath` entry: a file of its own cut out of the JSON value of its object.

    Args:
        path: JMESPath expression, not empty.
        alias: File name before translation, not empty.
        permission: Empty (the object's mode counts) or four octal digits.
        encoding: How the text that `path` finds is stored.
        non_text: For results that are no text; unset: the object's.
    """

    path: str
    alias: str
    permission: str = ""
    encoding: Encoding = Encoding.AS_IS
    non_text: NonText = NonText.UNSET

    def file_name(self, translation: PathTranslation) -> str:
        """Return the path of this key's file below the mount point; also its id in object_version."""
        return translation.translate(self.alias)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverObject:
    """What differs in failover regions; an empty field means: as in the primary region.

    An ARN serves the region that it names; other failover regions use the object's own name. Without a name, version
    and label still count (as upstream does it).
    """

    name: str = ""
    version: str = ""
    version_label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTemplate:
    """One more file, whose text quotes other files of the class (ours); see `file_templates`.

    Args:
        alias: File name before translation, not empty.
        text: With `${file}` for the contents of a file, `$${` for a plain `${`; not empty.
        permission: Empty (the object's mode counts) or four octal digits.
    """

    alias: str
    text: str
    permission: str = ""

    def file_name(self, translation: PathTranslation) -> str:
        """Return the path of the rendered file below the mount point; also its id in object_version."""
        return translation.translate(self.alias)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretObject:
    """One entry of `objects`: one secret or parameter, its own file, and files of its JSON keys.

    Args:
        name: Friendly name, parameter name or full ARN, as it is sent to AWS.
        type: The store; resolved from the ARN when the document has no objectType.
        alias: File name before translation; empty: the name.
        version: Secrets Manager VersionId or parameter version, as text; empty: not pinned.
        version_label: Stage (Secrets Manager) or label (Parameter Store); empty: none.
        permission: Empty (the request's mode counts) or four octal digits.
        json_keys: In document order.
        failover: Differences in all failover regions, if any (upstream's single mapping).
        failover_by_region: Ours: differences for each failover region in order, the first entry for the first of them;
            regions beyond its end are asked as the primary. Never together with `failover`.
        optional: A missing object gives no files instead of an error.
        encoding: How the whole value is stored; JSON keys are cut out of what was decoded.
        all_keys: `keys: "*"`: every key of the JSON object is a file of its own, beside the object's.
        non_text: For JSON results that are no text.
        template: One more file, made of others.
    """

    name: str
    type: ObjectType
    alias: str = ""
    version: str = ""
    version_label: str = ""
    permission: str = ""
    json_keys: tuple[JsonKey, ...] = ()
    failover: FailoverObject | None = None
    failover_by_region: tuple[FailoverObject, ...] = ()
    optional: bool = False
    encoding: Encoding = Encoding.AS_IS
    all_keys: bool = False
    non_text: NonText = NonText.UNSET
    template: FileTemplate | None = None

    def __post_init__(self) -> None:
        """Refuse what no document can say."""
        if self.failover and self.failover_by_region:
            raise ValueError("failover and failover_by_region are two spellings of one key")

    def file_name(self, translation: PathTranslation) -> str:
        """Return the path of the object's own file below the mount point; also its id in object_version."""
        return translation.translate(self.alias or self.name)

    def file_mode(self, default_mode: int) -> int:
        """Return the mode of the object's own file: its permission, else `default_mode` (the request's)."""
        return parse_permission(self.permission, default_mode)

    def key_mode(self, key: JsonKey | FileTemplate, default_mode: int) -> int:
        """Return the mode of a JSON key's or the template's file: its own, else the object's, else `default_mode`."""
        return parse_permission(key.permission or self.permission, default_mode)

    def failover_in(self, region_index: int) -> FailoverObject | None:
        """Return what differs in the region at this index (0 is the primary), or `None` for nothing."""
        if not region_index:
            return None
        if self.failover_by_region:
            return self.failover_by_region[region_index - 1] if region_index <= len(self.failover_by_region) else None
        return self.failover

    def name_in(self, region: str, region_index: int) -> str:
        """Return the name to ask for in the region at this index (0 is the primary)."""
        failover = self.failover_in(region_index)
        if not (failover and failover.name) or arn_region(failover.name) not in {None, region}:
            return self.name
        return failover.name

    def version_in(self, region_index: int) -> str:
        """Return the pinned version in the region at this index, or an empty text."""
        failover = self.failover_in(region_index)
        return (failover.version if failover else "") or self.version

    def version_label_in(self, region_index: int) -> str:
        """Return the stage or label in the region at this index, or an empty text."""
        failover = self.failover_in(region_index)
        return (failover.version_label if failover else "") or self.version_label


def arn_region(name: str) -> str | None:
    """Return the region of an ARN (possibly empty), or `None` for a name that is no complete ARN."""
    parts = name.split(":", ARN_PARTS - 1)
    return parts[_ARN_REGION_PART] if name.startswith(ARN_PREFIX) and len(parts) == ARN_PARTS else None


def parse_permission(text: str, default_mode: int) -> int:
    """Turn four octal digits into a mode of 0..0o777; an empty text gives the default."""
    return int(text, 8) & PERMISSION_BITS if text else default_mode
