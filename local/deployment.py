"""What the program placed, as the node sees it: classes, and the driver's settings from the Helm release.

The node takes nothing from our derivation here: audiences, poll interval and the right to copy Secrets come from the
values that the program rendered for the chart, so a wrong value shows in the run.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from local.driver import DriverSettings
from local.oidc_issuer import TokenCache, TokenSubject
from lockstep.engine import AwsProvider, EngineState, KubernetesManifests, ObjectKey, run_program
from lockstep.engine.values import Json

Manifest = dict[str, Json]

_CLASS_API = "secrets-store.csi.x-k8s.io/v1"
_CLASS_KIND = "SecretProviderClass"
_SECONDS = re.compile(r"(?P<number>\d+)(?P<unit>ms|s|m)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class DeploymentError(Exception):
    """The program did not run to its end; the message holds what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverValues:
    """The part of the chart's values that changes what a node does."""

    audiences: tuple[str, ...]
    rotation_interval_seconds: float | None
    sync_secrets: bool

    def driver_settings(self, socket_directory: Path) -> DriverSettings:
        """Return the driver's flags."""
        return DriverSettings(
            socket_directories=(socket_directory,),
            rotation_interval_seconds=self.rotation_interval_seconds,
            sync_secrets=self.sync_secrets,
        )


@dataclass(slots=True)
class Deployment:
    """The Pulumi program on one stack, against the emulator and a folder of manifests.

    Attributes:
        project: Checkout with `Pulumi.yaml`.
        stack: Its name.
        aws: Where AWS resources go.
        kubernetes: Where Kubernetes objects go.
        state_path: The engine's state, written after each change.
        config: Settings instead of the stack's own, by full key.
    """

    project: Path
    stack: str
    aws: AwsProvider
    kubernetes: KubernetesManifests
    state_path: Path
    config: dict[str, str] = field(default_factory=dict)
    _written_by_hand: dict[tuple[str, str], Manifest] = field(default_factory=dict, init=False)

    def preview(self, apps: Path | None = None) -> None:
        """Run the program without changing anything."""
        self._run("preview", apps)

    def up(self, apps: Path | None = None) -> None:
        """Run the program; `apps` is a folder of specs instead of the stack's own."""
        self._run("up", apps)

    def _run(self, mode: str, apps: Path | None) -> None:
        overrides = {**self.config, **({"lockstep:apps": f'["{apps}"]'} if apps else {})}
        result = run_program(
            project_dir=self.project,
            stack=self.stack,
            mode="preview" if mode == "preview" else "up",
            state=EngineState.load(self.state_path),
            providers={"aws": self.aws, "kubernetes": self.kubernetes},
            config_overrides=overrides,
            checkpoint=lambda state: state.save(self.state_path),
        )
        if not result.ok:
            problems = "\n".join(f"{item.urn}: {item.message}" if item.urn else item.message for item in result.errors)
            raise DeploymentError(f"the program's {mode} of the stack {self.stack!r} failed:\n{problems}")

    def find_class(self, namespace: str, name: str) -> Mapping[str, object] | None:
        """Return a class as the API server would: one that the program placed, or one that was written by hand."""
        by_hand = self._written_by_hand.get((namespace, name))
        if by_hand is not None:
            return by_hand
        return self.kubernetes.objects.get(ObjectKey(_CLASS_API, _CLASS_KIND, namespace, name))

    def write_class(self, namespace: str, name: str, copied_from: str, **parameters: str) -> None:
        """Write a class by hand: a copy of one that the program placed, with other parameters."""
        original = self.find_class(namespace, copied_from)
        if original is None:
            raise DeploymentError(f"there is no SecretProviderClass {namespace}/{copied_from} to copy")
        manifest = copy.deepcopy(dict(cast("Mapping[str, Json]", original)))
        manifest["metadata"] = {"name": name, "namespace": namespace}
        spec = cast("dict[str, Json]", manifest["spec"])
        spec.pop("secretObjects", None)
        spec["parameters"] = {**cast("dict[str, Json]", spec["parameters"]), **parameters}
        self._written_by_hand[namespace, name] = manifest

    def driver_values(self) -> DriverValues:
        """Return what the program's Helm release asks of the driver."""
        releases = [item for key, item in self.kubernetes.objects.items() if key.kind == "Release"]
        if len(releases) != 1:
            raise DeploymentError(f"the program placed {len(releases)} Helm releases; one driver is expected")
        values = cast("Mapping[str, Json]", cast("Mapping[str, Json]", releases[0]["spec"])["values"])
        requests = cast("Sequence[Mapping[str, str]]", values.get("tokenRequests") or ())
        sync = cast("Mapping[str, Json]", values.get("syncSecret") or {})
        return DriverValues(
            audiences=tuple(request["audience"] for request in requests),
            rotation_interval_seconds=_seconds(str(values["rotationPollInterval"]))
            if values.get("enableSecretRotation")
            else None,
            sync_secrets=sync.get("enabled") is True,
        )


class NodeTokens:
    """kubelet's token manager: binds tokens to pod and service account, and keeps them."""

    def __init__(self, cache: TokenCache) -> None:
        self._cache = cache
        self._account_uids: dict[tuple[str, str], str] = {}

    def tokens(
        self, *, namespace: str, service_account: str, pod_name: str, pod_uid: str, audiences: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return a token per audience, in the driver's form."""
        subject = TokenSubject(
            namespace=namespace,
            service_account=service_account,
            service_account_uid=self._account_uids.setdefault((namespace, service_account), str(uuid.uuid4())),
            pod_name=pod_name,
            pod_uid=pod_uid,
        )
        tokens = self._cache.driver_tokens(subject, audiences)
        return {
            audience: {"token": token["token"], "expirationTimestamp": token["expirationTimestamp"]}
            for audience, token in tokens.items()
        }


def _seconds(duration: str) -> float:
    found = _SECONDS.fullmatch(duration)
    if found is None:
        raise DeploymentError(f"rotationPollInterval is {duration!r}; a number with ms, s or m is expected")
    return int(found["number"]) * _UNIT_SECONDS[found["unit"]]
