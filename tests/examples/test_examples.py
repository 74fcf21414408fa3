"""The examples work: Python programs are run, YAML and TypeScript ones are held against the package's schema.

Not run here: the program in YAML (`tests/pulumi_cli/test_package.py` deploys it with the real CLI), the one in
TypeScript (`tests/e2e_examples` compiles and runs it against its generated SDK), and the one of the wheel
(`tests/infra/test_wheel.py`).
"""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.app_secrets import read_args
from components.derivation import load_specs
from tests.infra.recording import ROLE_POLICY, run_components

CONFIG = {
    "account": "111122223333",
    "clusterName": "dev",
    "oidcIssuer": "https://oidc.example/id/A",
    "kubeconfig": "{}",
    "providerImage": "registry.example/provider@sha256:" + "0" * 64,
    "region": "eu-west-1",
}
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:alone/api/database-??????"
PACKAGES = {"typescript": "../../components", "yaml": "../../components"}


@pytest.fixture
def examples(project: Path) -> Path:
    return project / "examples"


@pytest.fixture
def component(project: Path) -> dict[str, Any]:
    """Return the component's part of the reviewed schema."""
    schema = json.loads((project / "tests" / "golden" / "package-schema.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = schema["resources"]["lockstep:index:AppSecrets"]
    return found


def test_the_spec_of_the_examples_is_right(examples: Path) -> None:
    (spec,) = load_specs([examples / "api.yaml"])
    assert spec.base.app == "api"


def test_every_example_is_a_project_with_the_configuration_that_it_reads(examples: Path) -> None:
    folders = sorted(path.name for path in examples.iterdir() if path.is_dir())
    assert folders == ["python-repository", "python-wheel", "typescript", "yaml"]
    for folder in folders:
        project = yaml.safe_load((examples / folder / "Pulumi.yaml").read_text(encoding="utf-8"))
        assert project["config"].keys() <= CONFIG.keys()
        assert project["config"]["kubeconfig"]["secret"] is True
        assert project.get("packages") == ({"lockstep": PACKAGES[folder]} if folder in PACKAGES else None)
        for program in (*(examples / folder).glob("*.py"), *(examples / folder).glob("*.ts")):
            text = program.read_text(encoding="utf-8")
            read = set(re.findall(r'config\.(?:get|require|require_secret|requireSecret)\("(\w+)"\)', text))
            assert read == project["config"].keys()
    assert (examples / "yaml" / PACKAGES["yaml"] / "PulumiPlugin.yaml").exists()


@pytest.mark.parametrize("example", ["python-repository", "python-wheel", "typescript", "yaml"])
def test_a_changed_kubeconfig_replaces_nothing(examples: Path, example: str) -> None:
    """Pulumi's provider replaces itself, and so every object in the cluster, unless the cluster is named to it."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((examples / example).iterdir()) if path.is_file()]
    made = sum(len(re.findall(r"kubernetes\.Provider\(|type: pulumi:providers:kubernetes", text)) for text in texts)
    named = sum(len(re.findall(r"cluster_identifier=|\bclusterIdentifier: ", text)) for text in texts)
    assert made == named == 1


def test_the_program_in_the_repository_places_platform_and_app(examples: Path) -> None:
    program = str(examples / "python-repository" / "__main__.py")
    config = {f"lockstep:{key}": value for key, value in CONFIG.items()}
    run = run_components(lambda: runpy.run_path(program, run_name="__main__"), config=config)
    policy = json.loads(str(run.one(ROLE_POLICY).inputs["policy"]))
    assert policy["Statement"][0]["Resource"] == [SECRET]
    (made,) = [item for item in run.resources if item.type.endswith(":SecretProviderClass")]
    assert any("DaemonSet" in label for label in run.dependencies(made)), "the class waits for the platform"
    assert all(item.provider for item in run.resources if item.type.startswith("kubernetes:"))
    assert run.one("pulumi:providers:kubernetes").is_secret("kubeconfig")
    assert run.stack_outputs() == {"apiRoleArn": "arn:aws:iam::111122223333:role/dev-eu-west-1-api"}


def _args(given: dict[str, Any]) -> dict[str, Any]:
    """Fill in what a program takes from its configuration and from files."""
    return given | {
        "spec": "version: 1\napp: api\nnamespace: shop\nsecrets:\n  - name: a\n",
        "environment": "dev",
        **{key: CONFIG[key] for key in ("account", "clusterName", "oidcIssuer", "region")},
    }


def test_the_yaml_program_fits_the_schema(examples: Path, component: dict[str, Any]) -> None:
    program = yaml.safe_load((examples / "yaml" / "Pulumi.yaml").read_text(encoding="utf-8"))
    known = {*program["config"], *program["resources"], "pulumi"}
    text = json.dumps(program["resources"]) + json.dumps(program["outputs"])
    assert {name.split(".")[0] for name in re.findall(r"\$\{([^}]+)\}", text)} <= known
    api = program["resources"]["api"]
    assert api["type"] == "lockstep:index:AppSecrets"
    assert api["options"] == {"providers": ["${cluster}"]}
    given = api["properties"]
    assert given.keys() <= component["inputProperties"].keys()
    assert set(component["requiredInputs"]) <= given.keys()
    assert (examples / "yaml" / given.pop("spec")["fn::readFile"]).exists()
    assert all(isinstance(value, str) for value in given.values()), "the schema knows texts only"
    read_args(_args(given))
    outputs = {value.removeprefix("${api.").removesuffix("}") for value in program["outputs"].values()}
    assert outputs <= component["properties"].keys()


def test_the_typescript_program_fits_the_schema(examples: Path, component: dict[str, Any]) -> None:
    text = (examples / "typescript" / "index.ts").read_text(encoding="utf-8")
    (block,) = re.findall(
        r'new lockstep\.AppSecrets\("api", \{\n(.*?)\n\}, \{ providers: \[cluster\] \}\);', text, re.DOTALL
    )
    given = set(re.findall(r"^    (\w+): ", block, re.MULTILINE))
    assert given <= component["inputProperties"].keys()
    assert set(component["requiredInputs"]) <= given
    assert set(re.findall(r"= api\.(\w+);", text)) <= component["properties"].keys()
    (file,) = re.findall(r'readFileSync\("([^"]+)"', text)
    assert (examples / "typescript" / file).exists()
