"""Compares policy documents by what they say: order, Sids and lists of one are no difference."""

from __future__ import annotations

import json
from collections.abc import Mapping


def same_policy(one: object, other: object) -> bool:
    """Say whether two documents say the same.

    >>> same_policy({"Statement": {"Action": "a", "Sid": "x"}}, {"Statement": [{"Action": ["a"]}]})
    True
    """
    return _canonical(one) == _canonical(other)


def _canonical(value: object) -> object:
    if isinstance(value, Mapping):
        kept = {str(key): _canonical(item) for key, item in value.items() if key not in {"Sid", "Id", "Version"}}
        return dict(sorted(kept.items()))
    items = value if isinstance(value, (list, tuple)) else [value]
    flat = [_canonical(item) if isinstance(item, Mapping) else item for item in items]
    return sorted(flat, key=lambda item: json.dumps(item, sort_keys=True))
