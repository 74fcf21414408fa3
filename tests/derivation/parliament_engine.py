"""Parliament as a process: a policy as JSON on each line in, its findings as JSON on a line out.

It runs in an environment of its own (`.venv-parliament/bin/python parliament_engine.py`) and imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import warnings

warnings.simplefilter("ignore")

import parliament  # type: ignore[import-not-found]  # noqa: E402 - its own imports warn


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        analyzed = parliament.analyze_policy_string(line)
        findings = [f"{found.issue}: {found.detail} {found.location}" for found in analyzed.findings]
        sys.stdout.write(json.dumps(findings) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
