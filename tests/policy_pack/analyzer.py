"""The policy pack as a process, started as Pulumi starts it, and its Analyzer service as the engine asks it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from components.derivation.diff.preview_resources import Resource
from tests.fakes.patience import PATIENCE_SECONDS


def environment(project: Path) -> str:
    """Return the Python of the pack's environment; skip the test where nobody built it."""
    python = project / ".venv-policy" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is missing: `make dev` builds it")
    return str(python)


class Analyzer:
    """One running pack."""

    def __init__(self, stub: analyzer_pb2_grpc.AnalyzerStub) -> None:
        self.stub = stub

    def info(self) -> Any:  # noqa: ANN401 - generated
        """Ask what the pack holds."""
        return self.stub.GetAnalyzerInfo(Empty(), timeout=PATIENCE_SECONDS)

    def configure(self, configuration: dict[str, dict[str, object]]) -> None:
        """Configure policies: name to properties."""
        configs = {
            name: analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.MANDATORY, properties=_struct(given))
            for name, given in configuration.items()
        }
        self.stub.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=configs), timeout=PATIENCE_SECONDS)

    def analyze(self, resource: Resource) -> list[Any]:
        """Ask about one resource, before it is made."""
        request = analyzer_pb2.AnalyzeRequest(
            type=resource.type, urn=resource.urn, name=resource.name, properties=_struct(resource.properties)
        )
        return list(self.stub.Analyze(request, timeout=PATIENCE_SECONDS).diagnostics)

    def analyze_stack(self, resources: Iterable[Resource]) -> list[Any]:
        """Ask about a stack whole, after everything is planned."""
        asked = [
            analyzer_pb2.AnalyzerResource(
                type=item.type,
                urn=item.urn,
                name=item.name,
                parent=item.parent,
                properties=_struct(item.properties),
                propertyDependencies={
                    key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns) for key, urns in item.needs.items()
                },
            )
            for item in resources
        ]
        return list(
            self.stub.AnalyzeStack(
                analyzer_pb2.AnalyzeStackRequest(resources=asked), timeout=PATIENCE_SECONDS
            ).diagnostics
        )


def _struct(properties: Any) -> Struct:  # noqa: ANN401 - JSON
    struct = Struct()
    struct.update(json.loads(json.dumps(properties)))
    return struct


@contextmanager
def running(project: Path, *, cwd: Path, program: str) -> Iterator[Analyzer]:
    """Start the pack: `python -m pulumi.policy <engine address> <program>`, which prints its port."""
    command = [environment(project), "-u", "-m", "pulumi.policy", "127.0.0.1:9", program]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own pack
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Analyzer(analyzer_pb2_grpc.AnalyzerStub(channel))
        finally:
            process.kill()
