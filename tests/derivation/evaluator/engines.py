"""The two engines behind one question: ours, and MiniStack's in its process."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from components.derivation.evaluator import (
    PolicySet,
    Principal,
    PrincipalKind,
    Request,
    SourceKind,
    UnanswerableError,
    evaluate,
    parse_policy,
)
from tests.derivation.evaluator.random_policies import ROLE, Question
from tests.fakes.patience import PATIENCE_SECONDS

UNCLEAR = "unclear"


def ours(question: Question) -> str:
    """Return our outcome, or `UNCLEAR`."""
    if question.trust:
        kind_of_principal = PrincipalKind.FEDERATED if "oidc-provider" in question.principal else PrincipalKind.SERVICE
        principal = Principal(kind=kind_of_principal, name=question.principal)
    else:
        principal = Principal.role(ROLE, session_name=question.principal.rpartition("/")[2])
    context = {key: tuple(v) if isinstance(v, list) else v for key, v in question.context.items()}
    request = Request(
        principal=principal,
        action=question.action,
        resource=question.arn,
        resource_account=question.resource_account,
        context=context,
    )
    kind = SourceKind.TRUST if question.trust else SourceKind.RESOURCE
    policies = PolicySet(
        identity=tuple(parse_policy(doc, name="identity", kind=SourceKind.IDENTITY) for doc in question.identity),
        boundary=parse_policy(question.boundary, name="boundary", kind=SourceKind.BOUNDARY)
        if question.boundary
        else None,
        session=tuple(parse_policy(doc, name="session", kind=SourceKind.SESSION) for doc in question.session),
        resource=parse_policy(question.resource, name="resource", kind=kind) if question.resource else None,
        needs_resource_policy=question.needs_resource_policy,
    )
    try:
        return evaluate(request, policies).outcome.value
    except UnanswerableError:
        return UNCLEAR


class MiniStackEngine:
    """The other engine; a context manager that starts and ends its process."""

    def __init__(self, python: Path) -> None:
        script = Path(__file__).with_name("ministack_engine.py")
        self._process = subprocess.Popen(  # noqa: S603 - our own script and interpreter
            [str(python), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"LANG": "C.UTF-8"},
        )

    def ask(self, question: Question) -> str:
        """Return MiniStack's outcome; for a trust policy `allowed` or `denied`."""
        assert self._process.stdin
        assert self._process.stdout
        line = {**asdict(question), "principal_account": "111122223333"}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "MiniStack's evaluator ended"
        return str(json.loads(answer))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE_SECONDS)
        self._process.stdout.close()
