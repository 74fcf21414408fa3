"""The components as a package for any Pulumi language: its schema, and Construct over gRPC as the engine calls it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi import Output
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    errors_pb2,
    provider_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
    status_pb2,
)

from components.app_secrets import read_args
from components.mount_platform import read_platform_args
from components.package_arguments import PackageErrors
from components.package_host import StrictProvider
from components.stack_config import ConfigKey, load_stack_config
from tests.fakes.patience import PATIENCE_SECONDS

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
def package(project: Path, cwd: Path, more: Mapping[str, str] | None = None) -> Iterator[tuple[Engine, Any, str]]:
    """Start the package as Pulumi does, from another folder; yield engine, provider stub and the engine's address.

    Args:
        project: The clone.
        cwd: Of the program that uses it.
        more: Environment variables. LOCKSTEP_PACKAGE_PYTHON in ours names another Python to start it with.
    """
    engine = Engine()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(engine, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    python = os.environ.get("LOCKSTEP_PACKAGE_PYTHON", sys.executable)
    command = [python, str(project / "components"), address]
    environment = {**os.environ, **(more or {})}
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield engine, provider_pb2_grpc.ResourceProviderStub(channel), address
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
        server.stop(grace=0).wait()


def construct(stub: Any, address: str, args: Mapping[str, Any], component: str = "AppSecrets") -> Any:  # noqa: ANN401 - generated types
    inputs = Struct()
    inputs.update(args)
    request = provider_pb2.ConstructRequest(
        project="p",
        stack="dev",
        dryRun=True,
        parallel=4,
        monitorEndpoint=address,
        type=f"lockstep:index:{component}",
        name="api",
        inputs=inputs,
        accepts_output_values=True,
    )
    return stub.Construct(request, timeout=PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def clone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what a package needs of a clone, whose roles say that they come from it."""
    copy = tmp_path_factory.mktemp("clone")
    for name in ("components", "provider_runtime"):
        shutil.copytree(project / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "venv"))
    shutil.copy(project / "requirements.txt", copy)
    for file in (copy / "components").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "derived by Lockstep" in text:
            file.write_text(text.replace("derived by Lockstep", "from the copy"), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def started(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Any, str]]:
    """Return the package, started from the copy, for a program somewhere else that has a `components` of its own."""
    program = tmp_path_factory.mktemp("program")
    (program / "components.py").write_text("raise SystemExit('not ours')\n", encoding="utf-8")
    # This environment has the repository installed as editable: without that, only the copy can answer.
    (program / "sitecustomize.py").write_text(
        "import sys\nsys.meta_path[:] = [item for item in sys.meta_path if 'Editable' not in str(item)]\n",
        encoding="utf-8",
    )
    with package(clone, program, {"PYTHONPATH": str(program)}) as running:
        yield running


def refusal(stub: Any, address: str, args: Mapping[str, Any], component: str = "AppSecrets") -> dict[str, list[str]]:  # noqa: ANN401 - as above
    """Return argument → what is wrong with it, as the engine reads it from the status."""
    with pytest.raises(grpc.RpcError) as caught:
        construct(stub, address, args, component)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailing: Any = caught.value.trailing_metadata()
    metadata = dict(trailing)
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert status.message == caught.value.details()
    told = errors_pb2.InputPropertiesError()
    assert status.details[0].Unpack(told)
    problems: dict[str, list[str]] = {}
    for item in told.errors:
        problems.setdefault(item.property_path, []).append(item.reason)
    return problems


def test_the_schema_is_what_was_reviewed(*, rewrite_golden: bool) -> None:
    schema = json.loads(str(StrictProvider().schema))
    text = json.dumps(schema, indent=1, sort_keys=True) + "\n"
    if rewrite_golden:
        SCHEMA.write_text(text, encoding="utf-8")
    assert text == SCHEMA.read_text(encoding="utf-8"), "run with --rewrite-golden and review the difference"


def test_the_started_package_answers_with_that_schema(started: tuple[Engine, Any, str]) -> None:
    """`pulumi package add` and `get-schema` ask for it over gRPC."""
    _, stub, _ = started
    answer = stub.GetSchema(provider_pb2.GetSchemaRequest(), timeout=PATIENCE_SECONDS).schema
    assert json.loads(answer) == json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert stub.GetPluginInfo(Empty(), timeout=PATIENCE_SECONDS).version == "0.1.0"


def test_a_program_in_any_language_gets_the_same_access(started: tuple[Engine, Any, str]) -> None:
    """From the copy of a clone, in another folder, with nothing of this repository to fall back on."""
    engine, stub, address = started
    answer = construct(stub, address, ARGS)
    registered = {request.type: request for request in engine.registered}
    assert answer.state["roleArn"] == "arn:aws:iam::111122223333:role/dev-eu-west-1-api"
    assert {"aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "kubernetes:core/v1:ServiceAccount"} <= set(
        registered
    )
    assert registered["aws:iam/role:Role"].object["description"].endswith("from the copy")
    policy = json.loads(registered["aws:iam/rolePolicy:RolePolicy"].object["policy"])
    assert policy["Statement"][0]["Resource"] == ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:dev/api-??????"]


