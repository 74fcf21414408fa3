"""What one successful mount put into a volume, for the audit line: names, versions and origins, never a value.

Not done here: writing the line (`audit`), delivering anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from provider_runtime.fetch_plan import ReadResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_runtime.object_values import SecretObject


class Origin(StrEnum):
    """How old the read behind a delivery was."""

    AWS = "aws"
    """Read for this mount."""
    EARLIER = "earlier"
    """An earlier read, remembered or still under way, young enough for this mount."""
    LAST_KNOWN = "last-known"
    """Older than this mount accepts: it bridges an outage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object of one volume.

    Args:
        name: As the class names it.
        store: `secretsmanager` or `ssmparameter`.
        region: Where the value was read.
        version: Secrets Manager VersionId, or the parameter's number.
        request_id: AWS's id of the read that produced the value, however long ago; empty when AWS gave none.
        age_seconds: Since that read was begun.
        origin: See Origin.
    """

    name: str
    store: str
    region: str
    version: str
    request_id: str
    age_seconds: float
    origin: Origin


def derive_deliveries(
    objects: Sequence[SecretObject],
    results: Sequence[object],
    *,
    asked_at: float,
    now: float,
    region: str,
    accepted_age: float,
) -> tuple[Delivery, ...]:
    """Derive one delivery per object that has a value, in document order.

    Args:
        objects: Of the class.
        results: Parallel to the objects; what is no ReadResult was not delivered.
        asked_at: Monotonic seconds when the mount asked for values.
        now: Monotonic seconds.
        region: The primary region, for values that name none.
        accepted_age: Seconds up to which this mount takes remembered values.
    """
    return tuple(
        Delivery(
            name=value.name,
            store=value.type.value,
            region=result.region or region,
            version=result.version,
            request_id=result.request_id,
            age_seconds=max(0.0, now - result.read_at),
            origin=_origin(asked_at - result.read_at, accepted_age),
        )
        for value, result in zip(objects, results, strict=True)
        if isinstance(result, ReadResult)
    )


def _origin(age_when_asked: float, accepted_age: float) -> Origin:
    if age_when_asked <= 0:
        return Origin.AWS
    return Origin.EARLIER if age_when_asked <= accepted_age else Origin.LAST_KNOWN
