"""Run the rules over material: findings in order, suppressed ones marked, stale suppressions named."""

from __future__ import annotations

from collections.abc import Iterable

from ..spec import Suppression
from .material import Material
from .registry import RULES
from .rule import Finding, Hit, Rule
from .spec_rules import STALE


def lint(material: Material, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """Check everything.

    Args:
        material: What is linted.
        rules: Those that count; a suppression of a rule that does not see everything is not called stale.

    Returns:
        Findings sorted by place and code, each once. Suppressed ones carry their reason.
    """
    chosen = tuple(rules)
    findings: dict[Finding, None] = {}
    used: set[Suppression] = set()
    for rule in chosen:
        for hit in rule.check(material):
            suppression = next((item for item in hit.suppressions if item.rule == rule.code), None)
            if suppression is not None:
                used.add(suppression)
            findings[_finding(rule, hit, suppression)] = None
    if STALE in chosen:
        whole = material.environments is not None
        running = {rule.code for rule in chosen if whole or not rule.needs_stacks} - {STALE.code}
        for item in material.suppressions():
            if item.rule in running and item not in used:
                hit = Hit(spot=item.at, what=f"nothing here breaks {item.rule} ({item.reason})")
                findings[_finding(STALE, hit, None)] = None
    return tuple(sorted(findings))


def _finding(rule: Rule, hit: Hit, suppression: Suppression | None) -> Finding:
    return Finding(
        spot=hit.spot,
        code=rule.code,
        severity=rule.severity,
        what=hit.what,
        title=rule.title,
        fix=hit.fix or rule.fix,
        reason=suppression.reason if suppression else "",
        edits=hit.edits,
    )
