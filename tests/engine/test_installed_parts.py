"""Which parts of Pulumi the tests of the real CLI take: small programs on PATH that answer as one, or do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e import toolbox
from tests.pulumi_cli.installed_parts import (
    KUBERNETES_PLUGIN,
    InstalledParts,
    KubernetesPlugin,
    MissingParts,
    find_kubernetes_plugin,
    find_parts,
)

#: Answers as a provider does that names a package and a version.
_ANSWERS = """#!{python} -P
import sys
sys.path.insert(0, "{project}")
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from tests.pulumi_cli.plugin_process import serve_until_orphaned
from tests.pulumi_cli.provider_plugin import ProviderPlugin

class Plugin(ProviderPlugin):
    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="{version}")

add = provider_pb2_grpc.add_ResourceProviderServicer_to_server
serve_until_orphaned(lambda server: add(Plugin("{package}", None), server))
"""


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Look at PATH only, whatever this machine's toolbox has."""
    monkeypatch.setattr(toolbox, "FOLDER", tmp_path / "toolbox")


def _put(folder: Path, text: str) -> Path:
    folder.mkdir()
    program = folder / KUBERNETES_PLUGIN
    program.write_text(text)
    program.chmod(0o755)
    return program


def _answering(folder: Path, *, package: str = "kubernetes", version: str = "4.34.2") -> Path:
    text = _ANSWERS.format(python=sys.executable, project=toolbox.PROJECT, package=package, version=version)
    return _put(folder, text)


def test_the_first_program_on_path_that_answers_as_the_provider_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also behind one of this name that is something else."""
    _put(tmp_path / "a", "#!/bin/sh\necho no port\n")
    first = _answering(tmp_path / "b")
    _answering(tmp_path / "c", version="4.99.0")
    monkeypatch.setenv("PATH", ":".join(str(tmp_path / name) for name in "abc"))
    assert find_kubernetes_plugin() == KubernetesPlugin(program=first.resolve(), version="4.34.2")


def test_programs_that_answer_as_something_else_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {
        _answering(tmp_path / "a", package="aws"): "it is the provider of 'aws'",
        _answering(tmp_path / "b", version=""): "its version is '', and 4.x is expected",
        _put(tmp_path / "c", "#!/bin/sh\nexit 3\n"): "it prints no port",
        _put(tmp_path / "d", "no program"): "it does not start",
    }
    monkeypatch.setenv("PATH", ":".join(str(program.parent) for program in wrong))
    found = find_kubernetes_plugin()
    assert isinstance(found, MissingParts)
    for program, reason in wrong.items():
        assert f"{program}: {reason}" in found.reason


def test_a_cli_and_a_language_host_on_path_are_taken_before_anything_that_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pulumi", "pulumi-language-python"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    there = tmp_path.resolve()
    assert find_parts() == InstalledParts(cli=there / "pulumi", language_host=there / "pulumi-language-python")


def test_without_any_the_reason_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_kubernetes_plugin() == MissingParts(
        "pulumi-resource-kubernetes is neither on PATH nor built", is_buildable=False
    )
