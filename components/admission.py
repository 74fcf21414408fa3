"""Admission rules for pods that mount secrets: ValidatingAdmissionPolicies and their bindings. No webhook, no code.

Not done here: who may read what; that is IAM's. These rules close what the driver leaves open:

* The driver lays a volume's `volumeAttributes` over the class's parameters, so a pod could name other objects, another
  region or another role. The volume may name its class and nothing else.
* `nodePublishSecretRef` hands a Kubernetes Secret to the provider, which needs none.
* Without `readOnly: true` every mount of the volume fails, at the start of the pod, long after the review.

They are no boundary by themselves: whoever may edit classes may edit classes. The same rules hold for the pods that
Deployments and the like describe, so that a mistake shows when they are applied, not when a pod does not come.

Source: Kubernetes docs, Validating Admission Policy (GA in 1.30, the oldest version the driver's chart installs on).
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.admissionregistration import v1 as admission
from pulumi_kubernetes.meta import v1 as meta

from .arguments import CheckedArguments
from .platform_settings import AdmissionMode

#: The driver's name in a CSI volume.
DRIVER: Final = "secrets-store.csi.k8s.io"


_ACTIONS: Final = {AdmissionMode.DENY: ["Deny"], AdmissionMode.WARN: ["Warn", "Audit"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule about one volume of the driver, called `v` in the expression."""

    expression: str
    message: str


#: What must hold for every volume of the driver. `has()` guards every optional field: an error in an expression denies.
RULES: Final[tuple[Rule, ...]] = (
    Rule(
        expression="has(v.csi.volumeAttributes) && v.csi.volumeAttributes.all(key, key == 'secretProviderClass')",
        message="volumeAttributes of a secrets volume name secretProviderClass and nothing else: the driver would lay "
        "them over the reviewed class. Fix: change the app's spec instead",
    ),
    Rule(
        expression="!has(v.csi.nodePublishSecretRef)",
        message="nodePublishSecretRef of a secrets volume is not used: the pod's own identity reads. Fix: remove it",
    ),
    Rule(
        expression="has(v.csi.readOnly) && v.csi.readOnly",
        message="a secrets volume is mounted read-only, or the driver refuses it. Fix: set readOnly: true",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A group of resources.

    Attributes:
        suffix: Ends the names of its objects.
        template: Where a pod is described in them; empty for pods themselves, whose volumes cannot change later.
        rules: API group, version and resources.
    """

    suffix: str
    template: str
    rules: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def operations(self) -> list[str]:
        """When the rules are asked."""
        return ["CREATE", "UPDATE"] if self.template else ["CREATE"]


#: ReplicaSets are left out: a controller scales old ones, whose template nobody can mend.
TARGETS: Final[tuple[Target, ...]] = (
    Target(suffix="pods", template="", rules=(("", "v1", ("pods",)),)),
    Target(
        suffix="workloads",
        template="spec.template",
        rules=(("apps", "v1", ("daemonsets", "deployments", "statefulsets")), ("batch", "v1", ("jobs",))),
    ),
    Target(suffix="cronjobs", template="spec.jobTemplate.spec.template", rules=(("batch", "v1", ("cronjobs",)),)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessAdmissionArgs(CheckedArguments):
    """Arguments of `AccessAdmission`.

    Attributes:
        mode: `deny` refuses, `warn` tells the user and the audit log, `off` places nothing.
        exempt_namespaces: Where other providers of the driver need other volumes. Order and repeats do not matter.
    """

    mode: AdmissionMode
    exempt_namespaces: tuple[str, ...] = ()


class AccessAdmission(pulumi.ComponentResource):
    """Places the rules for pods, workloads and cron jobs.

    Attributes:
        bindings: In force once they exist; empty when the mode is `off`.
    """

    policies: tuple[admission.ValidatingAdmissionPolicy, ...]
    bindings: tuple[admission.ValidatingAdmissionPolicyBinding, ...]

    def __init__(self, name: str, args: AccessAdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:index:AccessAdmission", name, {"mode": str(args.mode.value)}, opts)
        targets = () if args.mode is AdmissionMode.OFF else TARGETS
        self.policies = tuple(self._policy(name, target, args) for target in targets)
        self.bindings = tuple(
            self._binding(name, target, policy, args) for target, policy in zip(targets, self.policies, strict=True)
        )
        self.register_outputs({"mode": str(args.mode.value)})

    def _policy(self, name: str, target: Target, args: AccessAdmissionArgs) -> admission.ValidatingAdmissionPolicy:
        return admission.ValidatingAdmissionPolicy(
            f"{name}-{target.suffix}",
            metadata=_metadata(target),
            spec=admission.ValidatingAdmissionPolicySpecArgs(
                failure_policy="Fail",
                match_constraints=_constraints(target, args),
                match_conditions=_conditions(target),
                variables=[admission.VariableArgs(name="volumes", expression=render_volumes(target))],
                validations=[
                    admission.ValidationArgs(
                        expression=f"variables.volumes.all(v, {rule.expression})",
                        message=rule.message,
                        reason="Forbidden",
                    )
                    for rule in RULES
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _binding(
        self,
        name: str,
        target: Target,
        policy: admission.ValidatingAdmissionPolicy,
        args: AccessAdmissionArgs,
    ) -> admission.ValidatingAdmissionPolicyBinding:
        return admission.ValidatingAdmissionPolicyBinding(
            f"{name}-{target.suffix}",
            metadata=_metadata(target),
            spec=admission.ValidatingAdmissionPolicyBindingSpecArgs(
                policy_name=_object_name(target), validation_actions=_ACTIONS[args.mode]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def render_volumes(target: Target) -> str:
    """Return the expression, in CEL, for the driver's volumes of the pod that an object is or describes."""
    spec = f"object.{target.template}.spec" if target.template else "object.spec"
    return f"has({spec}.volumes) ? {spec}.volumes.filter(v, has(v.csi) && v.csi.driver == '{DRIVER}') : []"


def render_condition(target: Target) -> str:
    """Return the expression for an object whose pods are new or changed.

    Without it, a controller could not touch what is older than the rules: not even to scale it down.
    """
    return f"request.operation == 'CREATE' || object.{target.template} != oldObject.{target.template}"


def _conditions(target: Target) -> list[admission.MatchConditionArgs] | None:
    if not target.template:
        return None
    return [admission.MatchConditionArgs(name="pods-are-new-or-changed", expression=render_condition(target))]


def _constraints(target: Target, args: AccessAdmissionArgs) -> admission.MatchResourcesArgs:
    exempt = sorted(set(args.exempt_namespaces))
    outside = meta.LabelSelectorRequirementArgs(key="kubernetes.io/metadata.name", operator="NotIn", values=exempt)
    return admission.MatchResourcesArgs(
        match_policy="Equivalent",
        namespace_selector=meta.LabelSelectorArgs(match_expressions=[outside]) if exempt else None,
        resource_rules=[
            admission.NamedRuleWithOperationsArgs(
                api_groups=[group],
                api_versions=[version],
                operations=target.operations,
                resources=list(resources),
                scope="Namespaced",
            )
            for group, version, resources in target.rules
        ],
    )


def _object_name(target: Target) -> str:
    return f"lockstep-secret-volumes-{target.suffix}"


def _metadata(target: Target) -> meta.ObjectMetaArgs:
    return meta.ObjectMetaArgs(name=_object_name(target), labels={"app.kubernetes.io/managed-by": "lockstep"})
