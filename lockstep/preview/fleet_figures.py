"""Two figures of a whole fleet, from the same facts as the diff: what a node could reach, and what the reads cost.

Not done here: prices and the model of calls (lockstep/cost). How many pods an app has is no fact of a preview: it is
assumed, and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from components.derivation.arn import Arn
from components.derivation.diff import FleetDocuments
from components.derivation.diff.app_facts import read_app
from components.derivation.diff.facts import About, Facts
from components.derivation.diff.fleets import AWS_POLICY
from lockstep.cost.model import AppLoad, FleetLoad, traffic

#: Assumed, where nobody says otherwise.
PODS_PER_APP, NODES = 3, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigures:
    """The figures of one side.

    Attributes:
        reach: Secrets and parameters that all apps together may read.
        usd_per_month: Of AWS calls, at `PODS_PER_APP` pods per app on `NODES` nodes.
        gap: What is not known on this side, so that both figures may be wrong; "" for nothing.
    """

    reach: int
    usd_per_month: float
    gap: str = ""


def figures_of(fleet: FleetDocuments) -> FleetFigures:
    """Read every app of a fleet once."""
    facts = {name: read_app(app).facts for name, app in fleet.apps.items()}
    reads = {subject.parts for found in facts.values() for subject in found if subject.about is About.READ}
    gap = next(_gaps(fleet, facts), "")
    return FleetFigures(reach=len(reads), usd_per_month=_usd_per_month(facts), gap=gap)


def _gaps(fleet: FleetDocuments, facts: Mapping[str, Facts]) -> Iterator[str]:
    for name, app in sorted(fleet.apps.items()):
        if app.reads_elsewhere:
            yield f"{name} reads through a second role, whose permissions are not in a preview"
        opaque = (subject.parts[0] for subject in facts[name] if subject.about is About.UNKNOWN)
        # AWS's own are mostly about other things, such as what a node needs: rows do not ask about them either.
        told = (place for place in opaque if not AWS_POLICY.fullmatch(place))
        yield from (f"access of {name} cannot be told ({place})" for place in told)
    yield from (f"nobody here can read {place}" for place in sorted(fleet.unread))


def _usd_per_month(facts: Mapping[str, Facts]) -> float:
    loads = tuple(_load(name, found) for name, found in sorted(facts.items()))
    mounted = tuple(load for load in loads if load.secrets or load.parameters)
    fleet = FleetLoad(apps=mounted, nodes=NODES)
    return traffic(fleet).monthly_usd(fleet.prices()) if mounted else 0.0


def _load(name: str, facts: Facts) -> AppLoad:
    """Return what one app asks of AWS; what no class mounts is read by nobody that we know of."""
    unused = {subject.parts for subject in facts if subject.about is About.GRANT_WITHOUT_MOUNT}
    has_class = any(subject.about is About.MOUNT for subject in facts)
    counts = {(service, keyed): 0 for service in ("secretsmanager", "ssm") for keyed in (False, True)}
    regions: set[str] = set()
    for subject, terms in facts.items():
        arn = Arn.parse(subject.parts[0])
        if subject.about is not About.READ or subject.parts in unused or arn is None or not has_class:
            continue
        key = (arn.service, any(text.startswith("key ") for text in terms.texts))
        counts[key] = counts.get(key, 0) + 1
        regions |= {way.region for way in terms.ways if way.region}
    return AppLoad(
        name=name,
        pods=PODS_PER_APP,
        secrets=counts["secretsmanager", False] + counts["secretsmanager", True],
        parameters=counts["ssm", False] + counts["ssm", True],
        decrypted_secrets=counts["secretsmanager", True],
        decrypted_parameters=counts["ssm", True],
        regions=max(1, len(regions)),
        uses_sts=any(subject.about is About.TRUST and subject.parts[0].startswith("IRSA") for subject in facts),
    )
