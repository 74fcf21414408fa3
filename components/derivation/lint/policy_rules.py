"""Rules about what an identity policy says: wildcard actions, inverted grants, misspelt names, dead ARNs.

Sources: IAM JSON policy reference; service authorization reference (actions of the three services).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ..arn import Arn, is_account, is_region
from .examples import (
    KEY,
    PARAMETER,
    SECRET,
    bound,
    decrypt,
    parameters_policy,
    policy,
    secrets_policy,
    statement,
)
from .material import Material
from .part import Part
from .policies import (
    StatementText,
    has_wildcard,
    matches,
    service_of,
)
from .rule import Example, Hit, Rule, Severity

_SERVICES = ("secretsmanager", "ssm", "kms")
#: Actions of Secrets Manager, of parameters, and of cryptography: what a policy about secrets may rightly say.
KNOWN_ACTIONS = {
    "secretsmanager": (
        "AssociateCrossAccountReplica",
        "BatchGetSecretValue",
        "CancelRotateSecret",
        "CreateSecret",
        "DeleteResourcePolicy",
        "DeleteSecret",
        "DescribeSecret",
        "DisassociateCrossAccountReplica",
        "GetRandomPassword",
        "GetResourcePolicy",
        "GetSecretValue",
        "ListResourcePolicies",
        "ListSecretVersionIds",
        "ListSecrets",
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
        "ValidateResourcePolicy",
    ),
    "ssm": (
        "DeleteParameter",
        "DeleteParameters",
        "DescribeParameters",
        "GetParameter",
        "GetParameterHistory",
        "GetParameters",
        "GetParametersByPath",
        "LabelParameterVersion",
        "PutParameter",
        "UnlabelParameterVersion",
    ),
    "kms": ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom"),
}
#: Verbs with which an action begins that changes something or makes ciphertext.
_CHANGING_VERBS = {
    "secretsmanager": (
        "associate",
        "cancel",
        "create",
        "delete",
        "disassociate",
        "put",
        "remove",
        "replicate",
        "restore",
        "rotate",
        "stop",
        "tag",
        "untag",
        "update",
    ),
    "ssm": ("delete", "label", "put", "unlabel"),
    "kms": ("create", "disable", "encrypt", "generatedatakey", "put", "reencrypt", "schedule"),
}
_CLOSE = 0.85


def _statements(material: Material) -> Iterator[StatementText]:
    for document in material.identity_policies():
        yield from document.allows()


def _wildcard_action(material: Material) -> Iterator[Hit]:
    for item in _statements(material):
        for action in item.actions:
            if has_wildcard(action.text) and service_of(action.text) in {*_SERVICES, "*"}:
                yield Hit.on(action, f"{action.text!r} grants every action of that form")


def _inverted(material: Material) -> Iterator[Hit]:
    for item in _statements(material):
        for key in ("NotAction", "NotResource"):
            part = item.part.get(key)
            if part:
                yield Hit.on(part, f"an Allow with {key} grants all that is not listed")


def _change(material: Material) -> Iterator[Hit]:
    for item in _statements(material):
        for action in item.actions:
            service, _, name = action.text.lower().partition(":")
            if name.startswith(_CHANGING_VERBS.get(service, ())):
                yield Hit.on(action, f"{action.text!r} changes something, and a mount only reads")


def _misspelt(material: Material) -> Iterator[Hit]:
    for item in _statements(material):
        for action in item.actions:
            service, _, name = action.text.partition(":")
            known = {word.lower(): word for word in KNOWN_ACTIONS.get(service.lower(), ())}
            if not known or has_wildcard(name) or name.lower() in known:
                continue
            close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=_CLOSE)
            if close or service.lower() == "secretsmanager":
                text = f"{service}:{known[close[0]]}" if close else ""
                edits = (action.replaced(text),) if close else ()
                fix = f"did you mean {text!r}?" if close else ""
                yield Hit.on(action, f"{action.text!r} is no action", fix=fix, edits=edits)


def _malformed(material: Material) -> Iterator[Hit]:
    for item in _statements(material):
        if any(service_of(action.text) in _SERVICES for action in item.actions):
            for resource in item.resources:
                reason = _why_malformed(resource.text)
                if reason:
                    yield Hit.on(resource, f"{resource.text!r} {reason}, so it matches nothing")


def _why_malformed(text: str) -> str:
    if text == "*":
        return ""
    arn = Arn.parse(text)
    if arn is None:
        return "" if text.startswith(("arn:", "*")) and has_wildcard(text) else "is not an ARN"
    if arn.service not in _SERVICES or any(has_wildcard(part) for part in (arn.region, arn.account)):
        return ""
    if not is_region(arn.region):
        return f"names {arn.region!r} where the region stands"
    if not is_account(arn.account):
        return f"names {arn.account!r} where the account stands"
    prefixes = {"secretsmanager": ("secret:",), "ssm": ("parameter/",), "kms": ("key/", "alias/")}[arn.service]
    kinds = " or ".join(prefixes)
    is_open = has_wildcard(arn.resource.partition("/")[0].partition(":")[0])
    return "" if is_open or arn.resource.startswith(prefixes) else f"has no {kinds} in its sixth part"


def _open_place(material: Material) -> Iterator[Hit]:
    for item in _statements(material):
        for resource in item.resources:
            arn = Arn.parse(resource.text)
            if arn is None or arn.service not in _SERVICES:
                continue
            places = {"partition": arn.partition, "region": arn.region, "account": arn.account}
            wide = [name for name, text in places.items() if has_wildcard(text)]
            if wide:
                yield Hit.on(resource, f"{resource.text!r} leaves {' and '.join(wide)} open")


def _dead_action(material: Material) -> Iterator[Hit]:
    for item in _statements(material):
        services = {_resource_service(resource.text) for resource in item.resources} - {""}
        for action in item.actions:
            service = service_of(action.text)
            if service in _SERVICES and services and not any(matches(found, service) for found in services):
                what = f"no resource of this statement belongs to {service}, so it never allows {action.text!r}"
                yield Hit.on(action, what)


def _resource_service(text: str) -> str:
    """Return the service of a resource; "*" where any may match, "" where the resource is no ARN."""
    arn = Arn.parse(text)
    if arn is not None:
        return arn.service
    return "*" if "*" in text else ""


def _exact_pattern(material: Material) -> Iterator[Hit]:
    for document in material.policies:
        for item in document.allows():
            for test in item.tests():
                for value in test.values if test.operator.text == "StringEquals" else ():
                    if has_wildcard(value.text) and "${" not in value.text:
                        yield _exact_hit(item, test.operator, value)


def _exact_hit(item: StatementText, operator: Part, value: Part) -> Hit:
    what = f"{value.text!r} stands under StringEquals, where * and ? are plain characters"
    # Under StringLike a value without wildcards is compared as it stands, so the whole block may move.
    only_block = not item.part.get("Condition").get("StringLike")
    # A pattern in `sub` or `aud` must become an exact value, not a working pattern.
    is_trust = bool(item.part.get("Principal"))
    edits = (operator.replaced("StringLike"),) if only_block and not is_trust else (None,)
    return Hit.on(value, what, edits=edits)


_GOOD = Example(policy=secrets_policy())

RULES = (
    Rule(
        code="LS111",
        severity=Severity.ERROR,
        title="A grant names its actions",
        why=(
            "secretsmanager:Get* grows with every action that AWS adds, and secretsmanager:* already lets the pod "
            "change, delete and share the secret."
        ),
        fix="write secretsmanager:GetSecretValue, ssm:GetParameters or kms:Decrypt",
        bad=Example(policy=secrets_policy(actions="secretsmanager:*")),
        good=_GOOD,
        check=_wildcard_action,
    ),
    Rule(
        code="LS112",
        severity=Severity.ERROR,
        title="An Allow lists what it allows",
        why="NotAction and NotResource in an Allow grant everything else, of every service, now and later.",
        fix="list actions and resources",
        bad=Example(policy=policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": SECRET})),
        good=_GOOD,
        check=_inverted,
    ),
    Rule(
        code="LS113",
        severity=Severity.WARNING,
        title="A role for mounts only reads",
        why="The provider never writes. With a writing action a stolen pod token can change what other apps read.",
        fix="remove the action, or give it to a role of its own",
        bad=Example(policy=secrets_policy(actions=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"])),
        good=_GOOD,
        check=_change,
    ),
    Rule(
        code="LS114",
        severity=Severity.ERROR,
        title="The action does not exist",
        why="IAM accepts any word as an action. A misspelt one allows nothing, and the mount is denied.",
        fix="write the action as the service authorization reference has it",
        bad=Example(policy=secrets_policy(actions="secretsmanager:GetSecretsValue")),
        good=_GOOD,
        check=_misspelt,
        mends=True,
    ),
    Rule(
        code="LS115",
        severity=Severity.ERROR,
        title="The resource is no ARN of a secret, parameter or key",
        why="IAM compares the request's ARN with this text. Names, wrong regions and short accounts never match.",
        fix="write the ARN whole: arn:aws:secretsmanager:<region>:<account>:secret:NAME-??????",
        bad=Example(policy=secrets_policy("prod/db")),
        good=_GOOD,
        check=_malformed,
    ),
    Rule(
        code="LS116",
        severity=Severity.ERROR,
        title="The action and its resources are of different services",
        why="A statement allows an action only on resources of the action's service: nobody ever asks for this.",
        fix="write one statement for each service",
        bad=Example(policy=policy(statement("secretsmanager:GetSecretValue", PARAMETER))),
        good=Example(policy=parameters_policy()),
        check=_dead_action,
    ),
    Rule(
        code="LS117",
        severity=Severity.ERROR,
        title="A pattern needs StringLike",
        why="StringEquals compares the characters * and ? as they stand, so the condition never holds.",
        fix="put the value under StringLike",
        bad=Example(
            policy=policy(
                decrypt(
                    {
                        "StringEquals": {
                            "kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com",
                            "kms:EncryptionContext:SecretARN": SECRET,
                        }
                    },
                    KEY,
                )
            )
        ),
        good=Example(policy=policy(decrypt(bound()))),
        check=_exact_pattern,
        mends=True,
    ),
    Rule(
        code="LS118",
        severity=Severity.WARNING,
        title="A resource names its partition, region and account",
        why=(
            "With a wildcard there the grant covers what bears the same name elsewhere: a copy in a region that nobody "
            "reviewed, and whatever another account shares."
        ),
        fix="write the ARN of each region and account that the app reads from",
        bad=Example(policy=secrets_policy("arn:aws:secretsmanager:*:111122223333:secret:prod/db-??????")),
        good=_GOOD,
        check=_open_place,
    ),
)
