"""The network: what is made, what reaches what, and that nothing moves when a zone is added."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest

from components.arguments import ArgumentErrors
from components.flow_logs import FlowLogs, FlowLogsArgs
from components.network import INTERFACE_ENDPOINTS, Network, NetworkArgs
from components.network_settings import GivenNetwork, Nat, NetworkSettings, NewNetwork
from tests.infra.recording import ROLE, ROLE_POLICY, Recorded, run_components

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


def test_an_existing_network_without_intra_subnets_has_its_private_ones_for_the_control_plane() -> None:
    private = ("subnet-00000001", "subnet-00000002")
    for given in (
        GivenNetwork(vpc_id="vpc-0123456789abcdef0", private_subnets=private),
        GivenNetwork(vpc_id="vpc-0123456789abcdef0", private_subnets=private, intra_subnets=()),
    ):
        (outputs,) = [value for urn, value in network(given).outputs.items() if "Network" in urn]
        assert outputs["intraSubnetIds"] == outputs["privateSubnetIds"] == list(private)
        assert outputs["publicSubnetIds"] == []


def test_every_resource_is_the_components_child() -> None:
    run = network(new())
    (component,) = [item for item in run.resources if item.type == "lockstep:index:Network"]
    assert {item.parent for item in run.resources if item.custom} == {component.urn}


# ---------------------------------------------------------------------------------------------------- endpoint policies
GUARDED = {"net-eks-auth", "net-kms", "net-secretsmanager", "net-ssm", "net-sts"}


def test_endpoints_keep_awss_policy_unless_accounts_are_named() -> None:
    assert all("policy" not in endpoint.inputs for endpoint in network(new()).of_type(ENDPOINT))


def test_foreign_credentials_cannot_use_the_endpoints_of_tokens_values_and_keys() -> None:
    endpoints = network(new(endpoint_accounts=("111122223333", "444455556666"))).of_type(ENDPOINT)
    policies = {each.name: json.loads(str(each.inputs["policy"])) for each in endpoints if "policy" in each.inputs}
    assert policies.keys() == GUARDED, "nodes and images come from accounts of AWS's own"
    for name, policy in policies.items():
        for statement in policy["Statement"]:
            is_exchange = statement["Action"] == "sts:AssumeRoleWithWebIdentity"
            assert is_exchange or statement["Condition"] == {
                "StringEquals": {"aws:PrincipalAccount": ["111122223333", "444455556666"]}
            }, name


def test_a_pod_may_exchange_its_token_for_roles_of_those_accounts_only() -> None:
    """It has no account before the exchange, so a condition on its account would refuse every mount with IRSA."""
    run = network(new(endpoint_accounts=("111122223333",)))
    policy = json.loads(str(run.one(ENDPOINT, "net-sts").inputs["policy"]))
    (exchange,) = [each for each in policy["Statement"] if each["Action"] == "sts:AssumeRoleWithWebIdentity"]
    assert "Condition" not in exchange
    assert exchange["Resource"] == ["arn:aws:iam::111122223333:role/*"]


# ------------------------------------------------------------------------------------------------------------ flow logs
FLOW_LOGS = {"network_name": "main", "region": REGION, "account": "111122223333", "retention_days": 30}


def flow_logs(**changes: Any) -> Recorded:  # noqa: ANN401
    arguments = FlowLogsArgs(vpc_id="vpc-0123456789abcdef0", **{**FLOW_LOGS, **changes})
    return run_components(lambda: FlowLogs("logs", arguments), preview=False)


def test_flow_logs_hold_all_traffic_in_a_group_that_expires_after_the_right_to_write_it() -> None:
    run = flow_logs()
    logs = run.one("aws:ec2/flowLog:FlowLog")
    assert logs.inputs["trafficType"] == "ALL"
    assert logs.inputs["vpcId"] == "vpc-0123456789abcdef0"
    assert f"{ROLE_POLICY}::logs" in run.dependencies(logs)
    group = run.one("aws:cloudwatch/logGroup:LogGroup")
    assert (group.inputs["name"], group.inputs["retentionInDays"]) == ("/aws/vpc/main/flow-logs", 30)


def test_the_role_of_flow_logs_writes_that_group_for_this_account_only() -> None:
    run = flow_logs(role_path="/platform/", permissions_boundary="arn:aws:iam::111122223333:policy/b")
    role = run.one(ROLE)
    assert (role.inputs["path"], role.inputs["permissionsBoundary"]) == (
        "/platform/",
        "arn:aws:iam::111122223333:policy/b",
    )
    (trust,) = json.loads(str(role.inputs["assumeRolePolicy"]))["Statement"]
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    (rights,) = json.loads(str(run.one(ROLE_POLICY).inputs["policy"]))["Statement"]
    group = f"arn:aws:logs:{REGION}:111122223333:log-group:/aws/vpc/main/flow-logs"
    assert rights["Resource"] == [group, f"{group}:log-stream:*"]


def test_a_protected_log_group_is_the_only_thing_protected() -> None:
    assert [item.type for item in flow_logs(protect=True).resources if item.protect] == [
        "aws:cloudwatch/logGroup:LogGroup"
    ]


def test_flow_logs_of_no_account_for_no_time_are_refused_whole() -> None:
    with pytest.raises(ArgumentErrors) as caught:
        flow_logs(account="1", retention_days=2)
    assert "FlowLogsArgs.account: '1' does not fit." in str(caught.value)
    assert "FlowLogsArgs.retention_days: 2 does not fit." in str(caught.value)


# -------------------------------------------------------------------------------------------------------------- outputs
def test_a_new_and_a_given_network_have_the_same_outputs() -> None:
    given = GivenNetwork(
        vpc_id="vpc-0123456789abcdef0",
        private_subnets=("subnet-00000001", "subnet-00000002"),
        intra_subnets=("subnet-00000003", "subnet-00000004"),
        public_subnets=("subnet-00000005",),
    )
    outputs = [
        next(value for urn, value in network(each).outputs.items() if ":Network::" in urn) for each in (new(), given)
    ]
    assert outputs[0].keys() == outputs[1].keys()
    assert outputs[1]["publicSubnetIds"] == ["subnet-00000005"]
