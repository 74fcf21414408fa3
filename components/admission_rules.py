"""Admission rules for pods that mount secrets: what they match and what they ask, as text. Pure.

Not done here: placing them (admission.py), and who may read what; that is IAM's. These rules close what the driver
leaves open:

* The driver lays a volume's `volumeAttributes` over the class's parameters, so a pod could name other objects, another
  region or another role. The volume may name its class and nothing else.
* `nodePublishSecretRef` hands a Kubernetes Secret to the provider, which needs none.
* Without `readOnly: true` every mount of the volume fails, at the start of the pod, long after the review.

They are no boundary by themselves: whoever may edit classes may edit classes. The same rules hold for the pods that
Deployments and the like describe, so that a mistake shows when they are applied, not when a pod does not come.

Source: Kubernetes docs, Validating Admission Policy (GA in 1.30, the oldest version the driver's chart installs on).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .platform_settings import AdmissionMode

#: The driver's name in a CSI volume.
DRIVER: Final = "secrets-store.csi.k8s.io"
#: An error in an expression refuses.
FAILURE_POLICY: Final = "Fail"
#: A request by another version of a resource's API is asked, too.
MATCH_POLICY: Final = "Equivalent"
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
#: What a binding does by mode; a mode without one has no bindings.
ACTIONS: Final[Mapping[AdmissionMode, tuple[str, ...]]] = {
    AdmissionMode.DENY: ("Deny",),
    AdmissionMode.WARN: ("Warn", "Audit"),
}


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


def object_name(target: Target) -> str:
    """Return the name of a target's policy, and of its binding."""
    return f"lockstep-secret-volumes-{target.suffix}"


def render_volumes(target: Target) -> str:
    """Return the expression, in CEL, for the driver's volumes of the pod that an object is or describes."""
    spec = f"object.{target.template}.spec" if target.template else "object.spec"
    return f"has({spec}.volumes) ? {spec}.volumes.filter(v, has(v.csi) && v.csi.driver == '{DRIVER}') : []"


def render_condition(target: Target) -> str:
    """Return the expression for an object whose pods are new or changed.

    Without it, a controller could not touch what is older than the rules: not even to scale it down.
    """
    return f"request.operation == 'CREATE' || object.{target.template} != oldObject.{target.template}"


def render_check(rule: Rule) -> str:
    """Return the expression, in CEL, of a rule for every volume of the driver; `variables.volumes` are those."""
    return f"variables.volumes.all(v, {rule.expression})"


def conditions_of(target: Target) -> dict[str, str]:
    """Return the conditions under which a request is asked at all, name to expression; none for pods."""
    return {"pods-are-new-or-changed": render_condition(target)} if target.template else {}


def exempt_of(namespaces: Iterable[str]) -> list[str]:
    """Return exempt namespaces in their one order."""
    return sorted(set(namespaces))


def derive_policy_spec(target: Target, exempt_namespaces: Iterable[str]) -> dict[str, Any]:
    """Return the `spec` of a target's ValidatingAdmissionPolicy as it stands in a cluster, without what is empty."""
    exempt = exempt_of(exempt_namespaces)
    outside = {"key": NAMESPACE_LABEL, "operator": "NotIn", "values": exempt}
    conditions = [{"name": name, "expression": text} for name, text in conditions_of(target).items()]
    return {
        "failurePolicy": FAILURE_POLICY,
        "matchConstraints": {
            "matchPolicy": MATCH_POLICY,
            **({"namespaceSelector": {"matchExpressions": [outside]}} if exempt else {}),
            "resourceRules": [
                {
                    "apiGroups": [group],
                    "apiVersions": [version],
                    "operations": target.operations,
                    "resources": list(resources),
                    "scope": "Namespaced",
                }
                for group, version, resources in target.rules
            ],
        },
        **({"matchConditions": conditions} if conditions else {}),
        "variables": [{"name": "volumes", "expression": render_volumes(target)}],
        "validations": [
            {"expression": render_check(rule), "message": rule.message, "reason": "Forbidden"} for rule in RULES
        ],
    }
