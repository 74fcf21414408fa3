"""Rules about who may assume an app's role: IRSA and EKS Pod Identity.

Sources: EKS user guide (IAM roles for service accounts; Pod Identity: `sts:TagSession`, confused deputy); IAM user
guide (a condition operator with IfExists or ForAllValues holds when the key is missing); IAM quotas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..arn import Arn
from ..iam import LIMITS
from .examples import FROM_CLUSTER, ISSUER, SUBJECT, irsa, pod_identity, trust
from .material import Material
from .part import Part
from .policies import PolicyText, StatementText, Test, has_wildcard, policy_size
from .rule import Example, Hit, Rule, Severity

_WEB_IDENTITY = "sts:assumerolewithwebidentity"
_POD_IDENTITY = "pods.eks.amazonaws.com"
_ACCOUNT = "aws:SourceAccount"
_SOURCE = ("aws:SourceArn", _ACCOUNT, "aws:SourceOrgId", "aws:SourceOrgPaths")
#: What says which cluster a session of Pod Identity is for: the caller, and the tag that EKS puts on the session.
_CLUSTER_KEYS = ("aws:sourcearn", "aws:requesttag/eks-cluster-arn")
_EVERYBODY = {"AWS": "every AWS account", "Federated": "a token of any issuer", "Service": "every service"}
_SUBJECT = re.compile(r"system:serviceaccount:[a-z0-9*?][a-z0-9*?-]*:[a-z0-9*?][a-z0-9*?.-]*")


def _web_identity(material: Material) -> Iterator[tuple[StatementText, str]]:
    """Yield statements that trust a cluster's OIDC provider, with the provider's issuer."""
    for document in material.trusts():
        for item in document.allows():
            for part in item.part.get("Principal", "Federated").each():
                arn = Arn.parse(part.text)
                if arn is not None and arn.resource.startswith("oidc-provider/"):
                    yield item, arn.resource.removeprefix("oidc-provider/")


def _pod_identity(material: Material) -> Iterator[StatementText]:
    for document in material.trusts():
        for item in document.allows():
            if _POD_IDENTITY in item.part.get("Principal", "Service").texts():
                yield item


def _values(item: StatementText, ending: str) -> Iterator[Part]:
    for test in item.tests():
        if test.key.text.lower().endswith(f":{ending}"):
            yield from test.values


def _names(item: StatementText, ending: str) -> bool:
    """Say whether a statement says what the claim is. That it is not something, or is there, names nobody."""
    return any(test.key.text.lower().endswith(f":{ending}") and not test.is_negated for test in item.tests())


def _no_subject(material: Material) -> Iterator[Hit]:
    for item, _ in _web_identity(material):
        if not _names(item, "sub"):
            yield Hit.on(item.part, "every service account of the cluster may assume the role")


def _no_audience(material: Material) -> Iterator[Hit]:
    for item, _ in _web_identity(material):
        if not _names(item, "aud"):
            yield Hit.on(item.part, "a token made for anybody else may assume the role too")


def _wide_subject(material: Material) -> Iterator[Hit]:
    for item, _ in _web_identity(material):
        for test in item.tests():
            if test.key.text.lower().endswith(":sub") and test.takes_patterns and not test.is_negated:
                for value in test.values:
                    if has_wildcard(value.text):
                        yield Hit.on(value, f"{value.text!r} fits more than one service account")


def _anybody(material: Material) -> Iterator[Hit]:
    for document in material.trusts():
        for item in document.allows():
            principal = item.part.get("Principal")
            candidates = [("AWS", principal)] if principal.text else _named_principals(principal)
            for kind, part in candidates:
                if part.text == "*":
                    yield Hit.on(part, f"{_EVERYBODY.get(kind, 'everybody')} may assume the role")
            if item.part.get("NotPrincipal"):
                yield Hit.on(item.part.get("NotPrincipal"), "an Allow with NotPrincipal trusts everybody else")


def _named_principals(principal: Part) -> Iterator[tuple[str, Part]]:
    for kind, values in principal.entries():
        for part in values.each():
            yield kind.text, part


def _no_source(material: Material) -> Iterator[Hit]:
    for item in _pod_identity(material):
        tests = [test for test in item.tests() if test.key.text.lower() in _CLUSTER_KEYS and not test.is_negated]
        if not tests:
            reach = "any cluster of the account" if _names_account(item) else "any cluster of any account"
            yield Hit.on(item.part, f"{reach} may use the role through Pod Identity")
            continue
        wide = [[value for value in test.values if not _names_one_cluster(test, value)] for test in tests]
        if all(wide):
            yield Hit.on(wide[0][0], f"{wide[0][0].text!r} is not one cluster")


def _names_account(item: StatementText) -> bool:
    return any(test.binds and not any(has_wildcard(v.text) for v in test.values) for test in item.tests_on(_ACCOUNT))


def _names_one_cluster(test: Test, value: Part) -> bool:
    arn = Arn.parse(value.text)
    is_cluster = arn is not None and arn.service == "eks" and arn.resource.startswith("cluster/")
    return is_cluster and not (test.takes_patterns and has_wildcard(value.text))


def _no_tags(material: Material) -> Iterator[Hit]:
    for item in _pod_identity(material):
        actions = {action.text.lower() for action in item.actions}
        if not actions & {"sts:tagsession", "sts:*", "*"} and not _tags_elsewhere(material):
            yield Hit.on(item.part, "sts:TagSession is missing")


def _tags_elsewhere(material: Material) -> bool:
    return any("sts:tagsession" in {a.text.lower() for a in item.actions} for item in _pod_identity(material))


def _wrong_audience(material: Material) -> Iterator[Hit]:
    for item, _ in _web_identity(material):
        for value in _values(item, "aud"):
            if value.text != "sts.amazonaws.com":
                what = f"the audience {value.text!r} is not the one of the driver's tokens"
                yield Hit.on(value, what, edits=(value.replaced("sts.amazonaws.com"),))


def _other_issuer(material: Material) -> Iterator[Hit]:
    for item, issuer in _web_identity(material):
        for test in item.tests():
            prefix, _, ending = test.key.text.rpartition(":")
            if ending in {"sub", "aud"} and prefix.lower() != issuer.lower():
                what = f"{test.key.text!r} is a key of another issuer than {issuer!r}, so the condition never holds"
                yield Hit.on(test.key, what, edits=(test.key.replaced(f"{issuer}:{ending}"),))


def _malformed_subject(material: Material) -> Iterator[Hit]:
    for item, _ in _web_identity(material):
        for value in _values(item, "sub"):
            if not _SUBJECT.fullmatch(value.text) and not has_wildcard(value.text):
                yield Hit.on(value, f"{value.text!r} is no subject of a service account")


def _wrong_action(material: Material) -> Iterator[Hit]:
    for item, _ in _web_identity(material):
        actions = {action.text.lower() for action in item.actions}
        if not actions & {_WEB_IDENTITY, "sts:*", "*"}:
            shown = ", ".join(action.text for action in item.actions)
            yield Hit.on(item.part.get("Action"), f"an OIDC provider is trusted for {shown}, which it never asks for")


def _too_large(material: Material) -> Iterator[Hit]:
    limit = LIMITS["trust policy"]
    for document in material.trusts():
        size = policy_size(document)
        if size > limit:
            yield Hit.on(document.part, f"the trust has {size:,} characters; IAM's default limit is {limit:,}")


def _holds_when_missing(material: Material) -> Iterator[Hit]:
    for document in material.trusts():
        for item in document.allows():
            for test in item.tests():
                decides = test.key.text.lower().endswith((":sub", ":aud")) or tests_source(test.key.text)
                if decides and test.holds_when_missing and not test.is_negated:
                    yield Hit.on(test.operator, f"{test.operator.text} holds when {test.key.text} is missing")


def tests_source(key: str) -> bool:
    """Say whether a condition key names where the call came from."""
    return key.lower() in {source.lower() for source in _SOURCE}


def _several_apps(material: Material) -> Iterator[Hit]:
    for document in material.trusts():
        subjects = _subjects(document)
        if len(subjects) > 1:
            shown = ", ".join(repr(name) for name in sorted(subjects))
            yield Hit.on(document.part, f"the role is shared by {shown}")


def _subjects(document: PolicyText) -> set[str]:
    return {
        value.text
        for item in document.allows()
        for test in item.tests()
        if test.key.text.lower().endswith(":sub")
        for value in test.values
    }


_GOOD = Example(trust=trust(irsa()))
_GOOD_POD_IDENTITY = Example(trust=pod_identity(FROM_CLUSTER))
_LONG = [f"system:serviceaccount:shop:shop-{number:03}" for number in range(60)]

RULES = (
    Rule(
        code="LS401",
        severity=Severity.ERROR,
        title="The trust of a service account names it in `sub`",
        why="Without `sub` every pod of the cluster can take the role: the secrets are everybody's.",
        fix="add StringEquals <issuer>:sub system:serviceaccount:<namespace>:<service account>",
        bad=Example(trust=trust({"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}})),
        good=_GOOD,
        check=_no_subject,
    ),
    Rule(
        code="LS402",
        severity=Severity.ERROR,
        title="The trust of a service account names the audience in `aud`",
        why="Without `aud` a token that the pod gave to another service opens the role as well.",
        fix="add StringEquals <issuer>:aud sts.amazonaws.com",
        bad=Example(trust=trust({"StringEquals": {f"{ISSUER}:sub": SUBJECT}})),
        good=_GOOD,
        check=_no_audience,
    ),
    Rule(
        code="LS403",
        severity=Severity.ERROR,
        title="A subject has no wildcard",
        why="Whoever may create a service account of that form takes the role. system:serviceaccount:shop:* is the "
        "whole namespace.",
        fix="name one service account under StringEquals",
        bad=Example(
            trust=trust(
                {
                    "StringLike": {f"{ISSUER}:sub": "system:serviceaccount:shop:*"},
                    "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
                }
            )
        ),
        good=_GOOD,
        check=_wide_subject,
    ),
    Rule(
        code="LS404",
        severity=Severity.ERROR,
        title="A role trusts somebody, not everybody",
        why="With the principal * any AWS account in the world may assume the role, if no condition stops it.",
        fix="name the cluster's OIDC provider, or pods.eks.amazonaws.com",
        bad=Example(trust=trust(None, "*", "sts:AssumeRole")),
        good=_GOOD,
        check=_anybody,
    ),
    Rule(
        code="LS405",
        severity=Severity.WARNING,
        title="A trust for Pod Identity names its cluster",
        why=(
            "pods.eks.amazonaws.com acts for every cluster. Without aws:SourceArn and aws:SourceAccount another "
            "cluster can be made to use the role (confused deputy)."
        ),
        fix="add StringEquals aws:SourceArn <ARN of the cluster> and aws:SourceAccount <account>",
        bad=Example(trust=pod_identity(None)),
        good=_GOOD_POD_IDENTITY,
        check=_no_source,
    ),
    Rule(
        code="LS406",
        severity=Severity.ERROR,
        title="Pod Identity needs sts:TagSession",
        why="EKS tags every session with cluster, namespace and service account; without the right it gets none.",
        fix='write "Action": ["sts:AssumeRole", "sts:TagSession"]',
        bad=Example(trust=pod_identity(FROM_CLUSTER, "sts:AssumeRole")),
        good=_GOOD_POD_IDENTITY,
        check=_no_tags,
    ),
    Rule(
        code="LS407",
        severity=Severity.ERROR,
        title="The audience is sts.amazonaws.com",
        why="The provider exchanges a token with this audience, in every partition. Another one is refused by STS.",
        fix="write sts.amazonaws.com",
        bad=Example(trust=trust(irsa(audience="sts.amazonaws.com.cn"))),
        good=_GOOD,
        check=_wrong_audience,
        mends=True,
    ),
    Rule(
        code="LS408",
        severity=Severity.ERROR,
        title="The condition keys begin with the trusted provider's issuer",
        why="`sub` and `aud` of another issuer are missing from the request, so the role can never be assumed. "
        "It happens when a trust is copied from another cluster.",
        fix="write the issuer of the Federated principal before :sub and :aud",
        bad=Example(
            trust=trust(
                {
                    "StringEquals": {
                        "oidc.eks.eu-west-1.amazonaws.com/id/OTHER:sub": SUBJECT,
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                    }
                }
            )
        ),
        good=_GOOD,
        check=_other_issuer,
        mends=True,
    ),
    Rule(
        code="LS409",
        severity=Severity.ERROR,
        title="A subject is system:serviceaccount:<namespace>:<name>",
        why="Kubernetes writes exactly that into the token. Anything else never matches.",
        fix="write system:serviceaccount:<namespace>:<service account>",
        bad=Example(trust=trust(irsa("shop/shop"))),
        good=_GOOD,
        check=_malformed_subject,
    ),
    Rule(
        code="LS410",
        severity=Severity.ERROR,
        title="An OIDC provider calls AssumeRoleWithWebIdentity",
        why="A token is exchanged by sts:AssumeRoleWithWebIdentity alone; trusted for another action it is refused.",
        fix='write "Action": "sts:AssumeRoleWithWebIdentity"',
        bad=Example(trust=trust(irsa(), actions="sts:AssumeRole")),
        good=_GOOD,
        check=_wrong_action,
    ),
    Rule(
        code="LS411",
        severity=Severity.ERROR,
        title="The trust does not fit",
        why="IAM's default limit is 2,048 characters (it can be raised on request). Four clusters fill it.",
        fix="give each app and cluster a role of its own",
        bad=Example(
            trust=trust({**irsa(SUBJECT), "StringNotEquals": {"sts:RoleSessionName": _LONG}}),
        ),
        good=_GOOD,
        check=_too_large,
    ),
    Rule(
        code="LS412",
        severity=Severity.ERROR,
        title="The operator holds when the key is missing",
        why="…IfExists and ForAllValues: are true for a request without the key: a condition that decides nothing.",
        fix="write StringEquals",
        bad=Example(
            trust=trust(
                {
                    "ForAllValues:StringEquals": {f"{ISSUER}:sub": SUBJECT},
                    "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
                }
            )
        ),
        good=_GOOD,
        check=_holds_when_missing,
    ),
    Rule(
        code="LS413",
        severity=Severity.WARNING,
        title="A role of several service accounts lets each read the others' secrets",
        why="IAM sees the role, not the pod. What one app mounts every other one may read.",
        fix="give each app a role of its own",
        bad=Example(trust=trust(irsa([SUBJECT, "system:serviceaccount:shop:cart"]))),
        good=_GOOD,
        check=_several_apps,
    ),
)
