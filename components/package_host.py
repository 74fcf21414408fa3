"""Hosts the package for programs in any Pulumi language, more strictly than Pulumi's own host.

That one drops arguments that it does not know, tells the first missing one only, and turns what a constructor raises
into a text with a stack trace. Here every problem reaches the program at once, each with the argument's name: Pulumi
prints those beside the resource.

Source: pulumi SDK 3.272, `provider/experimental/component.py` (map_input_properties) and `provider/server.py`
(Construct; InputPropertiesError).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import pulumi
from pulumi.errors import InputPropertiesError, InputPropertyErrorDetails
from pulumi.provider import main
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.provider import ConstructResult

from .app_secrets import PACKAGE, AppSecrets, read_args
from .mount_platform import MountPlatform, read_platform_args
from .package_arguments import PackageErrors

VERSION: Final = "0.1.0"
#: Component → what reads its arguments and raises `PackageErrors`.
_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], object]]] = {
    "AppSecrets": read_args,
    "MountPlatform": read_platform_args,
}


class StrictProvider(ComponentProvider):
    """The package's provider: checks arguments whole before anything is constructed."""

    def __init__(self) -> None:
        super().__init__([AppSecrets, MountPlatform], PACKAGE, version=VERSION)

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Construct a component.

        Raises:
            InputPropertiesError: Everything that is wrong with the arguments.
        """
        reader = _READERS.get(resource_type.rpartition(":")[2])
        if reader is not None:
            try:
                reader(inputs)
            except PackageErrors as error:
                details = [
                    InputPropertyErrorDetails(property_path=item.argument, reason=item.text) for item in error.problems
                ]
                count = f"{len(details)} problem{'s' if len(details) > 1 else ''}"
                raise InputPropertiesError(f"{resource_type} {name}: {count} in its arguments", details) from None
        return super().construct(name, resource_type, dict(inputs), options)


def serve() -> None:
    """Serve until the engine ends it. `sys.argv` has the engine's address."""
    main(StrictProvider(), sys.argv[1:])
