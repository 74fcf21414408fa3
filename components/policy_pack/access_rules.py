"""Rules about access: what reads secrets names them, trust is exact, and nothing of it is unknown at preview.

Not decided here: what a statement or a trust means. Documents are read as an access diff reads them
(derivation/diff), and the linter's rules (derivation/lint) give the words.

Source: AWS managed policy reference (policies that read parameters or secrets); EKS user guide (IRSA, Pod Identity).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ..derivation.diff.actions import reads_of
from ..derivation.diff.conditions import Test, Tests
from ..derivation.diff.documents import AppDocument, Undecided
from ..derivation.diff.patterns import has_wildcard
from ..derivation.diff.preview_documents import app_of_role, read_preview
from ..derivation.diff.preview_kinds import (
    ATTACHED,
    ATTACHMENT,
    INLINE,
    ONLY_ATTACHED,
    POLICY,
    ROLE,
)
from ..derivation.diff.preview_resources import Resource, Sides, undecided
from ..derivation.diff.reads import is_wide, may_read
from ..derivation.diff.statements import Atom, Effect, UnreadablePolicyError, read_policy
from ..derivation.lint import RULES as LINT_RULES
from ..derivation.lint import Given, lint, read_material
from ..derivation.lint.examples import FROM_CLUSTER, irsa, pod_identity, secrets_policy, trust
from .rule import Finding, Rule, example

_ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
_WITH_POLICY = {POLICY, *INLINE}
#: Resources that attach policies by ARN: type → property, one ARN or a list of them.
_WITH_ARNS = {
    ROLE: "managedPolicyArns",
    **dict.fromkeys((*ATTACHED, ATTACHMENT), "policyArn"),
    **{kind: listed for kind, (_, _, listed) in ONLY_ATTACHED.items()},
}
#: Policies of AWS that read every parameter, or every secret too, of the account.
_READING_POLICIES = frozenset(
    {
        "AdministratorAccess",
        "AmazonEC2RoleforSSM",
        "AmazonSSMFullAccess",
        "AmazonSSMManagedInstanceCore",
        "AmazonSSMReadOnlyAccess",
        "PowerUserAccess",
        "ReadOnlyAccess",
        "SecretsManagerReadWrite",
    }
)
_OF_AWS = ":iam::aws:policy/"
_READ_CODES = frozenset({"LS102", "LS104", "LS105", "LS111", "LS112", "LS202", "LS203"})
_TRUST_CODES = frozenset({"LS401", "LS402", "LS403", "LS404", "LS405", "LS412"})
_POD_IDENTITY = "pods.eks.amazonaws.com"
_OIDC = ":oidc-provider/"


# ----------------------------------------------------------------------------------------------------- what is readable
def _documents(resource: Resource) -> Iterator[tuple[str, object]]:
    """Yield the identity policies of a resource, each with the property that holds it."""
    if resource.type in _WITH_POLICY:
        yield "policy", resource.properties.get("policy")
    inline = resource.properties.get("inlinePolicies") if resource.type == ROLE else None
    for index, item in enumerate(inline if isinstance(inline, list) else []):
        yield f"inlinePolicies[{index}]", item.get("policy") if isinstance(item, dict) else item


def _wide_reads(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    for resource in stack:
        yield from _reading_policies(resource)
        for where, document in _documents(resource):
            if document is None or undecided(document) is not None:
                continue  # the rule about unknown documents says what that means
            try:
                wide = [atom for atom in read_policy(document, where) if _reads_widely(atom)]
            except UnreadablePolicyError as error:
                yield Finding(urn=resource.urn, what=str(error))
                continue
            places = dict.fromkeys(atom.why for atom in wide)
            told = [f"{place} reads {_listed(a.resource for a in wide if a.why == place)}" for place in places]
            if told:
                what = "; ".join(told) + _cited(Given.POLICY, document, _READ_CODES)
                yield Finding(urn=resource.urn, what=what)


def _reading_policies(resource: Resource) -> Iterator[Finding]:
    arns = resource.properties.get(_WITH_ARNS.get(resource.type, ""))
    for arn in arns if isinstance(arns, list) else [arns]:
        if isinstance(arn, str) and _OF_AWS in arn and arn.rpartition("/")[2] in _READING_POLICIES:
            yield Finding(urn=resource.urn, what=f"{arn} reads every parameter, or every secret too")


def _reads_widely(atom: Atom) -> bool:
    reads = reads_of(atom.action)
    return (
        atom.effect is Effect.ALLOW and bool(reads) and may_read(atom.resource, reads) and is_wide(str(atom.resource))
    )


def _listed(things: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(repr(str(thing)) for thing in things))


def _cited(given: Given, document: object, codes: frozenset[str]) -> str:
    """Return what the linter says about a document, to be appended; "" where it says nothing."""
    text = document if isinstance(document, str) else json.dumps(document)
    rules = [rule for rule in LINT_RULES if rule.code in codes]
    found = sorted({f"{item.what} [{item.code}]" for item in lint(read_material([(given, "document", text)]), rules)})
    return f" ({'; '.join(found)})" if found else ""


# ------------------------------------------------------------------------------------------------------ who is let in
def _loose_trust(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    for resource in stack:
        if resource.type != ROLE:
            continue
        document = resource.properties.get("assumeRolePolicy")
        reason = undecided(document)
        if reason is not None:
            yield Finding(urn=resource.urn, what=f"who may assume the role cannot be told: {reason.reason}")
            continue
        try:
            problems = [text for atom in read_policy(document, "trust") for text in _trust_problems(atom)]
        except UnreadablePolicyError as error:
            yield Finding(urn=resource.urn, what=str(error))
            continue
        if problems:
            what = "; ".join(dict.fromkeys(problems))
            yield Finding(urn=resource.urn, what=what + _cited(Given.TRUST, document, _TRUST_CODES))


def _trust_problems(atom: Atom) -> Iterator[str]:
    kind, name = atom.principal
    if atom.effect is not Effect.ALLOW:
        return
    if kind == "NotPrincipal" or (kind, name) == ("AWS", "*"):
        yield f"{atom.why} trusts everybody"
    elif kind == "Federated" and _OIDC in name:
        host = name.partition(_OIDC)[2].lower()
        if _is_of_cluster(atom.tests, host):
            for claim in ("sub", "aud"):
                if not _is_exact(atom.tests, f"{host}:{claim}"):
                    yield f"{atom.why} does not hold `{claim}` to exact values by StringEquals"
    elif (kind, name) == ("Service", _POD_IDENTITY):
        for key in ("aws:SourceAccount", "aws:SourceArn"):
            if not _is_exact(atom.tests, key):
                yield f"{atom.why} does not hold {key} to exact values"


def _is_of_cluster(tests: Tests, host: str) -> bool:
    """Say whether an issuer is a cluster's: EKS's, one whose subjects are service accounts, or one nobody can tell."""
    subjects = [test for test in tests if test.key == f"{host}:sub"]
    accounts = any(value.startswith("system:serviceaccount:") for test in subjects for value in test.values)
    return "oidc.eks." in host or "oidc-eks." in host or accounts or not subjects


def _is_exact(tests: Tests, key: str) -> bool:
    """Say whether a test lets pass named values only. StringLike without a wildcard has become StringEquals here."""
    return any(test.key.lower() == key.lower() and _names_values(test) for test in tests)


def _names_values(test: Test) -> bool:
    if not test.values or any("${" in value for value in test.values):
        return False
    by_pattern = test.operator == "ArnLike" and not any(has_wildcard(value) for value in test.values)
    return test.operator == "StringEquals" or by_pattern


# ------------------------------------------------------------------------------------------------- what nobody can tell
def _unknown_policies(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    _, fleet = read_preview(Sides(stack="", project="", before=(), after=stack, is_whole=True))
    urns = {app_of_role(resource): resource.urn for resource in stack if resource.type == ROLE}
    for app in fleet.apps.values():
        unknown = [
            f"{name}: {policy.reason}"
            for name, policy in app.policies.items()
            if isinstance(policy, Undecided) and not _is_of_aws(name)
        ]
        if unknown and _may_read_secrets(app, is_here=app.app in urns):
            yield Finding(urn=urns.get(app.app, ""), what=f"{app.app} may read secrets, and of it {'; '.join(unknown)}")


def _is_of_aws(policy: str) -> bool:
    """Say whether a policy, by what a preview's reader calls it, is one that AWS keeps."""
    return policy.startswith("attached policy arn:") and _OF_AWS in policy


