"""Rules about trust: a pod's role lets in named service accounts of named clusters, and nobody else.

Not decided here: what a trust means. It is read as an access diff reads it (derivation/diff), and the linter's rules
(derivation/lint) give the words.

Source: EKS user guide (IRSA, Pod Identity).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..derivation.diff.conditions import Test, Tests
from ..derivation.diff.patterns import has_wildcard
from ..derivation.diff.preview_kinds import ROLE
from ..derivation.diff.preview_resources import Resource, undecided
from ..derivation.diff.statements import Atom, Effect, UnreadablePolicyError, read_policy
from ..derivation.lint import Given
from ..derivation.lint.examples import FROM_CLUSTER, irsa, pod_identity, trust
from .rule import Finding, Rule, cited, example

_TRUST_CODES = frozenset({"LS401", "LS402", "LS403", "LS404", "LS405", "LS412"})
_POD_IDENTITY = "pods.eks.amazonaws.com"
_OIDC = ":oidc-provider/"
_ACCOUNT = "system:serviceaccount:"
_ASKING = frozenset({"StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnLike"})
_OPEN = re.compile(r"[*?]|\$\{")  # where a pattern, or a policy variable, begins


def trusts_tokens(atom: Atom) -> bool:
    """Say whether a statement of a trust lets in whoever has a token of an OIDC issuer, or of Pod Identity."""
    kind, name = atom.principal
    return (kind == "Federated" and _OIDC in name) or (kind, name) == ("Service", _POD_IDENTITY)


def trusts_pods(atom: Atom) -> bool:
    """Say whether a statement of a trust lets pods in; see `_is_of_cluster`."""
    host = atom.principal[1].partition(_OIDC)[2].lower()
    return atom.effect is Effect.ALLOW and trusts_tokens(atom) and (not host or _is_of_cluster(atom.tests, host))


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
            yield Finding(urn=resource.urn, what=what + cited(Given.TRUST, document, _TRUST_CODES))


def _trust_problems(atom: Atom) -> Iterator[str]:
    kind, name = atom.principal
    if atom.effect is not Effect.ALLOW:
        return
    if kind == "NotPrincipal" or name == "*":
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
    """Say whether an issuer is a cluster's: EKS's, one whose subjects can be service accounts, or nobody can tell."""
    subjects = [test for test in tests if test.key == f"{host}:sub" and asks_for(test)]
    accounts = any(_may_be_account(value) for test in subjects for value in test.values)
    return "oidc.eks." in host or "oidc-eks." in host or accounts or not subjects


def asks_for(test: Test) -> bool:
    """Say whether a test lets its values pass, and not everything but them."""
    return test.operator.rpartition(":")[2].removesuffix("IfExists") in _ASKING


def _may_be_account(subject: str) -> bool:
    """Say whether a pattern of subjects can match that of a service account: its known beginning tells."""
    head = _OPEN.split(subject.lower(), maxsplit=1)[0]
    return head.startswith(_ACCOUNT) or (head != subject.lower() and _ACCOUNT.startswith(head))


def _is_exact(tests: Tests, key: str) -> bool:
    """Say whether a test lets pass named values only. StringLike without a wildcard has become StringEquals here."""
    return any(test.key.lower() == key.lower() and _names_values(test) for test in tests)


def _names_values(test: Test) -> bool:
    if not test.values or any("${" in value for value in test.values):
        return False
    by_pattern = test.operator == "ArnLike" and not any(has_wildcard(value) for value in test.values)
    return test.operator == "StringEquals" or by_pattern


RULES = (
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
        good=(
            example(ROLE, assumeRolePolicy=trust(irsa())),
            example(ROLE, "pods", assumeRolePolicy=pod_identity(FROM_CLUSTER)),
        ),
        check=_loose_trust,
    ),
)
