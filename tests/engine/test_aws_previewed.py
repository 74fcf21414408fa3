"""Types that are shown at preview and not placed: a whole stack with a cluster of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.stub import Stubber

from lockstep.engine import (
    UNKNOWN,
    AwsProvider,
    EngineState,
    KubernetesManifests,
    ProviderError,
    StackOutputs,
    run_program,
)
from lockstep.engine.aws_previewed import SDK_CLASSES, previewed_resource
from lockstep.engine.aws_resources import RESOURCES
from lockstep.engine.values import Json

VPC = "aws:ec2/vpc:Vpc"


@pytest.fixture
def aws() -> AwsProvider:
    """Return a provider whose endpoint nothing listens on: a call that was not stubbed fails."""
    return AwsProvider(endpoint_url="http://127.0.0.1:9", region="eu-west-1", access_key="id", secret_key="key")


@pytest.fixture
def eks(aws: AwsProvider) -> Iterator[Stubber]:
    with Stubber(aws._clients["eks"]) as stub:
        yield stub


@pytest.mark.parametrize("token", sorted(SDK_CLASSES))
def test_every_type_is_the_sdks_own_and_is_not_placed_elsewhere(token: str) -> None:
    resource = previewed_resource(token)
    assert resource is not None
    assert resource.inputs
    assert token not in RESOURCES
    assert token.split("/", maxsplit=1)[0].removeprefix("aws:") == resource.sdk_class.split(".")[0]


#: In a process of its own: in this one the SDK may be imported already.
_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from lockstep.engine.aws_previewed import previewed_resource

tokens = ["aws:ec2/eip:Eip", "aws:ec2/vpc:Vpc", "aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/subnet:Subnet"]
barrier = Barrier(len(tokens))

def ask(token):
    barrier.wait()
    return previewed_resource(token).inputs

with ThreadPoolExecutor(len(tokens)) as threads:
    assert all(threads.map(ask, tokens))
"""


def test_the_engines_threads_may_ask_for_the_first_types_at_once(project: Path) -> None:
    ended = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", _AT_ONCE], cwd=project, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_a_misspelt_input_is_refused_with_the_real_name(aws: AwsProvider) -> None:
    (problem,) = aws.check(VPC, {"cidrBlok": "10.0.0.0/16"})
    assert "did you mean 'cidrBlock'?" in problem.reason


def test_what_only_aws_can_tell_is_unknown(aws: AwsProvider) -> None:
    outputs = aws.plan(VPC, {"cidrBlock": "10.0.0.0/16"}, {})
    assert outputs["cidrBlock"] == "10.0.0.0/16"
    assert outputs["arn"] == outputs["mainRouteTableId"] == UNKNOWN


def test_placing_one_is_refused_by_name(aws: AwsProvider) -> None:
    with pytest.raises(ProviderError, match=r"previews aws:ec2/vpc:Vpc and does not place it\. Fix: use a cluster"):
        aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})


def test_a_stack_with_a_cluster_of_its_own_is_previewed_whole(
    project: Path, tmp_path: Path, aws: AwsProvider, eks: Stubber
) -> None:
    """The embedded engine holds every input of every new type to the real SDK's names."""
    eks.add_response("list_clusters", {"clusters": []}, {})
    result = run_program(
        project_dir=project,
        stack="staging",
        mode="preview",
        state=EngineState(),
        providers={"aws": aws, "kubernetes": KubernetesManifests(tmp_path)},
        config_overrides={
            "lockstep:oidcIssuer": "",
            "lockstep:apps": "[]",
            "lockstep:servedIdentities": '["irsa"]',
            "aws:allowedAccountIds": "[]",
        },
    )
    assert result.errors == ()
    steps = result.digest["steps"]
    assert isinstance(steps, list)
    planned = {str(step["urn"]).split("::")[2].rsplit("$", 1)[-1] for step in steps if isinstance(step, dict)}
    assert set(SDK_CLASSES) <= planned
    assert result.outputs["clusterEndpoint"] == UNKNOWN


def test_a_stack_of_apps_reads_another_stacks_outputs(project: Path, tmp_path: Path, aws: AwsProvider) -> None:
    outputs: dict[str, Json] = {
        "clusterName": "dev",
        "oidcIssuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
        "clusterEndpoint": "https://dev.api.example",
        "clusterCertificate": "Y2E=",
        "platform": {"audiences": ["pods.eks.amazonaws.com", "sts.amazonaws.com"], "syncsSecrets": True},
    }
    result = run_program(
        project_dir=project,
        stack="dev",
        mode="preview",
        state=EngineState(),
        providers={
            "aws": aws,
            "kubernetes": KubernetesManifests(tmp_path),
            "pulumi": StackOutputs({"organization/lockstep/dev": outputs}),
        },
        config_overrides={
            "lockstep:platformStack": "organization/lockstep/dev",
            "aws:allowedAccountIds": "[]",
        },
    )
    assert result.errors == ()
    assert set(result.outputs) == {"apps", "clusterName", "oidcIssuer"}


def test_an_unknown_stack_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ProviderError, match=r"there is no stack 'a/b/d' in this run\. There is: a/b/c"):
        StackOutputs({"a/b/c": {}}).invoke("pulumi:pulumi:readStackOutputs", {"name": "a/b/d"})
