"""A stack's settings: the only reader of Pulumi configuration.

Not done here: reading files (stack_config.py) and the rules of derivation (derivation/environment.py, which is asked).
`parse_settings` is a pure function over a mapping; the program calls `read_settings`, everything else `load_settings`.
Every problem of a stack is reported at once; each names the key, the file and the fix. Unknown keys are refused,
because Pulumi accepts them silently and a typing error would then decide who may read what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .cluster_settings import ClusterSettings, read_cluster
from .derivation import Environment, FargateSelector, Identity, SpecErrors
from .network_settings import Nat, NetworkSettings, NewNetwork, read_network
from .platform_settings import PlatformSettings, When, read_platform
from .setting_defaults import DEFAULTS
from .settings_reader import NAMESPACE, SettingsReader
from .stack_config import ConfigKey, ConfigValue, SettingsErrors, load_stack_config, stack_file

REGION_KEY = "aws:region"
ALLOWED_ACCOUNTS_KEY = "aws:allowedAccountIds"

#: Stands for an issuer that nobody knows yet, so that the other rules can be asked; no policy ever holds it.
NO_ISSUER = "https://issuer.invalid"

_URL = re.compile(r"https://[^\s/]+(?:/\S*)?")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_STACK = re.compile(r"[\w.-]+/[\w.-]+/[\w.-]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

#: Field of `Environment` to the key that gives it; any other field is a key of the same name.
_ENVIRONMENT_KEYS = {
    "name": "lockstep:environment",
    "region": REGION_KEY,
    "cluster": "lockstep:clusterName",
    "guardImage": "lockstep:providerImage",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """Everything that differs between stacks. Field by field the `config` of Pulumi.yaml, which documents them.

    Attributes:
        stack: Name of the stack.
        file: The stack's file, for messages.
        oidc_issuer: None when it is to be looked up; likewise endpoint and certificate, which go together.
        cluster: The cluster to make; None when it exists. `network` goes with it.
        kubeconfig_role: Assumed for calls to the API server; None: the process's own credentials.
        platform_stack: The stack whose platform this one's apps use; None when it has its own.
        served_identities: Identities of apps of other stacks, whose tokens the driver must ask for too.
        serves_sync: Whether apps of other stacks copy files into Kubernetes Secrets.
        protect: Whether what holds state may not be removed.
        platform: The driver's, the provider's and the admission's options.
    """

    stack: str
    file: str
    environment_name: str
    region: str
    account: str
    partition: str
    cluster_name: str
    oidc_issuer: str | None
    cluster_endpoint: str | None
    cluster_certificate: str | None
    create_oidc_provider: bool
    create_namespaces: bool
    apps: tuple[str, ...]
    identity: Identity
    role_path: str
    permissions_boundary: str | None
    deployer_role: str | None
    fargate_selectors: tuple[FargateSelector, ...]
    cluster: ClusterSettings | None
    network: NetworkSettings | None
    kubeconfig_role: str | None
    platform_stack: str | None
    served_identities: frozenset[Identity]
    serves_sync: bool
    protect: bool
    platform: PlatformSettings

    @property
    def creates_oidc_provider(self) -> bool:
        """Whether this stack may make the OIDC provider: on another stack's platform that one does."""
        return self.create_oidc_provider and self.platform_stack is None

    def environment(self, oidc_issuer: str, served_guard: str | None = None) -> Environment:
        """Return what access is derived from.

        Args:
            oidc_issuer: The cluster's, given or looked up.
            served_guard: Image of the guard that pods on another stack's platform need, if they need one.
        """
        platform = self.platform
        return Environment(
            name=self.environment_name,
            region=self.region,
            account=self.account,
            cluster=self.cluster_name,
            oidc_issuer=oidc_issuer,
            partition=self.partition,
            default_identity=self.identity,
            role_path=self.role_path,
            permissions_boundary=self.permissions_boundary,
            deployer_role=self.deployer_role,
            fargate_selectors=self.fargate_selectors,
            creates_oidc_provider=self.creates_oidc_provider,
            guard_image=platform.guard_image or (served_guard if platform.guard is When.AUTO else None),
        )


def read_settings() -> StackSettings:
    """Read the configuration of the running Pulumi program.

    Raises:
        SettingsErrors: Everything that is wrong with it.
    """
    import pulumi  # noqa: PLC0415 - everything else in this module works without Pulumi
    from pulumi.runtime import config  # noqa: PLC0415

    # pulumi.Config answers for keys that one knows; unknown ones are only seen in the map behind it.
    values = {**config.get_config_env(), **config.CONFIG.get()}
    file = stack_file(Path(pulumi.get_root_directory() or "."), pulumi.get_stack())
    return parse_settings({ConfigKey(key): value for key, value in values.items()}, pulumi.get_stack(), file)


def load_settings(project_dir: Path, stack: str, overrides: Mapping[str, ConfigValue] | None = None) -> StackSettings:
    """Read the configuration of a stack from its files, without Pulumi.

    Raises:
        SettingsErrors: A file cannot be read, or everything that is wrong with the settings.
    """
    config = load_stack_config(project_dir, stack, overrides)
    return parse_settings(config.values, stack, config.file)


def parse_settings(values: Mapping[ConfigKey, ConfigValue], stack: str, file: str) -> StackSettings:
    """Turn configuration into settings.

    Args:
        values: Full key to value, defaults of Pulumi.yaml included. Lists and booleans may be JSON text, as Pulumi
            hands them to a program. A key that is not there at all has the default of `setting_defaults`.
        stack: Name of the stack.
        file: The file to mend, for messages.

    Raises:
        SettingsErrors: All problems at once.
    """
    reader = SettingsReader({**DEFAULTS, **values}, file)
    settings = _read(reader, stack)
    _check_environment(settings, reader)
    _check_cluster(settings, reader)
    reader.refuse_unknown()
    if reader.problems:
        raise SettingsErrors(tuple(reader.problems))
    return settings


