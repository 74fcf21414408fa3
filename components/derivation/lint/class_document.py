"""A SecretProviderClass of the aws provider that somebody else wrote: its parts, and what the provider makes of them.

The provider's own codec is the judge of what it can read; this module only brings its verdicts to their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from provider_runtime.errors import MountError
from provider_runtime.file_paths import PathTranslation, parse_path_translation
from provider_runtime.object_values import arn_region
from provider_runtime.secret_objects import SecretObject, parse_objects

from .part import Part, UnreadableError, nested

_WHERE = "objects"
#: For a class without a region whose names do not say one either: only its form is judged.
_ANY_REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One thing that the provider refuses, at its place."""

    part: Part
    error: MountError


@dataclass(frozen=True, slots=True)
class ClassDocument:
    """One class. `namespace` "" means: wherever it is applied.

    Attributes:
        part: The manifest.
        entries: Of its `objects`, as parts with places; () when that text cannot be read.
        values: What the provider reads; () when it refuses.
        verdicts: Why it refuses.
    """

    part: Part
    entries: tuple[Part, ...] = field(init=False)
    values: tuple[SecretObject, ...] = field(init=False)
    verdicts: tuple[Verdict, ...] = field(init=False)

    def __post_init__(self) -> None:
        root = self._objects_root()
        object.__setattr__(self, "entries", tuple(root.items()))
        values, verdicts = self._read(root)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "verdicts", verdicts)

    @property
    def name(self) -> str:
        """Its name."""
        return self.part.get("metadata", "name").text

    @property
    def namespace(self) -> str:
        """Its namespace, or ""."""
        return self.part.get("metadata", "namespace").text

    @property
    def shown(self) -> str:
        """Namespace and name, for messages."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def parameters(self) -> Part:
        """The mapping of parameters."""
        return self.part.get("spec", "parameters")

    @property
    def region(self) -> str:
        """The region, or ""."""
        return self.parameters.get("region").text

    @property
    def failover_regions(self) -> tuple[str, ...]:
        """The failover regions, in order."""
        single = self.parameters.get("failoverRegion").text
        several = [text.strip() for text in self.parameters.get("failoverRegions").text.split(",")]
        return tuple(dict.fromkeys(text for text in (single, *several) if text))

    @property
    def uses_pod_identity(self) -> bool:
        """Whether it asks for Pod Identity."""
        return self.parameters.get("usePodIdentity").text.lower() in {"1", "t", "true"}

    @property
    def translation(self) -> PathTranslation:
        """How names become files; the default where the parameter is wrong."""
        try:
            return parse_path_translation(self.parameters.get("pathTranslation").text)
        except MountError:
            return PathTranslation()

    def may_share_namespace(self, namespace: str) -> bool:
        """Say whether something in this namespace can use the class."""
        return not self.namespace or not namespace or self.namespace == namespace

    def secret_objects(self) -> Iterator[Part]:
        """Yield the entries of `secretObjects`."""
        yield from self.part.get("spec", "secretObjects").items()

    def files(self) -> dict[str, Part]:
        """Return file → entry, of everything that the class mounts; as far as its entries say."""
        found: dict[str, Part] = {}
        for entry in self.entries:
            name = spelled(entry, "objectAlias").text or spelled(entry, "objectName").text
            found.setdefault(self.translation.translate(name), entry)
            for key in spelled(entry, "jmesPath").items():
                found.setdefault(self.translation.translate(spelled(key, "objectAlias").text), entry)
            template = spelled(entry, "template")
            if template:
                found.setdefault(self.translation.translate(spelled(template, "objectAlias").text), entry)
        return {file: entry for file, entry in found.items() if file}

    def _objects_root(self) -> Part:
        part = self.parameters.get("objects")
        if part.kind != "text":
            return part if part.kind == "absent" else Part(part.source, None, part.path, part.spot)
        try:
            roots = nested(part)
        except UnreadableError:
            roots = ()
        return roots[0] if roots else Part(part.source, None, part.path, part.spot)

    def _read(self, root: Part) -> tuple[tuple[SecretObject, ...], tuple[Verdict, ...]]:
        part = self.parameters.get("objects")
        names = [spelled(entry, "objectName").text for entry in self.entries]
        region = self.region or next(filter(None, map(arn_region, names)), _ANY_REGION)
        try:
            values = parse_objects(
                part.text,
                region=region,
                failover_regions=self.failover_regions,
                translation=self.translation,
                where=_WHERE,
            )
        except MountError as joined:
            verdicts = (
                Verdict(part=(root or part).at(error.where.removeprefix(_WHERE)), error=error)
                for error in joined.problems
            )
            return (), tuple(verdicts)
        return values, ()


def spelled(part: Part, name: str) -> Part:
    """Return a field of an entry. The provider takes any case, and of two spellings the exact one."""
    exact = part.get(name)
    if exact:
        return exact
    found = [value for key, value in part.entries() if key.text.lower() == name.lower()]
    return found[-1] if found else exact
