"""What IAM's actions around secrets do to a value: read it, list, describe, write, decrypt, or become another role.

Source: AWS service authorization reference (Secrets Manager, Systems Manager, KMS, STS), actions that touch secrets,
parameters, keys and roles. An action that is not listed is `OTHER`: it is shown, not judged.
"""

from __future__ import annotations

from enum import StrEnum

from .patterns import Pattern

#: Reads every parameter below a path, however exact the path is; so it is never what a mount needs.
BY_PATH = "ssm:GetParametersByPath"


class Power(StrEnum):
    """What an action lets one do, the gravest first."""

    WRITE = "write"
    READ = "read"
    DECRYPT = "decrypt"
    ASSUME = "assume"
    LIST = "list"
    DESCRIBE = "describe"
    OTHER = "other"


_NAMES: dict[Power, dict[str, tuple[str, ...]]] = {
    Power.READ: {
        "secretsmanager": ("GetSecretValue",),
        "ssm": ("GetParameter", "GetParameterHistory", "GetParameters", "GetParametersByPath"),
    },
    Power.LIST: {
        # BatchGetSecretValue needs GetSecretValue for each secret too; by itself it is a way to read many at once.
        "secretsmanager": ("BatchGetSecretValue", "ListSecretVersionIds", "ListSecrets"),
        "ssm": ("DescribeParameters", "ListTagsForResource"),
    },
    Power.DESCRIBE: {"secretsmanager": ("DescribeSecret", "GetResourcePolicy"), "kms": ("DescribeKey",)},
    Power.WRITE: {
        "secretsmanager": (
            "CancelRotateSecret",
            "CreateSecret",
            "DeleteResourcePolicy",
            "DeleteSecret",
            "PutResourcePolicy",
            "PutSecretValue",
            "RemoveRegionsFromReplication",
            "ReplicateSecretToRegions",
            "RestoreSecret",
            "RotateSecret",
            "StopReplicationToReplica",
            "TagResource",
            "UntagResource",
            "UpdateSecret",
            "UpdateSecretVersionStage",
        ),
        "ssm": (
            "AddTagsToResource",
            "DeleteParameter",
            "DeleteParameters",
            "LabelParameterVersion",
            "PutParameter",
            "PutResourcePolicy",
            "RemoveTagsFromResource",
            "UnlabelParameterVersion",
        ),
        "kms": ("CreateGrant", "PutKeyPolicy", "ScheduleKeyDeletion", "DisableKey"),
    },
    Power.DECRYPT: {"kms": ("Decrypt", "ReEncryptFrom")},
    Power.ASSUME: {"sts": ("AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "TagSession")},
}

#: Lower-case action → (as AWS writes it, what it does).
_KNOWN: dict[str, tuple[str, Power]] = {
    f"{service}:{name}".lower(): (f"{service}:{name}", power)
    for power, services in _NAMES.items()
    for service, names in services.items()
    for name in names
}


def spelled(action: Pattern) -> str:
    """Return an action the way AWS writes it; an unknown one, or a pattern, in lower case.

    >>> spelled(Pattern.of("ssm:getparameters"))
    'ssm:GetParameters'
    """
    return _KNOWN[action.text][0] if action.text in _KNOWN else str(action)


def power_of(action: Pattern) -> Power:
    """Return the gravest thing that an action pattern (lower case) lets one do."""
    if action.is_exact:
        return _KNOWN[action.text][1] if action.text in _KNOWN else Power.OTHER
    found = {power for name, (_, power) in _KNOWN.items() if action.matches(name)}
    return next((power for power in Power if power in found), Power.OTHER)


def reads_of(action: Pattern) -> tuple[str, ...]:
    """Return the actions, as AWS writes them, by which a pattern reads values; () for none."""
    if action.is_exact:
        return (spelled(action),) if power_of(action) is Power.READ else ()
    return tuple(sorted(text for name, (text, power) in _KNOWN.items() if power is Power.READ and action.matches(name)))
