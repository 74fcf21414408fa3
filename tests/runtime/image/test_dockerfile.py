"""What the Dockerfile promises, read from its text: there is no Docker daemon where these tests run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.runtime.image.dockerfiles import Instruction, parse_dockerfile

CONTEXT = Path(__file__).resolve().parents[3] / "provider_runtime"


@pytest.fixture(scope="module")
def instructions() -> tuple[Instruction, ...]:
    return parse_dockerfile((CONTEXT / "Dockerfile").read_text(encoding="utf-8"))


def _of(instructions: tuple[Instruction, ...], keyword: str, stage: str | None = None) -> tuple[Instruction, ...]:
    return tuple(each for each in instructions if each.keyword == keyword and stage in {None, each.stage})


def test_no_base_image_goes_without_a_digest_and_no_digest_is_made_up(instructions: tuple[Instruction, ...]) -> None:
    bases = [each.rest.split()[0] for each in _of(instructions, "FROM")]

    pinned = [base for base in bases if base != "scratch"]

    assert len(pinned) == 2
    for base in pinned:
        assert re.fullmatch(r"\$\{(\w+)_IMAGE\}@\$\{\1_DIGEST\}", base)
    assert {each.rest for each in _of(instructions, "ARG") if "DIGEST" in each.rest} == {
        f"{name}_DIGEST=give-the-digest-of-{name}_IMAGE-with---build-arg" for name in ("BUILD", "RUNTIME")
    }, "a missing digest must say how to give it, and be none"
    assert "latest" not in "".join(each.rest for each in (*_of(instructions, "ARG"), *_of(instructions, "FROM")))


def test_older_builders_can_read_it() -> None:
    """Debian 12's (buildah 1.28, podman 4.3) know neither a default that is an error nor a here-document."""
    text = (CONTEXT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if ":?" in line or "<<" in line] == []


def test_both_images_have_the_same_python_and_debian(instructions: tuple[Instruction, ...]) -> None:
    """Packages with compiled parts fit one minor version of Python and one C library only."""
    images = dict(each.rest.split("=", 1) for each in _of(instructions, "ARG") if "IMAGE=" in each.rest)

    build = re.fullmatch(r"docker\.io/library/python:3\.(\d+)-slim-(\w+)", images["BUILD_IMAGE"])
    runtime = re.fullmatch(r"gcr\.io/distroless/python3-debian(\d+):nonroot", images["RUNTIME_IMAGE"])

    assert build is not None
    assert runtime is not None
    python_of_debian = {"13": ("13", "trixie")}  # python3 of that Debian release
    assert build.groups() == python_of_debian[runtime[1]]


def test_every_package_has_a_wheel_for_the_images_python_on_both_machines(tmp_path: Path) -> None:
    """The build takes wheels only, so a package without one for an architecture would stop it there."""
    uv = shutil.which("uv")
    if uv is None or subprocess.run([uv, "--version"], check=False, capture_output=True).returncode != 0:  # noqa: S603
        pytest.skip("uv, which can resolve for another machine, is not installed")
    for machine in ("x86_64", "aarch64"):
        done = subprocess.run(  # noqa: S603  # a fixed list
            [
                *(uv, "pip", "install", "--dry-run", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"),
                *("--python-version", "3.13", "--python-platform", f"{machine}-manylinux_2_36"),
                *("--target", str(tmp_path / machine), "--requirement", str(CONTEXT / "requirements.txt")),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0 and not re.search(r"wheel|hash", done.stderr):
            pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr


def test_the_last_stage_is_the_runtime_and_there_is_a_target_for_the_bill_of_materials(
    instructions: tuple[Instruction, ...],
) -> None:
    assert [each.stage for each in _of(instructions, "FROM")] == ["packages", "sbom", "runtime"]


def test_it_runs_as_a_numbered_user_that_is_not_root(instructions: tuple[Instruction, ...]) -> None:
    (user,) = _of(instructions, "USER", "runtime")

    assert user.rest == "65532:65532", "runAsNonRoot needs a number, and the derived DaemonSet names this one"


def test_no_shell_is_needed_in_the_runtime_image(instructions: tuple[Instruction, ...]) -> None:
    (entry,) = _of(instructions, "ENTRYPOINT", "runtime")
    runs = _of(instructions, "RUN", "runtime")

    assert entry.exec_words == ("python", "-m", "provider_runtime")
    assert [each.exec_words for each in runs] == [("python", "-m", "provider_runtime", "-h")]
    assert not _of(instructions, "CMD")
    assert not _of(instructions, "SHELL")


def test_packages_come_from_the_lock_by_hash_only(instructions: tuple[Instruction, ...]) -> None:
    installs = [each.rest for each in _of(instructions, "RUN") if "install" in each.rest]

    assert len(installs) == 1
    for flag in ("--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement /build/requirements.txt"):
        assert flag in installs[0]
    lock = (CONTEXT / "requirements.txt").read_text(encoding="utf-8")
    entries = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(entries) >= 7
    assert all("==" in line for line in entries)
    assert len(re.findall(r"==[^\n]*\\\n\s+--hash=sha256:[0-9a-f]{64}", lock)) == len(entries)


def test_nothing_but_this_folder_is_copied(instructions: tuple[Instruction, ...]) -> None:
    copies = [each.rest for each in (*_of(instructions, "COPY"), *_of(instructions, "ADD"))]

    assert copies == [
        "requirements.txt /build/requirements.txt",
        ". /opt/lockstep/provider_runtime",
        "--from=packages /build/sbom.cdx.json /sbom.cdx.json",
        "--from=packages /opt/lockstep /opt/lockstep",
    ]


def test_the_build_context_holds_code_and_its_lock_only() -> None:
    lines = (CONTEXT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*", "deny first: what is not named does not reach the build"
    allowed = {rule.removeprefix("!").removesuffix("/*.py") for rule in rules[1:]} - {"requirements.txt", "*.py"}
    packages = {folder.parent.name for folder in CONTEXT.glob("*/__init__.py")}
    assert allowed == packages, "every package of the folder ships, and nothing that is none"
