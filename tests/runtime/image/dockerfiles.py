"""Reads a Dockerfile into instructions: continuation lines joined, comments dropped.

Not done here: variables, build flags other than those that the tests ask for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction; `stage` is the name after AS of the FROM above it ("" before the first)."""

    keyword: str
    rest: str
    stage: str

    @property
    def exec_words(self) -> tuple[str, ...]:
        """The words of the exec form; empty for the shell form."""
        return tuple(json.loads(self.rest)) if self.rest.startswith("[") else ()


def parse_dockerfile(text: str) -> tuple[Instruction, ...]:
    """Return the instructions in file order."""
    found: list[Instruction] = []
    stage = ""
    lines = iter(text.splitlines())
    for line in lines:
        logical = line.strip()
        if not logical or logical.startswith("#"):
            continue
        while logical.endswith("\\"):
            logical = f"{logical[:-1].rstrip()} {next(lines).strip()}"
        keyword, _, rest = logical.partition(" ")
        if keyword.upper() == "FROM":
            stage = rest.split()[-1]
        found.append(Instruction(keyword=keyword.upper(), rest=rest.strip(), stage=stage))
    return tuple(found)
