"""Providers for a run without any cloud: they plan and remember in memory, and ask nobody.

Not done here: placing anything, and knowing what to answer (offline_lookups.py). Types and inputs are checked as
strictly as by the embedded engine's own providers, which do the planning. An `up` against these providers makes a
state as a real one would look, so that a later preview has something to differ from.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from lockstep.engine.aws_provider import AwsProvider
from lockstep.engine.kubernetes_manifests import KubernetesManifests
from lockstep.engine.resource_provider import (
    InputProblem,
    ProviderError,
    ProviderObject,
    ResourceDiff,
    ResourceProvider,
)
from lockstep.engine.values import UNKNOWN, Json, Properties

_IDS = uuid.UUID("6b0a6f0e-8a0f-4c44-9d5b-4d6a1d3a2c11")
#: No client of these planners is ever used; the address is one that nobody listens on.
_NOWHERE = "http://127.0.0.1:9"
_IAM_PATHS = {"aws:iam/role:Role": "role", "aws:iam/policy:Policy": "policy"}


class OfflineProvider:
    """One package of resource types, planned by `planner` and placed nowhere. See `ResourceProvider`.

    Args:
        planner: Checks, compares and plans.
        account: Of the ARNs that are made up.
        answers: Token of a function to what it answers, whatever it is asked.
        made: Type to outputs of which more than a text is read.
    """

    def __init__(
        self,
        planner: ResourceProvider,
        account: str,
        answers: Mapping[str, Properties] | None = None,
        made: Mapping[str, Properties] | None = None,
    ) -> None:
        self._planner = planner
        self._account = account
        self._answers = answers or {}
        self._made = made or {}

    def configure(self, settings: Properties) -> None:
        """Take any settings: nothing is reached with them."""

    def check(self, resource_type: str, inputs: Properties) -> tuple[InputProblem, ...]:
        """Check as the planner does."""
        return self._planner.check(resource_type, inputs)

    def diff(self, resource_type: str, old_inputs: Properties, new_inputs: Properties) -> ResourceDiff:
        """Compare as the planner does."""
        return self._planner.diff(resource_type, old_inputs, new_inputs)

    def plan(self, resource_type: str, inputs: Properties, prior: Properties) -> Properties:
        """Plan as the planner does."""
        return self._planner.plan(resource_type, inputs, prior)

    def create(self, resource_type: str, inputs: Properties) -> ProviderObject:
        """Remember an object; what AWS would answer is made up from its name."""
        return ProviderObject(id=self._id(resource_type, inputs), outputs=self._outputs(resource_type, inputs))

    def read(self, resource_type: str, object_id: str) -> ProviderObject | None:
        """Refuse: there is nothing to read."""
        raise ProviderError(f"{resource_type} {object_id} cannot be read without a cloud. Fix: use the Pulumi CLI")

    def update(self, resource_type: str, prior: ProviderObject, inputs: Properties) -> ProviderObject:
        """Remember the new inputs."""
        return ProviderObject(id=prior.id, outputs=self._outputs(resource_type, inputs))

    def delete(self, resource_type: str, prior: ProviderObject) -> None:
        """Forget it: the state is the only memory."""

    def invoke(self, token: str, arguments: Properties) -> Properties:  # noqa: ARG002 - the protocol's signature
        """Answer what was given, and refuse the rest: an answer would have to be invented."""
        if token in self._answers:
            return self._answers[token]
        raise ProviderError(f"{token} cannot be answered without a cloud; the Pulumi CLI asks it")

    def _outputs(self, resource_type: str, inputs: Properties) -> dict[str, Json]:
        planned = self._planner.plan(resource_type, inputs, {})
        made: dict[str, Json] = {
            key: self._id(resource_type, inputs) for key, value in planned.items() if value == UNKNOWN
        }
        kind = _IAM_PATHS.get(resource_type)
        if kind:
            made["arn"] = f"arn:aws:iam::{self._account}:{kind}{inputs.get('path') or '/'}{inputs['name']}"
        return {**planned, **made, **self._made.get(resource_type, {})}

    @staticmethod
    def _id(resource_type: str, inputs: Properties) -> str:
        return str(inputs.get("name") or uuid.uuid5(_IDS, f"{resource_type} {sorted(map(str, inputs.items()))}"))


def offline_providers(
    *,
    region: str,
    account: str,
    answers: Mapping[str, Properties] | None = None,
    made: Mapping[str, Properties] | None = None,
) -> Mapping[str, ResourceProvider]:
    """Return the providers that a stack of this project needs; `answers` and `made` are for AWS's."""
    aws = AwsProvider(endpoint_url=_NOWHERE, region=region, access_key="offline", secret_key="offline")  # noqa: S106 - no secret
    kubernetes = KubernetesManifests(Path(tempfile.gettempdir()) / "lockstep-offline-has-no-manifests")
    return {"aws": OfflineProvider(aws, account, answers, made), "kubernetes": OfflineProvider(kubernetes, account)}
