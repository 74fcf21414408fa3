"""The account and the EKS cluster as AWS tells them: credentials, issuer, associations, Fargate, the agent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from components.derivation import AppAccess, FargateSelector, Identity
from components.derivation.access import PodIdentityAssociation
from lockstep.cluster.dates import skew_of
from lockstep.doctor.aws_reader import AwsCalls, MissingError, pages
from lockstep.doctor.expected import Expected
from lockstep.doctor.policies import same_policy
from lockstep.doctor.server_checks import skew_verdict
from lockstep.doctor.verdicts import Check, UnseenError, Verdict, examine, listed

_AGENT: Final = "eks-pod-identity-agent"
_RAISE: Final = "run `pulumi up`; if somebody changed it by hand, `pulumi up --refresh`"


def fetch_cluster(expected: Expected, aws: AwsCalls) -> Mapping[str, Any]:
    """Return what EKS says of the stack's cluster.

    Raises:
        UnseenError: It may not be asked, or there is no such cluster.
    """
    try:
        answer = aws.call(
            "eks", "DescribeCluster", region=expected.environment.region, name=expected.environment.cluster
        )
    except MissingError:
        raise UnseenError(f"EKS has no cluster {expected.environment.cluster}") from None
    found: Mapping[str, Any] = answer["cluster"]
    return found


def check_account(expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    """Yield the verdicts on the credentials and this machine's clock."""
    yield from examine(Check("aws.account"), lambda check: _account(check, expected, aws))
    yield from examine(Check("aws.clock"), lambda check: _clock(check, expected, aws))


