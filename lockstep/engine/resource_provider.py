"""What the engine asks of a provider: the verbs, and the values that go with them.

Not done here: any provider (aws_provider.py, kubernetes_manifests.py) and the order of calls (deployment.py). The verbs
are Pulumi's own (Configure, Check, Diff, Create, Read, Update, Delete, Invoke), with plain values: secrets are already
revealed, unknowns are the text `values.UNKNOWN` and occur at preview only.

A provider is called from several threads at once and keeps its own locks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lockstep.engine.values import Properties, PropertyChange


class ProviderError(Exception):
    """A provider cannot do what was asked; the text is shown to the user and holds no secret value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputProblem:
    """One input that a provider refuses, before anything is changed."""

    property: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDiff:
    """What changing a resource's inputs would do.

    Attributes:
        changes: Every changed property, sorted by path; empty means that nothing has to be done.
        replace_keys: Top-level properties that cannot be changed in place; not empty means replacement.
        delete_before_replace: The new object would collide with the old one, so the old one goes first.
    """

    changes: tuple[PropertyChange, ...] = ()
    replace_keys: tuple[str, ...] = ()
    delete_before_replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderObject:
    """A resource as the provider's side knows it: its id and every property, inputs included."""

    id: str
    outputs: Properties


class ResourceProvider(Protocol):
    """One package of resource types, such as `aws`. `resource_type` is a full token: `aws:iam/role:Role`."""

    def configure(self, settings: Properties) -> None:
        """Take the settings of a provider resource.

        Raises:
            ProviderError: The settings name another place than the one this provider works on.
        """

    def check(self, resource_type: str, inputs: Properties) -> tuple[InputProblem, ...]:
        """Say what is wrong with the inputs; an unknown type is a `ProviderError`, never an echo."""

    def diff(self, resource_type: str, old_inputs: Properties, new_inputs: Properties) -> ResourceDiff:
        """Compare the inputs of the last run with the new ones. Makes no call to the outside."""

    def plan(self, resource_type: str, inputs: Properties, prior: Properties) -> Properties:
        """Return the outputs that a create or update would have, as far as they can be known without doing it.

        `prior` is the outputs of the existing object, empty for a new one. What only the other side can tell is
        `values.UNKNOWN`.
        """

    def create(self, resource_type: str, inputs: Properties) -> ProviderObject:
        """Create the object."""

    def read(self, resource_type: str, object_id: str) -> ProviderObject | None:
        """Return the object as it is now; None when it does not exist."""

    def update(self, resource_type: str, prior: ProviderObject, inputs: Properties) -> ProviderObject:
        """Change the object in place."""

    def delete(self, resource_type: str, prior: ProviderObject) -> None:
        """Remove the object; one that is already gone is fine."""

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a function such as `aws:eks/getCluster:getCluster`; an unknown one is a `ProviderError`."""
