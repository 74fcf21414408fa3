"""Every rule of the pack, sorted by name. Names are for ever: configurations and exemptions say them."""

from __future__ import annotations

from . import access_rules, aws_policies, cluster_rules, node_rules, trust_rules
from .rule import Rule

_GROUPS = (access_rules, aws_policies, cluster_rules, node_rules, trust_rules)
RULES: tuple[Rule, ...] = tuple(
    sorted((rule for group in _GROUPS for rule in group.RULES), key=lambda rule: rule.name),
)
