"""The platform and one app, wired by hand: for teams that have a program of their own and want its parts."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components.app_access import AppAccess, AppAccessArgs
from components.derivation import Environment, derive_fleet, load_specs
from components.platform_needs import PlatformNeeds
from components.platform_settings import PlatformSettings
from components.secrets_platform import SecretsPlatform, SecretsPlatformArgs

config = pulumi.Config()
environment = Environment(
    name=pulumi.get_stack(),
    region=config.get("region") or "eu-west-1",
    account=config.require("account"),
    cluster=config.require("clusterName"),
    oidc_issuer=config.require("oidcIssuer"),
)
fleet = derive_fleet(load_specs([Path(__file__).parent / ".." / "api.yaml"]), environment)
cluster = kubernetes.Provider(
    "cluster", kubeconfig=config.require_secret("kubeconfig"), cluster_identifier=environment.cluster
)
in_cluster = pulumi.ResourceOptions(providers=[cluster])
platform = SecretsPlatform(
    "platform",
    SecretsPlatformArgs(
        settings=PlatformSettings(
            provider_image=config.require("providerImage"),
            chart_repository="https://kubernetes-sigs.github.io/secrets-store-csi-driver/charts",
            chart_version="1.6.0",
        ),
        needs=PlatformNeeds(
            audiences=tuple(sorted({access.audience for access in fleet.apps})),
            sync_secrets=any(access.needs_sync for access in fleet.apps),
        ),
    ),
    opts=in_cluster,
)
for access in fleet.apps:
    AppAccess(str(access.app), AppAccessArgs(access=access, platform=platform.ready), opts=in_cluster)
    pulumi.export(f"{access.app}RoleArn", access.role_arn)
