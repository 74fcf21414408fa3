"""Costs and quotas as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from lockstep.cost.model import (
    FleetLoad,
    Traffic,
    assumptions,
    aws_provider_rollout,
    aws_provider_traffic,
    rollout,
    traffic,
)
from lockstep.cost.prices import MONTH_SECONDS, STORED_SECRET_USD, Call, Quota
from lockstep.tables import aligned, counted

Json = dict[str, object]
_OURS, _THEIRS = "Lockstep", "AWS's provider"


def cost_text(name: str, fleet: FleetLoad) -> str:
    """Return one fleet's costs, quotas and assumptions."""
    ours, theirs = traffic(fleet), aws_provider_traffic(fleet)
    prices = fleet.prices()
    shown = {price.call: price for price in prices}
    rows: list[tuple[str, ...]] = [("", "calls/s", "", "USD a month", "")]
    rows.append(("", _OURS, _THEIRS, _OURS, _THEIRS))
    for call in Call:
        usd = [_usd(each, call, shown[call].usd_per_10_000) for each in (ours, theirs)]
        rows.append((call.value, _rate(ours.total[call]), _rate(theirs.total[call]), *usd))
    rows.append(("all calls", "", "", *(f"{each.monthly_usd(prices):,.2f}" for each in (ours, theirs))))
    stored = fleet.stored_secrets * STORED_SECRET_USD
    lines = [
        f"{name}: {counted(len(fleet.apps), 'app')}, {fleet.pods:,.0f} pods on {counted(fleet.nodes, 'node')}",
        *aligned(rows),
        f"  and {stored:,.2f} USD a month for {counted(fleet.stored_secrets, 'stored secret')}, whoever reads them",
        "",
        "  Quotas of one account and region: share that is used (100% is the limit)",
        *aligned(_quota_rows(fleet)),
        "",
        "  Assumed:",
        *(f"  - {text}" for text in assumptions(fleet)),
        "",
        "  Sources:",
        *(f"  - {text}" for text in _sources(fleet)),
    ]
    return "\n".join(lines)


def _sources(fleet: FleetLoad) -> Iterator[str]:
    for price in fleet.prices():
        yield f"{price.call}: {price.usd_per_10_000:.2f} USD per 10,000, {price.source}, {price.read}"
    for quota in fleet.quotas():
        note = f" ({quota.note})" if quota.note else ""
        yield f"{quota.call}: {quota.per_second:,} a second, {quota.source}, {quota.read}{note}"


def _quota_rows(fleet: FleetLoad) -> list[tuple[str, ...]]:
    columns = (traffic(fleet), aws_provider_traffic(fleet), rollout(fleet), aws_provider_rollout(fleet))
    rows: list[tuple[str, ...]] = [("", "steady", "", "rollout", ""), ("", _OURS, _THEIRS, _OURS, _THEIRS)]
    rows += [(quota.call.value, *(_share(each, quota) for each in columns)) for quota in fleet.quotas()]
    return rows


def _share(each: Traffic, quota: Quota) -> str:
    used = 1 - each.headroom(quota)
    return f"{used:.1%}{' over' if used > 1 else ''}"


def _rate(rate: float) -> str:
    return f"{rate:,.2f}" if rate < 100 else f"{rate:,.0f}"  # noqa: PLR2004 - digits that still say something


def _usd(each: Traffic, call: Call, usd_per_10_000: float) -> str:
    return f"{each.total[call] * MONTH_SECONDS * usd_per_10_000 / 10_000:,.2f}"


def cost_json(name: str, fleet: FleetLoad) -> Json:
    """Return one fleet's costs, quotas and assumptions as data; rates per second, shares from 0."""
    return {
        "stack": name,
        "pods": fleet.pods,
        "nodes": fleet.nodes,
        "storedSecrets": fleet.stored_secrets,
        "storedUsdPerMonth": round(fleet.stored_secrets * STORED_SECRET_USD, 2),
        "lockstep": _side(traffic(fleet), rollout(fleet), fleet),
        "awsProvider": _side(aws_provider_traffic(fleet), aws_provider_rollout(fleet), fleet),
        "assumptions": list(assumptions(fleet)),
        "prices": [
            {"call": price.call.value, "usdPer10000": price.usd_per_10_000, "source": price.source, "read": price.read}
            for price in fleet.prices()
        ],
        "quotas": [
            {
                "call": quota.call.value,
                "perSecond": quota.per_second,
                "source": quota.source,
                "read": quota.read,
                "note": quota.note or None,
            }
            for quota in fleet.quotas()
        ],
    }


def _side(steady: Traffic, burst: Traffic, fleet: FleetLoad) -> Json:
    return {
        "usdPerMonth": round(steady.monthly_usd(fleet.prices()), 2),
        "callsPerSecond": {call.value: round(rate, 6) for call, rate in steady.total.items()},
        "quotaUsed": {
            quota.call.value: {
                "steady": round(1 - steady.headroom(quota), 6),
                "rollout": round(1 - burst.headroom(quota), 6),
            }
            for quota in fleet.quotas()
        },
    }
