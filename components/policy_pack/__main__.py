"""Serves the pack: `python -m pulumi.policy <engine address> <this folder>`, as Pulumi starts it."""

import sys
from pathlib import Path

# Pulumi puts this folder first on the path; the imports are those of the repository's root.
sys.path[0] = str(Path(__file__).resolve().parents[2])

from pulumi_policy import EnforcementLevel, PolicyPack  # noqa: E402

from components.policy_pack.pack import NAME, policies  # noqa: E402

if __name__ == "__main__":
    PolicyPack(NAME, policies(), enforcement_level=EnforcementLevel.MANDATORY)
