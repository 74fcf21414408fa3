"""A second opinion by parliament, which knows AWS's actions, resource types and condition keys: no finding at all."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from components.derivation import derive_fleet, parse_specs
from tests.derivation.random_specs import SpecText, spec_texts
from tests.derivation.test_derive import ENVIRONMENT, LAW

Ask = Callable[[str], list[str]]
PLACE = replace(
    ENVIRONMENT, role_path="/lockstep/", permissions_boundary="arn:aws:iam::111122223333:policy/lockstep-boundary"
)


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Return a function from a policy's JSON text to parliament's findings."""
    project = Path(__file__).parents[2]
    python = project / ".venv-parliament" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is missing: `make dev` builds it")
    command = [str(python), str(Path(__file__).with_name("parliament_engine.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:  # noqa: S603 - our own script
        stdin, stdout = engine.stdin, engine.stdout
        assert stdin is not None
        assert stdout is not None

        def findings(policy: str) -> list[str]:
            stdin.write(policy + "\n")
            stdin.flush()
            answer: list[str] = json.loads(stdout.readline())
            return answer

        yield findings
        stdin.close()


def test_it_does_find_what_is_wrong(ask: Ask) -> None:
    """The two mistakes that a derivation of versions could make: a key that Describe lacks, and an unknown action."""
    secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-??????"
    stage = {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}
    for action, condition in (("secretsmanager:DescribeSecret", stage), ("secretsmanager:ReadSecret", None)):
        statement: dict[str, object] = {"Effect": "Allow", "Action": action, "Resource": secret}
        statement |= {"Condition": condition} if condition else {}
        assert ask(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@given(spec=spec_texts())
@settings(LAW, max_examples=25)
def test_no_derived_identity_policy_has_a_finding(ask: Ask, spec: SpecText) -> None:
    fleet = derive_fleet(parse_specs(spec.text), PLACE)
    documents = [policy.document for app in fleet.apps for policy in app.policies]
    documents += [app.chain.permissions for app in fleet.apps if app.chain]
    documents += [policy.document for policy in fleet.deployer_policy]
    for document in documents:
        assert ask(document.to_json()) == [], document.to_json()
