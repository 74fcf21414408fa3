"""Look-ups in an account that lacks what is looked up, on the real Pulumi CLI: told in the program's own words.

tests/infra/test_failed_lookups.py has every case; here it is what the CLI and a provider's process make of a refusal.
"""

from __future__ import annotations

from typing import Final

import pytest
import yaml

from tests.pulumi_cli.conftest import STACK, Bench
from tests.pulumi_cli.engines import RealEngine
from tests.pulumi_cli.program_copy import change_settings
from tests.pulumi_cli.pulumi_cli import PulumiCli

_CONNECTION: Final = ("oidcIssuer", "clusterEndpoint", "clusterCertificate")
_RESTRICTING: Final = """version: 1
app: shop
owner: shops
namespace: shop
secrets:
  - name: local/no-such
    restrict: {breakGlass: ['arn:aws:iam::000000000000:role/glass']}
"""


@pytest.fixture(scope="module")
def cli(real: Bench) -> PulumiCli:
    """Return the CLI on the `local` stack, in an account without a cluster or a secret."""
    assert isinstance(real.engine, RealEngine)
    return real.engine.cli


def told(cli: PulumiCli) -> list[str]:
    """Return what a preview that fails says after `nothing was changed`."""
    ended = cli.attempt("preview", "--stack", STACK)
    assert ended.returncode != 0, ended.stdout
    assert "Traceback" not in ended.stdout, ended.stdout
    lines = [line.strip() for line in ended.stdout.splitlines()]
    start = next((at for at, line in enumerate(lines) if line.endswith("nothing was changed:")), None)
    assert start is not None, ended.stdout + ended.stderr
    return [line for line in lines[start + 1 :] if "Fix: " in line]


def test_a_secret_that_is_not_there_is_named(cli: PulumiCli) -> None:
    path = cli.project / "restricting.yaml"
    path.write_text(_RESTRICTING, encoding="utf-8")
    deployer = "arn:aws:iam::000000000000:role/ci"
    change_settings(cli.project, STACK, {"lockstep:apps": [path.name], "lockstep:deployerRole": deployer})
    (line,) = told(cli)
    assert line.startswith("the secret 'local/no-such', which the app 'shop' restricts, cannot be looked up (")
    assert "ResourceNotFoundException" in line
    assert "Fix: make the secret first" in line


def test_a_cluster_that_is_not_there_is_told_with_key_and_file(cli: PulumiCli) -> None:
    change_settings(cli.project, STACK, {f"lockstep:{key}": "" for key in _CONNECTION})
    config = yaml.safe_load((cli.project / "stacks" / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))["config"]
    cluster = config["lockstep:clusterName"]
    (line,) = told(cli)
    place = f"stacks/Pulumi.{STACK}.yaml lockstep:clusterName: the cluster {cluster} cannot be looked up ("
    assert line.startswith(place)
    assert "ResourceNotFoundException" in line
    assert "Fix: correct lockstep:clusterName" in line
