"""`lockstep render --stack`: a stack's apps as `render` prints them, and its platform as the program places it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.driver_values import derive_driver_values
from components.platform_needs import driver_args, platform_needs
from lockstep.__main__ import main
from lockstep.doctor.cluster_objects import FileObjects
from lockstep.doctor.examination import examine_cluster
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Status
from lockstep.exit_codes import ExitCode
from lockstep.platform_manifests import PlatformManifests
from lockstep.project import load_project

STACK = "staging"


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    monkeypatch.chdir(project)


@pytest.fixture(scope="module")
def document(project: Path) -> dict[str, Any]:
    """Render the platform of a stack that makes its cluster, once for this file: it runs the whole program."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(["render", "--project", str(project), "--stack", STACK, "--platform", "--format", "json"])
    assert code == ExitCode.FINE
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


@pytest.fixture
def files(document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Print the same as a folder."""
    again = PlatformManifests(
        stack=STACK,
        chart=document["chart"],
        manifests=tuple(document["manifests"]),
        patches=tuple(document["patches"]),
    )
    monkeypatch.setattr("lockstep.platform_manifests.platform_manifests", lambda _project, _stack: again)
    folder = tmp_path / "platform"
    arguments = ["render", "--stack", STACK, "--platform", "--format", "dir", "--output", str(folder)]
    assert main(arguments) == ExitCode.FINE
    return folder


def _name(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"]["name"])


def _registered(project: Path) -> dict[tuple[str, str], Any]:
    """Return kind and name of what the program registers inside `SecretsPlatform`, to its inputs.

    The golden file of the stack is read, which another test holds to the program.
    """
    text = (project / f"tests/golden/stacks/{STACK}.json").read_text(encoding="utf-8")
    resources = {each["resource"]: each for each in json.loads(text)}
    found: dict[tuple[str, str], Any] = {}
    for label, resource in resources.items():
        parent, inputs = resource["parent"], resource["inputs"]
        while parent and not parent.startswith("lockstep:index:SecretsPlatform::"):
            parent = resources[parent]["parent"]
        if parent and label.startswith("kubernetes:"):
            kind = label.split("::")[0].rsplit(":", 1)[1]
            found[kind, inputs.get("name") or _name(inputs)] = inputs
    return found


def test_the_platform_is_what_the_program_registers_and_no_second_copy(project: Path, document: dict[str, Any]) -> None:
    wanted = _registered(project)
    release: dict[str, Any] = wanted.pop(("Release", "secrets-store-csi-driver"))
    found = {(each["kind"], _name(each)): each for each in document["manifests"]}
    assert found == wanted
    assert document["chart"] == {
        "repository": release["repositoryOpts"]["repo"],
        "name": release["chart"],
        "version": release["version"],
        "release": release["name"],
        "namespace": release["namespace"],
        "values": release["values"],
    }


def test_the_values_are_derived_from_the_stack_s_apps(project: Path, document: dict[str, Any]) -> None:
    stack = load_project(project).stack(STACK)
    args = driver_args(stack.settings.platform, platform_needs(stack.settings, stack.derive()))
    assert document["chart"]["values"] == derive_driver_values(args)
    assert args.sync_secrets
    assert args.audiences == ("sts.amazonaws.com",)


def test_nothing_of_an_app_and_no_namespace_is_in_the_platform(document: dict[str, Any]) -> None:
    manifests = document["manifests"]
    assert {each["metadata"].get("namespace") for each in manifests} == {"kube-system", None}
    assert not {"SecretProviderClass", "Namespace"} & {each["kind"] for each in manifests}
    kinds = [each["kind"] for each in manifests]
    assert kinds[:2] == ["ServiceAccount", "DaemonSet"], "in an order in which they can be applied"


def test_the_folder_holds_the_same(files: Path, document: dict[str, Any]) -> None:
    manifests = [yaml.safe_load(path.read_text()) for path in sorted((files / "manifests").iterdir())]
    assert sorted(manifests, key=repr) == sorted(document["manifests"], key=repr)
    values = yaml.safe_load((files / "csi-driver/values.yaml").read_text())
    chart = yaml.safe_load((files / "csi-driver/chart.yaml").read_text())
    assert {**chart, "values": values} == document["chart"]


def test_the_doctor_finds_what_is_rendered_as_derived(project: Path, files: Path, tmp_path: Path) -> None:
    """What `render` prints of platform and apps is examined as a cluster would be, before anything is applied."""
    apps = tmp_path / "apps"
    assert main(["render", "--stack", STACK, "--format", "dir", "--output", str(apps)]) == ExitCode.FINE
    expected = Expected.of(load_project(project).stack(STACK))
    of_apps = [path for name in ("service-account", "secret-provider-class") for path in apps.glob(f"*/{name}*.yaml")]
    given = [*(files / "manifests").iterdir(), files / "csi-driver/values.yaml", *of_apps]
    verdicts = list(examine_cluster(expected, FileObjects(given)))
    assert {verdict.status for verdict in verdicts} == {Status.OK, Status.SKIPPED}
    fine = {verdict.check for verdict in verdicts if verdict.status is Status.OK}
    wanted = {"driver.tokens", "driver.interval", "driver.sync", "driver.admission", "provider.image"}
    assert fine == wanted | {"app.account", "app.class"}


def test_a_stack_s_apps_are_what_its_environment_gives(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert main(["render", "--stack", "dev", "--format", "json"]) == ExitCode.FINE
    of_stack = capsys.readouterr().out
    place = load_project(project).stack("dev").environment
    words = ["--environment", place.name, "--region", place.region, "--account", place.account]
    words += ["--cluster", place.cluster, "--oidc-issuer", place.oidc_issuer, "--format", "json"]
    assert main(["render", "stacks/apps", *words]) == ExitCode.FINE
    assert capsys.readouterr().out == of_stack


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stacks/apps"], "missing: --environment, --region, --account, --oidc-issuer, --cluster"),
        (["--environment", "dev"], "PATHS"),
        (["--stack", "dev", "stacks/apps"], "--stack says what PATHS would say"),
        (["--stack", "dev", "--region", "eu-west-1", "--platform"], "--stack says what --region would say"),
        (["--platform"], "a platform is a stack's"),
        (["--stack", "dev", "--format", "dir"], "go together"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", *arguments]) == ExitCode.WRONG_USAGE
    assert said in capsys.readouterr().err


def test_a_stack_on_another_s_platform_has_none_to_render(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("stacks", "Pulumi.yaml"):
        (tmp_path / name).symlink_to(project / name)
    (tmp_path / "stacks").unlink()
    (tmp_path / "stacks").mkdir()
    text = (project / "stacks/Pulumi.dev.yaml").read_text()
    (tmp_path / "stacks/Pulumi.dev.yaml").write_text(
        f"{text}  lockstep:platformStack: organization/lockstep/prod\n  lockstep:apps: []\n"
    )
    arguments = ["render", "--project", str(tmp_path), "--stack", "dev", "--platform"]
    assert main(arguments) == ExitCode.INVALID_INPUT
    assert "[REN001]" in capsys.readouterr().err
