"""What an answer is made of: one check per thing that IAM decides, each with the statement that decides it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..evaluator import (
    Decision,
    Outcome,
    PolicySet,
    Request,
    StatementId,
    UnanswerableError,
    evaluate,
)


class Subject(StrEnum):
    """What a check is about."""

    TRUST = "trust"
    CHAIN = "chain"
    READ = "read"
    DECRYPT = "decrypt"


class Verdict(StrEnum):
    """How a check ended. `UNCLEAR`: it hangs on something that the specs do not tell."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question to IAM, answered.

    Attributes:
        subject: What it is about.
        action: Such as `secretsmanager:GetSecretValue`.
        resource: ARN of a secret, parameter, key or role.
        verdict: How it ended.
        statements: What allowed it, or denied it explicitly; () where nothing allows.
        reason: Why it is not allowed, as a clause; "" where it is.
    """

    subject: Subject
    action: str
    resource: str
    verdict: Verdict
    statements: tuple[StatementId, ...] = ()
    reason: str = ""

    @property
    def passes(self) -> bool:
        """Whether it is allowed."""
        return self.verdict is Verdict.ALLOWED


def check(subject: Subject, request: Request, policies: PolicySet) -> Check:
    """Ask the evaluator and keep what it says."""
    try:
        decision = evaluate(request, policies)
    except UnanswerableError as error:
        return Check(
            subject=subject,
            action=request.action,
            resource=request.resource,
            verdict=Verdict.UNCLEAR,
            reason=str(error),
        )
    return Check(
        subject=subject,
        action=request.action,
        resource=request.resource,
        verdict=Verdict.ALLOWED if decision.is_allowed else Verdict.DENIED,
        statements=decision.statements,
        reason="" if decision.is_allowed else _reason(decision),
    )


def _reason(decision: Decision) -> str:
    if decision.outcome is Outcome.EXPLICIT_DENY:
        return "denied by " + " and ".join(str(statement) for statement in decision.statements)
    layers = " and no ".join(sorted({layer.value for layer in decision.missing}))
    return f"no {layers} allows it"
