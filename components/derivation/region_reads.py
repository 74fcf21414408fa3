"""One object in each region where it may be read: its name, key and version there.

Variables are replaced already. Secrets Manager replicates a secret under its name and suffix, so the replica of an ARN
is the same ARN in the other region; a multi-Region key keeps its id likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .arn import Arn
from .environment import Environment
from .spec import AppVariant, FailoverEntry, ObjectEntry, Selector


class RegionRead(NamedTuple):
    """How an object is read in one region. A tuple, because a fleet has one for each object and region.

    Attributes:
        region: Its name.
        name: Friendly name, parameter name or ARN.
        key: ARN of the customer key there; "" for AWS's own.
        selector: Which version.
    """

    region: str
    name: str
    key: str
    selector: Selector


def regions_of(variant: AppVariant, environment: Environment) -> tuple[str, ...]:
    """Return the regions of an app's reads, the cluster's first."""
    return (environment.region, *variant.failover_regions)


def reads_of(entry: ObjectEntry, regions: tuple[str, ...]) -> tuple[RegionRead, ...]:
    """Return the reads of one object, one per region in order; the first region is the cluster's."""
    if not (entry.kms_keys or entry.failover or entry.name.startswith("arn:")):
        return tuple([RegionRead(region, entry.name, "", entry.selector) for region in regions])  # as most objects are
    keys = {key.region: key.arn for key in entry.kms_keys}
    # The primary's ARN stays as it is written, so that one of another region is found and not mended.
    primary = RegionRead(region=regions[0], name=entry.name, key=_key_in(keys, regions[0]), selector=entry.selector)
    if len(regions) == 1:
        return (primary,)
    failover = {item.region: item for item in entry.failover}
    return (primary, *(_read_in(region, entry, keys, failover.get(region)) for region in regions[1:]))


def _read_in(
    region: str, entry: ObjectEntry, keys: Mapping[str | None, str], differs: FailoverEntry | None
) -> RegionRead:
    return RegionRead(
        region=region,
        name=(differs and differs.name) or _replica(entry.name, region),
        key=_key_in(keys, region),
        selector=differs.selector if differs and differs.selector.kind else entry.selector,
    )


def account_of(name: str, reader_account: str) -> str:
    """Return the account that owns an object: an ARN's, else the reader's own."""
    arn = Arn.parse(name)
    return arn.account if arn else reader_account


def _replica(name: str, region: str) -> str:
    arn = Arn.parse(name)
    return str(arn.in_region(region)) if arn else name


def _key_in(keys: Mapping[str | None, str], region: str) -> str:
    if region in keys or not keys:
        return keys.get(region, "")
    single = Arn.parse(keys.get(None, ""))  # None where that is AWS's own, which every region has
    # The reader refused a single key beside failover regions unless it is a multi-Region key.
    return str(single.in_region(region)) if single else ""
