"""The three variables of a spec: `${environment}`, `${region}`, `${account}`.

Plain substitution, no nesting, no defaults, no logic: what a grant names must be readable from the spec alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

#: The only names, in the order in which messages list them.
VARIABLES = ("environment", "region", "account")

#: Stand-ins of the right form, so that a text with variables can be checked before the environment is known.
SAMPLE: Mapping[str, str] = {"environment": "env", "region": "us-east-1", "account": "000000000000"}

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")


def unknown_variables(template: str) -> Iterator[str]:
    """Yield each variable of a template that does not exist, in order."""
    yield from (name for name in _REFERENCE.findall(template) if name not in VARIABLES)


def substitute(template: str, values: Mapping[str, str]) -> str:
    """Replace each known variable. Unknown ones stay as they are (they were reported when the spec was read).

    >>> substitute("${environment}/db", {"environment": "prod", "region": "eu-west-1", "account": "111122223333"})
    'prod/db'
    """
    return _REFERENCE.sub(lambda match: values.get(match[1], match[0]), template)