def _read(reader: SettingsReader, stack: str) -> StackSettings:
    endpoint = reader.optional("clusterEndpoint", _URL, "It is an https URL")
    certificate = reader.optional("clusterCertificate", _BASE64, "It is base64 of a PEM certificate")
    if (endpoint is None) != (certificate is None):
        lonely, missing = ("clusterEndpoint", "clusterCertificate")[:: 1 if certificate is None else -1]
        rule = "Endpoint and certificate go together"
        reader.add(
            lonely, f"it stands without {missing}", rule, f"give {NAMESPACE}:{missing} too, or neither", "CFG009"
        )
    stack_elsewhere = reader.optional_matching(
        "platformStack", _STACK, "It is a stack, <organization>/<project>/<stack>", "write organization/lockstep/prod"
    )
    return StackSettings(
        stack=stack,
        file=reader.file,
        environment_name=reader.text("environment"),
        region=reader.text(REGION_KEY),
        account=reader.text("account"),
        partition=reader.text("partition"),
        cluster_name=reader.text("clusterName"),
        oidc_issuer=reader.optional("oidcIssuer", _URL, "It is the issuer's https URL"),
        cluster_endpoint=endpoint,
        cluster_certificate=certificate,
        create_oidc_provider=reader.boolean("createOidcProvider"),
        create_namespaces=reader.boolean("createNamespaces"),
        apps=reader.texts("apps", at_least=0),
        identity=reader.choice("identity", Identity, Identity.IRSA),
        role_path=reader.text("rolePath"),
        permissions_boundary=reader.optional("permissionsBoundary", None, ""),
        deployer_role=reader.optional("deployerRole", None, ""),
        fargate_selectors=_fargate_selectors(reader),
        cluster=read_cluster(reader),
        network=read_network(reader),
        kubeconfig_role=reader.optional_matching(
            "kubeconfigRole",
            _ROLE,
            "It is the ARN of a role",
            "correct it, or leave it out to use your own credentials",
        ),
        platform_stack=stack_elsewhere,
        served_identities=reader.choices("servedIdentities", Identity),
        serves_sync=reader.boolean("servesSync"),
        protect=reader.boolean("protect"),
        platform=read_platform(reader, is_placed=stack_elsewhere is None),
    )


def _fargate_selectors(reader: SettingsReader) -> tuple[FargateSelector, ...]:
    selectors: list[FargateSelector] = []
    for text in reader.texts("fargateSelectors", at_least=0):
        selector = FargateSelector.parse(text)
        if selector is None:
            rule = "It is NAMESPACE, or NAMESPACE:key=value,key=value"
            fix = "write the selector as the Fargate profile has it"
            reader.add("fargateSelectors", f"{text!r} is not a selector", rule, fix, "CFG007")
        else:
            selectors.append(selector)
    return tuple(selectors)


def _check_environment(settings: StackSettings, reader: SettingsReader) -> None:
    """Ask the derivation's own rules, and hold the account against what the AWS provider allows."""
    try:
        settings.environment(settings.oidc_issuer or NO_ISSUER)
    except SpecErrors as errors:
        for problem in errors.problems:
            key = _ENVIRONMENT_KEYS.get(problem.spot.field, f"{NAMESPACE}:{problem.spot.field}")
            if not reader.is_broken(key):
                reader.add(key, problem.what, problem.rule, f"correct {key}", "CFG008")
    allowed = reader.texts(ALLOWED_ACCOUNTS_KEY, at_least=0)
    if allowed and settings.account not in allowed and not reader.is_broken("account"):
        rule = "Access is derived for lockstep:account and must be placed there"
        fix = f"list {settings.account!r}, or correct lockstep:account"
        reader.add(ALLOWED_ACCOUNTS_KEY, f"{settings.account!r} is not among {', '.join(allowed)}", rule, fix, "CFG010")


def _check_cluster(settings: StackSettings, reader: SettingsReader) -> None:
    """Hold what is said about the cluster together: it is made here, exists, or belongs to another stack."""
    rule = "A stack makes its cluster and network, uses one by its name, or stands on another stack's platform"
    if (settings.cluster is None) != (settings.network is None):
        lonely, missing = ("network", "cluster")[:: 1 if settings.cluster is None else -1]
        reader.add(lonely, f"it stands without {missing}", rule, f"add lockstep:{missing}, or remove both", "CFG014")
    if settings.cluster is None:
        return
    for key, value in (("clusterEndpoint", settings.cluster_endpoint), ("platformStack", settings.platform_stack)):
        if value:
            reader.add(key, "it stands beside lockstep:cluster", rule, f"remove lockstep:{key} or cluster", "CFG014")
    if not isinstance(settings.network, NewNetwork):
        return
    if settings.network.nat is Nat.NONE and not settings.platform.driver_images.are_all_elsewhere:
        why = "Nodes without a way out reach no public registry, and the driver's images are in one"
        fix = "copy them to ECR (docs/operations.md) and name it: lockstep:driverImages: {registry: ...}"
        reader.add("network.nat", "it is none, without lockstep:driverImages", why, fix, "CFG014")
    strangers = [zone for zone in settings.network.zones if not zone.startswith(settings.region)]
    if strangers:
        what = f"{', '.join(strangers)} is not in {settings.region}"
        reader.add("network.zones", what, "Zones are in the stack's region", "name zones of aws:region", "CFG007")
    if settings.network.endpoints and settings.partition == "aws-cn":
        why = "Endpoint services have other names in China, service by service"
        reader.add("network.endpoints", "it is on in aws-cn", why, "set it to false and bring endpoints", "CFG014")
