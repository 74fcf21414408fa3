"""What a rule of the pack is: a name for ever, words for people, two examples, and a pure check.

The examples stand beside the rule as data: every run of the tests shows that the first one is found and the second not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..derivation.diff.preview_resources import Resource
from ..derivation.lint import RULES as LINT_RULES
from ..derivation.lint import Given, lint, read_material


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One place that breaks a rule.

    Attributes:
        urn: Of the resource; "" for the whole stack.
        what: What is wrong, names only.
        names: By which a configuration's `allowed` lets it pass, whatever the resource.
    """

    urn: str
    what: str
    names: tuple[str, ...] = ()


Check = Callable[[tuple[Resource, ...]], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        name: Of the policy, in kebab case; never reused.
        title: What holds, in one sentence without its full stop.
        why: What happens otherwise.
        fix: What to do.
        bad: Resources that break it.
        good: The same, mended.
        check: Finds the places. It is given one resource before it is made, or all of a stack (`of_stack`).
        of_stack: Whether one resource does not show it.
        has_allowed: Whether its configuration takes `allowed`.
    """

    name: str
    title: str
    why: str
    fix: str
    bad: tuple[Resource, ...]
    good: tuple[Resource, ...]
    check: Check
    of_stack: bool = False
    has_allowed: bool = False

    def findings(self, resources: tuple[Resource, ...]) -> tuple[Finding, ...]:
        """Return what is found in resources of one stack, sorted, each once."""
        groups = [resources] if self.of_stack else [(resource,) for resource in resources]
        return tuple(sorted({finding for group in groups for finding in self.check(group)}))

    def text(self, finding: Finding) -> str:
        """Return the message of a finding."""
        name = finding.urn.rpartition("::")[2] or "stack"
        return f"{name}: {finding.what}. {self.title}. Fix: {self.fix}. [{self.name}]"


def cited(given: Given, document: object, codes: frozenset[str]) -> str:
    """Return what the linter says about a document, to be appended; "" where it says nothing."""
    text = document if isinstance(document, str) else json.dumps(document)
    rules = [rule for rule in LINT_RULES if rule.code in codes]
    found = sorted({f"{item.what} [{item.code}]" for item in lint(read_material([(given, "document", text)]), rules)})
    return f" ({'; '.join(found)})" if found else ""


def example(kind: str, called: str = "example", /, **properties: object) -> Resource:
    """Return a resource for an example."""
    return Resource(urn=f"urn:pulumi:prod::shop::{kind}::{called}", type=kind, properties=properties)
