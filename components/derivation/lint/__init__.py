"""The linter: what is wrong, too wide or doubtful in specs, classes, pods and policies, each with a stable code.

Pure, as the whole derivation: texts in, findings out. `read_material` reads, `lint` checks, `mended` mends. A rule is
one value with its explanation and its two examples; `RULES` has them all.
"""

from .material import DerivedStack, Given, Material, read_material
from .mend import Mended, mend
from .registry import RULES, rule_named
from .rule import Example, Finding, Rule, Severity
from .run import lint

__all__ = [
    "RULES",
    "DerivedStack",
    "Example",
    "Finding",
    "Given",
    "Material",
    "Mended",
    "Rule",
    "Severity",
    "lint",
    "mend",
    "read_material",
    "rule_named",
]
