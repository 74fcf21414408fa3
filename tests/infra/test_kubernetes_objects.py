"""Every Kubernetes object of every stack, held against the rules that linters of manifests have. Offline.

The rules are those of kube-linter and of checkov's Kubernetes pack that say something about objects like ours; each
exception stands here with its reason, and an exception that nothing needs any more is a failure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components.platform_settings import ProviderExtra
from tests.infra.recording import run_stack

EVERY_EXTRA = json.dumps([str(extra.value) for extra in ProviderExtra])


class Container(NamedTuple):
    """A container and the pod that it is in."""

    owner: str
    spec: Mapping[str, Any]
    pod: Mapping[str, Any]
    is_init: bool


#: Rule and place to the reason why it does not hold there.
EXCEPTIONS = {
    ("runs-without-root", "prepare-socket-dir"): "only root can hand a host directory to another user",
    ("adds-no-capability", "prepare-socket-dir"): "CHOWN, FOWNER, DAC_OVERRIDE on the socket directory, nothing else",
    ("has-probes", "prepare-socket-dir"): "it ends by itself; kubelet asks no init container",
    ("has-cpu-limit", "provider"): "a throttled provider answers late on exactly the node where many pods start",
    ("has-cpu-limit", "prepare-socket-dir"): "it lives for a second; the pod's CPU is the provider's",
    ("mounts-no-host-path", "DaemonSet"): "the socket directory is how the driver and the provider meet",
    (
        "no-api-token",
        "DaemonSet",
    ): "events and look-ups ask the API; without these extras there is no token (test_provider)",
    (
        "not-in-kube-system",
        "DaemonSet",
    ): "system-node-critical pods may run there only, and the driver's names are fixed",
    ("not-in-kube-system", "ServiceAccount"): "beside its DaemonSet",
    ("not-in-kube-system", "Release"): "the driver's names are fixed; one per cluster",
    ("not-in-kube-system", "ConfigMap"): "beside what it shows",
    ("not-in-kube-system", "NetworkPolicy"): "a policy selects pods of its own namespace",
    ("not-in-kube-system", "PodMonitor"): "beside what it watches",
    ("not-in-kube-system", "PrometheusRule"): "beside what it watches",
    ("has-probes", "lockstep-guard"): "it ends by itself; kubelet asks no init container",
    ("has-cpu-limit", "lockstep-guard"): "it lives for a tenth of a second, before anything else of its pod",
    (
        "syncs-no-secrets",
        "Release",
    ): "specs of these stacks ask for copies; without one it is off (test_components)",
}

#: Every value of the driver's chart that is set, with what it is there. The chart has no schema: what it does not know
#: it takes without a word. Source: chart secrets-store-csi-driver 1.6.0, values.yaml.
CHART_VALUES: Mapping[str, object] = {
    "enableSecretRotation": bool,
    "linux": {"affinity": dict, "metricsAddr": str, "priorityClassName": str, "tolerations": list},
    "maxCallRecvMsgSize": int,
    "rotationPollInterval": str,
    "syncSecret": {"enabled": bool},
    "tokenRequests": list,
}


@pytest.fixture(scope="module")
def objects() -> list[tuple[str, Mapping[str, Any]]]:
    """Return kind and manifest of everything that any stack places in a cluster, with every extra on."""
    project = Path(__file__).resolve().parents[2]
    found: list[tuple[str, Mapping[str, Any]]] = []
    for stack in ("local", "dev", "staging", "prod"):
        everything = {"lockstep:providerExtras": EVERY_EXTRA, "lockstep:guard": "always"}
        everything["lockstep:preventEarlyPods"] = "always"
        run = run_stack(project, stack, preview=True, overrides=everything)
        found += [(item.type.rsplit(":", 1)[1], item.inputs) for item in run.resources if _is_object(item.type)]
        apps: Any = run.stack_outputs()["apps"]
        found += [("Guard", app["guard"]) for app in apps.values()]
    kinds = {"DaemonSet", "ServiceAccount", "NetworkPolicy", "ClusterRole", "SecretProviderClass", "Release", "Guard"}
    kinds |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "CSIDriverPatch", "Namespace"}
    assert kinds <= {kind for kind, _ in found}
    return found


def _is_object(resource_type: str) -> bool:
    return resource_type.startswith("kubernetes:")


def containers(objects: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Container]:
    for kind, manifest in objects:
        if kind == "Guard":
            yield Container(owner=manifest["name"], spec=manifest, pod=manifest, is_init=True)
        if kind == "DaemonSet":
            pod = manifest["spec"]["template"]["spec"]
            for key in ("containers", "initContainers"):
                for spec in pod.get(key, ()):
                    yield Container(owner=spec["name"], spec=spec, pod=pod, is_init=key == "initContainers")


CONTAINER_RULES: Mapping[str, Callable[[Container], bool]] = {
    "image-by-digest": lambda each: "@sha256:" in each.spec["image"],
    "runs-without-root": lambda each: (
        each.spec["securityContext"].get("runAsNonRoot") is True
        and int(each.spec["securityContext"].get("runAsUser", 0)) > 10_000
    ),
    "cannot-escalate": lambda each: each.spec["securityContext"].get("allowPrivilegeEscalation") is False,
    "is-not-privileged": lambda each: each.spec["securityContext"].get("privileged") is False,
    "root-is-read-only": lambda each: each.spec["securityContext"].get("readOnlyRootFilesystem") is True,
    "drops-all-capabilities": lambda each: each.spec["securityContext"]["capabilities"]["drop"] == ["ALL"],
    "adds-no-capability": lambda each: not each.spec["securityContext"]["capabilities"].get("add"),
    "seccomp-is-on": lambda each: each.pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
    "has-requests": lambda each: {"cpu", "memory"} <= each.spec["resources"]["requests"].keys(),
    "has-memory-limit": lambda each: "memory" in each.spec["resources"]["limits"],
    "has-cpu-limit": lambda each: "cpu" in each.spec["resources"]["limits"],
    "has-probes": lambda each: {"livenessProbe", "readinessProbe"} <= each.spec.keys(),
    "no-secret-in-the-environment": lambda each: "env" not in each.spec and "envFrom" not in each.spec,
    "no-host-port": lambda each: all("hostPort" not in port for port in each.spec.get("ports", ())),
}


def _pod(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    pod: Mapping[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def _grants_no_wildcard(manifest: Mapping[str, Any]) -> bool:
    return all("*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]] for rule in manifest["rules"])


def _reads_no_kubernetes_secret(manifest: Mapping[str, Any]) -> bool:
    return all("secrets" not in rule["resources"] for rule in manifest["rules"])


def _is_known(values: object, known: object) -> bool:
    """Say whether everything that is set is a value of the chart, of its type."""
    if isinstance(known, Mapping):
        return isinstance(values, Mapping) and all(
            key in known and _is_known(value, known[key]) for key, value in values.items()
        )
    return isinstance(known, type) and isinstance(values, known)


def _runs_everywhere_else(manifest: Mapping[str, Any]) -> bool:
    """As the provider: every taint, evicted last, and off the nodes that run no DaemonSets."""
    linux = manifest["values"]["linux"]
    excluded = json.dumps(linux["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"])
    return (
        linux["tolerations"] == [{"operator": "Exists"}]
        and linux["priorityClassName"] == "system-node-critical"
        and all(name in excluded for name in ("fargate", "virtual-kubelet"))
    )


def _asks_for_aws_tokens_only(manifest: Mapping[str, Any]) -> bool:
    audiences = [request["audience"] for request in manifest["values"]["tokenRequests"]]
    return audiences == sorted(set(audiences)) and set(audiences) <= {"sts.amazonaws.com", "pods.eks.amazonaws.com"}


def _is_narrow(manifest: Mapping[str, Any]) -> bool:
    rules = manifest["spec"]["matchConstraints"]["resourceRules"]
    return all(
        rule["scope"] == "Namespaced" and "*" not in [*rule["apiGroups"], *rule["resources"], *rule["operations"]]
        for rule in rules
    )


def _names_the_fix(manifest: Mapping[str, Any]) -> bool:
    return all("Fix: " in each["message"] and each["reason"] for each in manifest["spec"]["validations"])


def _names_where_traffic_goes(manifest: Mapping[str, Any]) -> bool:
    spec = manifest["spec"]
    both = set(spec["policyTypes"]) == {"Ingress", "Egress"}
    from_somewhere = all(rule.get("from") and rule.get("ports") for rule in spec.get("ingress", []))
    return both and from_somewhere and all(rule.get("ports") for rule in spec["egress"])


def _stands_on_its_own(manifest: Mapping[str, Any]) -> bool:
    """A class costs a mount no call to the API, and no pod another region's or role's secrets."""
    parameters = manifest["spec"]["parameters"]
    return bool(parameters.get("region")) and ("roleArn" in parameters) != (parameters.get("usePodIdentity") == "true")


def _namespace(manifest: Mapping[str, Any]) -> object:
    return manifest.get("namespace") or manifest.get("metadata", {}).get("namespace")


#: Rule to (kinds it is about, or none for all, and the rule).
OBJECT_RULES: Mapping[str, tuple[frozenset[str], Callable[[Mapping[str, Any]], bool]]] = {
    "shares-no-host-namespace": (
        frozenset({"DaemonSet"}),
        lambda manifest: not {"hostNetwork", "hostPID", "hostIPC"} & _pod(manifest).keys(),
    ),
    "mounts-no-host-path": (
        frozenset({"DaemonSet"}),
        lambda manifest: not any("hostPath" in volume for volume in _pod(manifest)["volumes"]),
    ),
    "no-api-token": (
        frozenset({"DaemonSet"}),
        lambda manifest: _pod(manifest).get("automountServiceAccountToken") is False,
    ),
    "has-its-own-service-account": (
        frozenset({"DaemonSet"}),
        lambda manifest: _pod(manifest).get("serviceAccountName") not in (None, "default"),
    ),
    "account-mounts-no-token-by-default": (
        frozenset({"ServiceAccount"}),
        lambda manifest: (
            manifest.get("automountServiceAccountToken") is False
            or "secrets-store-csi-driver-provider" not in manifest["metadata"]["name"]
        ),
    ),
    "grants-no-wildcard": (frozenset({"ClusterRole"}), _grants_no_wildcard),
    "reads-no-kubernetes-secret": (frozenset({"ClusterRole"}), _reads_no_kubernetes_secret),
    "binds-no-cluster-admin": (
        frozenset({"ClusterRoleBinding"}),
        lambda manifest: manifest["roleRef"]["name"] != "cluster-admin",
    ),
    "chart-is-pinned": (
        frozenset({"Release"}),
        lambda manifest: re.fullmatch(r"\d+\.\d+\.\d+", str(manifest["version"])) is not None,
    ),
    "release-is-all-or-nothing": (
        frozenset({"Release"}),
        lambda manifest: manifest["atomic"] is True and manifest["cleanupOnFail"] is True and manifest["timeout"] > 0,
    ),
    "sets-only-values-of-the-chart": (
        frozenset({"Release"}),
        lambda manifest: _is_known(manifest["values"], CHART_VALUES),
    ),
    "runs-where-pods-with-secrets-run": (frozenset({"Release"}), _runs_everywhere_else),
    "asks-for-tokens-of-aws-only": (frozenset({"Release"}), _asks_for_aws_tokens_only),
    "rotates": (frozenset({"Release"}), lambda manifest: manifest["values"]["enableSecretRotation"] is True),
    "syncs-no-secrets": (
        frozenset({"Release"}),
        lambda manifest: manifest["values"]["syncSecret"] == {"enabled": False},
    ),
    "fails-closed": (
        frozenset({"ValidatingAdmissionPolicy"}),
        lambda manifest: manifest["spec"]["failurePolicy"] == "Fail",
    ),
    "looks-at-named-kinds-only": (frozenset({"ValidatingAdmissionPolicy"}), _is_narrow),
    "says-what-to-do": (frozenset({"ValidatingAdmissionPolicy"}), _names_the_fix),
    "is-in-force": (
        frozenset({"ValidatingAdmissionPolicyBinding"}),
        lambda manifest: (
            "Deny" in manifest["spec"]["validationActions"] and bool(manifest["spec"]["policyName"].strip())
        ),
    ),
    "names-where-traffic-goes": (frozenset({"NetworkPolicy"}), _names_where_traffic_goes),
    "stands-on-its-own": (frozenset({"SecretProviderClass"}), _stands_on_its_own),
    "is-ours-by-its-label": (
        frozenset({"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ClusterRole", "Namespace"}),
        lambda manifest: manifest["metadata"]["labels"].get("app.kubernetes.io/managed-by") == "lockstep",
    ),
    "not-in-default": (frozenset(), lambda manifest: _namespace(manifest) != "default"),
    "not-in-kube-system": (frozenset(), lambda manifest: _namespace(manifest) != "kube-system"),
}


def findings(objects: list[tuple[str, Mapping[str, Any]]]) -> set[tuple[str, str]]:
    """Return rule and place of everything that does not hold."""
    found = {
        (rule, each.owner) for each in containers(objects) for rule, holds in CONTAINER_RULES.items() if not holds(each)
    }
    for kind, manifest in objects:
        for rule, (kinds, holds) in OBJECT_RULES.items():
            if (not kinds or kind in kinds) and not holds(manifest):
                found.add((rule, kind))
    return found


def test_every_object_keeps_every_rule_but_for_the_exceptions_with_a_reason(
    objects: list[tuple[str, Mapping[str, Any]]],
) -> None:
    assert findings(objects) == EXCEPTIONS.keys()


def test_every_policy_has_its_binding(objects: list[tuple[str, Mapping[str, Any]]]) -> None:
    named = {manifest["metadata"]["name"] for kind, manifest in objects if kind == "ValidatingAdmissionPolicy"}
    bound = {manifest["spec"]["policyName"] for kind, manifest in objects if kind == "ValidatingAdmissionPolicyBinding"}
    assert named == bound != set()


#: Rule to an object that breaks it; each breaks no other rule of its kind.
WORSE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "chart-is-pinned": ("Release", {"version": "latest"}),
    "release-is-all-or-nothing": ("Release", {"atomic": False}),
    "sets-only-values-of-the-chart": ("Release", {"values": {"rotationPollIntervall": "100ms"}}),
    "runs-where-pods-with-secrets-run": ("Release", {"values": {"linux": {"tolerations": []}}}),
    "asks-for-tokens-of-aws-only": ("Release", {"values": {"tokenRequests": [{"audience": "vault"}]}}),
    "rotates": ("Release", {"values": {"enableSecretRotation": False}}),
    "fails-closed": ("ValidatingAdmissionPolicy", {"spec": {"failurePolicy": "Ignore"}}),
    "looks-at-named-kinds-only": (
        "ValidatingAdmissionPolicy",
        {"spec": {"matchConstraints": {"resourceRules": [{"scope": "*"}]}}},
    ),
    "says-what-to-do": ("ValidatingAdmissionPolicy", {"spec": {"validations": [{"message": "no", "reason": "x"}]}}),
    "is-in-force": ("ValidatingAdmissionPolicyBinding", {"spec": {"validationActions": ["Audit"]}}),
    "names-where-traffic-goes": ("NetworkPolicy", {"spec": {"policyTypes": ["Ingress"]}}),
    "stands-on-its-own": ("SecretProviderClass", {"spec": {"parameters": {"region": ""}}}),
    "is-ours-by-its-label": ("Namespace", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "x"}}}),
}


def _changed(value: Any, change: Any) -> Any:  # noqa: ANN401 - plain data
    if isinstance(value, Mapping) and isinstance(change, Mapping):
        return {**value, **{key: _changed(value.get(key), each) for key, each in change.items()}}
    return change


@pytest.mark.parametrize("rule", sorted(WORSE))
def test_a_rule_about_an_object_can_fail(rule: str, objects: list[tuple[str, Mapping[str, Any]]]) -> None:
    kind, change = WORSE[rule]
    good = next(manifest for each, manifest in objects if each == kind)
    assert (rule, kind) not in findings([(kind, good)])
    assert (rule, kind) in findings([(kind, _changed(good, change))])


def test_a_worse_object_is_found(objects: list[tuple[str, Mapping[str, Any]]]) -> None:
    """The rules can fail: each one does for a pod that has none of what it asks for."""
    worse = {
        "spec": {
            "template": {
                "spec": {
                    "hostNetwork": True,
                    "serviceAccountName": "default",
                    "securityContext": {"seccompProfile": {"type": "Unconfined"}},
                    "volumes": [],
                    "containers": [
                        {
                            "name": "worse",
                            "image": "provider:latest",
                            "env": [{"name": "PASSWORD", "value": "x"}],
                            "ports": [{"hostPort": 1}],
                            "securityContext": {"privileged": True, "capabilities": {"drop": [], "add": ["SYS_ADMIN"]}},
                            "resources": {"requests": {}, "limits": {}},
                        }
                    ],
                }
            }
        }
    }
    found = findings([*objects, ("DaemonSet", worse)])
    assert {rule for rule, place in found if place == "worse"} == set(CONTAINER_RULES)
    assert {"shares-no-host-namespace", "has-its-own-service-account"} <= {rule for rule, _ in found}
