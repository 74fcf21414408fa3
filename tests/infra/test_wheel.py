"""The components under another name: the wheel that a platform team installs beside packages of its own."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lockstep.wheel import rename

#: Everything that a build reads.
SOURCES = ("components", "lockstep", "provider_runtime", "pyproject.toml", "README.md", "LICENSE")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
#: A platform team's program, beside packages of its own that are called as ours are in their repository: the example's
#: program as Pulumi would run it, and then everything else that the wheel holds.
PROGRAM = """\
import importlib, json, pkgutil, runpy, sys
import pulumi
import components, provider_runtime
import lockstep_components
from lockstep_components.provider_observability import _shipped

made = {}

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        made.setdefault(args.typ, []).append(args.inputs)
        return f"{args.name}-id", args.inputs

    def call(self, args):
        return {}

pulumi.runtime.set_mocks(Mocks(), project="api-secrets", stack="dev")
config = {"account": "111122223333", "clusterName": "dev", "oidcIssuer": "https://oidc.example/id/A",
          "kubeconfig": "{}"}
pulumi.runtime.set_all_config({f"api-secrets:{key}": value for key, value in config.items()},
                              ["api-secrets:kubeconfig"])

@pulumi.runtime.test
def program():
    runpy.run_path(sys.argv[1], run_name="__main__")

program()
for module in pkgutil.walk_packages(lockstep_components.__path__, "lockstep_components."):
    if module.name != "lockstep_components.policy_pack.pack":  # needs pulumi_policy
        importlib.import_module(module.name)
ours = [name for name in sys.modules if name.split(".")[0] in {"components", "provider_runtime"}]
print(json.dumps({"made": sorted(made), "policies": [item["policy"] for item in made["aws:iam/rolePolicy:RolePolicy"]],
                  "theirs": [components.MINE, provider_runtime.MINE], "named": sorted(ours),
                  "dashboard": len(_shipped("dashboard.json")), "loaded": sorted(sys.modules)}))
"""


def test_the_components_name_each_other_relatively(project: Path) -> None:
    """So the same files work as `components` here and as `lockstep_components` where they are installed."""
    absolute = [
        f"{file.relative_to(project)}:{node.lineno}: write the import of {name} with dots"
        for file in sorted((project / "components").rglob("*.py"))
        if file.name != "__main__.py"  # started as a file, so it has no package
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _names(node)
        if name.split(".")[0] == "components"
    ]
    assert absolute == []


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [] if node.level else [node.module or ""]


@pytest.fixture(scope="module")
def installed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which the wheel was installed, built without a network from a copy of the repository."""
    copy, target = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("site")
    for name in SOURCES:
        source = project / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "venv"))
        else:
            shutil.copy(source, copy / name)
    command = [sys.executable, "-c", BUILD, str(target)]
    ended = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=600)  # noqa: S603, PLW1510
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:  # a pure wheel is installed by unpacking it
        archive.extractall(target)
    wheel.unlink()
    return target


def test_the_wheel_takes_two_names_and_brings_no_daemon(installed: Path) -> None:
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"lockstep", "lockstep_components"}
    (information,) = installed.glob("*.dist-info")
    assert (information / "top_level.txt").read_text(encoding="utf-8").split() == ["lockstep", "lockstep_components"]
    provider = {file.name for file in (installed / "lockstep_components" / "provider_runtime").rglob("*.py")}
    assert {"secret_objects.py", "file_templates.py"} <= provider
    assert not provider & {"daemon.py", "grpc_server.py", "aws_clients.py", "mounting.py", "cache.py"}
    started = ("__main__.py", "PulumiPlugin.yaml", "PulumiPolicy.yaml")
    assert [file for name in started for file in (installed / "lockstep_components").rglob(name)] == []
    assert not (installed / "lockstep" / "wheel.py").exists()


@pytest.fixture(scope="module")
def told(installed: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the program above says of itself."""
    folder = tmp_path_factory.mktemp("program")
    for name in ("components", "provider_runtime"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"MINE = 'their {name}'\n", encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    example = project / "examples" / "python-wheel" / "__main__.py"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    ended = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "program.py", str(example)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_the_example_of_the_wheel_runs(told: dict[str, Any]) -> None:
    wanted = {"aws:iam/role:Role", "kubernetes:core/v1:ServiceAccount"}
    assert wanted | {"kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass"} <= set(told["made"])
    statements = json.loads(told["policies"][0])["Statement"]
    secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:dev/api/database-??????"
    assert statements[0]["Resource"] == [secret]


def test_a_team_imports_it_beside_packages_of_its_own(told: dict[str, Any]) -> None:
    assert told["theirs"] == ["their components", "their provider_runtime"]
    assert told["named"] == ["components", "provider_runtime"], "and no module of ours under these names"
    assert told["dashboard"] > 1000
    assert {"lockstep_components.provider_runtime.secret_objects", "lockstep_components.derivation.lint.run"} <= set(
        told["loaded"]
    )


def test_the_requirements_name_everything_that_the_components_import(told: dict[str, Any], project: Path) -> None:
    """Pulumi installs `components/requirements.txt` and nothing else before it starts the package."""
    requirements = project / "components" / "requirements.txt"
    assert requirements.read_text(encoding="utf-8") == "-r ../requirements.txt\n"
    text = (project / "requirements.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))
    made_of = importlib.metadata.packages_distributions()
    loaded = {name.split(".")[0] for name in told["loaded"]} - {"components", "provider_runtime", "lockstep_components"}
    used = {name: {dist.lower().replace("_", "-") for dist in made_of[name]} for name in loaded if name in made_of}
    assert {"pulumi", "pulumi_aws", "yaml", "jmespath"} <= used.keys()
    missing = {name for name, dists in used.items() if not dists & locked}
    # Loaded by this environment's own start, and by grpc where it happens to be.
    assert missing <= {"_distutils_hack", "grpc_tools"}


def test_the_command_line_of_the_wheel_reads_specs(installed: Path, project: Path, tmp_path: Path) -> None:
    """From a folder without any project, so that nothing but the wheel can answer."""
    spec = shutil.copy(project / "stacks" / "apps" / "mailer.yaml", tmp_path)
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "__init__.py").write_text("raise SystemExit('not ours')\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "lockstep", "check", str(spec)]
    ended = subprocess.run(  # noqa: S603 - our own command line
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("import components.settings\n", "Fix: write `from … import …`"),
        ("from  components.settings import load\n", "the import is not written `from components.settings import …`"),
    ],
)
def test_an_import_that_cannot_be_renamed_stops_the_build(tmp_path: Path, line: str, problem: str) -> None:
    for name in ("components/policy_pack", "provider_runtime/csi_v1alpha1", "lockstep"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("components/__main__.py", "components/policy_pack/__main__.py", "lockstep/wheel.py"):
        (tmp_path / name).write_text("", encoding="utf-8")
    for name in ("components/PulumiPlugin.yaml", "components/policy_pack/PulumiPolicy.yaml"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "lockstep" / "cli.py").write_text(line, encoding="utf-8")
    with pytest.raises(ValueError, match=r"cli\.py:1: ") as caught:
        rename(tmp_path)
    assert problem in str(caught.value)
