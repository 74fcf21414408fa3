"""What a stack asks of the platform besides access: the driver's, the provider's and the admission's options.

Not done here: the cluster and the network (cluster_settings.py). Nothing of Pulumi is imported, so that the command
line reads the same settings. Pulumi.yaml documents the keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from .arguments import CheckedArguments
from .driver_images import UPSTREAMS, DriverImages, read_driver_images
from .settings_reader import SettingsReader


class ProviderExtra(StrEnum):
    """What can be placed beside the provider, or switched on in it."""

    POD_MONITOR = "podMonitor"
    ALERT_RULES = "alertRules"
    DASHBOARD = "dashboard"
    NETWORK_POLICY = "networkPolicy"
    KUBERNETES_EVENTS = "kubernetesEvents"
    CLASS_LOOKUPS = "classLookups"


class When(StrEnum):
    """When a protection is on: where it is needed and possible, or whatever the case."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class AdmissionMode(StrEnum):
    """What happens to a pod that breaks a rule."""

    DENY = "deny"
    WARN = "warn"
    OFF = "off"


#: An image by digest.
IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
IMAGE_RULE = "An image is named by digest, so that a tag cannot move under it"
IMAGE_FIX = "write <repository>@sha256:<64 hex digits>, as `make image PUSH=<repository>` prints it"

#: From here on the driver's `rotationPollInterval` means "skip a republish while the target is younger than this".
_REPUBLISHING_SINCE = (1, 6, 0)

#: Before it is the period of a reconciler that reads every secret of every pod.
SHORTEST_RECONCILER_SECONDS = 30

#: Kubelet's first retry. A longer interval lets a pod start with an empty volume, from driver 1.6 on.
FIRST_RETRY_SECONDS = 0.5

_URL = re.compile(r"https://[^\s/]+(?:/\S*)?")
#: An exact version of a chart.
CHART_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?")
#: A duration as Go writes it.
GO_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
#: Name of a repository in ECR.
REPOSITORY = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings(CheckedArguments):
    """The platform's part of a stack's settings. Field by field the keys of Pulumi.yaml, which documents them.

    Attributes:
        provider_image: By digest.
        chart_version: Major, minor, patch as written.
        poll_interval: None when it is derived from the driver's version.
        prevents_early_pods: `auto` where the cluster is known to be of Kubernetes 1.37 or later.
        guard: `auto` where the driver's interval lets a pod start with an empty volume.
        driver_images: Where the driver's images come from. Nodes without a way out cannot reach the chart's registry.
        image_repository: Name of an ECR repository that the stack makes for the provider's image; None for none.
    """

    provider_image: str
    chart_repository: str
    chart_version: str
    refresh_interval_seconds: int = 120
    poll_interval: str | None = None
    prevents_early_pods: When = When.AUTO
    guard: When = When.AUTO
    extra_audiences: tuple[str, ...] = ()
    provider_extras: frozenset[ProviderExtra] = frozenset()
    scraping_namespaces: tuple[str, ...] = ()
    admission: AdmissionMode = AdmissionMode.DENY
    admission_exempt_namespaces: tuple[str, ...] = ()
    image_repository: str | None = None
    driver_images: DriverImages = UPSTREAMS

    @property
    def guard_image(self) -> str | None:
        """Image of the guard in derived pods; None where they need none."""
        is_wanted = is_wanted_when(self.guard, auto=self._may_start_pods_empty)
        return self.provider_image if is_wanted and self.provider_image else None

    @property
    def _may_start_pods_empty(self) -> bool:
        is_raised = self.poll_interval is not None and parse_go_duration(self.poll_interval) > FIRST_RETRY_SECONDS
        is_known = CHART_VERSION.fullmatch(self.chart_version) is not None
        return is_raised and is_known and not is_before_republishing(self.chart_version)


def is_wanted_when(when: When, *, auto: bool) -> bool:
    """Say whether something is on."""
    return when is When.ALWAYS or (when is When.AUTO and auto)


