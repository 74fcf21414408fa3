"""The platform of a stack as manifests and Helm values, for clusters that something else than Pulumi deploys to.

No second copy: the stack's own program runs on the embedded engine, against no cloud, and what its `SecretsPlatform`
registers is printed. Apps are left out of that run; what they need of the platform is told to it the way another
stack's apps tell it (`servedIdentities`, `servesSync`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from components.derivation import Manifest
from components.derivation.derive import AUDIENCES
from components.derivation.render import dump_yaml
from components.driver_values import ChartValues, SecretsStoreCsiDriverArgs, derive_driver_values
from components.platform_needs import PlatformNeeds, driver_args, platform_needs
from components.platform_settings import When
from lockstep.engine import EngineState, ResourceState, render_manifest, run_program
from lockstep.engine.values import reveal_properties
from lockstep.input_errors import InputError
from lockstep.preview.offline_lookups import CLUSTER_PLACEHOLDERS
from lockstep.preview.offline_provider import offline_providers
from lockstep.project import ProjectStack

_PLATFORM: Final = "lockstep:index:SecretsPlatform$"
_RELEASE: Final = "Release"
_PATCH_TYPE_END: Final = "Patch"

#: Order of the kinds: whoever applies them one by one can do it in this order. Others follow, by name.
_ORDER: Final = (
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "DaemonSet",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformManifests:
    """What a stack's platform is.

    Attributes:
        chart: Of the driver: repository, name, version, release, namespace, values.
        manifests: Whole objects, in an order in which they can be applied.
        patches: Fields to lay over objects that the chart makes (server-side apply).
    """

    stack: str
    chart: Manifest
    manifests: tuple[Manifest, ...]
    patches: tuple[Manifest, ...]

    def document(self) -> Manifest:
        """Return everything as one document. Shape: {"stack", "chart", "manifests": […], "patches": […]}."""
        return {
            "stack": self.stack,
            "chart": self.chart,
            "manifests": list(self.manifests),
            "patches": list(self.patches),
        }

    def files(self) -> dict[str, str]:
        """Return relative path → text: chart and values apart, one file per object."""
        reference = {key: value for key, value in self.chart.items() if key != "values"}
        files = {
            "csi-driver/chart.yaml": dump_yaml(reference),
            "csi-driver/values.yaml": dump_yaml(cast("Mapping[str, object]", self.chart["values"])),
        }
        for folder, objects in (("manifests", self.manifests), ("patches", self.patches)):
            for each in objects:
                metadata = cast("Mapping[str, object]", each["metadata"])
                name = f"{str(each['kind']).lower()}-{metadata['name']}"
                files[f"{folder}/{name}.yaml"] = dump_yaml(each)
        return dict(sorted(files.items()))


def platform_manifests(project: Path, stack: ProjectStack) -> PlatformManifests:
    """Render the platform of a stack.

    Args:
        project: Folder of Pulumi.yaml.
        stack: One with a platform of its own.

    Raises:
        InputError: REN001 it has none; REN002 the program failed.
        SpecErrors: Its apps, which decide the audiences, cannot be derived.
    """
    settings = stack.settings
    if settings.platform_stack:
        raise InputError(
            f"stack {stack.name}: its apps use the platform of {settings.platform_stack}. "
            "It has none of its own. Fix: render that stack. [REN001]"
        )
    needs = platform_needs(settings, stack.derive())
    driver = driver_args(settings.platform, needs)
    result = run_program(
        project_dir=project,
        stack=stack.name,
        mode="up",
        state=EngineState(),
        providers=offline_providers(region=settings.region, account=settings.account),
        config_overrides=_overrides(needs, driver),
    )
    if not result.ok:
        problems = "; ".join(item.message for item in result.errors)
        raise InputError(f"stack {stack.name}: its program failed ({problems}). Fix: `lockstep preview`. [REN002]")
    placed = [item for item in result.state.resources if _PLATFORM in item.urn and item.type.startswith("kubernetes:")]
    objects = [(item, _object(item)) for item in placed]
    (release,) = [each for _, each in objects if each["kind"] == _RELEASE]
    whole = [each for item, each in objects if each["kind"] != _RELEASE and not _is_patch(item)]
    return PlatformManifests(
        stack=stack.name,
        chart=_chart(release, derive_driver_values(driver)),
        manifests=tuple(sorted(whole, key=_rank)),
        patches=tuple(each for item, each in objects if _is_patch(item)),
    )


def _overrides(needs: PlatformNeeds, driver: SecretsStoreCsiDriverArgs) -> dict[str, str]:
    """Return settings under which the same platform is placed, without its apps and on a cluster that is there."""
    identities = sorted(identity.value for identity, audience in AUDIENCES.items() if audience in needs.audiences)
    return {
        "lockstep:apps": "[]",
        "lockstep:cluster": "{}",
        "lockstep:network": "{}",
        "lockstep:imageRepository": "",
        "lockstep:servedIdentities": json.dumps(identities),
        "lockstep:servesSync": json.dumps(needs.sync_secrets),
        "lockstep:preventEarlyPods": (When.ALWAYS if driver.prevents_early_pods else When.NEVER).value,
        **CLUSTER_PLACEHOLDERS,
    }


def _object(item: ResourceState) -> Manifest:
    return cast("Manifest", render_manifest(item.type, reveal_properties(item.inputs)))


def _is_patch(item: ResourceState) -> bool:
    return item.type.endswith(_PATCH_TYPE_END)


def _chart(release: Manifest, values: ChartValues) -> Manifest:
    metadata, spec = cast("dict[str, Any]", release["metadata"]), cast("dict[str, Any]", release["spec"])
    return {
        "repository": spec["repositoryOpts"]["repo"],
        "name": spec["chart"],
        "version": spec["version"],
        "release": metadata["name"],
        "namespace": metadata["namespace"],
        # An app's own refresh interval decides the interval of an old driver, and apps are not in the run.
        "values": values,
    }


def _rank(manifest: Manifest) -> tuple[int, str, str]:
    kind = str(manifest["kind"])
    metadata = cast("Mapping[str, object]", manifest["metadata"])
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind, str(metadata["name"]))
