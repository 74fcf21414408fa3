"""Policies that hang on secrets and keys, as the resources of a preview show them.

Several resources may write the policy of one secret: all of them count, because nobody here knows which one AWS kept.
Only what the program asks for is read: the computed `policy` of a Secret repeats what another resource writes, and may
be the old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .documents import PolicyText, ResourcePolicyDocument, Undecided
from .preview_kinds import RESOURCE_POLICIES
from .preview_names import path_of
from .preview_resources import Resource, undecided


def resource_policies(
    resources: Iterable[Resource], both_sides: Iterable[Resource]
) -> dict[str, ResourcePolicyDocument]:
    """Return the policies by what they hang on; the resources' order decides nothing but the order of texts.

    Args:
        resources: Of one side.
        both_sides: What a policy is called after is decided by all of them, so that it is the same on both.
    """
    carriers = [resource for resource in resources if resource.type in RESOURCE_POLICIES]
    by_name = _named(resource for resource in both_sides if resource.type in RESOURCE_POLICIES)
    found: dict[str, ResourcePolicyDocument] = {}
    for resource in carriers:
        target, key = RESOURCE_POLICIES[resource.type]
        value = resource.asked(key)
        if not value:
            continue
        # What hangs on a secret or key of this preview is told with it. What its name came from says which one it is
        # only while the name itself is not known: a program may make any other name of it.
        named = resource.text(target)
        made = [by_name[urn] for urn in resource.needs.get(target, ()) if not named and urn in by_name]
        place = by_name.get(named) or (made[0] if len(made) == 1 else _place(resource, target))
        policy = policy_text(value)
        if place in found:
            found[place] = replace(found[place], others=(*found[place].others, policy))
        else:
            found[place] = ResourcePolicyDocument(resource=place, policy=policy)
    return found


def _named(carriers: Iterable[Resource]) -> dict[str, str]:
    """Return URN, ARN and key id of the secrets and keys themselves → what a policy of them is called after.

    A key id of several is left out: the replicas of a key in other regions have its id, and policies of their own.
    """
    places: dict[str, set[str]] = {}
    for resource in carriers:
        target, _ = RESOURCE_POLICIES[resource.type]
        if target == "arn":
            for text in filter(None, (resource.urn, resource.text("arn"), resource.text("keyId"))):
                places.setdefault(text, set()).add(_place(resource, target))
    return {text: next(iter(found)) for text, found in places.items() if len(found) == 1}


def _place(resource: Resource, target: str) -> str:
    kind = resource.type.rpartition(":")[2]
    return resource.text(target) or resource.text("name") or f"of {kind} {path_of(resource)}"


def policy_text(value: object) -> PolicyText:
    """Return a property as a policy, or why it is none yet."""
    reason = undecided(value)
    if reason is not None:
        return reason
    return value if isinstance(value, (str, Mapping)) else Undecided(reason="it is not a policy document")
