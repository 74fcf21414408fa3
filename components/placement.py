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

#: Labels and values of nodes that run no DaemonSet pods, sorted by label.
EXCLUDED_NODES: Final[tuple[tuple[str, str], ...]] = (
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("type", "virtual-kubelet"),
)
