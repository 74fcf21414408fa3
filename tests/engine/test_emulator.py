"""The real program of this project, through the engine, against the AWS emulator: what it says is what is there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import pytest

from components.derivation import derive_all, load_specs
from components.settings import load_settings
from lockstep.engine import AwsProvider, EngineResult, EngineState, KubernetesManifests, Mode, run_program
from lockstep.engine.values import Json
from tests.fakes.free_ports import free_port
from tests.fakes.patience import MOMENTS_SECONDS, PATIENCE_SECONDS, wait_until


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the emulator on a free loopback port; `make dev` builds its environment."""
    project = Path(__file__).resolve().parents[2]
    folder = tmp_path_factory.mktemp("emulator")
    port = free_port()
    environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the emulator of our own environment, no shell
            [str(project / ".venv-emulator" / "bin" / "python"), "-m", "ministack"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            _await_port(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    def listens() -> bool:
        assert process.poll() is None, "the emulator ended before it listened"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=MOMENTS_SECONDS).close()
        except OSError:
            return False
        return True

    wait_until(listens, "the emulator listens", every=0.1)


def test_a_real_stack_is_placed_left_alone_and_taken_down(project: Path, endpoint: str, tmp_path: Path) -> None:
    manifests = KubernetesManifests(tmp_path / "objects")
    aws = AwsProvider(endpoint_url=endpoint, region="us-east-1", access_key="test", secret_key="test")
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    iam: Any = session.client("iam", endpoint_url=endpoint)

    def run(mode: Mode, state: EngineState) -> EngineResult:
        result = run_program(
            project_dir=project,
            stack="local",
            mode=mode,
            state=state,
            providers={"aws": aws, "kubernetes": manifests},
        )
        assert result.ok, result.diagnostics
        return result

    preview = run("preview", EngineState())
    assert iam.list_roles()["Roles"] == []
    assert manifests.objects == {}

    up = run("up", EngineState())
    assert up.digest["changeSummary"] == preview.digest["changeSummary"]
    assert {step["urn"] for step in _steps(up)} == {step["urn"] for step in _steps(preview)}

    settings = load_settings(project, "local")
    specs = load_specs([project / path for path in settings.apps])
    apps = derive_all(specs, settings.environment(str(settings.oidc_issuer)))
    for access in apps:
        role = iam.get_role(RoleName=access.role_name)["Role"]
        assert role["Arn"] == access.role_arn, "the ARN that was derived is the ARN that AWS gave"
        assert _document(role["AssumeRolePolicyDocument"]) == access.trust.to_dict()
        for policy in access.policies:
            placed = iam.get_role_policy(RoleName=access.role_name, PolicyName=policy.name)
            assert _document(placed["PolicyDocument"]) == policy.document.to_dict()
    placed_classes = [value for key, value in manifests.objects.items() if key.kind == "SecretProviderClass"]
    derived_classes = [mount.secret_provider_class for access in apps for mount in access.mounts]
    assert sorted(placed_classes, key=str) == sorted(derived_classes, key=str)

    again = run("up", up.state)
    assert set(again.digest["changeSummary"]) == {"same"}  # type: ignore[arg-type]

    down = run("destroy", again.state)
    assert down.state == EngineState()
    assert iam.list_roles()["Roles"] == []
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    assert {key.kind for key in manifests.objects} == {"Namespace"}, "namespaces are kept: others live in them"


def test_a_secrets_policy_is_put_found_and_taken_away_at_the_emulator(endpoint: str) -> None:
    aws = AwsProvider(endpoint_url=endpoint, region="us-east-1", access_key="test", secret_key="test")
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    secrets: Any = session.client("secretsmanager", endpoint_url=endpoint)
    arn = secrets.create_secret(Name="engine/restricted", SecretString="x")["ARN"]
    token = "aws:secretsmanager/secretPolicy:SecretPolicy"
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "LockstepDenyOthers"}]})
    before = aws.invoke("aws:secretsmanager/getSecret:getSecret", {"name": "engine/restricted"})
    assert (before["arn"], before["policy"]) == (arn, "")
    placed = aws.create(token, {"secretArn": arn, "policy": document, "blockPublicPolicy": True})
    found = aws.invoke("aws:secretsmanager/getSecret:getSecret", {"arn": arn})
    assert json.loads(str(found["policy"])) == json.loads(document)
    aws.delete(token, placed)
    after = aws.invoke("aws:secretsmanager/getSecret:getSecret", {"arn": arn})
    assert after["policy"] == ""


def test_an_association_with_a_policy_is_made_and_changed_at_the_emulator(endpoint: str) -> None:
    aws = AwsProvider(endpoint_url=endpoint, region="us-east-1", access_key="test", secret_key="test")
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    eks: Any = session.client("eks", endpoint_url=endpoint)
    role = "arn:aws:iam::000000000000:role/app"
    network = {"subnetIds": ["subnet-1"]}
    eks.create_cluster(name="engine", roleArn=role, resourcesVpcConfig=network)
    token = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    inputs: dict[str, Json] = {"clusterName": "engine", "namespace": "a", "serviceAccount": "a", "roleArn": role}
    bounded: dict[str, Json] = {**inputs, "policy": "{}", "disableSessionTags": True}
    made = aws.create(token, bounded)
    changed = aws.update(token, made, {**inputs, "targetRoleArn": "arn:aws:iam::999988887777:role/second"})
    found = aws.read(token, f"engine,{made.id}")
    assert found is not None
    assert found.outputs["roleArn"] == role
    aws.delete(token, changed)


def _steps(result: EngineResult) -> list[dict[str, Any]]:
    steps: Any = result.digest["steps"]
    return list(steps)


def _document(value: object) -> dict[str, Any]:
    """Return a policy document as data; IAM's API gives it percent-encoded, boto3 mostly decodes it."""
    document: dict[str, Any] = json.loads(unquote(value)) if isinstance(value, str) else dict(value)  # type: ignore[call-overload]
    return document
