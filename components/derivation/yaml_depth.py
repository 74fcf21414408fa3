"""How deep a YAML text nests, found out before it is composed: libyaml recurses in C then, where nothing stops it.

Nothing of ours nests ten levels. A text of a megabyte can nest a million, and would end the process.
"""

from __future__ import annotations

import re

import yaml

MOST_LEVELS = 100
#: Levels on one line, or a line that is indented so far. A quarter: one column of indentation may be two levels, a
#: mapping and a list in it, and a line may have both.
_QUARTER = MOST_LEVELS // 4
_MANY_ON_A_LINE = re.compile(rf"(?:[-?][ \t]+){{{_QUARTER}}}|^ {{{_QUARTER}}}", re.MULTILINE)


def nests_too_deeply(text: str) -> bool:
    """Say whether a text nests more than `MOST_LEVELS` levels; what is no YAML does so up to its mistake."""
    if text.count("[") + text.count("{") <= MOST_LEVELS and not _MANY_ON_A_LINE.search(text):
        return False  # nearly every text, at no cost
    depth = 0
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_LEVELS:
                return True
    except yaml.YAMLError:
        pass  # whoever reads the text says what is wrong with it
    return False
