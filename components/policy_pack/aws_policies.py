"""Policies that AWS keeps: which read every parameter or secret, and which of them a pod's role may carry.

Their texts are AWS's own and may change, and no preview shows them. So a pod's role carries none but those that are
known here to read no value, and whoever needs another names it, with a reason, in the policy's configuration.

Source: AWS managed policy reference, as moto 5.2.5 has its 1,582 documents; each was judged by this pack's own rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..derivation.diff.documents import AppDocument, Undecided
from ..derivation.diff.preview_documents import read_preview
from ..derivation.diff.preview_kinds import ATTACHED, ATTACHMENT, ONLY_ATTACHED, ROLE
from ..derivation.diff.preview_names import Names
from ..derivation.diff.preview_resources import Resource, Sides
from ..derivation.diff.statements import UnreadablePolicyError, read_policy
from ..derivation.lint.examples import irsa, trust
from .rule import Finding, Rule, example
from .trust_rules import trusts_pods

_OF_AWS: Final = ":iam::aws:policy/"
_CALLED: Final = "attached policy "  # how a preview's reader calls a policy that it knows by its ARN
#: Policies that read every parameter or every secret of an account, without a condition. By name, whatever their path.
_READING: Final = frozenset(
    {
        "AIDevOpsAgentAccessPolicy",
        "AIDevOpsAgentActionsPolicy",
        "AIOpsAssistantPolicy",
        "AWSApplicationMigrationReadOnlyAccess",
        "AWSIoTDeviceTesterForFreeRTOSFullAccess",
        "AWSResilienceHubV2AssessmentExecutionPolicy",
        "AWSSecretsManagerClientReadOnlyAccess",
        "AdministratorAccess",
        "AgentRegistryFullAccess",
        "AmazonEC2RoleforSSM",
        "AmazonElasticFileSystemsUtils",
        "AmazonLaunchWizardFullAccessV2",
        "AmazonSSMAutomationRole",
        "AmazonSSMFullAccess",
        "AmazonSSMMaintenanceWindowRole",
        "AmazonSSMManagedInstanceCore",
        "AmazonSSMReadOnlyAccess",
        "PowerUserAccess",
        "ReadOnlyAccess",
        "SecretsManagerReadWrite",
    }
)
#: Policies for controllers in pods, by path and name, that have no action which reads a secret or a parameter.
_READING_NOTHING: Final = frozenset(
    {
        "AWSXRayDaemonWriteAccess",
        "AmazonEBSCSIDriverEKSClusterScopedPolicy",
        "AmazonEBSCSIDriverPolicyV2",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEC2ContainerRegistryReadOnly",
        "AmazonEKSLoadBalancingPolicy",
        "AmazonEKS_CNI_Policy",
        "AmazonPrometheusQueryAccess",
        "AmazonPrometheusRemoteWriteAccess",
        "service-role/AmazonEBSCSIDriverPolicy",
        "service-role/AmazonEFSCSIDriverPolicy",
        "service-role/AmazonS3FilesCSIDriverPolicy",
    }
)
#: Resources that attach policies by ARN: type → property, one ARN or a list of them.
_WITH_ARNS: Final = {
    ROLE: "managedPolicyArns",
    **dict.fromkeys((*ATTACHED, ATTACHMENT), "policyArn"),
    **{kind: listed for kind, (_, _, listed) in ONLY_ATTACHED.items()},
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment": "managedPolicyArn",
}


def reading_policies(resource: Resource) -> Iterator[Finding]:
    """Yield the policies of AWS that a resource attaches, to whomever, and that read everything."""
    arns = resource.properties.get(_WITH_ARNS.get(resource.type, ""))
    for arn in arns if isinstance(arns, list) else [arns]:
        if isinstance(arn, str) and _OF_AWS in arn and arn.rpartition("/")[2] in _READING:
            yield Finding(urn=resource.urn, what=f"{arn} reads every parameter, or every secret too")


def aws_policy(name: str) -> str:
    """Return the ARN of a policy of AWS by what a preview's reader calls it, "" for any other policy."""
    arn = name.removeprefix(_CALLED)
    return arn if name.startswith(f"{_CALLED}arn:") and _OF_AWS in arn else ""


def _policies_of_pods(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    _, fleet = read_preview(Sides(stack="", project="", before=(), after=stack, is_whole=True))
    names = Names(stack)
    apps = names.apps_of(stack)
    urns = {names.app_of(resource, apps): resource.urn for resource in stack if resource.type == ROLE}
    for app in fleet.apps.values():
        if _is_pods(app, is_here=app.app in urns):
            yield from _strangers(app, urns.get(app.app, ""))


def _strangers(app: AppDocument, urn: str) -> Iterator[Finding]:
    for arn in filter(None, map(aws_policy, app.policies)):
        name = arn.partition(_OF_AWS)[2]
        if name not in _READING_NOTHING:
            what = f"{app.app} is a pod's, or may be, and carries {arn}, which is not known to read no secret"
            yield Finding(urn=urn, what=what, names=(arn, name))


def _is_pods(app: AppDocument, *, is_here: bool) -> bool:
    """Say whether a role is a pod's; one of another stack, or with a trust that nobody can read, may be."""
    if app.associations or app.service_accounts or isinstance(app.trust, Undecided):
        return True
    if not is_here:
        return app.app.startswith("role ")
    return _lets_pods_in(app.trust)


def _lets_pods_in(document: object) -> bool:
    try:
        return any(trusts_pods(atom) for atom in read_policy(document, "trust"))
    except UnreadablePolicyError:
        return True


def _attached(name: str) -> Resource:
    arn = f"arn:aws{_OF_AWS}{name}"
    return example("aws:iam/rolePolicyAttachment:RolePolicyAttachment", role="shop", policyArn=arn)


def _shop(more: Iterable[Resource]) -> tuple[Resource, ...]:
    return (example(ROLE, "shop", name="shop", assumeRolePolicy=trust(irsa())), *more)


RULES = (
    Rule(
        name="aws-policies-of-pods-are-known",
        title="A pod's role carries no policy of AWS but those that are known to read no secret",
        why=(
            "AWS writes these policies for many users and changes them. More than a hundred read secrets or "
            "parameters, some of them every one, and their names do not say so."
        ),
        fix=(
            "write a policy with the actions that the pod needs, or name this one with a reason under `allowed` in "
            "this policy's configuration"
        ),
        bad=_shop([_attached("AmazonRedshiftDataFullAccess")]),
        good=_shop([_attached("AmazonEKS_CNI_Policy")]),
        check=_policies_of_pods,
        of_stack=True,
        has_allowed=True,
    ),
)
