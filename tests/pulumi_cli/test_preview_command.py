"""`lockstep preview` with the real Pulumi CLI on PATH: what it reads from the CLI's own events, run after run.

The `local` stack is deployed, then a spec changes, then a policy pack refuses, then the program fails. The command
is its own process, as people start it; how a report reads is shown without a CLI in tests/preview.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from lockstep.access_report.json_report import SCHEMA_FILE
from lockstep.exit_codes import ExitCode
from tests.e2e import toolbox
from tests.pulumi_cli.conftest import STACK, Bench
from tests.pulumi_cli.engines import RealEngine

_TIMEOUT_SECONDS: Final = 300

#: A wildcard beside what Lockstep derives, as somebody might add it to the program.
_EVERY_SECRET: Final = """
import json
import pulumi_aws as aws

def _document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

_service = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
_all = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
_role = aws.iam.Role("night", name="night", assume_role_policy=_document(_service))
aws.iam.RolePolicy("night", name="all", role=_role.name, policy=_document(_all))
"""


@pytest.fixture(scope="module")
def starts_plugins() -> bool:
    """A policy pack is one."""
    return True


@pytest.fixture(scope="module")
def deployed(real: Bench) -> RealEngine:
    """Return the CLI on the `local` stack, deployed, and after it one app that reads one secret more."""
    assert isinstance(real.engine, RealEngine)
    real.engine.up()
    mailer = real.project / "stacks" / "apps" / "mailer.yaml"
    more = "\n  - name: ${environment}/payments/db\n    file: payments-db.json\n\nparameters:"
    text = mailer.read_text(encoding="utf-8")
    assert "\nparameters:" in text
    mailer.write_text(text.replace("\nparameters:", more, 1), encoding="utf-8")
    return real.engine


def preview(engine: RealEngine, *words: str, first_on_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `lockstep preview` on the stack, with the CLI's environment."""
    path = engine.cli.environment["PATH"]
    environment = {
        **engine.cli.environment,
        "PATH": os.pathsep.join([str(first_on_path), path]) if first_on_path else path,
        "PYTHONPATH": str(toolbox.PROJECT),
    }
    command = [sys.executable, "-P", "-m", "lockstep", "preview", "--stack", STACK]
    return subprocess.run(  # noqa: S603 - our own command line
        [*command, "--project", str(engine.cli.project), *words],
        env=environment,
        cwd=engine.cli.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )


@contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """Put a text into a file for a while."""
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def test_the_access_diff_stands_first_then_the_resources_by_component(deployed: RealEngine) -> None:
    ended = preview(deployed)
    assert ended.returncode == ExitCode.NEEDS_APPROVAL, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith(f"{STACK}: "), ended.stdout
    assert lines[1].startswith("+ app mailer gains read access to secret local/payments/db")
    resources = next(index for index, line in enumerate(lines) if line.startswith(f"resources of {STACK}: "))
    assert not [line for line in lines[resources:] if "gains read access" in line], "access comes first"
    assert "update" in lines[resources]
    shown = lines[resources + 1 :]
    policy = next(index for index, line in enumerate(shown) if "~ aws:iam/rolePolicy:RolePolicy" in line)
    component = [line for line in shown[:policy] if line.startswith("  ") and not line.startswith("    ")][-1]
    assert "mailer" in component, "each resource stands below its component"


def test_the_json_follows_the_schema_and_says_the_exit_code(deployed: RealEngine) -> None:
    ended = preview(deployed, "--format", "json", "--fail-on", "never")
    document: dict[str, Any] = json.loads(ended.stdout)
    jsonschema.validate(document, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    assert ended.returncode == document["exitCode"] == ExitCode.FINDINGS
    (plan,) = document["previews"]
    assert plan["failed"] is False
    assert plan["totals"]["update"] == len(plan["resources"])
    assert plan["totals"]["same"] > plan["totals"]["update"], "what does not change was asked for, or nothing matches"


def test_a_policy_violation_is_in_the_report_of_the_preview_that_it_ends(deployed: RealEngine, tmp_path: Path) -> None:
    """The CLI says it in its events only."""
    project = deployed.cli.project
    first = policy_pack_on_path(tmp_path, deployed.cli.folder / "bin" / "pulumi")
    program = project / "__main__.py"
    with changed(program, program.read_text(encoding="utf-8") + _EVERY_SECRET):
        ended = preview(deployed, first_on_path=first)
    assert ended.returncode == ExitCode.INVALID_INPUT, ended.stdout + ended.stderr
    head, _, access = ended.stdout.partition("\n\n")
    assert head.startswith(f"{STACK}: THE PREVIEW FAILED")
    assert "(mandatory): " in head, head
    assert "night" in head
    assert "role night gains read access to everything" in access, "and what was known stands below"


def test_a_preview_that_fails_gives_the_report_with_the_diagnostics_first(deployed: RealEngine) -> None:
    program = deployed.cli.project / "__main__.py"
    broken = program.read_text(encoding="utf-8") + _EVERY_SECRET + '\nraise RuntimeError("the night is over")\n'
    with changed(program, broken):
        ended = preview(deployed)
    assert ended.returncode == ExitCode.INVALID_INPUT, ended.stdout + ended.stderr
    head, _, access = ended.stdout.partition("\n\n")
    assert head.startswith(f"{STACK}: THE PREVIEW FAILED")
    assert "the night is over" in head
    assert "+ app mailer gains read access to secret local/payments/db" in access
    assert "rows and resources end where it ended" in access


def test_a_stack_that_does_not_exist_is_said_in_the_clis_own_words(deployed: RealEngine) -> None:
    ended = preview(deployed, "--stack", "nowhere")
    assert ended.returncode == ExitCode.INVALID_INPUT
    assert "no stack named 'nowhere' found" in ended.stdout + ended.stderr


def policy_pack_on_path(folder: Path, cli: Path) -> Path:
    """Return a folder whose `pulumi` is the CLI with our policy pack, as a wrapper in a company gives it."""
    python = toolbox.PROJECT / ".venv-policy" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is missing: `make dev` builds it")
    # The pack's own files by links, with the environment at hand where its file looks for one.
    pack = folder / "pack"
    pack.mkdir()
    for file in (toolbox.PROJECT / "components" / "policy_pack").iterdir():
        (pack / file.name).symlink_to(file)
    (pack / "venv").symlink_to(toolbox.PROJECT / ".venv-policy")
    path = folder / "pulumi"
    path.write_text(f"#!/bin/sh\nexec '{cli}' \"$@\" --policy-pack '{pack}'\n", encoding="utf-8")
    path.chmod(0o755)
    return folder
