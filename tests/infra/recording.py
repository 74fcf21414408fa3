"""Runs the real program under Pulumi's mocks and keeps every registration whole: options, dependencies, providers.

Pulumi's own mock arguments leave out parent, dependencies and protect; the monitor below keeps the protobuf request.
The mocks answer what the real providers would: at preview without what only the other side can tell.
"""

from __future__ import annotations

import asyncio
import contextvars
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import resource_pb2

from components.stack_config import load_stack_config
from lockstep.engine.values import UNKNOWN, Json, contains_secret, contains_unknown, parse_struct

ROLE = "aws:iam/role:Role"
SECRET_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
WORKLOAD = "lockstep:index:WorkloadIdentity"
CLUSTER = "aws:eks/cluster:Cluster"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
OIDC_PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
KUBERNETES_PROVIDER = "pulumi:providers:kubernetes"
RELEASE = "kubernetes:helm.sh/v3:Release"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
NAMESPACE = "kubernetes:core/v1:Namespace"
SERVICE_ACCOUNT = "kubernetes:core/v1:ServiceAccount"
ADMISSION_POLICY = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
ADMISSION_BINDING = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"
CLASS = "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass"

#: What EKS answers for the looked-up cluster: the facts that the stacks of this project have as literals.
CLUSTERS = {
    "dev": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
    "prod": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLEC061A78C479E31025A21AEXAMPLE",
    "staging": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLEA7B2C4D6E8F0A1B2C3D4EEXAMPLE",
}


