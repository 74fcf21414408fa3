"""`make image PUSH=<repository>` with each builder, played by a script that writes down how it was called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

DIGEST = f"sha256:{'a' * 64}"
BASES = {"BUILD_DIGEST": f"sha256:{'b' * 64}", "RUNTIME_DIGEST": f"sha256:{'c' * 64}"}
REPOSITORY = "registry.example/platform/provider"

#: Writes its arguments down, and the digest where it is told to.
BUILDER = """#!/usr/bin/env bash
case "$1 $2" in "buildx version") exit "${NO_BUILDX:-0}" ;; esac
echo "$(basename "$0") $*" >>"$CALLS"
while [ $# -gt 0 ]; do
  case $1 in
    --metadata-file) echo '{"containerimage.digest": "%(digest)s"}' >"$2" ;;
    --digestfile) printf '%(digest)s' >"$2" ;;
  esac
  shift
done
"""


def push(
    project: Path, tmp_path: Path, *arguments: str, builders: tuple[str, ...], digest: str = DIGEST, **settings: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    calls = tmp_path / "calls"
    calls.touch()
    tools = tmp_path / "bin"
    tools.mkdir()
    for builder in builders:
        script = tools / builder
        script.write_text(BUILDER % {"digest": digest})
        script.chmod(0o755)
    for tool in ("bash", "git", "sed", "head", "mktemp", "rm", "cat", "dirname", "basename", "env"):
        found = next(Path(folder) / tool for folder in os.get_exec_path() if (Path(folder) / tool).exists())
        (tools / tool).symlink_to(found)
    ended = subprocess.run(  # noqa: S603 - our own script, an argument list
        [str(project / ".ci" / "push-image"), *arguments],
        env={"PATH": str(tools), "CALLS": str(calls), "TAG": "v1", **BASES, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended, calls.read_text().splitlines()


@pytest.mark.parametrize("builder", ["docker", "podman", "buildah"])
def test_each_builder_builds_with_pinned_bases_and_prints_the_line_for_the_stack(
    project: Path, tmp_path: Path, builder: str
) -> None:
    ended, calls = push(project, tmp_path, REPOSITORY, builders=(builder,))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == f"lockstep:providerImage: {REPOSITORY}@{DIGEST}"
    assert f"BUILD_DIGEST={BASES['BUILD_DIGEST']}" in calls[0]
    assert f"RUNTIME_DIGEST={BASES['RUNTIME_DIGEST']}" in calls[0]
    assert f"{REPOSITORY}:v1" in calls[0]
    assert calls[0].endswith("provider_runtime")


def test_the_builder_that_is_named_wins(project: Path, tmp_path: Path) -> None:
    ended, calls = push(project, tmp_path, REPOSITORY, builders=("docker", "buildah"), ENGINE="buildah")
    assert ended.returncode == 0, ended.stderr
    assert all(call.startswith("buildah ") for call in calls)


@pytest.mark.parametrize(
    ("arguments", "settings", "text"),
    [
        ((), {}, "no repository is named. Fix: make image PUSH=<registry>/<name>"),
        ((f"{REPOSITORY}:latest",), {}, "has a tag or digest. Fix: name the repository only"),
        ((REPOSITORY,), {"BUILD_DIGEST": ""}, "BUILD_DIGEST is '', not a digest. Fix: make image PUSH="),
        ((REPOSITORY,), {"RUNTIME_DIGEST": "latest"}, "RUNTIME_DIGEST is 'latest', not a digest"),
        ((REPOSITORY,), {"ENGINE": "kaniko"}, "ENGINE=kaniko is not known. Fix: docker, podman or buildah"),
        ((REPOSITORY,), {"ENGINE": "podman", "PLATFORMS": "linux/arm64"}, "PLATFORMS works with docker's buildx only"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_built(
    project: Path, tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], text: str
) -> None:
    ended, calls = push(project, tmp_path, *arguments, builders=("docker", "podman"), **settings)
    assert ended.returncode == 64
    assert text in ended.stderr
    assert calls == []


def test_without_any_builder_it_says_which_ones_would_do(project: Path, tmp_path: Path) -> None:
    ended, _ = push(project, tmp_path, REPOSITORY, builders=())
    assert ended.returncode == 64
    assert "neither docker with buildx, podman nor buildah is on the path" in ended.stderr


def test_a_docker_without_buildx_is_passed_over(project: Path, tmp_path: Path) -> None:
    ended, calls = push(project, tmp_path, REPOSITORY, builders=("docker", "buildah"), NO_BUILDX="1")
    assert ended.returncode == 0, ended.stderr
    assert all(call.startswith("buildah ") for call in calls)


def test_a_docker_without_buildx_that_was_asked_for_is_an_error(project: Path, tmp_path: Path) -> None:
    ended, calls = push(project, tmp_path, REPOSITORY, builders=("docker", "buildah"), NO_BUILDX="1", ENGINE="docker")
    assert (ended.returncode, calls) == (64, [])
    assert "docker has no buildx here. Fix: install docker-buildx, or ENGINE=podman or buildah" in ended.stderr


def test_a_push_without_a_digest_prints_no_line(project: Path, tmp_path: Path) -> None:
    ended, _ = push(project, tmp_path, REPOSITORY, builders=("podman",), digest="")
    assert ended.returncode == 1
    assert "podman reported no digest" in ended.stderr
    assert "providerImage" not in ended.stdout
