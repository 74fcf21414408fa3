"""Whether two IAM resources mean one secret: a whole ARN is one of the pattern that ends in `-??????`."""

from __future__ import annotations

import re

from .arn import UNKNOWN_SUFFIX

_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}")


def is_same_secret(one: str, other: str) -> bool:
    """Say whether two resources, each a whole ARN or one with the unknown suffix, mean the same secret.

    >>> is_same_secret("arn:aws:secretsmanager:r:1:secret:a-??????", "arn:aws:secretsmanager:r:1:secret:a-Ab12Cd")
    True
    """
    return one == other or _covers(one, other) or _covers(other, one)


def without_suffix(resource: str) -> str:
    """Return a resource without its suffix, known or not: resources of one secret have it in common.

    >>> without_suffix("arn:aws:secretsmanager:r:1:secret:a-Ab12Cd")
    'arn:aws:secretsmanager:r:1:secret:a'
    """
    return resource[: -len(UNKNOWN_SUFFIX)]


def _covers(pattern: str, arn: str) -> bool:
    if not pattern.endswith(UNKNOWN_SUFFIX):
        return False
    name = pattern.removesuffix(UNKNOWN_SUFFIX)
    return arn.startswith(name) and _SUFFIX.fullmatch(arn[len(name) :]) is not None
