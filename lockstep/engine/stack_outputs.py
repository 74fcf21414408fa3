"""The `pulumi` package of the embedded engine: outputs of other stacks, for programs that stand on one.

Not done here: keeping stacks; the caller hands their outputs in. Only the function behind a StackReference is answered.

Source: pulumi `pkg/resource/deploy/builtins.go` (`readStackOutputs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from lockstep.engine.resource_provider import InputProblem, ProviderError, ProviderObject, ResourceDiff
from lockstep.engine.values import Properties

_READ_OUTPUTS = "pulumi:pulumi:readStackOutputs"


class StackOutputs:
    """Answers for other stacks. See `ResourceProvider` for the methods.

    Args:
        stacks: Full name, `organization/project/stack`, to outputs.
    """

    def __init__(self, stacks: Mapping[str, Properties]) -> None:
        self._stacks = dict(stacks)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Return a stack's outputs."""
        if token != _READ_OUTPUTS:
            raise ProviderError(f"the embedded engine does not answer {token}. It answers: {_READ_OUTPUTS}")
        name = str(arguments.get("name", ""))
        outputs = self._stacks.get(name)
        if outputs is None:
            known = ", ".join(sorted(self._stacks)) or "none"
            raise ProviderError(f"there is no stack {name!r} in this run. There is: {known}. Fix: correct the name")
        return {"name": name, "outputs": dict(outputs), "secretOutputNames": []}

    def configure(self, settings: Properties) -> None:
        """Nothing can be configured."""

    def check(self, resource_type: str, inputs: Properties) -> tuple[InputProblem, ...]:  # noqa: ARG002 - the protocol's signature
        """Refuse every resource."""
        self._refuse(resource_type)

    def diff(self, resource_type: str, old_inputs: Properties, new_inputs: Properties) -> ResourceDiff:  # noqa: ARG002
        """Refuse every resource."""
        self._refuse(resource_type)

    def plan(self, resource_type: str, inputs: Properties, prior: Properties) -> Properties:  # noqa: ARG002
        """Refuse every resource."""
        self._refuse(resource_type)

    def create(self, resource_type: str, inputs: Properties) -> ProviderObject:  # noqa: ARG002
        """Refuse every resource."""
        self._refuse(resource_type)

    def read(self, resource_type: str, object_id: str) -> ProviderObject | None:  # noqa: ARG002
        """Refuse every resource."""
        self._refuse(resource_type)

    def update(self, resource_type: str, prior: ProviderObject, inputs: Properties) -> ProviderObject:  # noqa: ARG002
        """Refuse every resource."""
        self._refuse(resource_type)

    def delete(self, resource_type: str, prior: ProviderObject) -> None:  # noqa: ARG002
        """Refuse every resource."""
        self._refuse(resource_type)

    def _refuse(self, resource_type: str) -> NoReturn:
        raise ProviderError(f"the embedded engine places no {resource_type}. Fix: run the program with the Pulumi CLI")
