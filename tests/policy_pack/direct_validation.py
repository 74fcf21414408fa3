"""The pack's policies called directly, as a process: cases as JSON in, their violations as JSON out.

It runs in the pack's environment (`.venv-policy/bin/python direct_validation.py`), which has pulumi_policy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pulumi_policy import PolicyResourceOptions, ResourceValidationArgs, ResourceValidationPolicy
from pulumi_policy.proxy import unknown_checking_proxy

from components.policy_pack.pack import policies


def main() -> None:
    """Answer every case with {policy: [messages]}."""
    answers = []
    for case in json.load(sys.stdin):
        options = PolicyResourceOptions(False, [], False, None, [], None, None)  # type: ignore[arg-type,unused-ignore]
        props = unknown_checking_proxy(case["properties"])
        found: dict[str, list[str]] = {}
        for policy in policies():
            if isinstance(policy, ResourceValidationPolicy):
                messages = found.setdefault(policy.name, [])
                args = ResourceValidationArgs(
                    case["type"], props, case["urn"], "name", options, None, case.get("config", {})
                )
                policy.validate(args, lambda message, _urn=None, to=messages: to.append(message))
        answers.append({name: messages for name, messages in found.items() if messages})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
