"""`pulumi-resource-kubernetes` for the tests: objects become manifests in the folder that LOCKSTEP_MANIFESTS names."""

from __future__ import annotations

import os
from pathlib import Path

from lockstep.engine import KubernetesManifests
from tests.pulumi_cli.provider_plugin import serve_provider

if __name__ == "__main__":
    manifests = KubernetesManifests(Path(os.environ["LOCKSTEP_MANIFESTS"]))
    serve_provider("kubernetes", manifests, settings=("kubeconfig", "clusterIdentifier"))
