"""Name and version that this provider answers with. The build replaces nothing here: a release edits VERSION."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
"""Semantic version; the driver's `Version` call wants semver without a leading `v`."""

RUNTIME_NAME: Final = "secrets-store-csi-driver-provider-aws"
"""The AWS provider's runtime name: tools that recognise that provider keep recognising this one."""

API_VERSION: Final = "v1alpha1"
"""The only version of the provider contract that drivers 1.4 to 1.6 know."""


def render_app_id(addon_version: str) -> str:
    """Render the user-agent application id of Secrets Manager, Parameter Store and STS calls.

    Args:
        addon_version: Value of `--eks-addon-version`; empty means this build's version.
    """
    return f"{RUNTIME_NAME}-{addon_version or VERSION}"
