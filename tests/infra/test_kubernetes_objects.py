"""Every Kubernetes object of every stack, held against the rules that linters of manifests have. Offline.

The rules are those of kube-linter and of checkov's Kubernetes pack that say something about objects like ours; each
exception stands here with its reason, and an exception that nothing needs any more is a failure.
"""

from __future__ import annotations

import json
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
}


@pytest.fixture(scope="module")
def objects() -> list[tuple[str, Mapping[str, Any]]]:
    """Return kind and manifest of everything that any stack places in a cluster, with every extra on."""
    project = Path(__file__).resolve().parents[2]
    found: list[tuple[str, Mapping[str, Any]]] = []
    for stack in ("local", "dev", "staging", "prod"):
        run = run_stack(project, stack, preview=True, overrides={"lockstep:providerExtras": EVERY_EXTRA})
        found += [(item.type.rsplit(":", 1)[1], item.inputs) for item in run.resources if _is_object(item.type)]
    assert {"DaemonSet", "ServiceAccount", "NetworkPolicy", "ClusterRole", "SecretProviderClass"} <= {
        kind for kind, _ in found
    }
    return found


def _is_object(resource_type: str) -> bool:
    return resource_type.startswith("kubernetes:")


def containers(objects: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Container]:
    for kind, manifest in objects:
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
