"""The components as a package for any Pulumi language: its schema, and Construct over gRPC as the engine calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from components.app_secrets import PACKAGE, AppSecrets, parse_args

SCHEMA = Path(__file__).parents[1] / "golden" / "package-schema.json"
SPEC = "version: 1\napp: api\nnamespace: shop\nsecrets:\n  - name: ${environment}/api\n"
ARGS = {
    "spec": SPEC,
    "environment": "dev",
    "region": "eu-west-1",
    "account": "111122223333",
    "clusterName": "dev",
    "oidcIssuer": "https://oidc.example/id/A",
}


class Engine(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """What a package needs of the engine; keeps what is registered."""

    def __init__(self) -> None:
        self.registered: list[Any] = []

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Say yes."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Say that this is a preview."""
        return resource_pb2.DeploymentInfo(project="p", stack="dev", dryRun=True, supportedFeatures=[0, 1, 2, 3, 5, 7])  # type: ignore[list-item]

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Keep the request, echo the inputs."""
        self.registered.append(request)
        urn = f"urn:pulumi:dev::p::{request.type}::{request.name}"
        return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Take them."""
        return Empty()

    def Log(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Take it."""
        return Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """There is none."""
        return engine_pb2.GetRootResourceResponse()

    def SetRootResource(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Take it."""
        return engine_pb2.SetRootResourceResponse()


@contextmanager
def package(project: Path, cwd: Path) -> Iterator[tuple[Engine, Any, str]]:
    """Start the package as Pulumi does, from another folder; yield engine, provider stub and the engine's address."""
    engine = Engine()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(engine, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    command = [sys.executable, str(project / "components"), address]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own package
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield engine, provider_pb2_grpc.ResourceProviderStub(channel), address
    finally:
        process.terminate()
        process.communicate(timeout=10)
        server.stop(grace=0).wait()


def construct(stub: Any, address: str, **args: str) -> Any:  # noqa: ANN401 - generated types
    inputs = Struct()
    inputs.update(args)
    request = provider_pb2.ConstructRequest(
        project="p",
        stack="dev",
        dryRun=True,
        parallel=4,
        monitorEndpoint=address,
        type="lockstep:index:AppSecrets",
        name="api",
        inputs=inputs,
        accepts_output_values=True,
    )
    return stub.Construct(request, timeout=60)


def test_the_schema_is_what_was_reviewed(*, rewrite_golden: bool) -> None:
    schema = json.loads(str(ComponentProvider([AppSecrets], PACKAGE, version="0.1.0").schema))
    text = json.dumps(schema, indent=1, sort_keys=True) + "\n"
    if rewrite_golden:
        SCHEMA.write_text(text, encoding="utf-8")
    assert text == SCHEMA.read_text(encoding="utf-8"), "run with --rewrite-golden and review the difference"


def test_a_program_in_any_language_gets_the_same_access(project: Path, tmp_path: Path) -> None:
    with package(project, tmp_path) as (engine, stub, address):
        answer = construct(stub, address, **ARGS)
        registered = {request.type: request for request in engine.registered}
    assert answer.state["roleArn"] == "arn:aws:iam::111122223333:role/dev-eu-west-1-api"
    assert {"aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "kubernetes:core/v1:ServiceAccount"} <= set(
        registered
    )
    policy = json.loads(registered["aws:iam/rolePolicy:RolePolicy"].object["policy"])
    assert policy["Statement"][0]["Resource"] == ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:dev/api-??????"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"clusterNam": "dev"}, "clusterNam: the argument is unknown. Fix: did you mean 'clusterName'?"),
        ({"spec": None}, "spec: it is missing. Fix: give it"),
        ({"account": 7}, "account: it is no plain text"),
    ],
)
def test_what_pulumi_drops_or_changes_silently_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match="AppSecrets: ") as caught:
        parse_args({**ARGS, **change})
    assert text in str(caught.value)


def test_pythons_own_spelling_of_arguments_is_taken() -> None:
    snake = {key: value for key, value in ARGS.items() if key not in {"clusterName", "oidcIssuer"}}
    assert parse_args({**snake, "cluster_name": "dev", "oidc_issuer": ARGS["oidcIssuer"]}) == dict(sorted(ARGS.items()))
