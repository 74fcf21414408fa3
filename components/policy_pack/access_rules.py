"""Rules about access: what reads secrets names them, and nothing of it is unknown at preview.

Not decided here: what a statement means. Documents are read as an access diff reads them (derivation/diff), and the
linter's rules (derivation/lint) give the words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from ..derivation.diff.actions import BY_PATH, reads_of
from ..derivation.diff.documents import AppDocument, Undecided
from ..derivation.diff.preview_documents import read_preview
from ..derivation.diff.preview_kinds import (
    INLINE,
    POLICY,
    ROLE,
)
from ..derivation.diff.preview_names import Names
from ..derivation.diff.preview_resources import Resource, Sides, undecided
from ..derivation.diff.reads import is_wide, may_read
from ..derivation.diff.statements import Atom, Effect, UnreadablePolicyError, read_policy
from ..derivation.lint import Given
from ..derivation.lint.examples import irsa, secrets_policy, trust
from .aws_policies import aws_policy, reading_policies
from .rule import Finding, Rule, cited, example
from .trust_rules import asks_for, trusts_tokens

_ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
#: Resources with an identity policy: type → property that holds it.
_WITH_POLICY = {
    **dict.fromkeys((POLICY, *INLINE), "policy"),
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy": "inlinePolicy",
}
_SECRET_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"  # noqa: S105 - a type
_OF_SECRETS = {_SECRET_POLICY, "aws:secretsmanager/secret:Secret"}
#: What a key of a condition is about when it says who asks, in lower case.
_WHO = ("principal", "source", "userid", "calleraccount")
_READ_CODES = frozenset({"LS102", "LS104", "LS105", "LS111", "LS112", "LS202", "LS203"})


# ----------------------------------------------------------------------------------------------------- what is readable
def _documents(resource: Resource) -> Iterator[tuple[str, object]]:
    """Yield the identity policies of a resource, each with the property that holds it."""
    if resource.type in _WITH_POLICY:
        key = _WITH_POLICY[resource.type]
        yield key, resource.properties.get(key)
    inline = resource.properties.get("inlinePolicies") if resource.type == ROLE else None
    for index, item in enumerate(inline if isinstance(inline, list) else []):
        yield f"inlinePolicies[{index}]", item.get("policy") if isinstance(item, dict) else item


def _wide_reads(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    for resource in stack:
        yield from reading_policies(resource)
        for where, document in _documents(resource):
            if document is None or undecided(document) is not None:
                continue  # the rule about unknown documents says what that means
            try:
                wide = [atom for atom in read_policy(document, where) if _reads_widely(atom)]
            except UnreadablePolicyError as error:
                yield Finding(urn=resource.urn, what=str(error))
                continue
            places = dict.fromkeys(atom.why for atom in wide)
            told = [f"{place} reads {_listed(_extent(a) for a in wide if a.why == place)}" for place in places]
            if told:
                what = "; ".join(told) + cited(Given.POLICY, document, _READ_CODES)
                yield Finding(urn=resource.urn, what=what)


def _reads_widely(atom: Atom) -> bool:
    reads = reads_of(atom.action)
    if atom.effect is not Effect.ALLOW or not reads or not may_read(atom.resource, reads):
        return False
    return is_wide(str(atom.resource)) or _reads_by_path(atom)


def _reads_by_path(atom: Atom) -> bool:
    """Say whether parameters are read by a path: IAM compares the path, and what is read is everything below it."""
    return BY_PATH in reads_of(atom.action) and may_read(atom.resource, (BY_PATH,))


def _extent(atom: Atom) -> str:
    below = _reads_by_path(atom) and not is_wide(str(atom.resource))
    return f"{str(atom.resource)!r}{' with all below it, by ssm:GetParametersByPath' if below else ''}"


def _listed(things: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(things))


# -------------------------------------------------------------------------------------------------- who reads a secret
def _open_secrets(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    for resource in stack:
        document = resource.properties.get("policy") if resource.type in _OF_SECRETS else None
        if not document:
            continue
        reason = undecided(document)
        if reason is not None:
            yield Finding(urn=resource.urn, what=f"whom the secret's policy lets in cannot be told: {reason.reason}")
            continue
        try:
            places = dict.fromkeys(atom.why for atom in read_policy(document, "policy") if _is_for_everybody(atom))
        except UnreadablePolicyError as error:
            yield Finding(urn=resource.urn, what=str(error))
            continue
        if places:
            yield Finding(urn=resource.urn, what=f"{_listed(places)} lets everybody read the secret")


def _is_for_everybody(atom: Atom) -> bool:
    kind, name = atom.principal
    is_open = kind == "NotPrincipal" or (kind, name) == ("AWS", "*")
    return atom.effect is Effect.ALLOW and is_open and bool(reads_of(atom.action)) and not _says_who(atom)


def _says_who(atom: Atom) -> bool:
    """Say whether a condition lets some callers pass only; one that excludes some, or matches all, does not."""
    return any(
        asks_for(test) and "*" not in test.values and any(word in test.key.lower() for word in _WHO)
        for test in atom.tests
    )


# ------------------------------------------------------------------------------------------------- what nobody can tell
def _unknown_policies(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    _, fleet = read_preview(Sides(stack="", project="", before=(), after=stack, is_whole=True))
    names = Names(stack)
    apps = names.apps_of(stack)
    urns = {names.app_of(resource, apps): resource.urn for resource in stack if resource.type == ROLE}
    for app in fleet.apps.values():
        unknown = [
            f"{name}: {policy.reason}"
            for name, policy in app.policies.items()
            if isinstance(policy, Undecided) and not aws_policy(name)
        ]
        if unknown and _may_read_secrets(app, is_here=app.app in urns):
            yield Finding(urn=urns.get(app.app, ""), what=f"{app.app} may read secrets, and of it {'; '.join(unknown)}")


def _may_read_secrets(app: AppDocument, *, is_here: bool) -> bool:
    """Say whether a role reads secrets or is a pod's; one of another stack may be."""
    if app.associations or app.service_accounts or isinstance(app.trust, Undecided):
        return True
    if not is_here and app.app.startswith("role "):
        return True
    return any(trusts_tokens(atom) for atom in _atoms(app.trust)) or any(
        reads_of(atom.action) and may_read(atom.resource, reads_of(atom.action))
        for policy in app.policies.values()
        for atom in _atoms(policy)
        if atom.effect is Effect.ALLOW
    )


