"""Two stacks on the real Pulumi CLI: the `local` one brings the platform, another one holds the apps on it.

What the second stack reads, the CLI's own engine answers from the first one's state; no image is named on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
import yaml

from tests.infra.recording import CLASS, DAEMON_SET, RELEASE, ROLE
from tests.pulumi_cli.conftest import STACK, Bench
from tests.pulumi_cli.engines import RealEngine, plan
from tests.pulumi_cli.program_copy import change_settings
from tests.pulumi_cli.pulumi_cli import PulumiCli

_APPS: Final = "apps"
_PLATFORM: Final = f"organization/lockstep/{STACK}"


@pytest.fixture(scope="module")
def cli(real: Bench) -> PulumiCli:
    """Return the CLI with both stacks, of which nothing is deployed yet."""
    assert isinstance(real.engine, RealEngine)
    cli = real.engine.cli
    stacks = real.project / "stacks"
    platform = yaml.safe_load((stacks / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))["config"]
    shared = ("aws:region", "lockstep:environment", "lockstep:account", "lockstep:clusterName")
    config = {**{key: platform[key] for key in shared}, "lockstep:platformStack": _PLATFORM}
    (stacks / f"Pulumi.{_APPS}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    change_settings(real.project, STACK, {"lockstep:apps": [], "lockstep:servedIdentities": ["irsa"]})
    cli.run("stack", "init", _APPS, "--secrets-provider", "passphrase")
    return cli


@pytest.fixture(scope="module")
def previewed(cli: PulumiCli) -> Mapping[str, Any]:
    """Return what the CLI says that the apps' stack would do, once the platform's stack is up."""
    change_settings(cli.project, STACK, {"lockstep:servesSync": True})
    cli.up()
    digest: Mapping[str, Any] = json.loads(cli.run("preview", "--json", "--show-sames", "--stack", _APPS))
    return digest


def test_a_platform_that_cannot_be_read_is_told_in_one_line(cli: PulumiCli) -> None:
    """One stack does not exist, the other one was never brought up."""
    nowhere = "organization/lockstep/nowhere"
    (line,) = refusals(cli, nowhere)
    assert line == (
        f"stacks/Pulumi.{_APPS}.yaml lockstep:platformStack: the outputs of {nowhere} cannot be read (unknown stack "
        f'"{nowhere}"). A stack of apps stands on another stack\'s platform. Fix: correct the name, '
        "<organization>/<project>/<stack>, bring that stack up, or use its backend"
    )
    (line,) = refusals(cli, _PLATFORM)
    assert line.startswith(f"stacks/Pulumi.{_APPS}.yaml lockstep:platformStack: the ")
    assert "Fix: correct the name" in line
    assert "bring that stack up" in line


def refusals(cli: PulumiCli, platform: str) -> list[str]:
    """Return the lines that name the apps' file in a preview that fails."""
    change_settings(cli.project, _APPS, {"lockstep:platformStack": platform})
    ended = cli.attempt("preview", "--stack", _APPS)
    assert ended.returncode != 0, ended.stdout
    assert "Traceback" not in ended.stdout
    lines = [line.strip() for line in ended.stdout.splitlines()]
    return [line for line in lines if line.startswith("stacks/")]


def test_a_stack_of_apps_needs_no_image_and_places_apps_only(previewed: Mapping[str, Any]) -> None:
    types = [urn.split("::")[2].rpartition("$")[2] for urn in plan(previewed)]
    assert types.count(ROLE) == types.count(CLASS) == 3
    assert not {RELEASE, DAEMON_SET} & set(types)


def test_the_access_of_a_stack_of_apps_is_known_before_it_is_deployed(previewed: Mapping[str, Any]) -> None:
    trusts = [
        json.loads(step["newState"]["inputs"]["assumeRolePolicy"])
        for step in previewed["steps"]
        if step["newState"]["type"] == ROLE
    ]
    assert len(trusts) == 3
    assert all("oidc-provider/" in trust["Statement"][0]["Principal"]["Federated"] for trust in trusts)
