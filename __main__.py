"""The Pulumi program: settings, then specs, then components, then exports. Wiring only."""

from pathlib import Path

import pulumi

from components.app_access import AppAccess, AppAccessArgs, AppNamespaces, AppNamespacesArgs
from components.cluster import ClusterError, EksCluster, EksClusterArgs, fetch_cluster
from components.derivation import SpecErrors, derive_fleet, load_specs
from components.image_repository import ImageRepository, ImageRepositoryArgs
from components.secret_policies import ForeignPolicyError, SecretPolicies, SecretPoliciesArgs, find_secrets
from components.secrets_platform import SecretsPlatform, SecretsPlatformArgs
from components.settings import read_settings
from components.stack_config import SettingsErrors

try:
    settings = read_settings()
    facts = fetch_cluster(
        settings.cluster_name,
        oidc_issuer=settings.oidc_issuer,
        endpoint=settings.cluster_endpoint,
        certificate=settings.cluster_certificate,
    )
    specs = load_specs([Path(__file__).parent / path for path in settings.apps])
    fleet = derive_fleet(specs, settings.environment(facts.oidc_issuer))
    secrets = find_secrets(fleet.secret_policies)
except (SettingsErrors, SpecErrors, ClusterError, ForeignPolicyError) as errors:
    raise pulumi.RunError(f"nothing was changed:\n{errors}") from None

apps = fleet.apps
audiences = tuple(sorted({app.audience for app in apps}))
cluster = EksCluster(
    "cluster",
    EksClusterArgs(
        facts=facts,
        region=settings.region,
        account=settings.account,
        partition=settings.partition,
        create_oidc_provider=settings.create_oidc_provider,
        audiences=audiences,
    ),
)
in_cluster = pulumi.ResourceOptions(providers=[cluster.kubernetes])
platform = SecretsPlatform(
    "platform",
    SecretsPlatformArgs(
        settings=settings.platform, audiences=audiences, sync_secrets=any(app.needs_sync for app in apps)
    ),
    opts=in_cluster,
)
if settings.platform.image_repository:
    images = ImageRepository("images", ImageRepositoryArgs(repository=settings.platform.image_repository))
    pulumi.export("imageRepository", images.url)
namespaces = AppNamespaces(
    "namespaces",
    AppNamespacesArgs(names=tuple(app.namespace for app in apps), create=settings.create_namespaces),
    opts=in_cluster,
)
placed = [
    AppAccess(
        str(app.app),
        AppAccessArgs(access=app, platform=platform.ready, namespaces=namespaces.of(app.namespace)),
        opts=in_cluster,
    )
    for app in apps
]
if secrets:
    roles = tuple(access.identity.role for access in placed)
    SecretPolicies("secret-policies", SecretPoliciesArgs(secrets=secrets, after=roles))

pulumi.export("clusterName", facts.name)
pulumi.export("oidcIssuer", facts.oidc_issuer)
mount_paths = {app.app: {mount.class_name: mount.path for mount in app.mounts} for app in apps}
pulumi.export("apps", {str(app.app): {"roleArn": app.role_arn, "mountPaths": mount_paths[app.app]} for app in apps})
