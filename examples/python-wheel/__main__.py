"""One app's secrets, placed by a program of your own: the spec is derived here, the component places what follows."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes
from lockstep_components.app_access import AppAccess, AppAccessArgs
from lockstep_components.derivation import Environment, derive_fleet, load_specs

config = pulumi.Config()
environment = Environment(
    name=pulumi.get_stack(),
    region=config.get("region") or "eu-west-1",
    account=config.require("account"),
    cluster=config.require("clusterName"),
    oidc_issuer=config.require("oidcIssuer"),
)
cluster = kubernetes.Provider(
    "cluster", kubeconfig=config.require_secret("kubeconfig"), cluster_identifier=environment.cluster
)
for access in derive_fleet(load_specs([Path(__file__).parent / ".." / "api.yaml"]), environment).apps:
    placed = AppAccess(
        str(access.app),
        # What serves mounts is another stack's; where this one makes it, name it here.
        AppAccessArgs(access=access, platform=()),
        opts=pulumi.ResourceOptions(providers=[cluster]),
    )
    pulumi.export(f"{access.app}RoleArn", access.role_arn)
