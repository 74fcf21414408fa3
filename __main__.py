"""The Pulumi program: settings, then specs, then components, then exports. Wiring only."""

from pathlib import Path

import pulumi

from components.app_access import AppAccess, AppAccessArgs, AppNamespaces, AppNamespacesArgs
from components.cluster_facts import ClusterError
from components.derivation import SpecErrors, derive_fleet, load_specs
from components.secret_policies import ForeignPolicyError, SecretPolicies, SecretPoliciesArgs, find_secrets
from components.settings import read_settings
from components.stack_config import SettingsErrors
from components.stack_platform import know_cluster, place_platform, refuse_unserved

try:
    settings = read_settings()
    known = know_cluster(settings)
    specs = load_specs([Path(__file__).parent / path for path in settings.apps])
    fleet = derive_fleet(specs, settings.environment(known.oidc_issuer, known.served_guard))
    refuse_unserved(fleet.apps, known)
    secrets = find_secrets(fleet.secret_policies)
except (SettingsErrors, SpecErrors, ClusterError, ForeignPolicyError) as errors:
    raise pulumi.RunError(f"nothing was changed:\n{errors}") from None

apps = fleet.apps
platform = place_platform(settings, known, apps)
namespaces = AppNamespaces(
    "namespaces",
    AppNamespacesArgs(names=tuple(app.namespace for app in apps), create=settings.create_namespaces),
    opts=platform.in_cluster,
)
placed = [
    AppAccess(
        str(app.app),
        AppAccessArgs(
            access=app,
            platform=platform.ready,
            namespaces=namespaces.of(app.namespace),
            cluster=platform.cluster,
        ),
        opts=platform.in_cluster,
    )
    for app in apps
]
if secrets:
    roles = tuple(access.identity.role for access in placed)
    SecretPolicies("secret-policies", SecretPoliciesArgs(secrets=secrets, after=roles))

for key, value in platform.outputs.items():
    pulumi.export(key, value)
mount_paths = {app.app: {mount.class_name: mount.path for mount in app.mounts} for app in apps}
guards = {app.app: {"guard": app.guard} for app in apps if app.guard}
pulumi.export(
    "apps",
    {
        str(app.app): {"roleArn": app.role_arn, "mountPaths": mount_paths[app.app], **guards.get(app.app, {})}
        for app in apps
    },
)
