"""What the engine knows after a run: one record per resource, kept in a JSON file.

Not done here: deciding what to do with it (deployment.py). The records carry the field names of Pulumi's own checkpoint
(`apitype.ResourceV3`), so that digests can be made from them without translation.

A state file holds secret inputs in the clear, inside Pulumi's secret marker: this engine has no secrets provider. It is
therefore written 0600 and belongs to local and test stacks; Lockstep's own program registers no secret.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType, cast

from lockstep.engine.values import Json, Properties
from lockstep.input_errors import InputError

Urn = NewType("Urn", str)

STACK_TYPE = "pulumi:pulumi:Stack"
_FORMAT_VERSION = 1


class StateFileError(InputError):
    """A state file that cannot be used; the text says which, why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceState:
    """One resource after its last step.

    Attributes:
        urn: `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`.
        inputs: As the program gave them, secrets marked.
        outputs: Inputs and what the provider added, secrets marked.
        provider: `<urn>::<id>` of the provider resource; empty for components.
        dependencies: URNs, sorted.
        delete: A replaced object that still has to be removed; such a record shares its URN with its successor.
        secret_outputs: Outputs that the program called secret, in its order.
        ignore_changes: Paths whose changes the program ignores, in its order.
        timeouts: `create`, `update`, `delete` or `read` to seconds. Kept as Pulumi keeps them: nothing here is as slow.
    """

    urn: Urn
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    delete: bool = False
    secret_outputs: tuple[str, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    timeouts: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Logical name, the last part of the URN."""
        return self.urn.split("::", 3)[3]

    @property
    def is_provider(self) -> bool:
        """Whether this is a provider resource rather than one of a provider's objects."""
        return self.type.startswith("pulumi:providers:")

    @property
    def is_default_provider(self) -> bool:
        """Whether the engine made this provider itself. Pulumi hides these from previews."""
        return self.is_provider and (self.name == "default" or self.name.startswith("default_"))

    def to_dict(self) -> dict[str, Json]:
        """Return the record in Pulumi's field names, empty fields left out, keys in fixed order."""
        full: dict[str, Json] = {
            "urn": self.urn,
            "custom": self.custom,
            "delete": self.delete,
            "id": self.id,
            "type": self.type,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "parent": self.parent,
            "protect": self.protect,
            "dependencies": list(self.dependencies),
            "provider": self.provider,
            "propertyDependencies": {key: list(urns) for key, urns in sorted(self.property_dependencies.items())},
            "additionalSecretOutputs": list(self.secret_outputs),
            "customTimeouts": dict(self.timeouts),
            "retainOnDelete": self.retain_on_delete,
            "deletedWith": self.deleted_with,
            "ignoreChanges": list(self.ignore_changes),
        }
        return {key: value for key, value in full.items() if value or key == "custom"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """All resources of one stack, each after everything that it depends on."""

    resources: tuple[ResourceState, ...] = ()

    def get(self, urn: str) -> ResourceState | None:
        """Return the live record of a URN, or None."""
        return next((record for record in self.resources if record.urn == urn and not record.delete), None)

    def of_type(self, resource_type: str) -> tuple[ResourceState, ...]:
        """Return the live records of one type, in order."""
        return tuple(record for record in self.resources if record.type == resource_type and not record.delete)

    def save(self, path: Path) -> None:
        """Write the state file in one step (temporary file, fsync, rename), readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"version": _FORMAT_VERSION, "resources": [record.to_dict() for record in self.resources]}
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 by mkstemp's contract
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=2)
                stream.write("\n")
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: Path) -> EngineState:
        """Read a state file; a file that does not exist is an empty state.

        Raises:
            StateFileError: The file is damaged or of another format version.
        """
        if not path.exists():
            return cls()
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["version"] != _FORMAT_VERSION:
                raise StateFileError(
                    f"{path}: format version {document['version']!r}. This release reads version {_FORMAT_VERSION}. "
                    "Fix: use the release that wrote the file"
                )
            return cls(resources=tuple(_parse_record(record) for record in document["resources"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StateFileError(
                f"{path}: this is not a state file ({type(error).__name__}: {error}). "
                "Fix: restore it from a copy, or remove it together with what it describes"
            ) from error


def _parse_record(record: Mapping[str, Json]) -> ResourceState:
    dependencies = cast("Mapping[str, list[str]]", record.get("propertyDependencies", {}))
    return ResourceState(
        urn=Urn(str(record["urn"])),
        type=str(record["type"]),
        custom=bool(record["custom"]),
        id=str(record.get("id", "")),
        inputs=cast("Properties", record.get("inputs", {})),
        outputs=cast("Properties", record.get("outputs", {})),
        parent=str(record.get("parent", "")),
        provider=str(record.get("provider", "")),
        dependencies=tuple(cast("list[str]", record.get("dependencies", []))),
        property_dependencies={key: tuple(urns) for key, urns in dependencies.items()},
        protect=bool(record.get("protect", False)),
        retain_on_delete=bool(record.get("retainOnDelete", False)),
        deleted_with=str(record.get("deletedWith", "")),
        delete=bool(record.get("delete", False)),
        secret_outputs=tuple(cast("list[str]", record.get("additionalSecretOutputs", []))),
        ignore_changes=tuple(cast("list[str]", record.get("ignoreChanges", []))),
        timeouts=cast("Mapping[str, float]", record.get("customTimeouts", {})),
    )
