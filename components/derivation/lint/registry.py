"""Every rule of the linter, by code. Codes are never reused: a rule that goes leaves its number empty."""

from __future__ import annotations

from . import (
    class_rules,
    document_rules,
    driver_rules,
    grant_rules,
    key_rules,
    object_rules,
    parameter_rules,
    pod_rules,
    policy_rules,
    secret_rules,
    spec_rules,
    sync_rules,
    trust_rules,
)
from .rule import Rule

#: Sorted by code.
RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            *document_rules.RULES,
            *policy_rules.RULES,
            *secret_rules.RULES,
            *parameter_rules.RULES,
            *key_rules.RULES,
            *trust_rules.RULES,
            *class_rules.RULES,
            *object_rules.RULES,
            *pod_rules.RULES,
            *driver_rules.RULES,
            *grant_rules.RULES,
            *spec_rules.RULES,
            *sync_rules.RULES,
        ),
        key=lambda rule: rule.code,
    )
)


def rule_named(code: str) -> Rule | None:
    """Return the rule of a code, in any case; None when there is none."""
    return next((rule for rule in RULES if rule.code == code.upper()), None)
