"""The driver's images from a registry of one's own: for nodes that have no way out to upstream's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from components.arguments import ArgumentErrors
from components.driver_images import DriverImages
from components.driver_values import derive_driver_values
from components.mount_platform import read_platform_args
from components.package_arguments import PackageErrors
from components.platform_needs import PlatformNeeds, driver_args
from components.settings import parse_settings
from components.stack_config import ConfigKey, ConfigValue, SettingsErrors
from tests.infra.test_alone import DRIVER
from tests.infra.test_cluster_settings import FILE, changed

MIRROR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/mirror"
DIGEST = f"sha256:{'0' * 64}"
PLATFORM = {
    "providerImage": f"registry.example/provider@{DIGEST}",
    "identities": ["irsa"],
    "csiDriverChartRepository": "https://charts.example/driver",
    "csiDriverChartVersion": "1.6.0",
}


def linux(images: DriverImages) -> dict[str, Any]:
    values: Any = derive_driver_values(dataclasses.replace(DRIVER, images=images))["linux"]
    return {
        key: value for key, value in values.items() if key in {"image", "crds", "registrarImage", "livenessProbeImage"}
    }


# -------------------------------------------------------------------------------------------------------- what is wrong
@pytest.mark.parametrize(
    ("images", "texts"),
    [
        ({"registry": f"https://{MIRROR}"}, ("DriverImages.registry: 'https://", "without a scheme")),
        ({"registry": f"{MIRROR}/"}, ("DriverImages.registry:",)),
        ({"driver": "driver"}, ("DriverImages.driver: 'driver' does not fit. It is an image",)),
        ({"driver": f"{MIRROR}/Driver"}, ("DriverImages.driver:",)),
        ({"registrar": f"{MIRROR}/r@sha256:12"}, ("DriverImages.registrar:",)),
        (
            {"crds": f"{MIRROR}/crds@{DIGEST}"},
            ("DriverImages.crds:", "has no tag. The chart takes"),
        ),
        ({"registry": "x:", "liveness_probe": "?"}, ("DriverImages.registry:", "DriverImages.liveness_probe:")),
    ],
)
def test_what_is_no_image_is_refused(images: dict[str, str], texts: tuple[str, ...]) -> None:
    with pytest.raises(ArgumentErrors) as caught:
        DriverImages(**images)
    assert all(text in str(caught.value) for text in texts)


def test_the_settings_name_every_mistake_at_once() -> None:
    bad: dict[str, ConfigValue] = {
        "registry": "https://x",
        "driver": "x",
        "crds": f"{MIRROR}/crds@{DIGEST}",
        "liveness": "x/y",
    }
    with pytest.raises(SettingsErrors) as caught:
        parse_settings({**changed("network.nat", "none"), ConfigKey("lockstep:driverImages"): bad}, "staging", FILE)
    found = str(caught.value)
    for key in ("registry", "driver", "crds", "liveness"):
        assert f"{FILE} lockstep:driverImages.{key}: " in found
    assert "did you mean 'lockstep:driverImages.livenessProbe'?" in found


@pytest.mark.parametrize("missing", [None, "driver", "crds", "registrar", "livenessProbe"])
def test_a_cluster_without_a_way_out_needs_every_image_elsewhere(missing: str | None) -> None:
    """Otherwise the driver's pods wait for images for ever, and every app's with them."""
    values = changed("network.nat", "none")
    images: dict[str, ConfigValue] = {
        name: f"{MIRROR}/{name.lower()}" for name in ("driver", "crds", "registrar", "livenessProbe")
    }
    given = {key: value for key, value in images.items() if missing and key != missing}
    with pytest.raises(SettingsErrors) as caught:
        parse_settings({**values, ConfigKey("lockstep:driverImages"): given}, "staging", FILE)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{FILE} lockstep:network.nat: it is none, without lockstep:driverImages.")
    assert "Fix: copy them to ECR" in line
    complete: list[dict[str, ConfigValue]] = [images, {"registry": MIRROR}, {**given, "registry": MIRROR}]
    for enough in complete:
        found = parse_settings({**values, ConfigKey("lockstep:driverImages"): enough}, "staging", FILE)
        assert found.platform.driver_images.are_all_elsewhere


def test_a_package_argument_that_is_no_registry_is_named_as_it_is_called() -> None:
    with pytest.raises(PackageErrors) as caught:
        read_platform_args(PLATFORM | {"driverImageRegistry": "https://x"})
    (problem,) = caught.value.problems
    assert problem.argument == "driverImageRegistry"
    assert problem.text.startswith("'https://x' does not fit.")


# -------------------------------------------------------------------------------------------------------- where they go
def test_without_any_the_chart_decides() -> None:
    assert linux(DriverImages()) == {}


def test_a_registry_goes_before_upstreams_paths_and_the_tags_are_the_charts() -> None:
    assert linux(DriverImages(registry=MIRROR)) == {
        "image": {"repository": f"{MIRROR}/csi-secrets-store/driver"},
        "crds": {"image": {"repository": f"{MIRROR}/csi-secrets-store/driver-crds"}},
        "registrarImage": {"repository": f"{MIRROR}/sig-storage/csi-node-driver-registrar"},
        "livenessProbeImage": {"repository": f"{MIRROR}/sig-storage/livenessprobe"},
    }


def test_an_image_by_itself_wins_with_its_tag_or_digest() -> None:
    images = DriverImages(
        registry=MIRROR,
        driver=f"registry.example:5000/driver:v9@{DIGEST}",
        crds=f"registry.example/crds:v9@{DIGEST}",
        liveness_probe="registry.example/probe:v9",
    )
    assert linux(images) == {
        "image": {"repository": "registry.example:5000/driver", "digest": DIGEST},
        "crds": {"image": {"repository": "registry.example/crds", "tag": f"v9@{DIGEST}"}},
        "registrarImage": {"repository": f"{MIRROR}/sig-storage/csi-node-driver-registrar"},
        "livenessProbeImage": {"repository": "registry.example/probe", "tag": "v9"},
    }


def test_they_reach_the_driver_of_a_stack_and_of_a_package() -> None:
    wanted = DriverImages(registry=MIRROR)
    stack = parse_settings(changed("driverImages", {"registry": MIRROR}), "staging", FILE)
    assert driver_args(stack.platform, PlatformNeeds(audiences=("sts.amazonaws.com",))).images == wanted
    _, settings, needs = read_platform_args(PLATFORM | {"driver_image_registry": MIRROR})
    assert driver_args(settings, needs).images == wanted