def _atoms(document: object) -> tuple[Atom, ...]:
    if document is None or isinstance(document, Undecided):
        return ()
    try:
        return read_policy(document, "policy")
    except UnreadablePolicyError:
        return ()  # the other rules say so


_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # what Pulumi's engine writes for it
_IRSA_ROLE = example(ROLE, "shop", name="shop", assumeRolePolicy=trust(irsa()))


def _secret_policy(conditions: Mapping[str, object]) -> str:
    read = {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [read | {"Condition": conditions}]})


RULES = (
    Rule(
        name="secret-reads-are-exact",
        title="What reads secrets or parameters names them",
        why=(
            "With a wildcard one stolen token reads every secret that there is or will be; a path is one, and so is a "
            "policy variable. The six question marks for a secret's random suffix are none."
        ),
        fix=(
            "name each one: arn:aws:secretsmanager:<region>:<account>:secret:NAME-??????, and parameters with "
            "ssm:GetParameter or ssm:GetParameters"
        ),
        bad=(example(_ROLE_POLICY, policy=secrets_policy("*")),),
        good=(example(_ROLE_POLICY, policy=secrets_policy()),),
        check=_wide_reads,
    ),
    Rule(
        name="secrets-are-not-for-everybody",
        title="A secret's own policy names who may read it",
        why="Whoever a secret's policy lets in needs nothing else in the secret's account, be it the whole world.",
        fix=(
            "name principals, or bind them by a condition such as aws:PrincipalArn or aws:PrincipalOrgID; set "
            "blockPublicPolicy"
        ),
        bad=(example(_SECRET_POLICY, policy=_secret_policy({})),),
        good=(example(_SECRET_POLICY, policy=_secret_policy({"StringEquals": {"aws:PrincipalOrgID": "o-example"}})),),
        check=_open_secrets,
    ),
    Rule(
        name="secret-policies-are-known",
        title="The policies of a role that reads secrets are known at preview",
        why=(
            "Pulumi skips a policy whose values are unknown, so a preview passes that nobody has judged. A document "
            "built from another resource's output is unknown as a whole."
        ),
        fix="build ARNs from partition, region, account and name, not from other resources' outputs",
        bad=(_IRSA_ROLE, example(_ROLE_POLICY, role="shop", policy=_UNKNOWN)),
        good=(_IRSA_ROLE, example(_ROLE_POLICY, role="shop", policy=secrets_policy())),
        check=_unknown_policies,
        of_stack=True,
    ),
)
