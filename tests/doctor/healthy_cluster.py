"""A cluster in which everything is as derived, for tests that break one thing."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from components.admission_rules import TARGETS, Target, derive_policy_spec, object_name
from lockstep.doctor.expected import Expected
from tests.fakes.kubernetes import FakeApiServer, Object

NODES = ("node-1", "node-2", "node-3")
VERSION = "1.6.0"

CSI_DRIVERS = "/apis/storage.k8s.io/v1/csidrivers"
CSI_NODES = "/apis/storage.k8s.io/v1/csinodes"
DAEMON_SETS = "/apis/apps/v1/daemonsets"
NODE_LIST = "/api/v1/nodes"
PODS = "/api/v1/pods"
LEASES = "/apis/coordination.k8s.io/v1/leases"
CLASSES = "/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasses"
ACCOUNTS = "/api/v1/serviceaccounts"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

SOCKETS = "/var/run/secrets-store-csi-providers"
DRIVER = "secrets-store-csi-driver"
PROVIDER = "secrets-store-csi-driver-provider-aws"
AGENT = "eks-pod-identity-agent"


def _policy(target: Target, expected: Expected) -> Object:
    """Return a target's policy as an API server keeps it: with selectors that are empty."""
    spec = derive_policy_spec(target, expected.settings.platform.admission_exempt_namespaces)
    constraints = {"namespaceSelector": {}, "objectSelector": {}, **spec["matchConstraints"]}
    return _named(object_name(target), spec={**spec, "matchConstraints": constraints})


def healthy_cluster(expected: Expected) -> FakeApiServer:
    """Return a server, not started, with what the stack's program and AWS's add-ons would have placed."""
    collections = {
        CSI_DRIVERS: [_csi_driver(expected)],
        CSI_NODES: [_named(name, spec={"drivers": [{"name": "secrets-store.csi.k8s.io"}]}) for name in NODES],
        DAEMON_SETS: [_driver(), _provider(expected.settings.platform.provider_image), _agent()],
        NODE_LIST: [_named(name, labels={"kubernetes.io/os": "linux"}) for name in NODES],
        PODS: [
            _named(f"{app.app}-1", app.namespace, spec={"serviceAccountName": app.service_account})
            for app in expected.apps
        ],
        LEASES: [_named(name, "kube-node-lease", spec={"renewTime": stamp(time.time())}) for name in NODES],
        CLASSES: [{**mount.secret_provider_class, "status": {}} for app in expected.apps for mount in app.mounts],
        ACCOUNTS: [dict(app.service_account_manifest) for app in expected.apps],
        ROLES: [_named("cluster-admin")]
        + ([_named("secretprovidersyncing-role")] if expected.driver.sync_secrets else []),
        POLICIES: [_policy(target, expected) for target in TARGETS],
        BINDINGS: [
            _named(name, spec={"policyName": name, "validationActions": ["Deny"]}) for name in map(object_name, TARGETS)
        ],
    }
    documents: dict[str, Object] = {
        "/version": {"gitVersion": "v1.36.2"},
        "/.well-known/openid-configuration": {"issuer": expected.environment.oidc_issuer},
    }
    # The derivation's values are shared; a test that changes the cluster must not change them.
    import copy  # noqa: PLC0415

    return FakeApiServer(collections=copy.deepcopy(collections), documents=documents)


def stamp(seconds: float) -> str:
    """Return a time as leases have it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _named(name: str, namespace: str = "", *, labels: dict[str, str] | None = None, **rest: Any) -> Object:  # noqa: ANN401 - JSON
    place = {"namespace": namespace} if namespace else {}
    return {"metadata": {"name": name, **place, "labels": labels or {}}, **rest}


def _csi_driver(expected: Expected) -> Object:
    requests = [{"audience": audience} for audience in expected.driver.audiences]
    return _named("secrets-store.csi.k8s.io", spec={"requiresRepublish": True, "tokenRequests": requests})


def daemon_set(name: str, container: Object, volumes: list[Object]) -> Object:
    """Return a DaemonSet that is ready on every node."""
    count = len(NODES)
    return {
        "metadata": {"name": name, "namespace": "kube-system", "generation": 3, "labels": {}},
        "spec": {"template": {"spec": {"containers": [container], "volumes": volumes}}},
        "status": {
            "desiredNumberScheduled": count,
            "numberReady": count,
            "updatedNumberScheduled": count,
            "observedGeneration": 3,
        },
    }


def _driver() -> Object:
    container = {
        "name": "secrets-store",
        "image": f"registry.k8s.io/csi-secrets-store/driver:v{VERSION}",
        "args": [
            "--endpoint=$(CSI_ENDPOINT)",
            f"--provider-volume={SOCKETS}",
            "--additional-provider-volume-paths=/etc/kubernetes/secrets-store-csi-providers",
            "--enable-secret-rotation=true",
            "--rotation-poll-interval=100ms",
        ],
        "volumeMounts": [{"name": "providers-dir", "mountPath": SOCKETS}],
    }
    return daemon_set(DRIVER, container, [{"name": "providers-dir", "hostPath": {"path": SOCKETS}}])


def _provider(image: str) -> Object:
    container = {
        "name": "provider",
        "image": image,
        "args": [f"--provider-volume={SOCKETS}", "--provider-name=aws"],
        "volumeMounts": [{"name": "providers", "mountPath": SOCKETS}],
    }
    return daemon_set(PROVIDER, container, [{"name": "providers", "hostPath": {"path": SOCKETS}}])


def _agent() -> Object:
    return daemon_set(AGENT, {"name": AGENT, "image": "eks-pod-identity-agent:v1"}, [])
