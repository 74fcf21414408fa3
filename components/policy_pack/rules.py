"""Every rule of the pack, sorted by name. Names are for ever: configurations and exemptions say them."""

from __future__ import annotations

from . import access_rules, cluster_rules
from .rule import Rule

RULES: tuple[Rule, ...] = tuple(sorted((*access_rules.RULES, *cluster_rules.RULES), key=lambda rule: rule.name))
