"""Which Pulumi the tests run on: what is on PATH where it is, else what the toolbox built.

The CLI, the language host and the Kubernetes provider are looked for one by one. The toolbox's language host is
Pulumi's own of an earlier release: it runs programs. Where packages and policy packs must be started, and where there
is none at all, `language_plugin.py` stands in, which needs the start script of the toolbox. Without a real Kubernetes
provider its tests are skipped; where two engines are compared, the same providers of the tests' own are behind both.

A Kubernetes provider is taken by what it answers, not by its name: it starts, names a version of Pulumi's own
numbering (4.x), and has the schema of the package `kubernetes`. The first one on PATH that does so is used.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.e2e import toolbox

KUBERNETES_PLUGIN: Final = "pulumi-resource-kubernetes"
_MAJOR_VERSION: Final = "4"
_ANSWER_SECONDS: Final = 30.0
#: Pulumi gives a plugin its engine's address. Nothing listens on this one: who is only asked calls nobody.
_NO_ENGINE: Final = "127.0.0.1:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledParts:
    """What was found.

    Attributes:
        cli: The `pulumi` program.
        language_host: Pulumi's own `pulumi-language-python`, as new as the CLI; None where there is none.
        program_host: An earlier one, which runs programs and starts no plugins; None where there is none.
    """

    cli: Path
    language_host: Path | None
    program_host: Path | None = None


@dataclass(frozen=True, slots=True)
class MissingParts:
    """Why there is no Pulumi. `is_buildable`: `make e2e-pulumi` would build it here."""

    reason: str
    is_buildable: bool


def find_parts() -> InstalledParts | MissingParts:
    """Look on PATH, then in the toolbox."""
    host = _on_path("pulumi-language-python")
    cli = _on_path("pulumi")
    if cli and host:
        return InstalledParts(cli=cli, language_host=host)
    no_go = toolbox.missing_go()
    if no_go:
        lacking = "pulumi-language-python" if cli else "pulumi"
        return MissingParts(f"{lacking} is not on PATH, and {no_go[0]}", is_buildable=False)
    if toolbox.missing_tools((toolbox.PULUMI,)) or not toolbox.PULUMI_START_SCRIPT.exists():
        return MissingParts("the Pulumi CLI is not built", is_buildable=True)
    is_stale = bool(toolbox.missing_tools((toolbox.PULUMI_PYTHON,)))
    earlier = None if is_stale else toolbox.PULUMI_PYTHON.path
    return InstalledParts(cli=cli or toolbox.PULUMI.path, language_host=host, program_host=earlier)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesPlugin:
    """Pulumi's own Kubernetes provider. `version` is what it says of itself."""

    program: Path
    version: str


def find_kubernetes_plugin() -> KubernetesPlugin | MissingParts:
    """Look on PATH, then in the toolbox; the reason names each candidate that was refused."""
    reasons = []
    for program in _kubernetes_candidates():
        try:
            return KubernetesPlugin(program=program, version=_ask_version(program))
        except NotTheProviderError as error:
            reasons.append(f"{program}: {error}")
    found = "; ".join(reasons) or f"{KUBERNETES_PLUGIN} is neither on PATH nor built"
    return MissingParts(found, is_buildable=False)


def find_yaml_host() -> Path | None:
    """Return Pulumi's language host for YAML: on PATH, else the toolbox's."""
    built = toolbox.PULUMI_YAML.path
    return _on_path(built.name) or (built if built.exists() else None)


class NotTheProviderError(Exception):
    """A program is not Pulumi's Kubernetes provider; the message says by what."""


def _kubernetes_candidates() -> Iterator[Path]:
    for folder in os.get_exec_path():
        program = shutil.which(KUBERNETES_PLUGIN, path=folder)
        if program:
            yield Path(program).resolve()
    if toolbox.PULUMI_KUBERNETES.path.exists():
        yield toolbox.PULUMI_KUBERNETES.path


def _ask_version(program: Path) -> str:
    """Start a plugin, ask it who it is, and end it."""
    with _started(program) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        try:
            version = str(stub.GetPluginInfo(Empty(), timeout=_ANSWER_SECONDS).version)
            schema = stub.GetSchema(provider_pb2.GetSchemaRequest(), timeout=_ANSWER_SECONDS).schema
            package = json.loads(schema).get("name")
        except (grpc.RpcError, ValueError, AttributeError) as error:
            raise NotTheProviderError(f"it does not answer as a provider ({type(error).__name__})") from error
    if package != "kubernetes":
        raise NotTheProviderError(f"it is the provider of {package!r}")
    if version.removeprefix("v").split(".")[0] != _MAJOR_VERSION:
        raise NotTheProviderError(f"its version is {version!r}, and {_MAJOR_VERSION}.x is expected")
    return version


@contextmanager
def _started(program: Path) -> Iterator[int]:
    """Run a plugin and yield the port that it prints first."""
    try:
        process = subprocess.Popen(  # noqa: S603 - a program of this name on PATH is what Pulumi would start, too
            [str(program), _NO_ENGINE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise NotTheProviderError(f"it does not start ({error.strerror})") from error
    try:
        yield _read_port(process)
    finally:
        process.kill()
        process.communicate()


def _read_port(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_ANSWER_SECONDS) else b""
    if not line.strip().isdigit():
        raise NotTheProviderError("it prints no port")
    return int(line)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found).resolve() if found else None
