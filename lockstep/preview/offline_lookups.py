"""What a run without any cloud is told where a program would look something up: what the stack itself has written down.

Not done here: running anything. Nothing is invented that decides access: trust is bound to the issuer that the settings
name, and a stack that must have one written down and has none is refused. Whatever else only AWS or another stack could
say is a placeholder, `*.offline.invalid`, or is said not to be known, in a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from components.derivation.derive import AUDIENCES
from components.settings import StackSettings
from components.stack_config import SettingsErrors
from lockstep.engine.resource_provider import ResourceProvider
from lockstep.engine.stack_outputs import StackOutputs
from lockstep.engine.values import Json, Properties
from lockstep.preview.offline_provider import offline_providers
from lockstep.project import missing_issuer

_ENDPOINT: Final = "https://cluster.offline.invalid"
_CERTIFICATE: Final = "bm90IGtub3duIG9mZmxpbmU="
_ISSUER: Final = "https://issuer.offline.invalid"

#: Stand for what only a cluster could say. They reach the Kubernetes provider's settings, and nothing that decides
#: access.
CLUSTER_PLACEHOLDERS: Final = {"lockstep:clusterEndpoint": _ENDPOINT, "lockstep:clusterCertificate": _CERTIFICATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineLookups:
    """What takes the place of a cloud in one stack's run.

    Attributes:
        providers: By package.
        overrides: Settings that spare the program a look-up.
        notes: Sentences about what was assumed.
    """

    providers: Mapping[str, ResourceProvider]
    overrides: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def offline_lookups(settings: StackSettings, file: str, *, later_issuer: str | None = None) -> OfflineLookups:
    """Return what a stack's program is told; see `stack_platform.know_cluster` for the three kinds of stack.

    Args:
        settings: Of the stack.
        file: The stack's file, for messages.
        later_issuer: What a later revision knows of the cluster that this one makes.

    Raises:
        SettingsErrors: CFG012, no issuer is written down, and it is not one that nobody could know yet.
    """
    if settings.cluster is not None:
        return _of_a_cluster_to_make(settings, later_issuer)
    if settings.oidc_issuer is None:
        raise SettingsErrors((missing_issuer(file),))
    if settings.platform_stack:
        return _on_a_platform(settings, settings.platform_stack, settings.oidc_issuer)
    is_given = settings.cluster_endpoint and settings.cluster_certificate
    providers = offline_providers(region=settings.region, account=settings.account)
    return OfflineLookups(providers=providers, overrides={} if is_given else CLUSTER_PLACEHOLDERS)


def _of_a_cluster_to_make(settings: StackSettings, later_issuer: str | None) -> OfflineLookups:
    """An issuer is written down after the run that made its cluster, so the cluster is there where there is one."""
    issuer, name = settings.oidc_issuer, settings.cluster_name
    real = issuer or later_issuer or _ISSUER
    facts: dict[str, Json] = {"endpoint": _ENDPOINT, "identities": [{"oidcs": [{"issuer": real}]}]}
    answers: dict[str, Properties] = {
        "aws:eks/getClusters:getClusters": {"id": settings.region, "names": [name] if issuer else []}
    }
    if issuer:
        certificates: list[Json] = [{"data": _CERTIFICATE}]
        found = {"id": name, "name": name, "certificateAuthorities": certificates, **facts}
        answers["aws:eks/getCluster:getCluster"] = found
        note = f"AWS was not asked: the cluster {name} counts as there, because lockstep:oidcIssuer is written down"
    else:
        note = f"AWS was not asked: the cluster {name} counts as not made yet, because lockstep:oidcIssuer is missing"
    made: dict[str, Properties] = {
        "aws:eks/cluster:Cluster": {**facts, "certificateAuthority": {"data": _CERTIFICATE}},
        "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    }
    providers = offline_providers(region=settings.region, account=settings.account, answers=answers, made=made)
    return OfflineLookups(providers=providers, notes=(note,))


def _on_a_platform(settings: StackSettings, stack: str, issuer: str) -> OfflineLookups:
    """Whether a platform serves the apps is for the platform's stack to say; here it serves whatever they ask."""
    outputs: dict[str, Json] = {
        "clusterName": settings.cluster_name,
        "oidcIssuer": issuer,
        "clusterEndpoint": settings.cluster_endpoint or _ENDPOINT,
        "clusterCertificate": settings.cluster_certificate or _CERTIFICATE,
        "platform": {"audiences": sorted(set(AUDIENCES.values())), "syncsSecrets": True, "guardImage": ""},
    }
    note = (
        f"the outputs of {stack} were not read: cluster and issuer are taken from this stack's settings. Unknown is "
        "whether its platform serves these apps (lockstep:servedIdentities, lockstep:servesSync) and guards their pods"
    )
    providers = offline_providers(region=settings.region, account=settings.account)
    return OfflineLookups(providers={**providers, "pulumi": StackOutputs({stack: outputs})}, notes=(note,))
