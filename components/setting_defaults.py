"""What a setting is where neither the stack's file nor Pulumi.yaml says anything, because Pulumi.yaml is older than it.

Pulumi.yaml documents the same defaults and is what people read; a test holds the two together. They stand here as well
because a comparison reads the files of revisions from before a key existed, and because whoever takes a newer toolkit
keeps a Pulumi.yaml of his own. A stack that uses none of the newer keys must go on meaning what it meant.

Not here: addresses, which stand in Pulumi.yaml alone and have from its first revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .settings_reader import NAMESPACE
from .stack_config import ConfigKey, ConfigValue

_BY_NAME: dict[str, ConfigValue] = {
    "partition": "aws",
    "cluster": {},
    "network": {},
    "protect": False,
    "kubeconfigRole": "",
    "platformStack": "",
    "servedIdentities": [],
    "servesSync": False,
    "oidcIssuer": "",
    "clusterEndpoint": "",
    "clusterCertificate": "",
    "createOidcProvider": True,
    "createNamespaces": False,
    "apps": ["stacks/apps"],
    "identity": "irsa",
    "rolePath": "/",
    "permissionsBoundary": "",
    "deployerRole": "",
    "fargateSelectors": [],
    # Empty is no image: a stack that brings a platform is refused, and told how to get one.
    "providerImage": "",
    "imageRepository": "",
    "providerExtras": [],
    "scrapingNamespaces": ["monitoring"],
    "admission": "deny",
    "admissionExemptNamespaces": [],
    "csiDriverChartVersion": "1.6.0",
    "driverImages": {},
    "rotationPollInterval": "",
    "preventEarlyPods": "auto",
    "guard": "auto",
    "refreshInterval": "120s",
    "extraAudiences": [],
}

#: Full key to value. A key that is not here must be written down: nobody could guess an account or a cluster.
DEFAULTS: Mapping[ConfigKey, ConfigValue] = MappingProxyType(
    {ConfigKey(f"{NAMESPACE}:{name}"): value for name, value in _BY_NAME.items()}
)
