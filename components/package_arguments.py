"""What is wrong with the arguments of a component that programs in any language use: all of it, by argument.

Not done here: which arguments there are (app_secrets.py, mount_platform.py), how Pulumi is told (package_host.py), and
the typed arguments of components in Python (arguments.py), whose problems have codes and no schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_RULE: Final = "What is placed is known before anything is placed"


@dataclass(frozen=True, slots=True)
class PackageProblem:
    """One thing that is wrong with one argument: what, the rule and the fix."""

    argument: str
    text: str


class PackageErrors(ValueError):  # noqa: N818 - it holds every problem of one component, and reads as such
    """All that is wrong with the arguments of one component."""

    def __init__(self, component: str, problems: Iterable[PackageProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{component} {item.argument}: {item.text}" for item in self.problems))


def in_the_schemas_spelling(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that were given, `cluster_name` and `clusterName` alike, sorted."""
    return {_camel(key): value for key, value in sorted(args.items()) if value is not None}


def misnamed(given: Mapping[str, Any], known: frozenset[str], required: frozenset[str]) -> Iterator[PackageProblem]:
    """Yield unknown and missing arguments, and those that are no plain values: outputs, secrets, mappings."""
    for key in sorted(given.keys() - known):
        near = difflib.get_close_matches(key, sorted(known), n=1)
        fix = f"did you mean {near[0]!r}?" if near else "remove it."
        yield PackageProblem(key, f"the argument is unknown. Fix: {fix}")
    for key in sorted(required - given.keys()):
        yield PackageProblem(key, "it is missing. Fix: give it.")
    for key in sorted(given.keys() & known):
        if not is_plain(given[key]):
            text = f"it is no plain value. {_RULE}. Fix: pass a literal, no output and no secret."
            yield PackageProblem(key, text)


def is_plain(value: Any) -> bool:  # noqa: ANN401 - what a program in some language gave
    """Say whether a value is a text, a flag, or a list of such."""
    return all(is_plain(item) for item in value) if isinstance(value, list) else isinstance(value, str | bool)


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part.capitalize() for part in rest)
