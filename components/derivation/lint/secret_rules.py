"""Rules about the secrets that an identity policy names: ARNs that match nothing, and ARNs that match too much.

Sources: Secrets Manager user guide (the ARN of a secret ends in a hyphen and six random characters; a name should not);
service authorization reference of Secrets Manager (resource types and condition keys of each action).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..arn import UNKNOWN_SUFFIX, Arn, has_random_suffix
from .examples import SECRET, policy, secrets_policy, statement
from .material import Material
from .part import Part
from .policies import StatementText, arn_of, has_wildcard
from .rule import Example, Hit, Rule, Severity

#: What reads a secret.
READS = ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret")
#: Actions that IAM cannot narrow to secrets.
UNBOUND = ("secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets")

_PREFIX = "secret:"
_WORD_SUFFIX = re.compile(r"-[a-z]{6}\Z")
_ARN = SECRET.removesuffix(UNKNOWN_SUFFIX)


def secret_resources(material: Material) -> Iterator[tuple[StatementText, Part, Arn]]:
    """Yield every secret that an identity policy's reading statement names, with its ARN."""
    for document in material.identity_policies():
        for item in document.allows():
            if item.grants(*READS):
                for resource in item.resources:
                    arn = arn_of(resource, "secretsmanager")
                    if arn is not None and arn.resource.startswith(_PREFIX):
                        yield item, resource, arn


def _no_suffix(material: Material) -> Iterator[Hit]:
    granted = {resource.text for _, resource, _ in secret_resources(material)}
    for _, resource, arn in secret_resources(material):
        text = resource.text + UNKNOWN_SUFFIX
        # Beside the grant with its suffix it is an optional secret's: AWS asks about it while the secret is missing.
        if not has_wildcard(arn.resource) and not has_random_suffix(arn) and text not in granted:
            what = f"{resource.text!r} has no suffix, so it matches no secret"
            yield Hit.on(resource, what, fix=f"write {text!r}", edits=(resource.replaced(text),))


def _siblings(material: Material) -> Iterator[Hit]:
    for _, resource, arn in secret_resources(material):
        name = arn.resource.removeprefix(_PREFIX)
        if name.endswith("-*") and not has_wildcard(name[:-2]):
            text = resource.text[:-2] + UNKNOWN_SUFFIX
            what = f"{resource.text!r} also matches every secret whose name begins with {name[:-1]!r}"
            yield Hit.on(resource, what, fix=f"write {text!r}", edits=(resource.replaced(text),))


def _word_suffix(material: Material) -> Iterator[Hit]:
    for _, resource, arn in secret_resources(material):
        if not has_wildcard(arn.resource) and _WORD_SUFFIX.search(arn.resource):
            word = arn.resource[-6:]
            what = f"{resource.text!r} ends in a hyphen and {word!r}: is that the suffix, or is the suffix missing?"
            yield Hit.on(resource, what)


def _whole_account(material: Material) -> Iterator[Hit]:
    for document in material.identity_policies():
        for item in document.allows():
            for resource in item.resources if item.names(*READS) else ():
                arn = arn_of(resource, "secretsmanager")
                if resource.text == "*" or (arn is not None and arn.resource in {"*", f"{_PREFIX}*"}):
                    yield Hit.on(resource, f"{resource.text!r} grants every secret that there is or will be")


def _path(material: Material) -> Iterator[Hit]:
    for _, resource, arn in secret_resources(material):
        name = arn.resource.removeprefix(_PREFIX)
        exact_or_sibling = name.removesuffix(UNKNOWN_SUFFIX).removesuffix("-*")
        if name != "*" and has_wildcard(exact_or_sibling):
            yield Hit.on(resource, f"{resource.text!r} grants every secret of that form, those of tomorrow too")


def _unbound(material: Material) -> Iterator[Hit]:
    for document in material.identity_policies():
        for item in document.allows():
            for action in item.actions:
                if item.names(*UNBOUND) and action.text.lower() in {name.lower() for name in UNBOUND}:
                    yield from _unbound_hit(item, action)


def _unbound_hit(item: StatementText, action: Part) -> Iterator[Hit]:
    if any(resource.text == "*" for resource in item.resources):
        shows = "the names of all secrets" if action.text.lower().endswith("listsecrets") else "a call for any secret"
        yield Hit.on(action, f"{action.text!r} cannot be narrowed: it allows {shows}")


def _unbound_dead(material: Material) -> Iterator[Hit]:
    names = {name.lower() for name in UNBOUND}
    for document in material.identity_policies():
        for item in document.allows():
            for action in item.actions:
                if action.text.lower() in names and all(resource.text != "*" for resource in item.resources):
                    yield Hit.on(action, f"{action.text!r} has no resource type, so this statement never allows it")


