"""The cost model: known figures of AWS's provider, a simulation of ours, and the verb around it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation import Environment, FleetAccess, derive_fleet, parse_specs
from lockstep.__main__ import main
from lockstep.cost.fleets import loads_of, plain_loads, stored_secrets
from lockstep.cost.model import (
    AppLoad,
    FleetLoad,
    assumptions,
    aws_provider_period,
    aws_provider_rollout,
    aws_provider_traffic,
    nodes_with,
    refresh_period,
    rollout,
    traffic,
)
from lockstep.cost.prices import HIGHER_THROUGHPUT, PRICES, QUOTAS, Call
from lockstep.exit_codes import ExitCode


def fleet(*, pods: int, nodes: int, apps: int, regions: int = 1, interval: float = 120.0) -> FleetLoad:
    """Return equal apps with five secrets under customer keys and five parameters."""
    loads = plain_loads(
        pods=pods, apps=apps, secrets=5, parameters=5, regions=regions, keyed=True, refresh_seconds=interval
    )
    return FleetLoad(apps=loads, nodes=nodes, interval_seconds=interval)


@pytest.mark.parametrize(
    ("pods", "nodes", "apps", "regions", "interval", "per_second", "usd"),
    [
        (1_000, 50, 30, 1, 120, 33.3, 701),
        (1_000, 50, 30, 2, 120, 66.7, 1_402),
        (1_000, 50, 30, 1, 3_600, 1.4, 29),
        (10_000, 500, 200, 1, 120, 333, 7_008),
        (100_000, 5_000, 1_000, 1, 120, 3_333, 70_080),
    ],
)
def test_aws_s_provider_asks_for_every_pod_at_every_interval(
    *, pods: int, nodes: int, apps: int, regions: int, interval: float, per_second: float, usd: float
) -> None:
    """33 a second: 5 secrets of 1,000 pods every 150 s, the second republish. A call and a Decrypt: 0.000008 USD."""
    asked = aws_provider_traffic(fleet(pods=pods, nodes=nodes, apps=apps, regions=regions, interval=interval))
    assert asked.total[Call.GET_SECRET_VALUE] == pytest.approx(per_second, rel=0.01)
    assert asked.monthly_usd(PRICES) == pytest.approx(usd, rel=0.01)


def test_large_fleets_exceed_the_quotas_that_aws_has() -> None:
    quotas = {quota.call: quota for quota in QUOTAS}
    huge = fleet(pods=100_000, nodes=5_000, apps=1_000)
    asked = aws_provider_traffic(huge)
    assert asked.headroom(quotas[Call.ASSUME_ROLE]) < 0
    assert asked.headroom(quotas[Call.GET_PARAMETERS]) < 0
    assert traffic(huge).headroom(quotas[Call.ASSUME_ROLE]) > 0, "sessions last for many refreshes"


def test_pods_of_one_app_on_one_node_share_the_work() -> None:
    dense = fleet(pods=10_000, nodes=100, apps=20)
    ours, theirs = traffic(dense), aws_provider_traffic(dense)
    assert ours.total[Call.GET_SECRET_VALUE] < 0.3 * theirs.total[Call.GET_SECRET_VALUE]
    one_each = fleet(pods=20, nodes=10_000, apps=20)
    assert traffic(one_each).total[Call.GET_SECRET_VALUE] == pytest.approx(
        aws_provider_traffic(one_each).total[Call.GET_SECRET_VALUE], rel=0.01
    ), "nothing is shared where every pod is alone"


def test_failover_regions_cost_this_provider_nothing_while_the_primary_answers() -> None:
    one, two = (fleet(pods=1_000, nodes=50, apps=30, regions=count) for count in (1, 2))
    assert traffic(one) == traffic(two)
    assert aws_provider_traffic(two).monthly_usd(PRICES) == 2 * aws_provider_traffic(one).monthly_usd(PRICES)
    assert aws_provider_traffic(two).in_one_region == aws_provider_traffic(one).in_one_region


@settings(max_examples=60, deadline=None)
@given(pods_per_node=st.integers(1, 12), interval=st.sampled_from([30.0, 75.0, 120.0, 600.0]))
def test_the_refresh_period_is_what_a_simulation_counts(pods_per_node: int, interval: float) -> None:
    """One node, evenly spread republishes; whichever finds the value too old checks it."""
    app = AppLoad(name="a", pods=float(pods_per_node), secrets=1, parameters=0, refresh_seconds=interval)
    load = FleetLoad(apps=(app,), nodes=1)
    spacing = load.resync_seconds / pods_per_node
    checked, now, last = 0, 0.0, -math.inf
    for step in range(20_000):
        now = step * spacing
        if now - last >= interval - 1e-6:
            checked, last = checked + 1, now
    assert refresh_period(app, load) == pytest.approx(now / (checked - 1), rel=0.02)


@settings(max_examples=60, deadline=None)
@given(pods=st.integers(1, 5_000), nodes=st.integers(1, 500), more=st.integers(0, 500))
def test_more_pods_or_a_shorter_interval_never_cost_less(pods: int, nodes: int, more: int) -> None:
    load = AppLoad(name="a", pods=pods, secrets=1, parameters=1)
    larger = AppLoad(name="a", pods=pods + more, secrets=1, parameters=1)
    assert 0 < nodes_with(load, nodes) <= min(pods, nodes) + 1e-9
    assert nodes_with(load, nodes) <= nodes_with(larger, nodes) + 1e-9
    small, large = (FleetLoad(apps=(one,), nodes=nodes) for one in (load, larger))
    for asked in (aws_provider_traffic, aws_provider_rollout, rollout):
        assert asked(small).monthly_usd(PRICES) <= asked(large).monthly_usd(PRICES) + 1e-9
    hourly = FleetLoad(apps=(load,), nodes=nodes, interval_seconds=3_600)
    assert aws_provider_period(hourly) > aws_provider_period(small)


def test_higher_throughput_changes_price_and_quota_together() -> None:
    load = plain_loads(pods=100, apps=1, secrets=0, parameters=10, regions=1, keyed=False, refresh_seconds=120)
    standard, higher = (FleetLoad(apps=load, nodes=10, has_higher_throughput=flag) for flag in (False, True))
    assert aws_provider_traffic(standard).monthly_usd(standard.prices()) == 0
    assert aws_provider_traffic(higher).monthly_usd(higher.prices()) > 0
    assert HIGHER_THROUGHPUT in higher.prices()
    assert {quota.call for quota in higher.quotas()} == set(Call)
    assert assumptions(standard) != assumptions(higher)


def test_every_kind_of_call_has_a_price_and_a_quota_with_source_and_date() -> None:
    assert {price.call for price in PRICES} == set(Call)
    assert {quota.call for quota in QUOTAS} == set(Call)
    assert all(entry.source and entry.read for entry in (*PRICES, *QUOTAS))


def derived(text: str) -> FleetAccess:
    place = Environment(
        name="prod",
        region="eu-west-1",
        account="111122223333",
        cluster="prod",
        oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    )
    return derive_fleet(parse_specs(text, "apps.yaml"), place)


MOUNTS = "version: 1\napp: a\nnamespace: a\nmounts: {m1: /m1, m2: /m2, m3: /m3}\n"


def test_every_mount_is_a_request_of_its_own() -> None:
    parameters = "parameters: [{name: p1, mount: m1}, {name: p2, mount: m2}, {name: p3, mount: m3}]\n"
    three = loads_of(derived(MOUNTS + parameters), pods=1_000, pods_of={}, refresh_seconds=120)
    alone = "version: 1\napp: a\nnamespace: a\nparameters: [{name: p1}, {name: p2}, {name: p3}]\n"
    one = loads_of(derived(alone), pods=1_000, pods_of={}, refresh_seconds=120)
    many, few = (FleetLoad(apps=loads, nodes=50) for loads in (three, one))
    assert aws_provider_traffic(many).total[Call.ASSUME_ROLE] == pytest.approx(20)
    assert aws_provider_traffic(many).total[Call.GET_PARAMETERS] == pytest.approx(20)
    for model in (aws_provider_traffic, aws_provider_rollout):
        for call in (Call.ASSUME_ROLE, Call.GET_PARAMETERS):
            assert model(many).total[call] == pytest.approx(3 * model(few).total[call])
    for model in (traffic, rollout):
        assert model(many).total[Call.GET_PARAMETERS] == pytest.approx(3 * model(few).total[Call.GET_PARAMETERS])
        assert model(many).total[Call.ASSUME_ROLE] == model(few).total[Call.ASSUME_ROLE], "one identity, one session"


def test_a_secret_that_is_named_and_told_by_its_arn_is_stored_once() -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:s1-Ab12C3"
    secrets = "secrets: [{name: s1, mount: m1}, {name: s2, mount: m2}, {name: s3, mount: m3}]\n"
    other = f"---\nversion: 1\napp: b\nnamespace: b\nsecrets: [{{name: '{arn}', file: x}}]\n"
    assert stored_secrets(derived(MOUNTS + secrets + other)) == 3


# ------------------------------------------------------------------------------------------------------------- the verb


def test_the_verb_prints_costs_quotas_assumptions_and_sources(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    arguments = ["cost", "--stack", "prod", "--pods", "300", "--pods-of", "payments=200", "--nodes", "20"]
    assert main(arguments) == ExitCode.FINE
    text = capsys.readouterr().out
    assert text.startswith("prod: 3 apps, 300 pods on 20 nodes\n")
    for wanted in ("Assumed:", "Sources:", "Quotas of one account and region", "USD a month", "stored secrets"):
        assert wanted in text
    assert main([*arguments, "--format", "json"]) == ExitCode.FINE
    (document,) = json.loads(capsys.readouterr().out)["fleets"]
    assert document["pods"] == 300
    assert document["lockstep"]["usdPerMonth"] < document["awsProvider"]["usdPerMonth"]
    assert len(document["assumptions"]) == len(assumptions(fleet(pods=1, nodes=1, apps=1)))


def test_a_plain_fleet_needs_no_specs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--pods", "9", "--nodes", "3", "--apps", "3", "--secrets", "2"]) == ExitCode.FINE
    assert capsys.readouterr().out.startswith("a plain fleet: 3 apps, 9 pods on 3 nodes\n")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--pods", "0", "--nodes", "1"], ExitCode.WRONG_USAGE, "--pods"),
        (["--pods", "1", "--nodes", "1", "--interval", "soon"], ExitCode.WRONG_USAGE, "--interval is a duration"),
        (["--pods", "1", "--nodes", "1", "--interval", "0s"], ExitCode.WRONG_USAGE, "--interval is a duration"),
        (["--pods", "1", "--nodes", "1", "--pods-of", "x"], ExitCode.WRONG_USAGE, "--pods-of is APP=PODS"),
        (["--pods", "9", "--nodes", "1", "--apps", "3", "--stack", "prod"], ExitCode.WRONG_USAGE, "--apps stands in"),
        (["--pods", "9", "--nodes", "1", "--apps", "3", "--pods-of", "x=1"], ExitCode.WRONG_USAGE, "--apps stands in"),
        (["--pods", "9", "--nodes", "1", "--pods-of", "zzz=1"], ExitCode.INVALID_INPUT, "there is no app 'zzz'"),
        (["--pods", "9", "--nodes", "1", "--pods-of", "mailer=10"], ExitCode.INVALID_INPUT, "[ASK005]"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: list[str],
    code: ExitCode,
    text: str,
) -> None:
    monkeypatch.chdir(project)
    assert main(["cost", *arguments]) == code
    assert text in capsys.readouterr().err