def _may_read_secrets(app: AppDocument, *, is_here: bool) -> bool:
    """Say whether a role reads secrets or is a pod's; one of another stack may be."""
    if app.associations or app.service_accounts or isinstance(app.trust, Undecided):
        return True
    if not is_here and app.app.startswith("role "):
        return True
    return any(_is_pods(atom) for atom in _atoms(app.trust)) or any(
        reads_of(atom.action) and may_read(atom.resource, reads_of(atom.action))
        for policy in app.policies.values()
        for atom in _atoms(policy)
        if atom.effect is Effect.ALLOW
    )


def _is_pods(atom: Atom) -> bool:
    kind, name = atom.principal
    return (kind == "Federated" and _OIDC in name) or (kind, name) == ("Service", _POD_IDENTITY)


def _atoms(document: object) -> tuple[Atom, ...]:
    if document is None or isinstance(document, Undecided):
        return ()
    try:
        return read_policy(document, "policy")
    except UnreadablePolicyError:
        return ()  # the other rules say so


_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # what Pulumi's engine writes for it
_IRSA_ROLE = example(ROLE, "shop", name="shop", assumeRolePolicy=trust(irsa()))

RULES = (
    Rule(
        name="secret-reads-are-exact",
        title="What reads secrets or parameters names them",
        why=(
            "With a wildcard one stolen token reads every secret that there is or will be. The six question marks for "
            "a secret's random suffix are no wildcard."
        ),
        fix="name each one: arn:aws:secretsmanager:<region>:<account>:secret:NAME-??????",
        bad=(example(_ROLE_POLICY, policy=secrets_policy("*")),),
        good=(example(_ROLE_POLICY, policy=secrets_policy()),),
        check=_wide_reads,
    ),
    Rule(
        name="trust-is-exact",
        title="A pod's role trusts named service accounts of named clusters",
        why=(
            "Without an exact `sub` any pod of the cluster takes the role, without `aud` a token made for somebody "
            "else opens it, and without the source any cluster of any account can use it through Pod Identity."
        ),
        fix="add StringEquals for `sub` and `aud` (IRSA), or aws:SourceAccount and aws:SourceArn (Pod Identity)",
        bad=(
            example(
                ROLE,
                assumeRolePolicy=trust(
                    {"StringLike": dict.fromkeys(irsa()["StringEquals"], "system:serviceaccount:shop:*")}
                ),
            ),
            example(ROLE, "pods", assumeRolePolicy=pod_identity(None)),
        ),
        good=(_IRSA_ROLE, example(ROLE, "pods", assumeRolePolicy=pod_identity(FROM_CLUSTER))),
        check=_loose_trust,
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
