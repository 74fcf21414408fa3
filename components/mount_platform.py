"""`MountPlatform`: what serves mounts (driver, provider, admission rules), as programs in any Pulumi language place it.

Not done here: the placing (secrets_platform.py). The arguments are the settings of a stack of this project, by the same
names and with the same rules (platform_settings.py); what the driver's chart is and where it comes from is said by the
program, so that it is pinned where it is used. All are plain values, and everything wrong with them is told at once.

Annotations are evaluated by Pulumi to make the package's schema: no `from __future__ import annotations` here.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from .app_secrets import PACKAGE
from .derivation import Identity
from .derivation.derive import AUDIENCES
from .package_arguments import PackageErrors, PackageProblem, in_the_schemas_spelling, is_plain, misnamed
from .platform_needs import PlatformNeeds
from .platform_settings import PlatformSettings, read_platform
from .secrets_platform import SecretsPlatform, SecretsPlatformArgs
from .settings_reader import NAMESPACE, SettingsReader
from .stack_config import ConfigKey, ConfigValue


class MountPlatformArgs(TypedDict):
    """Arguments of `MountPlatform`. All are plain: known before anything is placed."""

    providerImage: str
    """Image of the provider, by digest, as `make image` prints it."""
    identities: list[str]
    """What apps of this cluster use: irsa, podIdentity or both."""
    csiDriverChartRepository: str
    """Helm repository of the Secrets Store CSI driver."""
    csiDriverChartVersion: str
    """Version of the driver's chart, exact."""
    driverImageRegistry: NotRequired[str]
    """Registry with copies of the driver's images, for nodes without a way out; upstream's paths go behind it."""
    servesSync: NotRequired[bool]
    """Whether any app copies files into Kubernetes Secrets; default false."""
    refreshInterval: NotRequired[str]
    """How old a mounted value may get before the provider asks AWS again; default 120s."""
    rotationPollInterval: NotRequired[str]
    """The driver's own interval instead of the derived one."""
    kubernetesVersion: NotRequired[str]
    """Of the cluster, such as 1.37; what `auto` of preventEarlyPods looks at."""
    preventEarlyPods: NotRequired[str]
    """auto (default), always or never: keep pods away from nodes where the driver has not registered."""
    extraAudiences: NotRequired[list[str]]
    """Token audiences that other providers of the driver need."""
    providerExtras: NotRequired[list[str]]
    """podMonitor, alertRules, dashboard, networkPolicy, kubernetesEvents, classLookups."""
    scrapingNamespaces: NotRequired[list[str]]
    """Namespaces from which metrics are read, for networkPolicy."""
    admission: NotRequired[str]
    """deny (default), warn or off: pods that override their reviewed class."""
    admissionExemptNamespaces: NotRequired[list[str]]
    """Namespaces where those rules do not hold."""


_KUBERNETES: Final = re.compile(r"1\.\d{2}")
_REQUIRED: Final = MountPlatformArgs.__required_keys__
_KNOWN: Final = _REQUIRED | MountPlatformArgs.__optional_keys__
_DEFAULTS: Final[Mapping[str, ConfigValue]] = {
    "admission": "deny",
    "guard": "auto",  # of derived pods, which are not placed here
    "preventEarlyPods": "auto",
    "refreshInterval": "120s",
    "servesSync": False,
}


class MountPlatform(pulumi.ComponentResource):
    """Secrets Store CSI driver, Lockstep's provider and the admission rules of one cluster.

    Give it a Kubernetes provider (`providers`). Apps are placed after it (`dependsOn`).
    """

    audiences: pulumi.Output[list[str]]
    """Audiences of the tokens that the driver asks for."""

    def __init__(self, name: str, args: MountPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given, settings, needs = read_platform_args(dict(args))
        super().__init__(f"{PACKAGE}:index:MountPlatform", name, given, opts)
        platform = SecretsPlatformArgs(settings=settings, needs=needs)
        SecretsPlatform(name, platform, opts=pulumi.ResourceOptions(parent=self))
        self.audiences = pulumi.Output.from_input(sorted({*needs.audiences, *settings.extra_audiences}))
        self.register_outputs({"audiences": self.audiences})


def read_platform_args(args: Mapping[str, Any]) -> tuple[dict[str, Any], PlatformSettings, PlatformNeeds]:
    """Read the arguments, in Python's spelling or the schema's.

    Returns:
        Those that were given, under their names in the schema and sorted; and what they mean.

    Raises:
        PackageErrors: Everything that is wrong.
    """
    given = in_the_schemas_spelling(args)
    problems = list(misnamed(given, _KNOWN, _REQUIRED))
    named = {item.argument for item in problems}
    plain = {key: value for key, value in given.items() if key in _KNOWN and is_plain(value)}
    values = {ConfigKey(f"{NAMESPACE}:{key}"): value for key, value in {**_DEFAULTS, **_settings(plain)}.items()}
    reader = SettingsReader(values=values, file="the program")
    settings = read_platform(reader, is_placed=True)
    needs = PlatformNeeds(
        audiences=tuple(sorted(AUDIENCES[item] for item in reader.choices("identities", Identity))),
        sync_secrets=reader.boolean("servesSync"),
        kubernetes_version=reader.optional_matching(
            "kubernetesVersion", _KUBERNETES, "It is a version of Kubernetes", "write it like 1.37"
        ),
    )
    if plain.get("identities") == []:
        reader.add("identities", "the list is empty", "It has one or more entries", "name one", "CFG007")
    for problem in reader.problems:
        argument = _ARGUMENTS.get(problem.key, problem.key.removeprefix(f"{NAMESPACE}:"))
        if argument not in named:
            text = f"{problem.what}. {problem.rule}. Fix: {problem.fix.rstrip('?.')}. [{problem.code}]"
            problems.append(PackageProblem(argument, text))
    if problems:
        raise PackageErrors("MountPlatform", problems)
    return plain, settings, needs


#: Settings that an argument has another name for: arguments are flat.
_ARGUMENTS: Final = {f"{NAMESPACE}:driverImages.registry": "driverImageRegistry"}


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as the settings that they are."""
    registry = given.get("driverImageRegistry")
    others = {key: value for key, value in given.items() if key != "driverImageRegistry"}
    return others if registry is None else {**others, "driverImages": {"registry": registry}}
