"""Each app's role: its trust, its boundary, and what AWS's own simulator says it may do. And the OIDC provider.

The simulator knows identity policies, the boundary and the organization's; resource policies and keys' own policies are
not asked. Every derived statement is tried with the context that it asks for, and one secret that no spec names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from components.derivation import AppAccess, Identity
from components.derivation.arn import UNKNOWN_SUFFIX, oidc_provider_arn
from components.derivation.iam import Statement
from lockstep.doctor.aws_reader import AwsCalls, MissingError
from lockstep.doctor.expected import Expected
from lockstep.doctor.policies import same_policy
from lockstep.doctor.verdicts import Check, Verdict, examine, listed

_RAISE: Final = "run `pulumi up`; if somebody changed it by hand, `pulumi up --refresh`"
_SAMPLE_SUFFIX: Final = "-AbCdEf"
#: A secret that no spec can name: friendly names hold no word twice the way this one is made up.
_STRANGER: Final = "lockstep-doctor-asks-for-what-nobody-granted"
_ALLOWED: Final = "allowed"


def check_roles(expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    """Yield the verdicts on the OIDC provider and on every app's role."""
    yield from examine(Check("iam.issuer"), lambda check: _issuer(check, expected, aws))
    for app in expected.apps:
        yield from examine(Check("iam.role", app.app), partial(_role, app=app, expected=expected, aws=aws))
        yield from examine(Check("iam.access", app.app), partial(_access, app=app, expected=expected, aws=aws))


def _issuer(check: Check, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    place = expected.environment
    if not expected.uses(Identity.IRSA):
        yield check.skipped("no app uses IRSA")
        return
    arn = oidc_provider_arn(partition=place.partition, account=place.account, issuer_host=place.issuer_host)
    try:
        provider = aws.call("iam", "GetOpenIDConnectProvider", region=place.region, OpenIDConnectProviderArn=arn)
    except MissingError:
        what = f"IAM has no OIDC provider for {place.issuer_host}, so that no token of the cluster is taken"
        fix = "run `pulumi up` with lockstep:createOidcProvider: true"
        is_early = expected.is_before_up and expected.settings.create_oidc_provider
        yield check.skipped(f"{what}; `pulumi up` makes it") if is_early else check.fail(what, fix)
        return
    audiences = provider.get("ClientIDList", ())
    if "sts.amazonaws.com" in audiences:
        yield check.ok("IAM takes tokens of the cluster's issuer for sts.amazonaws.com")
    else:
        what = f"IAM's OIDC provider takes tokens for {listed(audiences) or 'nobody'}, not for sts.amazonaws.com"
        yield check.fail(what, "add the client id sts.amazonaws.com to it")


def _role(check: Check, app: AppAccess, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    try:
        role = aws.call("iam", "GetRole", region=expected.environment.region, RoleName=app.role_name)["Role"]
    except MissingError:
        what = f"there is no role {app.role_name}"
        yield check.skipped(f"{what}; `pulumi up` makes it") if expected.is_before_up else check.fail(what, _RAISE)
        return
    boundary = (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    problems = []
    if role.get("Arn") != app.role_arn:
        problems.append(f"its path is not the derived one ({role.get('Arn')})")
    if not same_policy(role.get("AssumeRolePolicyDocument"), app.trust.to_dict()):
        problems.append("its trust is not the derived one")
    if boundary != app.permissions_boundary:
        problems.append(f"its boundary is {boundary or 'missing'}, derived is {app.permissions_boundary or 'none'}")
    if problems:
        yield check.fail(f"the role {app.role_name}: {'; '.join(problems)}", _RAISE)
    else:
        yield check.ok(f"the role {app.role_name} trusts exactly {app.namespace}/{app.service_account} of this cluster")


def _access(check: Check, app: AppAccess, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    try:
        refused = [
            refusal
            for policy in app.policies
            for statement in policy.document.statements
            for refusal in _refusals(aws, expected, app, statement)
        ]
        is_wide = _may_read_a_stranger(aws, expected, app)
    except MissingError:
        yield check.skipped(f"there is no role {app.role_name}")
        return
    if refused:
        fix = f"{_RAISE}; a boundary or a policy of the organization may refuse it too"
        yield check.fail(f"IAM's simulator refuses the role {listed(refused)}", fix)
    if is_wide:
        what = f"the role may read secrets that its spec does not name, such as {_STRANGER}"
        yield check.fail(what, f"remove policies of {app.role_name} that Lockstep did not write")
    if not refused and not is_wide:
        yield check.ok("IAM's simulator allows every derived read, and refuses a secret that no spec names")


def _refusals(aws: AwsCalls, expected: Expected, app: AppAccess, statement: Statement) -> Iterator[str]:
    resources = [_sample(resource) for resource in statement.resources]
    context: list[dict[str, object]] = [
        {
            "ContextKeyName": condition.key,
            "ContextKeyType": "string",
            "ContextKeyValues": [_sample(condition.values[0])],
        }
        for condition in statement.conditions
    ]
    answer = _simulate(aws, expected, app, list(statement.actions), resources, context)
    for result in answer.get("EvaluationResults", ()):
        specific = result.get("ResourceSpecificResults") or ()
        by_resource = [(each.get("EvalResourceName", ""), each.get("EvalResourceDecision", "")) for each in specific]
        pairs = by_resource or [(result.get("EvalResourceName", ""), result.get("EvalDecision", ""))]
        yield from (
            f"{result.get('EvalActionName')} on {resource} ({decision})"
            for resource, decision in pairs
            if decision != _ALLOWED
        )


def _may_read_a_stranger(aws: AwsCalls, expected: Expected, app: AppAccess) -> bool:
    place = expected.environment
    arn = f"arn:{place.partition}:secretsmanager:{place.region}:{place.account}:secret:{_STRANGER}{_SAMPLE_SUFFIX}"
    answer = _simulate(aws, expected, app, ["secretsmanager:GetSecretValue"], [arn], [])
    return any(each.get("EvalDecision") == _ALLOWED for each in answer.get("EvaluationResults", ()))


def _simulate(
    aws: AwsCalls,
    expected: Expected,
    app: AppAccess,
    actions: list[str],
    resources: list[str],
    context: list[dict[str, object]],
) -> Mapping[str, Any]:
    return aws.call(
        "iam",
        "SimulatePrincipalPolicy",
        region=expected.environment.region,
        PolicySourceArn=app.role_arn,
        ActionNames=actions,
        ResourceArns=resources,
        ContextEntries=context,
    )


def _sample(text: str) -> str:
    """Return an ARN that a pattern matches: a secret's unknown suffix, or what is below a path."""
    if text.endswith("/*"):
        return f"{text.removesuffix('*')}sample"
    return text.removesuffix(UNKNOWN_SUFFIX) + _SAMPLE_SUFFIX if text.endswith(UNKNOWN_SUFFIX) else text
