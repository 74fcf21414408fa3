"""Small programs on the real engine and on the embedded one, with the toy provider behind both.

After each program of a case (rule_cases.py) the two must agree: on what is planned, what the provider was asked for,
what is in the state and how a failure ends. The provider runs in this process, so that every call is seen.
"""

from __future__ import annotations

import json
import textwrap
import zlib
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2_grpc

from lockstep.engine import EngineState, run_program
from lockstep.engine.values import Properties
from lockstep.preview.engine_events import document_of_events
from tests.engine.memory_provider import MemoryProvider
from tests.pulumi_cli.engines import Record, differences, goals_of_digest, goals_of_plan, graph, plan, records_of_state
from tests.pulumi_cli.installed_parts import InstalledParts
from tests.pulumi_cli.provider_plugin import ProviderPlugin
from tests.pulumi_cli.pulumi_cli import PulumiCli
from tests.pulumi_cli.rule_cases import CASES, PRELUDE, REMOVE, RENAMING

#: How one program ended on one engine: its plan and goals, the graph afterwards, the provider's calls, whether it went
#: well and which resources an error was said about.
Outcome = Mapping[str, object]


#: In place of the plan of a preview that failed: how far each engine comes until it stops is a matter of time.
_FAILED: Final = "failed"


class _NumberedProvider(MemoryProvider):
    """Numbers objects by what they are: engines make independent ones in any order."""

    def next_serial(self, inputs: Properties) -> int:
        """Return the same number for the same inputs."""
        return zlib.crc32(repr(sorted(inputs.items())).encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """Return a project whose program each case writes."""
    made = tmp_path_factory.mktemp("toys")
    (made / ".venv").symlink_to(project / ".venv")
    (made / "Pulumi.yaml").write_text(
        "name: proj\nruntime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\nstackConfigDir: stacks\n"
        "config:\n  label: {type: string, default: from-project}\n"
        "  sizes: {type: array, items: {type: integer}, default: [1, 2]}\n"
    )
    (made / "stacks").mkdir()
    return made


@pytest.mark.parametrize("case", CASES)
def test_both_engines_play_by_the_same_rules(case: str, parts: InstalledParts, folder: Path, tmp_path: Path) -> None:
    stack = f"s{list(CASES).index(case)}"
    (folder / "stacks" / f"Pulumi.{stack}.yaml").write_text("config:\n  proj:more: m\n")
    programs = [PRELUDE + textwrap.dedent(text) if text else REMOVE for text in CASES[case]]
    real = _play_real(programs, parts, folder, stack, tmp_path)
    embedded = _play_embedded(programs, folder, stack)
    found = differences(dict(enumerate(real)), dict(enumerate(embedded)))
    if case in RENAMING:
        found = [line for line in found if " plan " not in line or " op:" in line]
    assert found == []


def _play_real(programs: list[str], parts: InstalledParts, folder: Path, stack: str, home: Path) -> list[Outcome]:
    toy = _NumberedProvider()
    with _served(toy) as port:
        cli = PulumiCli(
            parts=parts,
            project=folder,
            stack=stack,
            folder=home,
            plugins={},
            # The SDKs of the last two are installed, so the CLI wants their providers, too.
            variables={"PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name in ("toy", "aws", "kubernetes"))},
        )
        cli.init()
        outcomes: list[Outcome] = []
        for program in programs:
            planned: Mapping[str, Record] | str = {}
            goals: Mapping[str, Record] = {}
            if program:
                (folder / "__main__.py").write_text(program)
                preview = cli.attempt("preview", "--stack", stack, *cli.preview_flags())
                if preview.returncode == 0:
                    planned, goals = plan(json.loads(preview.stdout)), goals_of_plan(cli.saved_plan())
                else:
                    planned, goals = _FAILED, {}
            toy.calls.clear()
            done = cli.attempt(*_words("up" if program else "destroy", stack), "--yes", "--skip-preview")
            document = document_of_events(json.loads(line) for line in done.stdout.splitlines())
            outcomes.append(
                {
                    "plan": planned,
                    "goals": goals,
                    "graph": graph(cli.resources()),
                    "calls": sorted(toy.calls),
                    "ok": done.returncode == 0,
                    "errors": _errors(document),
                }
            )
    return outcomes


def _play_embedded(programs: list[str], folder: Path, stack: str) -> list[Outcome]:
    toy = _NumberedProvider()
    state = EngineState()
    outcomes: list[Outcome] = []
    for program in programs:
        planned: Mapping[str, Record] | str = {}
        goals: Mapping[str, Record] = {}
        if program:
            (folder / "__main__.py").write_text(program)
            preview = run_program(
                project_dir=folder, stack=stack, mode="preview", state=state, providers={"toy": toy}, show_sames=True
            )
            planned = plan(preview.digest) if preview.ok else _FAILED
            goals = goals_of_digest(preview.digest) if preview.ok else {}
        toy.calls.clear()
        mode: Any = "up" if program else "destroy"
        done = run_program(project_dir=folder, stack=stack, mode=mode, state=state, providers={"toy": toy})
        state = done.state
        outcomes.append(
            {
                "plan": planned,
                "goals": goals,
                "graph": graph(records_of_state(state)),
                "calls": sorted(toy.calls),
                "ok": done.ok,
                "errors": _errors(done.digest),
            }
        )
    return outcomes


def _words(verb: str, stack: str) -> list[str]:
    return [verb, "--json", "--stack", stack]


def _errors(document: Mapping[str, Any]) -> list[str]:
    """Return which resources an error was said about; each engine has its own sentences."""
    urns = {str(item.get("urn", "")) for item in document["diagnostics"] if item["severity"] == "error"}
    return sorted(urns - {""}) or sorted(urns)  # Pulumi adds that the run has failed


@contextmanager
def _served(toy: MemoryProvider) -> Iterator[int]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(ProviderPlugin("toy", toy), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None).wait()
