"""Reads a Dockerfile into instructions: continuation lines joined, comments dropped, here-documents kept whole.

Not done here: variables, build flags other than those that the tests ask for.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_HEREDOC = re.compile(r"<<-?['\"]?(\w+)['\"]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction; `stage` is the name after AS of the FROM above it ("" before the first)."""

    keyword: str
    rest: str
    stage: str
    heredoc: str = ""

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
        heredoc = ""
        if marker := _HEREDOC.search(rest):
            heredoc = "".join(f"{inner}\n" for inner in iter(lines.__next__, marker.group(1)))
        if keyword.upper() == "FROM":
            stage = rest.split()[-1]
        found.append(Instruction(keyword=keyword.upper(), rest=rest.strip(), stage=stage, heredoc=heredoc))
    return tuple(found)
