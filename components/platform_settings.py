"""What a stack asks of the platform besides access: the driver's, the provider's and the admission's options.

Not done here: the cluster and the network (cluster_settings.py). Nothing of Pulumi is imported, so that the command
line reads the same settings. Pulumi.yaml documents the keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from .settings_reader import SettingsReader


class ProviderExtra(StrEnum):
    """What can be placed beside the provider, or switched on in it."""

    POD_MONITOR = "podMonitor"
    ALERT_RULES = "alertRules"
    DASHBOARD = "dashboard"
    NETWORK_POLICY = "networkPolicy"
    KUBERNETES_EVENTS = "kubernetesEvents"
    CLASS_LOOKUPS = "classLookups"


class AdmissionMode(StrEnum):
    """What happens to a pod that breaks a rule."""

    DENY = "deny"
    WARN = "warn"
    OFF = "off"


#: An image by digest.
IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
IMAGE_RULE = "An image is named by digest, so that a tag cannot move under it"
IMAGE_FIX = "write <repository>@sha256:<64 hex digits>, as `make image PUSH=<repository>` prints it"

_URL = re.compile(r"https://[^\s/]+(?:/\S*)?")
#: An exact version of a chart.
CHART_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?")
#: A duration as Go writes it.
GO_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
#: Name of a repository in ECR.
REPOSITORY = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """The platform's part of a stack's settings. Field by field the keys of Pulumi.yaml, which documents them.

    Attributes:
        provider_image: By digest.
        chart_version: Major, minor, patch as written.
        poll_interval: None when it is derived from the driver's version.
        image_repository: Name of an ECR repository that the stack makes for the provider's image; None for none.
    """

    provider_image: str
    chart_repository: str
    chart_version: str
    refresh_interval_seconds: int = 120
    poll_interval: str | None = None
    prevents_early_pods: bool = False
    extra_audiences: tuple[str, ...] = ()
    provider_extras: frozenset[ProviderExtra] = frozenset()
    scraping_namespaces: tuple[str, ...] = ()
    admission: AdmissionMode = AdmissionMode.DENY
    admission_exempt_namespaces: tuple[str, ...] = ()
    image_repository: str | None = None


def read_platform(reader: SettingsReader, *, is_placed: bool) -> PlatformSettings:
    """Read the platform's keys; problems go to the reader.

    Args:
        reader: Of the stack.
        is_placed: False for a stack of apps only, which needs no image.
    """
    return PlatformSettings(
        provider_image=_read_image(reader) if is_placed or reader.value("providerImage") else "",
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
        prevents_early_pods=reader.boolean("preventEarlyPods"),
        refresh_interval_seconds=reader.duration("refreshInterval"),
        extra_audiences=reader.texts("extraAudiences", at_least=0),
        admission=reader.choice("admission", AdmissionMode, AdmissionMode.DENY),
        admission_exempt_namespaces=reader.texts("admissionExemptNamespaces", at_least=0),
        image_repository=reader.optional_matching(
            "imageRepository", REPOSITORY, "It is the name of an ECR repository", "write it like platform/provider"
        ),
    )


def _read_image(reader: SettingsReader) -> str:
    return reader.matching(
        "providerImage",
        IMAGE,
        IMAGE_RULE,
        IMAGE_FIX,
    )
