"""Where the node agents run: everywhere that pods with secrets run. Shared by the driver and the provider.

A pod whose node lacks either of the two never starts, so both tolerate every taint and are evicted last. Fargate nodes
run no DaemonSets, and virtual nodes no kubelet.

Source: Kubernetes docs (tolerations: an empty key with `Exists` tolerates everything; priority classes of the system);
EKS docs (label `eks.amazonaws.com/compute-type` of Fargate nodes); chart secrets-store-csi-driver 1.6.0 (`type`).
"""

from typing import Final

#: Namespace of both. Only there may pods carry the priority class, and there the driver's fixed names live.
NAMESPACE: Final = "kube-system"

PRIORITY_CLASS: Final = "system-node-critical"

#: Name of the driver's chart and of its release: the chart's cluster-wide names are fixed, so there is one per cluster.
CHART: Final = "secrets-store-csi-driver"

#: Name of the CSIDriver object, and of the driver in a volume.
DRIVER_NAME: Final = "secrets-store.csi.k8s.io"

#: Name of the provider's objects is this and the provider's name; also the label by which upstream's provider is found.
OBJECT_PREFIX: Final = "secrets-store-csi-driver-provider-"

#: Where the driver looks for sockets. Source: chart secrets-store-csi-driver 1.6.0, `linux.providersDir`.
SOCKET_DIRECTORY: Final = "/var/run/secrets-store-csi-providers"

#: Labels and values of nodes that run no DaemonSet pods, sorted by label.
EXCLUDED_NODES: Final[tuple[tuple[str, str], ...]] = (
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("type", "virtual-kubelet"),
)
