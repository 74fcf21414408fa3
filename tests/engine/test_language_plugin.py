"""The stand-in of Pulumi's Python language host, as a process: how it starts programs and tells how they ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from tests.fakes.patience import PATIENCE_SECONDS

#: Writes what it was given, and ends as the program's folder says.
_SCRIPT = """
import json, os, pathlib, sys
pathlib.Path("seen.json").write_text(json.dumps({"words": sys.argv[1:], "config": os.environ["PULUMI_CONFIG"]}))
sys.exit(int(pathlib.Path("code").read_text()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """Return a project whose virtual environment is this one."""
    made = tmp_path_factory.mktemp("language")
    (made / ".venv").symlink_to(project / ".venv")
    (made / "start").write_text(_SCRIPT)
    return made


@pytest.fixture(scope="module")
def host(folder: Path, project: Path) -> Iterator[language_pb2_grpc.LanguageRuntimeStub]:
    """Start the host as the engine does and return a client of it."""
    environment = {**os.environ, "LOCKSTEP_LANGUAGE_EXEC": str(folder / "start"), "PYTHONPATH": str(project)}
    command = [sys.executable, "-P", "-m", "tests.pulumi_cli.language_plugin", "--flag", "127.0.0.1:1"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield language_pb2_grpc.LanguageRuntimeStub(channel)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


def _info(folder: Path, **options: str) -> language_pb2.ProgramInfo:
    known = Struct()
    known.update(options)
    return language_pb2.ProgramInfo(
        root_directory=str(folder), program_directory=str(folder), entry_point=".", options=known
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, language_pb2.RunResponse()),
        (32, language_pb2.RunResponse(bail=True)),
        (1, language_pb2.RunResponse(error="program exited with non-zero exit code: 1")),
    ],
)
def test_a_program_is_started_as_pulumi_starts_it_and_its_end_is_told(
    host: language_pb2_grpc.LanguageRuntimeStub, folder: Path, code: int, expected: language_pb2.RunResponse
) -> None:
    (folder / "code").write_text(str(code))
    request = language_pb2.RunRequest(
        project="lockstep",
        stack="local",
        pwd=str(folder),
        monitor_address="127.0.0.1:2",
        dryRun=True,
        parallel=8,
        organization="organization",
        config={"lockstep:environment": "local"},
        info=_info(folder, toolchain="pip", virtualenv=".venv"),
    )
    assert host.Run(request) == expected
    seen = json.loads((folder / "seen.json").read_text())
    assert json.loads(seen["config"]) == {"lockstep:environment": "local"}
    flags = {
        "--monitor": "127.0.0.1:2",
        "--engine": "127.0.0.1:1",
        "--project": "lockstep",
        "--root_directory": str(folder),
        "--stack": "local",
        "--pwd": str(folder),
        "--dry_run": "true",
        "--parallel": "8",
        "--organization": "organization",
    }
    assert seen["words"] == [word for flag in flags.items() for word in flag] + ["."]


def test_the_providers_of_the_installed_sdks_are_required(
    host: language_pb2_grpc.LanguageRuntimeStub, folder: Path, project: Path
) -> None:
    info = _info(folder, virtualenv=".venv")
    packages = host.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(info=info)).packages
    required = {item.name: item.version.removeprefix("v") for item in packages}
    locked = dict(line.split(" ")[0].split("==") for line in _locks(project) if line.startswith("pulumi-"))
    assert required == {name.removeprefix("pulumi-"): version for name, version in locked.items()}
    assert {item.kind for item in packages} == {"resource"}


def test_a_project_that_it_cannot_run_is_refused_by_name(
    host: language_pb2_grpc.LanguageRuntimeStub, folder: Path
) -> None:
    for options, said in (
        ({"toolchain": "uv"}, "the pip toolchain"),
        ({"virtualenv": "nowhere"}, "is none"),
        ({"virtualenv": ".venv", "typechecker": "mypy"}, "without a type checker"),
    ):
        with pytest.raises(grpc.RpcError, match=said):
            host.Run(language_pb2.RunRequest(info=_info(folder, **options)))


def test_a_plugin_is_run_from_its_folder_and_its_words_are_handed_on(
    host: language_pb2_grpc.LanguageRuntimeStub, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / ".venv").symlink_to(folder / ".venv")
    (tmp_path / "__main__.py").write_text(
        "import os, sys\nprint(7000, flush=True)\nprint(sys.argv[1:], os.environ['GIVEN'])\nsys.exit(3)\n"
    )
    request = language_pb2.RunPluginRequest(
        pwd=str(tmp_path), args=["127.0.0.1:1"], env=["GIVEN=a=b"], info=_info(tmp_path, virtualenv=".venv")
    )
    told = list(host.RunPlugin(request))
    assert [item.stdout for item in told[:-1]] == [b"7000\n", b"['127.0.0.1:1'] a=b\n"]
    assert told[-1].exitcode == 3


def test_nothing_is_installed_and_a_folder_without_its_environment_is_refused(
    host: language_pb2_grpc.LanguageRuntimeStub, folder: Path, tmp_path: Path
) -> None:
    request = language_pb2.InstallDependenciesRequest
    assert list(host.InstallDependencies(request(info=_info(folder, virtualenv=".venv")))) == []
    with pytest.raises(grpc.RpcError, match="is none"):
        list(host.InstallDependencies(request(info=_info(tmp_path, virtualenv="venv"))))


def test_the_project_of_this_repository_is_one_that_it_can_run(
    host: language_pb2_grpc.LanguageRuntimeStub, project: Path
) -> None:
    runtime = yaml.safe_load((project / "Pulumi.yaml").read_text())["runtime"]
    about = host.About(language_pb2.AboutRequest(info=_info(project, **runtime["options"])))
    assert Path(about.executable).exists()
    assert host.GetPluginInfo(Empty()).version == ""


def _locks(project: Path) -> list[str]:
    return (project / "requirements.txt").read_text().splitlines()
