"""Look-ups of the program that fail: one sentence with key, file and fix, and never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pulumi
import pytest

from components.cluster_facts import ClusterError, fetch_cluster
from components.look_ups import LookUpError, look_up
from tests.infra.recording import World, run_components, run_stack

GET_CLUSTER = "aws:eks/getCluster:getCluster"
GET_CLUSTERS = "aws:eks/getClusters:getClusters"
GET_SECRET = "aws:secretsmanager/getSecret:getSecret"
READ_OUTPUTS = "pulumi:pulumi:readStackOutputs"
GONE = "couldn't find\n  resource"
PLATFORM = "organization/lockstep/prod"


def refused(project: Path, stack: str, token: str, overrides: dict[str, str]) -> str:
    """Return what the program ends with when a function cannot answer."""
    world = World(clusters=("staging",), refusals={token: GONE})
    with pytest.raises(pulumi.RunError) as caught:
        run_stack(project, stack, preview=True, overrides=overrides, world=world)
    return str(caught.value)


@pytest.mark.parametrize(
    ("stack", "token", "overrides", "place", "fix"),
    [
        (
            "dev",
            GET_CLUSTER,
            {"lockstep:oidcIssuer": ""},
            "stacks/Pulumi.dev.yaml lockstep:clusterName: the cluster dev cannot be looked up",
            (
                "Fix: correct lockstep:clusterName or aws:region, use credentials that may DescribeCluster, or write "
                "down lockstep:oidcIssuer, lockstep:clusterEndpoint and lockstep:clusterCertificate"
            ),
        ),
        (
            "staging",
            GET_CLUSTERS,
            {},
            "stacks/Pulumi.staging.yaml lockstep:cluster: the clusters of the region cannot be listed",
            "Fix: use credentials that may ListClusters",
        ),
        (
            "staging",
            GET_CLUSTER,
            {},
            "stacks/Pulumi.staging.yaml lockstep:clusterName: the cluster staging cannot be looked up",
            "Fix: correct lockstep:clusterName or aws:region, use credentials that may DescribeCluster",
        ),
        (
            "dev",
            READ_OUTPUTS,
            {"lockstep:platformStack": PLATFORM},
            f"stacks/Pulumi.dev.yaml lockstep:platformStack: the outputs of {PLATFORM} cannot be read",
            "Fix: correct the name, <organization>/<project>/<stack>, bring that stack up, or use its backend",
        ),
    ],
)
def test_a_look_up_that_fails_is_told_with_key_file_and_fix(
    project: Path, stack: str, token: str, overrides: dict[str, str], place: str, fix: str
) -> None:
    text = refused(project, stack, token, overrides)
    first, line = text.splitlines()
    assert first == "nothing was changed:"
    assert line.startswith(f"{place} (")
    assert "couldn't find resource" in line
    assert fix in line


def test_secrets_that_cannot_be_looked_up_are_all_named(project: Path, tmp_path: Path) -> None:
    spec = tmp_path / "shop.yaml"
    restrict = "restrict: {breakGlass: ['arn:aws:iam::111122223333:role/glass']}"
    entries = "".join(f"  - name: dev/{name}\n    {restrict}\n" for name in ("one", "two"))
    spec.write_text(f"version: 1\napp: shop\nowner: shops\nnamespace: shop\nsecrets:\n{entries}", encoding="utf-8")
    overrides = {"lockstep:apps": f'["{spec}"]', "lockstep:deployerRole": "arn:aws:iam::111122223333:role/ci"}
    _, *lines = refused(project, "dev", GET_SECRET, overrides).splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        f"the secret 'dev/{name}', which the app 'shop' restricts, cannot be looked up" for name in ("one", "two")
    ]
    assert all("couldn't find resource" in line for line in lines)
    assert all(
        "Fix: make the secret first, use credentials that may DescribeSecret and GetResourcePolicy" in line
        for line in lines
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('invoke of a:b:c failed: invocation of a:b:c returned an error: unknown stack "x"', 'unknown stack "x"'),
        ("invoke of a:b:c failed: invocation of a:b:c failed: a:b:c: refused:\n  no\n", "a:b:c: refused: no"),
        ("AWS said: invocation of k failed: late.", "AWS said: invocation of k failed: late"),
        ("", "ValueError"),
    ],
)
def test_a_reason_is_the_providers_own_words_on_one_line(said: str, reason: str) -> None:
    def refuse() -> NoReturn:
        raise ValueError(said)

    with pytest.raises(LookUpError) as caught:
        look_up(refuse)
    assert str(caught.value) == reason


def test_a_platform_of_another_shape_is_no_platform(project: Path) -> None:
    """Another project's stack may export the same names and mean something else."""
    outputs = {
        "clusterName": "dev",
        "oidcIssuer": "https://oidc.example/id/A",
        "clusterEndpoint": "https://api.example",
        "clusterCertificate": "Y2E=",
    }
    for platform in (
        "gold",
        ["gold"],
        {"audiences": "sts.amazonaws.com", "syncsSecrets": True},
        {"syncsSecrets": True},
    ):
        world = World(stacks={PLATFORM: {**outputs, "platform": platform}})
        with pytest.raises(pulumi.RunError, match=r"stacks/Pulumi\.dev\.yaml lockstep:platformStack: .* no platform"):
            run_stack(project, "dev", preview=True, overrides={"lockstep:platformStack": PLATFORM}, world=world)


def test_a_program_of_ones_own_is_told_the_same_without_a_file() -> None:
    caught: list[str] = []

    def program() -> None:
        try:
            fetch_cluster("shop")
        except ClusterError as error:
            caught.append(str(error))

    run_components(program, world=World(refusals={GET_CLUSTER: GONE}))
    (text,) = caught
    assert text.startswith("the cluster shop cannot be looked up (")
    assert "couldn't find resource" in text