@dataclass(frozen=True, kw_only=True)
class World:
    """What is there besides what the program makes.

    Attributes:
        clusters: Names that EKS lists.
        stacks: Full stack name to its outputs.
        refusals: Token of a function to why it cannot answer.
    """

    clusters: tuple[str, ...] = ()
    stacks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Registration:
    """One resource as the program registered it. `inputs` are as they travelled: secrets and unknowns are marked."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Json]
    parent: str
    dependencies: frozenset[str]
    provider: str
    protect: bool
    unprotects: bool
    retain_on_delete: bool
    deleted_with: str
    ignore_changes: tuple[str, ...]
    aliases: tuple[str, ...]

    @property
    def label(self) -> str:
        """Type and name, for comparisons that people read."""
        return f"{self.type}::{self.name}"

    def is_plain(self, key: str) -> bool:
        """Say whether an input is known at preview and no secret."""
        value = self.inputs[key]
        return value is not None and not self.is_secret(key) and not contains_unknown(value)

    def is_secret(self, key: str) -> bool:
        """Say whether an input, or a part of it, is a secret."""
        return contains_secret(self.inputs[key])


@dataclass
class Recorded:
    """Everything that one run of the program registered."""

    resources: list[Registration] = field(default_factory=list)
    outputs: dict[str, dict[str, Json]] = field(default_factory=dict)
    invokes: list[str] = field(default_factory=list)

    def of_type(self, resource_type: str) -> list[Registration]:
        """Return the registrations of one type, by name."""
        return sorted((item for item in self.resources if item.type == resource_type), key=lambda item: item.name)

    def one(self, resource_type: str, name: str | None = None) -> Registration:
        """Return the only registration of a type (and name)."""
        (found,) = [item for item in self.of_type(resource_type) if name in (None, item.name)]
        return found

    def stack_outputs(self) -> dict[str, Json]:
        """Return what the program exported."""
        return next(value for urn, value in self.outputs.items() if "::pulumi:pulumi:Stack::" in urn)

    def by_urn(self, urn: str) -> Registration:
        """Return the registration of a URN."""
        return next(item for item in self.resources if item.urn == urn)

    def dependencies(self, item: Registration) -> set[str]:
        """Return the labels of what a registration depends on."""
        return {self.by_urn(urn).label for urn in item.dependencies}


#: Name of a secret → the resource policy that it carries before the program runs.
SECRET_POLICIES = {"dev/foreign": '{"Statement": [{"Sid": "SomebodyElse"}]}'}

#: What a provider adds at up, by type; `{name}` is the resource's. At preview it is unknown, as with the real engine.
COMPUTED: dict[str, dict[str, Any]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:ecr/repository:Repository": {"repositoryUrl": "registry.example/provider"},
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://made.api.example",
        "certificateAuthority": {"data": "Y2E="},
        "identities": [{"oidcs": [{"issuer": CLUSTERS["staging"]}]}],
    },
    "aws:kms/key:Key": {"keyId": "made-key"},
}


class _Answers(mocks.Mocks):
    def __init__(self, *, preview: bool, world: World) -> None:
        self._preview = preview
        self._world = world

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Return the inputs, and at up what a real provider would add."""
        outputs = dict(args.inputs)
        if not self._preview:
            outputs["arn"] = f"arn:of:{args.name}"
            outputs |= COMPUTED.get(args.typ, {})
            if args.typ == RELEASE:
                outputs["status"] = {"name": args.inputs["name"], "namespace": args.inputs["namespace"]}
        return ("" if self._preview else f"{args.name}-id", outputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Answer the functions that the program may call."""
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "aws:eks/getCluster:getCluster": lambda given: self._cluster(given["name"]),
            "aws:eks/getClusters:getClusters": lambda _: {"names": list(self._world.clusters)},
            "aws:secretsmanager/getSecret:getSecret": lambda given: self._secret(given["name"]),
            "pulumi:pulumi:readStackOutputs": lambda given: {
                "name": given["name"],
                "outputs": self._world.stacks[given["name"]],
                "secretOutputNames": [],
            },
        }
        if args.token in self._world.refusals:
            return {}, [("name", self._world.refusals[args.token])]
        return answers[args.token](args.args), []

    def _secret(self, name: str) -> dict[str, Any]:
        arn = f"arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}-Ab12Cd"
        return {"arn": arn, "name": name, "policy": SECRET_POLICIES.get(name, "")}

    def _cluster(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "endpoint": f"https://{name}.api.example",
            "certificateAuthorities": [{"data": "Y2E="}],
            "identities": [{"oidcs": [{"issuer": CLUSTERS[name]}]}],
        }


class RecordingMonitor(mocks.MockMonitor):
    """Keeps what the mocks alone would drop."""

    def __init__(self, answers: _Answers, recorded: Recorded) -> None:
        super().__init__(answers)
        self._recorded = recorded

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 - Pulumi's name and types
        """Keep the whole request."""
        with _thread_loop():
            answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        self._recorded.resources.append(_registration(request, answer.urn))
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: ANN401, N802
        """Keep the outputs."""
        assert request.urn not in self._recorded.outputs, f"{request.urn} registered its outputs twice"
        self._recorded.outputs[request.urn] = parse_struct(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: Any) -> Any:  # noqa: ANN401, N802
        """Keep the token."""
        self._recorded.invokes.append(request.tok)
        with _thread_loop():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


@contextmanager
def _thread_loop() -> Iterator[None]:
    """Give this worker thread a loop that is closed again: the mocks would make one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _registration(request: resource_pb2.RegisterResourceRequest, urn: str) -> Registration:
    inputs = Struct()
    inputs.CopyFrom(request.object)
    return Registration(
        urn=urn,
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=parse_struct(inputs),
        parent=request.parent,
        dependencies=frozenset(request.dependencies),
        provider=request.provider,
        protect=request.protect,
        # Said, and not merely left out: the engine then takes the parent's word for nothing.
        unprotects=request.HasField("protect") and not request.protect,
        retain_on_delete=request.retainOnDelete,
        deleted_with=request.deletedWith,
        ignore_changes=tuple(request.ignoreChanges),
        aliases=tuple(sorted([*request.aliasURNs, *(_alias(item, urn) for item in request.aliases)])),
    )


def _alias(alias: Any, urn: str) -> str:  # noqa: ANN401 - Pulumi's types
    """Return an alias as a URN: it comes as one, or as another name below the same parent."""
    return alias.urn or f"{urn.rpartition('::')[0]}::{alias.spec.name}"


def run_stack(
    project: Path,
    stack: str,
    *,
    preview: bool,
    overrides: Mapping[str, str] | None = None,
    world: World | None = None,
) -> Recorded:
    """Run `__main__.py` with a stack's configuration and return what it registered.

    Raises whatever the program raises.
    """
    recorded = Recorded()
    config = load_stack_config(project, stack, dict(overrides or {})).as_text()
    program = str(project / "__main__.py")
    # A context of its own: Pulumi keeps its root resource and settings in context variables.
    contextvars.copy_context().run(
        _run_in_context,
        project,
        stack,
        config,
        recorded,
        lambda: _run(program),
        world or World(clusters=("staging",)),
        preview=preview,
    )
    return recorded


def run_components(
    make: Callable[[], object],
    *,
    preview: bool = True,
    config: Mapping[str, str] | None = None,
    world: World | None = None,
) -> Recorded:
    """Run a few components alone, or a program of somebody else, without the project's own configuration.

    Args:
        make: Registers them.
        preview: Whether what only the other side can tell is unknown.
        config: `lockstep:<key>` to value: the project is called so here.
        world: What is there besides.
    """
    recorded = Recorded()
    nowhere = Path("/nonexistent")
    given = dict(config or {})
    contextvars.copy_context().run(
        _run_in_context, nowhere, "alone", given, recorded, make, world or World(), preview=preview
    )
    return recorded


def _run_in_context(
    project: Path,
    stack: str,
    config: dict[str, str],
    recorded: Recorded,
    program: Callable[[], object],
    world: World,
    *,
    preview: bool,
) -> None:
    monitor = RecordingMonitor(_Answers(preview=preview, world=world), recorded)
    with _fresh_loop() as loop:
        settings.ROOT.set(None)
        # What tables of tests made of outputs while they were imported belongs to no loop that runs, and Pulumi would
        # wait for it.
        settings.SETTINGS.outputs.clear()
        settings.configure(
            mocks.MockSettings(  # type: ignore[no-untyped-call]
                monitor=monitor,
                engine=mocks.MockEngine(None),
                project="lockstep",
                stack=stack,
                dry_run=preview,
                root_directory=str(project),
            )
        )
        pulumi.runtime.set_all_config(config, [])
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _call(program)))


def _call(program: Callable[[], object]) -> None:
    """Run it, and drop what it returns: Pulumi would wait for it."""
    program()


def _run(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


@contextmanager
def _fresh_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


def unknown(item: Registration) -> list[str]:
    """Return the names of a registration's inputs that are not known."""
    return sorted(key for key, value in item.inputs.items() if contains_unknown(value) or value == UNKNOWN)
