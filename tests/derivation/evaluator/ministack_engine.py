"""MiniStack's evaluator of IAM policies as a process: one question per line of JSON, one answer per line.

It runs inside the emulator's environment (`.venv-emulator/bin/python ministack_engine.py`) and is the only file of
these tests that imports MiniStack.

Question: {"identity": [document], "boundary": document or null, "session": [document], "resource": document or null,
"resource_account": text, "needs_resource_policy": bool, "trust": bool, "principal": text, "principal_account": text,
"action": text, "arn": text, "context": {key: text or list}}. Answer: "allowed", "explicit deny" or "implicit deny"; for
a trust policy, whose decision MiniStack gives as yes or no, "allowed" or "denied".
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ministack.core import iam_evaluator

_WORDS = {"Allow": "allowed", "Deny": "explicit deny", "ImplicitDeny": "implicit deny"}


def answer(question: dict[str, Any]) -> str:
    """Ask MiniStack one question."""
    context = iam_evaluator.EvalContext(
        principal_arn=question["principal"],
        principal_type="AssumedRole",
        principal_account=question["principal_account"],
        action=question["action"],
        resource_arn=question["arn"],
        region="eu-west-1",
        # Without it the key would be an empty list, which MiniStack takes for a key that is there.
        service_context={"aws:tagkeys": None, **{key.lower(): value for key, value in question["context"].items()}},
    )
    if question["trust"]:
        passes = iam_evaluator.evaluate_trust_policy(question["resource"], question["principal"], context)
        return "allowed" if passes else "denied"
    parsed = [iam_evaluator.parse_policy_document(document) for document in question["identity"]]
    boundary = [question["boundary"]] if question["boundary"] else []
    limits = [[iam_evaluator.parse_policy_document(document)] for document in [*boundary, *question["session"]]]
    result = iam_evaluator.evaluate(context, parsed, *limits)
    if question["resource"]:
        result = iam_evaluator.combine_resource_policy(
            result,
            context,
            question["resource"],
            question["resource_account"],
            required=question["needs_resource_policy"],
            limits=tuple(limits),
        )
    return _WORDS[result.decision]


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
