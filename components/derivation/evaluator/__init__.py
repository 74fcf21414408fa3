"""Would IAM allow this? An evaluator of policies for one question: who, which action, on what, in what context.

It reads policies as IAM stores them, hand-written ones too, and knows the documented rules: explicit deny first, then
identity policy, boundary, session policy, resource policy and trust, inside one account and across two. What it does
not know (an operator, a value, a key whose value the question leaves open) makes the answer an error where the answer
hangs on it, never a guess.

Not done here: service control policies, resource control policies and what a service checks beyond IAM. No input or
output, as everywhere in the derivation.

    >>> policy = parse_policy({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ssm:Get*",
    ...     "Resource": "arn:aws:ssm:eu-west-1:111122223333:parameter/dev/*"}}, name="reader", kind=SourceKind.IDENTITY)
    >>> role = Principal.role("arn:aws:iam::111122223333:role/reader")
    >>> request = Request(principal=role, action="ssm:GetParameters", resource_account="111122223333",
    ...     resource="arn:aws:ssm:eu-west-1:111122223333:parameter/dev/flags")
    >>> evaluate(request, PolicySet(identity=(policy,))).outcome.value
    'allowed'
"""

from .decisions import (
    Decision,
    Layer,
    Outcome,
    PolicySet,
    UnanswerableError,
    evaluate,
)
from .policy_source import (
    ParsedStatement,
    PolicyErrors,
    PolicySource,
    SourceKind,
    StatementId,
    parse_policy,
)
from .requests import Principal, PrincipalKind, Request
from .verdicts import Unclear

__all__ = [
    "Decision",
    "Layer",
    "Outcome",
    "ParsedStatement",
    "PolicyErrors",
    "PolicySet",
    "PolicySource",
    "Principal",
    "PrincipalKind",
    "Request",
    "SourceKind",
    "StatementId",
    "UnanswerableError",
    "Unclear",
    "evaluate",
    "parse_policy",
]