def check_eks(expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    """Yield the verdicts on the cluster, app by app at the end."""
    yield from examine(Check("eks.cluster"), lambda check: _cluster(check, expected, aws))
    yield from examine(Check("eks.agent"), lambda check: _agent(check, expected, aws))
    yield from examine(Check("eks.fargate"), lambda check: _fargate(check, expected, aws))
    for app in expected.apps:
        look = partial(_association, app=app, expected=expected, aws=aws)
        yield from examine(Check("eks.association", app.app), look)


def _account(check: Check, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    answer = aws.call("sts", "GetCallerIdentity", region=expected.environment.region)
    if answer["Account"] == expected.environment.account:
        yield check.ok(f"the credentials are of account {answer['Account']}")
    else:
        fix = "use credentials of the stack's account (AWS_PROFILE), or correct lockstep:account"
        what = f"the credentials are of account {answer['Account']}, the stack's is {expected.environment.account}"
        yield check.fail(what, fix)


def _clock(check: Check, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    def ask() -> str:
        answer = aws.call("sts", "GetCallerIdentity", region=expected.environment.region)
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return str(headers.get("date", ""))

    skew = skew_of(ask)
    yield check.skipped("AWS sent no Date") if skew is None else skew_verdict(check, skew, "AWS's")


def _cluster(check: Check, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    name = expected.environment.cluster
    try:
        cluster = fetch_cluster(expected, aws)
    except UnseenError as reason:
        if expected.settings.cluster is not None and expected.is_before_up:
            yield check.skipped(f"{reason}; `pulumi up` makes it")
        elif str(reason).startswith("EKS has no cluster"):
            yield check.fail(str(reason), "correct lockstep:clusterName or aws:region")
        else:
            yield check.skipped(str(reason))
        return
    issuer = cluster.get("identity", {}).get("oidc", {}).get("issuer", "")
    if cluster.get("status") != "ACTIVE":
        yield check.warn(f"the cluster {name} is {cluster.get('status')}", "wait, or look at it in the EKS console")
    if issuer != expected.environment.oidc_issuer:
        what = f"the cluster {name} has the issuer {issuer}, trust is bound to {expected.environment.oidc_issuer}"
        yield check.fail(what, "correct lockstep:oidcIssuer or lockstep:clusterName")
    elif cluster.get("status") == "ACTIVE":
        yield check.ok(f"the cluster {name} is active, and trust is bound to its issuer")


def _agent(check: Check, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    if not expected.uses(Identity.POD_IDENTITY):
        yield check.skipped("no app uses Pod Identity")
        return
    if fetch_cluster(expected, aws).get("computeConfig", {}).get("enabled"):
        yield check.ok("EKS Auto Mode has the Pod Identity agent built in")
        return
    try:
        addon = aws.call(
            "eks",
            "DescribeAddon",
            region=expected.environment.region,
            clusterName=expected.environment.cluster,
            addonName=_AGENT,
        )["addon"]
    except MissingError:
        fix = f"install it: `aws eks create-addon --cluster-name {expected.environment.cluster} --addon-name {_AGENT}`"
        yield check.warn("the Pod Identity agent is no add-on of the cluster", f"{fix}, unless you run it yourself")
        return
    if addon.get("status") == "ACTIVE":
        yield check.ok(f"the Pod Identity agent is {addon.get('addonVersion')}, and active")
    else:
        issues = listed(issue.get("code", "") for issue in addon.get("health", {}).get("issues", ()))
        what = f"the add-on of the Pod Identity agent is {addon.get('status')}"
        yield check.fail(f"{what} ({issues})" if issues else what, "look at the add-on in the EKS console")


def _fargate(check: Check, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    selectors = tuple(_selectors(expected, aws))
    taken = [
        str(app.app) for app in expected.apps if any(selector.selects(app.namespace, {}) for selector in selectors)
    ]
    listed_here = set(expected.settings.fargate_selectors)
    unlisted = [str(selector) for selector in selectors if selector not in listed_here]
    if taken:
        what = f"a Fargate profile takes the pods of {listed(taken)}, and the CSI driver cannot run there"
        yield check.fail(what, "narrow the profile's selector, or move the app to another namespace")
    if unlisted:
        fix = f"write them into lockstep:fargateSelectors, so that specs are checked in review: {listed(unlisted)}"
        yield check.warn(f"{len(unlisted)} Fargate selectors are not in the stack's settings", fix)
    if not taken and not unlisted:
        yield check.ok(f"no app's namespace is taken by one of {len(selectors)} Fargate selectors")


def _selectors(expected: Expected, aws: AwsCalls) -> Iterator[FargateSelector]:
    place = {"region": expected.environment.region, "clusterName": expected.environment.cluster}
    try:
        names = list(pages(aws, "eks", "ListFargateProfiles", "fargateProfileNames", **place))
    except MissingError:
        raise UnseenError(f"EKS has no cluster {expected.environment.cluster}") from None
    for name in names:
        profile = aws.call("eks", "DescribeFargateProfile", fargateProfileName=name, **place)["fargateProfile"]
        for selector in profile.get("selectors", ()):
            labels = tuple(sorted((selector.get("labels") or {}).items()))
            yield FargateSelector(namespace=selector["namespace"], labels=labels)


def _association(check: Check, app: AppAccess, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    derived = app.association
    label = f"{app.namespace}/{app.service_account}"
    place = {"region": expected.environment.region, "clusterName": expected.environment.cluster}
    try:
        found = list(
            pages(
                aws,
                "eks",
                "ListPodIdentityAssociations",
                "associations",
                namespace=app.namespace,
                serviceAccount=app.service_account,
                **place,
            )
        )
        details = [
            aws.call("eks", "DescribePodIdentityAssociation", associationId=each["associationId"], **place)
            for each in found
        ]
    except MissingError:
        raise UnseenError(f"EKS has no cluster {expected.environment.cluster}") from None
    if derived is None:
        if details:
            role = details[0]["association"].get("roleArn")
            what = f"{label} uses IRSA, and an association gives its pods {role} as well"
            yield check.warn(what, f"delete the association {details[0]['association'].get('associationId')}")
        else:
            yield check.ok(f"{label} uses IRSA and has no association")
    elif not details and expected.is_before_up:
        yield check.skipped(f"there is no association of {label}; `pulumi up` makes it")
    elif not details:
        yield check.fail(f"there is no association of {label}", "run `pulumi up`")
    else:
        differing = _differences(details[0]["association"], derived)
        if differing:
            yield check.fail(f"the association of {label} is not as derived: {listed(differing)} differ", _RAISE)
        else:
            yield check.ok(f"the association of {label} gives its pods the derived role")


def _differences(live: Mapping[str, Any], derived: PodIdentityAssociation) -> list[str]:
    policy = live.get("policy")
    theirs = json.loads(policy) if isinstance(policy, str) and policy else {}
    ours = derived.policy.to_dict() if derived.policy else {}
    pairs = {
        "roleArn": (live.get("roleArn"), derived.role_arn),
        "targetRoleArn": (live.get("targetRoleArn") or "", derived.target_role_arn),
        "disableSessionTags": (bool(live.get("disableSessionTags")), derived.disable_session_tags),
    }
    names = [name for name, (found, wanted) in pairs.items() if found != wanted]
    return names if same_policy(theirs, ours) else [*names, "policy"]
