"""The components as a package of the real Pulumi CLI, from a copy of the clone: its schema, and the example in YAML.

The CLI starts the package as a plugin from its folder, asks it for its schema, and has it construct the app of a
program that is not Python. Cloud and cluster are the tests' own providers. The package's environment is linked, not
installed.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from components.app_secrets import read_args
from local.emulator import Emulator
from lockstep.engine import KubernetesManifests
from tests.pulumi_cli.engines import Record, differences
from tests.pulumi_cli.installed_parts import InstalledParts, find_yaml_host
from tests.pulumi_cli.pulumi_cli import PulumiCli

_CLONED: Final = ("components", "provider_runtime", "examples", "requirements.txt")
_STACK: Final = "dev"
_REGION: Final = "eu-west-1"
_CONFIG: Final = {
    "account": "000000000000",
    "clusterName": "dev",
    "oidcIssuer": "https://oidc.example/id/A",
    "kubeconfig": "{}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What the example in YAML left behind, and what was left of it after its removal.

    Attributes:
        outputs: Of the stack.
        records: Of the state.
        trust: Of the app's role, as emulated IAM has it.
        policies: Of the role, by name.
        objects: Kubernetes manifests.
        left: Names of roles, and URNs, after the removal.
    """

    outputs: Mapping[str, str]
    records: Sequence[Record]
    trust: Mapping[str, Any]
    policies: Mapping[str, Any]
    objects: Sequence[Mapping[str, Any]]
    left: Sequence[str]


@pytest.fixture(scope="module")
def clone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what a package is made of, with this environment where the package looks for its own."""
    folder = tmp_path_factory.mktemp("clone")
    for name in _CLONED:
        source, ignored = project / name, shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    (folder / "components" / "venv").symlink_to(project / ".venv")
    return folder


@pytest.fixture(scope="module")
def make_cli(
    parts: InstalledParts, clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Mapping[str, str]], PulumiCli]:
    """Return a function that makes a CLI for the example in YAML, with variables of the caller's."""

    def make(variables: Mapping[str, str]) -> PulumiCli:
        folder = tmp_path_factory.mktemp("pulumi")
        cli = PulumiCli(
            parts=parts,
            project=clone / "examples" / "yaml",
            stack=_STACK,
            folder=folder,
            plugins={"resource-aws": "aws_plugin", "resource-kubernetes": "kubernetes_plugin"},
            starts_plugins=True,
            variables={
                "AWS_REGION": _REGION,
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
                "AWS_ACCESS_KEY_ID": "unused",
                "AWS_SECRET_ACCESS_KEY": "unused",
                "LOCKSTEP_MANIFESTS": str(folder / "manifests"),
                **variables,
            },
        )
        cli.keep_plugins({name: importlib.metadata.version(f"pulumi-{name}") for name in ("aws", "kubernetes")})
        return cli

    return make


@pytest.fixture(scope="module")
def placed(make_cli: Callable[[Mapping[str, str]], PulumiCli], make_emulator: Callable[[], Emulator]) -> Placed:
    """Deploy the example in YAML and remove it again."""
    host = find_yaml_host()
    if host is None:
        pytest.skip("pulumi-language-yaml is neither on PATH nor built")
    emulator = make_emulator()
    cli = make_cli(
        {
            "AWS_ENDPOINT_URL": emulator.endpoint,
            "AWS_ACCESS_KEY_ID": emulator.access_key,
            "AWS_SECRET_ACCESS_KEY": emulator.secret_key,
        }
    )
    (cli.folder / "bin" / host.name).symlink_to(host)
    cli.init()
    for key, value in _CONFIG.items():
        kind = "--secret" if key == "kubeconfig" else "--plaintext"
        cli.run("config", "set", kind, "--stack", _STACK, key, value)
    cli.up()
    iam = emulator.client("iam", _REGION)
    outputs = json.loads(cli.run("stack", "output", "--json", "--stack", _STACK))
    name = outputs["roleArn"].rpartition("/")[2]
    policies = {
        policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    }
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    objects = list(KubernetesManifests(Path(cli.environment["LOCKSTEP_MANIFESTS"])).objects.values())
    records = cli.resources()
    cli.destroy()
    roles = [str(role["RoleName"]) for role in iam.list_roles()["Roles"]]
    left = [*(role for role in roles if role == name), *(str(record["urn"]) for record in cli.resources())]
    return Placed(outputs=outputs, records=records, trust=trust, policies=policies, objects=objects, left=left)


def test_the_cli_reads_the_reviewed_schema_from_the_folder(
    make_cli: Callable[[Mapping[str, str]], PulumiCli], clone: Path, project: Path
) -> None:
    printed = json.loads(make_cli({}).run("package", "get-schema", str(clone / "components")))
    reviewed = json.loads((project / "tests" / "golden" / "package-schema.json").read_text(encoding="utf-8"))
    assert differences(_as_printed(printed), _as_printed(reviewed)) == []


def _as_printed(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out what the CLI does not print, or prints empty: empty parts, and descriptions of a list's items."""
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: _as_printed(value) for key, value in schema.items() if value not in ({}, [])}
    if isinstance(kept.get("items"), dict):
        kept["items"].pop("description", None)
    return kept


def test_a_program_in_yaml_gets_the_access_that_its_spec_derives(placed: Placed, clone: Path) -> None:
    spec = (clone / "examples" / "api.yaml").read_text(encoding="utf-8")
    plain = {key: value for key, value in _CONFIG.items() if key != "kubeconfig"}
    given = {**plain, "spec": spec, "environment": _STACK, "region": _REGION, "rolePath": "/lockstep/"}
    _, access = read_args(given)
    assert placed.outputs == {"roleArn": access.role_arn, "serviceAccount": access.service_account}
    assert placed.trust == access.trust.to_dict()
    assert placed.policies == {policy.name: policy.document.to_dict() for policy in access.policies}
    assert sorted(str(item["kind"]) for item in placed.objects) == ["SecretProviderClass", "ServiceAccount"]


def test_every_resource_is_the_apps_child_and_in_the_cluster_that_the_program_names(placed: Placed) -> None:
    (app,) = [record for record in placed.records if record["type"] == "lockstep:index:AppSecrets"]
    (cluster,) = [record for record in placed.records if record["urn"].endswith("::cluster")]
    inside = [record for record in placed.records if record["custom"] and "$" in record["urn"].split("::")[2]]
    assert {record["urn"].split("::")[2].split("$")[0] for record in inside} == {app["type"]}
    objects = [record for record in inside if record["type"].startswith("kubernetes:")]
    assert objects
    assert {record["provider"] for record in objects} == {f"{cluster['urn']}::{cluster['id']}"}


def test_nothing_is_left_after_its_removal(placed: Placed) -> None:
    assert placed.left == []
