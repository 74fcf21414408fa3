"""The linter: what is wrong, too wide or doubtful in specs, classes, pods and policies, each with a stable code.

Pure, as the whole derivation: texts in, findings out. `read_material` reads, `lint` checks, `mended` mends. A rule is
one value with its explanation and its two examples; `RULES` has them all.
"""

from components.derivation.lint.material import DerivedStack, Given, Material, read_material
from components.derivation.lint.mend import Mended, mend
from components.derivation.lint.registry import RULES, rule_named
from components.derivation.lint.rule import Example, Finding, Rule, Severity
from components.derivation.lint.run import lint

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