def read_platform(reader: SettingsReader, *, is_placed: bool) -> PlatformSettings:
    """Read the platform's keys; problems go to the reader.

    Args:
        reader: Of the stack.
        is_placed: False for a stack of apps only, which needs no image.
    """
    image = _read_image(reader) if is_placed or reader.value("providerImage") else ""
    guard = reader.choice("guard", When, When.AUTO)
    if guard is When.ALWAYS and not image:
        rule = "The guard is a container of the provider's image"
        reader.add("guard", "it is always, without lockstep:providerImage", rule, "add the platform's image", "CFG014")
    platform = PlatformSettings(
        provider_image=image,
        provider_extras=reader.choices("providerExtras", ProviderExtra),
        scraping_namespaces=reader.texts("scrapingNamespaces", at_least=0),
        chart_repository=reader.matching(
            "csiDriverChartRepository", _URL, "It is an https URL", "write the repository's URL"
        ),
        chart_version=reader.matching(
            "csiDriverChartVersion", CHART_VERSION, "A chart is pinned", "write an exact version such as 1.6.0"
        ),
        poll_interval=reader.optional_matching(
            "rotationPollInterval", GO_DURATION, "It is a Go duration", "write it like 100ms, or leave it out"
        ),
        prevents_early_pods=reader.choice_or_boolean("preventEarlyPods", When, no=When.NEVER, yes=When.ALWAYS),
        guard=guard,
        refresh_interval_seconds=reader.duration("refreshInterval"),
        extra_audiences=reader.texts("extraAudiences", at_least=0),
        admission=reader.choice("admission", AdmissionMode, AdmissionMode.DENY),
        admission_exempt_namespaces=reader.texts("admissionExemptNamespaces", at_least=0),
        image_repository=reader.optional_matching(
            "imageRepository", REPOSITORY, "It is the name of an ECR repository", "write it like platform/provider"
        ),
        driver_images=read_driver_images(reader),
    )
    if not reader.is_broken("rotationPollInterval") and not reader.is_broken("csiDriverChartVersion"):
        problem = find_interval_problem(platform.chart_version, platform.poll_interval)
        if problem:
            reader.add("rotationPollInterval", *problem, "CFG007")
    return platform


def find_interval_problem(chart_version: str, poll_interval: str | None) -> tuple[str, str, str] | None:
    """Return what is wrong with an interval of one's own for a driver, the rule and the fix; None for nothing."""
    if poll_interval is None or not is_before_republishing(chart_version):
        return None
    if parse_go_duration(poll_interval) >= SHORTEST_RECONCILER_SECONDS:
        return None
    rule = "Before 1.6.0 the driver reads every secret of every pod that often"
    fix = f"write {SHORTEST_RECONCILER_SECONDS}s or more, leave it out, or take driver 1.6.0"
    return f"{poll_interval!r} is too short for driver {chart_version}", rule, fix


def _read_image(reader: SettingsReader) -> str:
    return reader.matching(
        "providerImage",
        IMAGE,
        IMAGE_RULE,
        IMAGE_FIX,
    )


def parse_go_duration(text: str) -> float:
    """Return a Go duration in seconds.

    >>> parse_go_duration("1m30.5s")
    90.5
    """
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(amount) * units[unit] for amount, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", text))


def is_before_republishing(chart_version: str) -> bool:
    """Say whether the driver rotates by a reconciler of its own, before 1.6.0, and not when kubelet republishes.

    >>> is_before_republishing("1.5.6"), is_before_republishing("1.6.0")
    (True, False)

    Raises:
        ValueError: It is not `major.minor.patch`.
    """
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", chart_version)
    if found is None:
        raise ValueError(f"{chart_version!r} is not a version. A chart is pinned. Fix: write it like 1.6.0")
    return tuple(int(part) for part in found.groups()) < _REPUBLISHING_SINCE
