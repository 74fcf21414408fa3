"""Wrong configuration on the real Pulumi CLI: it reaches the program whole, and every problem is told in one run.

Pulumi checks what Pulumi.yaml declares before the program runs: it stops at the first value of another type, and names
neither file nor fix. So Pulumi.yaml declares no types, and gives every key a default.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import yaml

from components.settings import parse_settings
from components.stack_config import ConfigKey, ConfigValue, SettingsErrors, load_stack_config
from tests.pulumi_cli.installed_parts import InstalledParts
from tests.pulumi_cli.pulumi_cli import PulumiCli

_STACK: Final = "wrong"
_FILE: Final = f"stacks/Pulumi.{_STACK}.yaml"

#: One kind of value for every key, whatever the key wants. Nothing at all is a kind too.
_KINDS: Final[Mapping[str, ConfigValue]] = {
    "mapping": {"a": [1, {"b": 2}]},
    "list": [[1], "x", {"a": True}],
    "number": 1.5,
    "boolean": True,
    "text": "no such thing",
    "empty text": "",
}


@pytest.fixture(scope="module")
def cli(parts: InstalledParts, copied_project: Path, tmp_path_factory: pytest.TempPathFactory) -> PulumiCli:
    """Return the CLI with a stack of no configuration. No cloud is there, nor asked for."""
    folder = tmp_path_factory.mktemp("pulumi")
    nowhere = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "unused",
        "AWS_SECRET_ACCESS_KEY": "unused",
        "LOCKSTEP_MANIFESTS": str(folder / "manifests"),
    }
    made = PulumiCli(
        parts=parts,
        project=copied_project,
        stack=_STACK,
        folder=folder,
        plugins={"resource-aws": "aws_plugin", "resource-kubernetes": "kubernetes_plugin"},
        variables=nowhere,
    )
    made.init()
    return made


def told_by_the_cli(cli: PulumiCli, config: Mapping[str, ConfigValue]) -> list[str]:
    """Return the lines of the CLI's preview that name the stack's file, and see that it failed."""
    path = cli.project / _FILE
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**document, "config": dict(config)}), encoding="utf-8")
    ended = cli.attempt("preview", "--stack", _STACK)
    assert ended.returncode != 0, ended.stdout
    lines = [line.strip() for line in ended.stdout.splitlines()]
    assert "Traceback" not in ended.stdout
    found = [line for line in lines if line.startswith(_FILE)]
    assert found, ended.stdout + ended.stderr
    return found


def declared(project: Path) -> set[str]:
    """Return the keys that Pulumi.yaml declares."""
    names = yaml.safe_load((project / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    return {f"lockstep:{name}" for name in names}


@pytest.mark.parametrize("kind", _KINDS)
def test_every_value_of_a_wrong_kind_is_told_at_once(cli: PulumiCli, kind: str) -> None:
    """In the words of the reader: what the CLI hands over is what the stack's file says, as text."""
    keys = ["aws:region", "lockstep:noSuchKey", *sorted(declared(cli.project))]
    config = {key: copy.deepcopy(_KINDS[kind]) for key in keys}  # one object twice would be an alias in YAML
    told = told_by_the_cli(cli, config)
    values = load_stack_config(cli.project, _STACK).as_text()
    with pytest.raises(SettingsErrors) as caught:
        parse_settings({ConfigKey(key): value for key, value in values.items()}, _STACK, _FILE)
    assert [_dense(line) for line in told] == [_dense(line) for line in str(caught.value).splitlines()]


def test_what_is_missing_is_told_at_once_and_the_image_with_the_way_to_get_one(cli: PulumiCli) -> None:
    told = told_by_the_cli(cli, {"lockstep:refreshInterval": "soon", "lockstep:apps": "stacks/apps"})
    assert [line.split(" ")[1] for line in told] == [
        "aws:region:",
        "lockstep:account:",
        "lockstep:apps:",
        "lockstep:clusterName:",
        "lockstep:environment:",
        "lockstep:providerImage:",
        "lockstep:refreshInterval:",
    ]
    assert "`make image PUSH=<repository>`" in told[5]
    assert all("Fix: " in line for line in told)


def _dense(line: str) -> str:
    """Leave out blanks: the two sides write JSON with and without them."""
    return re.sub(r"\s", "", line)
