"""The network: what is made, what reaches what, and that nothing moves when a zone is added."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from components.network import INTERFACE_ENDPOINTS, Network, NetworkArgs
from components.network_settings import GivenNetwork, Nat, NetworkSettings, NewNetwork
from tests.infra.recording import Recorded, run_components

REGION = "eu-west-1"
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
SUBNET = "aws:ec2/subnet:Subnet"
ROUTE = "aws:ec2/route:Route"
NAT = "aws:ec2/natGateway:NatGateway"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
VPC = "aws:ec2/vpc:Vpc"


def network(settings: NetworkSettings, *, protect: bool = False) -> Recorded:
    return run_components(
        lambda: Network("net", NetworkArgs(settings=settings, region=REGION, protect=protect)), preview=False
    )


def new(**changes: Any) -> NewNetwork:  # noqa: ANN401 - the value's own fields
    return NewNetwork(**{"cidr": "10.20.0.0/16", "zones": ZONES, **changes})


# ----------------------------------------------------------------------------------------------------------- addresses
@pytest.mark.parametrize("prefix", [16, 18, 20])
def test_no_subnet_overlaps_another_and_all_lie_in_the_vpc(prefix: int) -> None:
    settings = new(cidr=f"10.20.0.0/{prefix}")
    parts = [
        ipaddress.ip_network(cidr)
        for cidr in (*settings.private_cidrs(), *settings.public_cidrs(), *settings.intra_cidrs())
    ]
    assert len(parts) == 9
    assert all(part.subnet_of(ipaddress.ip_network(settings.cidr)) for part in parts)  # type: ignore[arg-type]
    assert not any(a.overlaps(b) for a in parts for b in parts if a != b)


def test_a_third_zone_moves_no_subnet_of_the_first_two() -> None:
    two, three = new(zones=ZONES[:2]), new()
    assert three.private_cidrs()[:2] == two.private_cidrs()
    assert three.public_cidrs()[:2] == two.public_cidrs()
    assert three.intra_cidrs()[:2] == two.intra_cidrs()


def test_every_kind_of_subnet_is_in_every_zone_and_gives_out_no_public_address() -> None:
    subnets = network(new()).of_type(SUBNET)
    assert [subnet.name for subnet in subnets] == sorted(
        f"net-{kind}-{zone}" for kind in ("private", "public", "intra") for zone in ZONES
    )
    assert all(subnet.inputs["mapPublicIpOnLaunch"] is False for subnet in subnets)


# ----------------------------------------------------------------------------------------------------------- way out
@pytest.mark.parametrize(("nat", "gateways"), [(Nat.NONE, 0), (Nat.SINGLE, 1), (Nat.PER_ZONE, 3)])
def test_nat_is_none_one_or_one_per_zone(nat: Nat, gateways: int) -> None:
    run = network(new(nat=nat))
    assert len(run.of_type(NAT)) == gateways
    out = [route for route in run.of_type(ROUTE) if "natGatewayId" in route.inputs]
    assert len(out) == (3 if gateways else 0)


def test_each_zone_goes_out_through_its_own_gateway() -> None:
    run = network(new(nat=Nat.PER_ZONE))
    ways = {route.name: route.inputs["natGatewayId"] for route in run.of_type(ROUTE) if "natGatewayId" in route.inputs}
    assert ways == {f"net-private-{zone}": f"net-{zone}-id" for zone in ZONES}


def test_without_nat_there_is_no_public_subnet_and_no_internet_gateway() -> None:
    run = network(new(nat=Nat.NONE))
    assert not [subnet for subnet in run.of_type(SUBNET) if "public" in subnet.name]
    assert run.of_type("aws:ec2/internetGateway:InternetGateway") == []
    assert run.of_type(ROUTE) == []


# ---------------------------------------------------------------------------------------------------------- endpoints
def test_a_private_cluster_reaches_everything_that_a_mount_needs() -> None:
    run = network(new(nat=Nat.NONE))
    services = {
        str(item.inputs["serviceName"]).removeprefix(f"com.amazonaws.{REGION}.") for item in run.of_type(ENDPOINT)
    }
    needed = {"sts", "eks-auth", "secretsmanager", "ssm", "kms", "ecr.api", "ecr.dkr", "s3"}
    assert needed <= services
    assert services == {*INTERFACE_ENDPOINTS, "s3"}


def test_interface_endpoints_answer_to_the_services_own_names_and_take_https_of_the_vpc_only() -> None:
    run = network(new())
    rule = run.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.20.0.0/16", 443, 443)
    for endpoint in run.of_type(ENDPOINT):
        if endpoint.inputs["vpcEndpointType"] == "Interface":
            assert endpoint.inputs["privateDnsEnabled"] is True
            assert endpoint.inputs["securityGroupIds"] == ["net-endpoints-id"]
            assert endpoint.inputs["subnetIds"] == [f"net-intra-{zone}-id" for zone in ZONES]


def test_endpoints_can_be_left_out() -> None:
    assert network(new(endpoints=False)).of_type(ENDPOINT) == []


def test_the_default_security_group_lets_nothing_through() -> None:
    inputs = network(new()).one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs
    assert (inputs["ingress"], inputs["egress"]) == ([], [])


# ------------------------------------------------------------------------------------------------------------- options
def test_what_others_rely_on_is_protected_on_request() -> None:
    run = network(new(), protect=True)
    protected = {item.type for item in run.resources if item.protect}
    assert protected == {VPC, SUBNET, "aws:ec2/eip:Eip"}
    assert not any(item.protect for item in network(new()).resources)


def test_an_existing_network_gives_the_same_outputs_and_makes_nothing() -> None:
    given = GivenNetwork(
        vpc_id="vpc-0123456789abcdef0",
        private_subnets=("subnet-00000001", "subnet-00000002"),
        intra_subnets=("subnet-00000003", "subnet-00000004"),
    )
    existing, made = network(given), network(new())
    assert [item for item in existing.resources if item.custom] == []
    (outputs,) = [value for urn, value in existing.outputs.items() if "Network" in urn]
    (of_made,) = [value for urn, value in made.outputs.items() if "Network" in urn]
    assert outputs.keys() == of_made.keys()
    assert outputs["privateSubnetIds"] == ["subnet-00000001", "subnet-00000002"]


def test_every_resource_is_the_components_child() -> None:
    run = network(new())
    (component,) = [item for item in run.resources if item.type == "lockstep:index:Network"]
    assert {item.parent for item in run.resources if item.custom} == {component.urn}
