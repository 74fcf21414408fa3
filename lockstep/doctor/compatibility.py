"""Which versions go together: the table of `compatibility.yaml`, whose entries name their source."""

from __future__ import annotations

import importlib.resources
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverRow:
    """One version of the Secrets Store CSI driver.

    Attributes:
        kubernetes: Oldest version that it says it runs on.
        proved_kubernetes: Version that this project's tests run it on.
        proved_by: The command.
    """

    version: str
    kubernetes: str
    source: str
    proved_kubernetes: str
    proved_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow:
    """Something that needs a version of Kubernetes.

    Attributes:
        setting: The stack's setting that asks for it, without its namespace; "" for none.
    """

    name: str
    kubernetes: str
    source: str
    setting: str = ""
    driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compatibility:
    """The whole table, newest driver first."""

    drivers: tuple[DriverRow, ...]
    features: tuple[FeatureRow, ...]

    def driver(self, version: str) -> DriverRow | None:
        """Return the row of a driver's version, or None for one that nobody tried here."""
        return next((row for row in self.drivers if row.version == version), None)

    def feature(self, setting: str) -> FeatureRow:
        """Return the row of a setting."""
        return next(row for row in self.features if row.setting == setting)


@cache
def load_compatibility() -> Compatibility:
    """Read the table that comes with the program."""
    text = importlib.resources.files("lockstep.doctor").joinpath("compatibility.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    drivers = (
        DriverRow(
            version=row["version"],
            kubernetes=row["kubernetes"],
            source=row["source"],
            proved_kubernetes=row["proved"]["kubernetes"],
            proved_by=row["proved"]["by"],
        )
        for row in document["drivers"]
    )
    features = (FeatureRow(**row) for row in document["features"])
    return Compatibility(
        drivers=tuple(sorted(drivers, key=lambda row: version_of(row.version), reverse=True)), features=tuple(features)
    )


def version_of(text: str) -> Version:
    """Return the leading numbers of a version; () for none.

    >>> version_of("v1.34.2-eks-3025e55")
    (1, 34, 2)
    """
    found = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def is_at_least(version: str, least: str) -> bool:
    """Say whether a version is not older than another, as far as the other has numbers."""
    wanted = version_of(least)
    return version_of(version)[: len(wanted)] >= wanted