def test_everything_that_is_wrong_is_told_at_once_by_argument(started: tuple[Engine, Any, str]) -> None:
    """Pulumi's own host would drop the misspelt one, tell one missing one, and show a stack trace for the rest."""
    engine, stub, address = started
    before = len(engine.registered)
    bad = ARGS | {"clusterNam": "dev", "account": "12", "identity": "kiam", "spec": SPEC + "secretz: []\nowner: 3\n"}
    told = refusal(stub, address, {key: value for key, value in bad.items() if key != "region"})
    assert told["clusterNam"] == ["the argument is unknown. Fix: did you mean 'clusterName'?"]
    assert told["region"] == ["it is missing. Fix: give it."]
    told = refusal(stub, address, bad)
    assert told["account"] == ["'12' does not fit. It is 12 digits, in quotes. Fix: correct it. [SPEC026]"]
    assert told["identity"] == ["'kiam' is none of irsa, podIdentity. Fix: name one."]
    assert [text.split(" ")[0].rstrip(":") for text in told["spec"]] == ["spec:6:1", "spec:7:8"]
    assert len(engine.registered) == before, "nothing was made"


def test_a_secret_or_an_output_where_a_literal_must_stand_is_refused(started: tuple[Engine, Any, str]) -> None:
    _, stub, address = started
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "dev"}
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    told = refusal(stub, address, ARGS | {"clusterName": secret, "oidcIssuer": unknown, "account": 111122223333})
    assert set(told) == {"clusterName", "oidcIssuer", "account"}
    assert all("it is no plain value" in text for (text,) in told.values())


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({"clusterNam": "dev"}, ["clusterNam: the argument is unknown. Fix: did you mean 'clusterName'?"]),
        ({"spec": None, "region": None}, ["region: it is missing. Fix: give it", "spec: it is missing. Fix: give it"]),
        ({"account": 7}, ["account: it is no plain value"]),
        ({"account": True}, ["account: it is no text. Fix: put it in quotes."]),
        ({"region": Output.from_input("eu-west-1")}, ["region: it is no plain value"]),
        ({"spec": SPEC + "---\n" + SPEC.replace("api", "web")}, ["spec: it has 2 apps. One component places one app"]),
        ({"environment": "X", "clusterName": ""}, ["environment: 'X' does not fit", "clusterName: '' does not fit"]),
        ({"spec": "{", "region": "mars"}, ["region: 'mars' does not fit", "spec: spec:2:"]),
    ],
)
def test_python_programs_are_told_the_same(change: dict[str, Any], texts: list[str]) -> None:
    with pytest.raises(PackageErrors) as caught:
        read_args({**ARGS, **change})
    told = str(caught.value)
    assert all(f"AppSecrets {text}" in told for text in texts), told
    assert len(caught.value.problems) == len(texts)


def test_pythons_own_spelling_of_arguments_is_taken() -> None:
    snake = {key: value for key, value in ARGS.items() if key not in {"clusterName", "oidcIssuer"}}
    given, _ = read_args({**snake, "cluster_name": "dev", "oidc_issuer": ARGS["oidcIssuer"]})
    assert given == dict(sorted(ARGS.items()))


PLATFORM = {
    "providerImage": "registry.example/provider@sha256:" + "0" * 64,
    "identities": ["podIdentity", "irsa"],
    "csiDriverChartRepository": "https://charts.example/driver",
    "csiDriverChartVersion": "1.6.0",
    "refreshInterval": "5m",
    "providerExtras": ["podMonitor"],
}


def test_a_program_in_any_language_places_the_platform(started: tuple[Engine, Any, str]) -> None:
    engine, stub, address = started
    answer = construct(stub, address, PLATFORM, "MountPlatform")
    assert list(answer.state["audiences"]) == ["pods.eks.amazonaws.com", "sts.amazonaws.com"]
    registered = {request.type: request for request in engine.registered}
    assert registered["kubernetes:helm.sh/v3:Release"].object["version"] == "1.6.0"
    pods = registered["kubernetes:apps/v1:DaemonSet"].object["spec"]["template"]["spec"]
    assert pods["containers"][0]["image"] == PLATFORM["providerImage"]
    assert "kubernetes:monitoring.coreos.com/v1:PodMonitor" in registered
    assert "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy" in registered


def test_what_is_wrong_with_the_platform_is_told_at_once(started: tuple[Engine, Any, str]) -> None:
    _, stub, address = started
    bad = {
        "providerImage": "registry.example/provider:latest",
        "identities": ["kiam"],
        "csiDriverChartVersion": "1.x",
        "refreshInterval": "5s",
        "admision": "off",
        "servesSync": "yes",
        "extraAudiences": {"a": "b"},
    }
    told = refusal(stub, address, bad, "MountPlatform")
    assert set(told) == {*bad, "csiDriverChartRepository"}
    assert told["admision"] == ["the argument is unknown. Fix: did you mean 'admission'?"]
    assert told["csiDriverChartRepository"] == ["it is missing. Fix: give it."]
    assert told["extraAudiences"][0].startswith("it is no plain value")
    assert told["identities"] == ["'kiam' does not fit. It is one of irsa, podIdentity. Fix: write irsa. [CFG007]"]


def test_a_platform_needs_an_identity_and_its_defaults_are_the_projects(project: Path) -> None:
    with pytest.raises(PackageErrors) as caught:
        read_platform_args(PLATFORM | {"identities": []})
    assert [item.argument for item in caught.value.problems] == ["identities"]
    left_out = {key: value for key, value in PLATFORM.items() if key not in {"refreshInterval", "providerExtras"}}
    _, settings, needs = read_platform_args(left_out)
    assert not needs.sync_secrets
    defaults = load_stack_config(project, "dev", {}).values
    assert settings.refresh_interval_seconds == 120
    assert defaults[ConfigKey("lockstep:refreshInterval")] == "120s"
    assert defaults[ConfigKey("lockstep:admission")] == settings.admission.value
    assert defaults[ConfigKey("lockstep:preventEarlyPods")] == settings.prevents_early_pods.value
    _, _, needs = read_platform_args(PLATFORM | {"kubernetesVersion": "1.37"})
    assert needs.can_prevent_early_pods
