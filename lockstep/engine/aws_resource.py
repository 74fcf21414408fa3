"""What a handler of an AWS resource type is, and what handlers share: tags and optional arguments.

Not done here: any type (aws_resources.py, aws_managed_policies.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lockstep.engine.resource_provider import ProviderObject
from lockstep.engine.values import Json, Properties

#: boto3 clients are made at run time from service descriptions; there is no static type for their methods here.
Client = Any
Clients = Mapping[str, Client]
AwsCall = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsResource:
    """How one type is placed.

    Attributes:
        sdk_class: Where pulumi_aws has its arguments, `iam.Role` for `pulumi_aws.iam.RoleArgs`.
        inputs: The inputs that are placed.
        required: Inputs that must be there. Names are required: the engine makes up none.
        documents: Inputs that are JSON documents.
        immutable: Inputs that cannot change in place.
        identity: Inputs that name the object; when none of them changes, the old object goes before the new one comes.
        defaults: Outputs of inputs that were not given.
        computed: Outputs that only AWS can tell.
        create: Returns id and computed outputs.
        read: Takes an id; None when there is no such object. The id is as `pulumi import` takes it.
        update: Takes the outputs of the last run and the new inputs, defaults filled in.
        delete: Takes the outputs of the last run. An object that is gone is the provider's to forgive.
    """

    sdk_class: str
    inputs: frozenset[str]
    required: frozenset[str]
    immutable: frozenset[str]
    identity: frozenset[str]
    create: Callable[[Clients, Properties], ProviderObject]
    read: Callable[[Clients, str], ProviderObject]
    update: Callable[[Clients, Properties, Properties], None]
    delete: Callable[[Clients, Properties], None]
    documents: frozenset[str] = frozenset()
    defaults: Mapping[str, Json]
    computed: frozenset[str]


def tag_list(tags: Json) -> list[dict[str, str]]:
    """Return tags as IAM's calls take them, sorted by key."""
    return (
        [{"Key": key, "Value": str(value)} for key, value in sorted(tags.items())] if isinstance(tags, Mapping) else []
    )


def tag_changes(prior: Properties, inputs: Properties) -> tuple[list[str], list[dict[str, str]]]:
    """Return the keys to take off and the tags to put on."""
    before = {item["Key"]: item["Value"] for item in tag_list(prior.get("tags"))}
    after = {item["Key"]: item["Value"] for item in tag_list(inputs.get("tags"))}
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    return sorted(before.keys() - after.keys()), tag_list(changed)


def given(**arguments: Json) -> dict[str, Any]:
    """Drop what was not given; boto3 takes no None."""
    return {key: value for key, value in arguments.items() if value not in (None, "", [])}
