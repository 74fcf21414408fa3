"""Places the admission rules of admission_rules.py: ValidatingAdmissionPolicies and their bindings."""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.admissionregistration import v1 as admission
from pulumi_kubernetes.meta import v1 as meta

from .admission_rules import (
    ACTIONS,
    FAILURE_POLICY,
    MATCH_POLICY,
    NAMESPACE_LABEL,
    RULES,
    TARGETS,
    Target,
    conditions_of,
    exempt_of,
    object_name,
    render_check,
    render_volumes,
)
from .arguments import CheckedArguments
from .platform_settings import AdmissionMode


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
                failure_policy=FAILURE_POLICY,
                match_constraints=_constraints(target, args),
                match_conditions=_conditions(target),
                variables=[admission.VariableArgs(name="volumes", expression=render_volumes(target))],
                validations=[
                    admission.ValidationArgs(
                        expression=render_check(rule),
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
                policy_name=object_name(target), validation_actions=list(ACTIONS[args.mode])
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def _conditions(target: Target) -> list[admission.MatchConditionArgs] | None:
    named = conditions_of(target)
    return [admission.MatchConditionArgs(name=name, expression=text) for name, text in named.items()] or None


def _constraints(target: Target, args: AccessAdmissionArgs) -> admission.MatchResourcesArgs:
    exempt = exempt_of(args.exempt_namespaces)
    outside = meta.LabelSelectorRequirementArgs(key=NAMESPACE_LABEL, operator="NotIn", values=exempt)
    return admission.MatchResourcesArgs(
        match_policy=MATCH_POLICY,
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


def _metadata(target: Target) -> meta.ObjectMetaArgs:
    return meta.ObjectMetaArgs(name=object_name(target), labels={"app.kubernetes.io/managed-by": "lockstep"})
