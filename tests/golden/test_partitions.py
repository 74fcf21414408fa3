"""What one set of apps becomes in each partition of AWS, compared to the byte: ARNs, hosts and principals differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.derivation import Environment, derive_fleet, dump_json, parse_specs, render_fleet

FOLDER = Path(__file__).parent / "partitions"
#: Partition, region, failover region.
PLACES = (
    ("aws", "eu-west-1", "us-west-2"),
    ("aws-cn", "cn-north-1", "cn-northwest-1"),
    ("aws-us-gov", "us-gov-west-1", "us-gov-east-1"),
)


@pytest.mark.parametrize(("partition", "region", "failover"), PLACES, ids=[place[0] for place in PLACES])
def test_the_apps_become_exactly_this_in_each_partition(
    partition: str, region: str, failover: str, *, rewrite_golden: bool
) -> None:
    # The partition and the failover region are no variables of a spec: the test writes them in.
    text = (FOLDER / "apps.yaml").read_text(encoding="utf-8").replace("${partition}", partition)
    specs = parse_specs(
        text.replace("${failover}", failover).replace("${region}", region).replace("${${environment}", "${dev")
    )
    environment = Environment(
        name="dev",
        region=region,
        account="111122223333",
        cluster="dev",
        oidc_issuer=f"https://oidc.eks.{region}.amazonaws.com/id/EXAMPLE",
        partition=partition,
        role_path="/lockstep/",
        permissions_boundary=f"arn:{partition}:iam::111122223333:policy/boundary",
        deployer_role=f"arn:{partition}:iam::111122223333:role/deployer",
    )
    rendered = dump_json(render_fleet(derive_fleet(specs, environment)))
    expected = FOLDER / f"{partition}.json"
    if rewrite_golden:
        expected.write_text(rendered, encoding="utf-8")
    assert rendered.encode() == expected.read_bytes()
