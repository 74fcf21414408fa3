"""Where the CSI driver's images come from: upstream's registry, or one that the nodes reach without a way out.

Not done here: copying images there (docs/operations.md says how). Nothing of Pulumi is imported.

Source: chart secrets-store-csi-driver 1.6.0, values.yaml and templates: an image with a digest is taken by it alone,
and the one of the CRDs, which hook jobs run, is taken by its tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .arguments import ArgumentProblem, CheckedArguments
from .settings_reader import SettingsReader

_HOST: Final = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]+)?"
_PATH: Final = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REGISTRY: Final = re.compile(rf"{_HOST}(?:/{_PATH})*")
_IMAGE: Final = re.compile(
    rf"(?P<repository>{_HOST}(?:/{_PATH})+)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_REGISTRY_RULE: Final = "It is what stands before upstream's own path: a host, and perhaps a path"
_REGISTRY_FIX: Final = "write it like 111122223333.dkr.ecr.eu-west-1.amazonaws.com/mirror, without a scheme"
_IMAGE_RULE: Final = "It is an image: <repository>, and its tag or digest if they are not the chart's"
_IMAGE_FIX: Final = "write <repository>, <repository>:<tag> or <repository>@sha256:<64 hex digits>"


@dataclass(frozen=True, slots=True)
class _Image:
    """One image of the chart: its setting, where its values are below `linux`, and its path in upstream's registry."""

    setting: str
    values: tuple[str, ...]
    path: str
    by_tag_only: bool = False


#: By the field of DriverImages.
_IMAGES: Final = {
    "driver": _Image("driver", ("image",), "csi-secrets-store/driver"),
    "crds": _Image("crds", ("crds", "image"), "csi-secrets-store/driver-crds", by_tag_only=True),
    "registrar": _Image("registrar", ("registrarImage",), "sig-storage/csi-node-driver-registrar"),
    "liveness_probe": _Image("livenessProbe", ("livenessProbeImage",), "sig-storage/livenessprobe"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverImages(CheckedArguments):
    """Where the images are, when not in upstream's registry. Empty texts leave that to the chart.

    Attributes:
        registry: Put before upstream's path of every image that is not named by itself; tags stay the chart's.
        driver: `<repository>`, with `:<tag>` or `@sha256:<digest>` where they are not the chart's; likewise the others.
        crds: Of the hook jobs that bring the CRDs. The chart takes it by its tag; a digest goes behind that.
        registrar: Tells kubelet of the driver.
        liveness_probe: Asks the driver whether it lives.
    """

    registry: str = ""
    driver: str = ""
    crds: str = ""
    registrar: str = ""
    liveness_probe: str = ""

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what is no registry or image."""
        if self.registry and not _REGISTRY.fullmatch(self.registry):
            yield self.problem("registry", f"{self.registry!r} does not fit", _REGISTRY_RULE, _REGISTRY_FIX)
        for field, image in _IMAGES.items():
            problem = _image_problem(image, getattr(self, field))
            if problem:
                yield self.problem(field, *problem)

    @property
    def are_all_elsewhere(self) -> bool:
        """Whether no image comes from upstream's registry."""
        return bool(self.registry) or all(getattr(self, field) for field in _IMAGES)

    def chart_values(self) -> dict[str, Any]:
        """Return what goes into the chart's values below `linux`; nothing where the chart decides.

        >>> DriverImages(registry="mirror.example/k8s").chart_values()["image"]
        {'repository': 'mirror.example/k8s/csi-secrets-store/driver'}
        """
        values: dict[str, Any] = {}
        for field, image in _IMAGES.items():
            parts = _parts(image, getattr(self, field))
            if not parts and self.registry:
                parts = {"repository": f"{self.registry}/{image.path}"}
            *above, last = image.values
            place = values
            for key in above if parts else ():
                place = place.setdefault(key, {})
            if parts:
                place[last] = parts
        return values


def read_driver_images(reader: SettingsReader) -> DriverImages:
    """Read `driverImages`; problems go to the reader."""
    section = reader.section("driverImages")
    if section is None:
        return UPSTREAMS
    registry = section.optional_matching("registry", _REGISTRY, _REGISTRY_RULE, _REGISTRY_FIX) or ""
    images = {field: _read_image(section, image) for field, image in _IMAGES.items()}
    section.refuse_unknown()
    return DriverImages(registry="" if section.is_broken("registry") else registry, **images)


def _read_image(section: SettingsReader, image: _Image) -> str:
    text = section.optional_matching(image.setting, None, "", "") or ""
    problem = _image_problem(image, text)
    if problem:
        section.add(image.setting, *problem, "CFG007")
    return "" if section.is_broken(image.setting) else text


def _image_problem(image: _Image, text: str) -> tuple[str, str, str] | None:
    found = _IMAGE.fullmatch(text)
    if text and found is None:
        return f"{text!r} does not fit", _IMAGE_RULE, _IMAGE_FIX
    if found and image.by_tag_only and found["digest"] and not found["tag"]:
        return (
            f"{text!r} has no tag",
            "The chart takes this image by its tag",
            "write <repository>:<tag>@sha256:<digest>",
        )
    return None


def _parts(image: _Image, text: str) -> dict[str, str]:
    """Return an image as the chart has it: repository, and tag or digest."""
    found = _IMAGE.fullmatch(text)
    if found is None:
        return {}
    repository, tag, digest = found["repository"], found["tag"], found["digest"]
    if digest and not image.by_tag_only:
        return {"repository": repository, "digest": digest}
    if digest:
        return {"repository": repository, "tag": f"{tag}@{digest}"}
    return {"repository": repository, **({"tag": tag} if tag else {})}


#: Everything from where the chart has it.
UPSTREAMS: Final = DriverImages()
