"""A stack of apps on the platform of another stack: what it reads, what it places, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from lockstep.engine.values import Json
from tests.infra.recording import (
    CLASS,
    CLUSTERS,
    DAEMON_SET,
    KUBERNETES_PROVIDER,
    OIDC_PROVIDER,
    RELEASE,
    ROLE,
    Recorded,
    World,
    run_stack,
)

PLATFORM = "organization/lockstep/dev"
#: As Pulumi.yaml has it: no image on a stack of apps. tests/pulumi_cli/test_two_stacks.py asks the real CLI.
ON_PLATFORM = {"lockstep:platformStack": PLATFORM, "lockstep:providerImage": ""}


def served(project: Path, **overrides: str) -> dict[str, Json]:
    """Return what the dev stack exports as a platform without apps of its own."""
    settings = {"lockstep:apps": "[]", "lockstep:servedIdentities": '["irsa", "podIdentity"]', **overrides}
    return run_stack(project, "dev", preview=False, overrides=settings).stack_outputs()


def apps_of(project: Path, outputs: Mapping[str, Any], **overrides: str) -> Recorded:
    world = World(stacks={PLATFORM: outputs})
    return run_stack(project, "dev", preview=True, overrides={**ON_PLATFORM, **overrides}, world=world)


def test_a_platform_without_apps_serves_the_identities_that_it_is_told(project: Path) -> None:
    run = run_stack(
        project,
        "dev",
        preview=True,
        overrides={"lockstep:apps": "[]", "lockstep:servedIdentities": '["irsa"]', "lockstep:servesSync": "true"},
    )
    values: Any = run.one(RELEASE).inputs["values"]
    assert values["tokenRequests"] == [{"audience": "sts.amazonaws.com"}]
    assert values["syncSecret"] == {"enabled": True}
    assert len(run.of_type(OIDC_PROVIDER)) == 1
    assert run.of_type(ROLE) == []


def test_apps_get_what_they_would_get_in_one_stack(project: Path) -> None:
    one = run_stack(project, "dev", preview=True)
    two = apps_of(project, served(project, **{"lockstep:servesSync": "true"}))
    for resource_type in (ROLE, CLASS, KUBERNETES_PROVIDER):
        assert [item.inputs for item in one.of_type(resource_type)] == [
            item.inputs for item in two.of_type(resource_type)
        ]


def test_a_stack_of_apps_places_no_platform_and_asks_aws_nothing(project: Path) -> None:
    run = apps_of(project, served(project, **{"lockstep:servesSync": "true"}))
    assert [item for kind in (RELEASE, DAEMON_SET, OIDC_PROVIDER) for item in run.of_type(kind)] == []
    assert run.invokes == ["pulumi:pulumi:readStackOutputs"]


def test_what_decides_access_is_known_at_preview_from_the_other_stacks_outputs(project: Path) -> None:
    for role in apps_of(project, served(project, **{"lockstep:servesSync": "true"})).of_type(ROLE):
        assert role.is_plain("assumeRolePolicy")
        if "oidc-provider" in str(role.inputs["assumeRolePolicy"]):
            assert CLUSTERS["dev"].removeprefix("https://") in str(role.inputs["assumeRolePolicy"])


@pytest.mark.parametrize(
    ("change", "overrides", "text"),
    [
        ({"platform": None}, {}, r"exports no platform.*Fix: correct the name, or bring that stack up first"),
        ({"clusterName": "other"}, {}, r"lockstep:clusterName is dev, the platform of .* has other"),
        ({"oidcIssuer": "https://other"}, {}, r"lockstep:oidcIssuer is .*, the platform of .* has https://other"),
        (
            {"platform": {"audiences": ["pods.eks.amazonaws.com"], "syncsSecrets": True}},
            {},
            r"asks for no token for the identity of mailer.*add the identity to lockstep:servedIdentities",
        ),
        (
            {"platform": {"audiences": ["pods.eks.amazonaws.com", "sts.amazonaws.com"], "syncsSecrets": False}},
            {},
            r"may not write Kubernetes Secrets for .*set lockstep:servesSync: true",
        ),
    ],
)
def test_a_platform_that_does_not_serve_the_apps_is_refused_before_anything_is_placed(
    project: Path, change: dict[str, Any], overrides: dict[str, str], text: str
) -> None:
    with pytest.raises(pulumi.RunError, match=text):
        apps_of(project, {**served(project), **change}, **overrides)


def test_what_is_exported_is_enough_and_no_secret(project: Path) -> None:
    outputs = served(project)
    assert {"clusterName", "oidcIssuer", "clusterEndpoint", "clusterCertificate", "platform"} <= outputs.keys()
    assert outputs["platform"] == {
        "audiences": ["pods.eks.amazonaws.com", "sts.amazonaws.com"],
        "syncsSecrets": False,
        "guardImage": "",
    }
    json.dumps(outputs)