def _stage_on_describe(material: Material) -> Iterator[Hit]:
    for document in material.identity_policies():
        for item in document.allows():
            for key in ("secretsmanager:VersionStage", "secretsmanager:VersionId"):
                for test in item.tests_on(key):
                    if item.names("secretsmanager:DescribeSecret"):
                        what = f"{test.key.text} is no condition of DescribeSecret, so this statement never allows it"
                        yield Hit.on(test.key, what)


_STAGE = {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}

RULES = (
    Rule(
        code="LS101",
        severity=Severity.ERROR,
        title="A secret's ARN ends in a hyphen and six characters",
        why=(
            "Secrets Manager appends a hyphen and six random characters to every name. A policy that names the secret "
            "without them matches nothing: the mount is denied although the name looks right."
        ),
        fix="append -?????? (six question marks), or write the whole ARN",
        bad=Example(policy=secrets_policy(_ARN)),
        good=Example(policy=secrets_policy(SECRET)),
        check=_no_suffix,
        mends=True,
    ),
    Rule(
        code="LS102",
        severity=Severity.WARNING,
        title="-* captures siblings",
        why=(
            "NAME-* is meant for the random suffix, but it also matches NAME-admin-Ab12Cd and every other secret whose "
            "name begins in the same way. -?????? matches exactly the suffix."
        ),
        fix="write -?????? in place of -*",
        bad=Example(policy=secrets_policy(f"{_ARN}-*")),
        good=Example(policy=secrets_policy(SECRET)),
        check=_siblings,
        mends=True,
    ),
    Rule(
        code="LS103",
        severity=Severity.WARNING,
        title="A name that ends in a hyphen and six letters looks like an ARN with its suffix",
        why=(
            "A real suffix is six random letters and digits. A word of six small letters is almost always a part of "
            "the name; then the ARN lacks its suffix and matches nothing. AWS advises against such names."
        ),
        fix="append -?????? if it is part of the name; if it is the suffix, write -?????? in its place",
        bad=Example(policy=secrets_policy(f"{_ARN}-config")),
        good=Example(policy=secrets_policy(f"{_ARN}-config-??????")),
        check=_word_suffix,
    ),
    Rule(
        code="LS104",
        severity=Severity.ERROR,
        title="A grant names its secrets",
        why="With a bare wildcard one stolen pod token reads every secret of the account.",
        fix="name each secret that the app mounts",
        bad=Example(policy=secrets_policy("*")),
        good=Example(policy=secrets_policy(SECRET)),
        check=_whole_account,
    ),
    Rule(
        code="LS105",
        severity=Severity.WARNING,
        title="A wildcard inside a name grants secrets that do not exist yet",
        why=(
            "Whoever may create a secret below that path puts it within reach of the app, and nobody reviews it. "
            "A mount names its secrets, so a grant can name them too."
        ),
        fix="name each secret that the app mounts",
        bad=Example(policy=secrets_policy("arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/*")),
        good=Example(policy=secrets_policy(SECRET)),
        check=_path,
    ),
    Rule(
        code="LS106",
        severity=Severity.WARNING,
        title="Batch reads and lists work on all secrets only",
        why=(
            "BatchGetSecretValue and ListSecrets have neither a resource type nor condition keys. The provider reads "
            "secrets one by one, so an app that mounts needs neither."
        ),
        fix="remove the action; keep GetSecretValue on each secret",
        bad=Example(policy=policy(statement("secretsmanager:ListSecrets", "*"))),
        good=Example(policy=secrets_policy(SECRET)),
        check=_unbound,
    ),
    Rule(
        code="LS107",
        severity=Severity.ERROR,
        title='An action without a resource type needs Resource "*"',
        why="IAM compares the action with the resource *, which an ARN never matches: the statement allows nothing.",
        fix="remove the action; the provider does not need it",
        bad=Example(policy=policy(statement("secretsmanager:BatchGetSecretValue", SECRET))),
        good=Example(policy=secrets_policy(SECRET)),
        check=_unbound_dead,
    ),
    Rule(
        code="LS108",
        severity=Severity.ERROR,
        title="Version conditions belong to GetSecretValue alone",
        why=(
            "secretsmanager:VersionStage and VersionId are sent with GetSecretValue only. In a statement with "
            "DescribeSecret the key is missing from the request, and the condition fails."
        ),
        fix="move DescribeSecret into a statement of its own, without this condition",
        bad=Example(policy=policy(statement(READS, SECRET, _STAGE))),
        good=Example(policy=policy(statement(READS[0], SECRET, _STAGE), statement(READS[1], SECRET))),
        check=_stage_on_describe,
    ),
)
