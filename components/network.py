"""The network of a cluster: a VPC with private, public and intra subnets and endpoints, or one that exists.

Not done here: reading what is wanted (network_settings.py). Both ways give the same outputs.

* private: nodes and pods; out through NAT, if there is one.
* public: load balancers and NAT gateways, nothing else; no address is given out by itself.
* intra: the control plane's interfaces and the endpoints; no way out.

The endpoints let a cluster without a way out mount: token exchange (sts, eks-auth), values (secretsmanager, ssm), their
keys (kms), images (ecr, s3), and what a node needs to join (ec2, eks). Their security group takes HTTPS from the VPC.

Source: EKS user guide (subnet requirements, private clusters), AWS PrivateLink guide (service names).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .arguments import ArgumentProblem, CheckedArguments
from .network_settings import GivenNetwork, Nat, NetworkSettings, NewNetwork, network_problems

#: Services with an interface endpoint, sorted. Names as in `com.amazonaws.<region>.<service>`.
INTERFACE_ENDPOINTS = (
    "ec2",
    "ecr.api",
    "ecr.dkr",
    "eks",
    "eks-auth",
    "kms",
    "secretsmanager",
    "ssm",
    "sts",
)


#: Endpoints through which foreign credentials could carry something out; the rest serves nodes and images.
_GUARDED_ENDPOINTS = frozenset({"eks-auth", "kms", "secretsmanager", "ssm", "sts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkArgs(CheckedArguments):
    """Arguments of `Network`.

    Attributes:
        settings: What is wanted.
        region: Where; part of the endpoints' names.
        partition: Of the accounts that may use the endpoints.
        protect: Whether the VPC, its subnets and its NAT addresses may not be removed.
    """

    settings: NetworkSettings
    region: str
    partition: str = "aws"
    protect: bool = False

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what AWS would refuse, or take and make useless."""
        for field, *problem in network_problems(self.settings, self.region):
            yield self.problem(f"settings.{field}", *problem)


class Network(pulumi.ComponentResource):
    """Makes a network, or hands an existing one on.

    Attributes:
        private_subnet_ids: Of nodes, in the zones' order.
        intra_subnet_ids: Of the control plane.
        public_subnet_ids: Of load balancers; empty without NAT.
        ready: What nodes need before they can join: routes, NAT, endpoints. Empty for an existing network.
    """

    vpc_id: pulumi.Input[str]
    private_subnet_ids: list[pulumi.Input[str]]
    intra_subnet_ids: list[pulumi.Input[str]]
    public_subnet_ids: list[pulumi.Input[str]]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:index:Network", name, {"region": args.region}, opts)
        self._name = name
        self.ready = []
        self.public_subnet_ids = []
        if isinstance(args.settings, GivenNetwork):
            self.vpc_id = args.settings.vpc_id
            self.private_subnet_ids = list(args.settings.private_subnets)
            self.intra_subnet_ids = list(args.settings.intra_subnets or args.settings.private_subnets)
            self.public_subnet_ids = list(args.settings.public_subnets)
        else:
            self._make(args.settings, args)
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "privateSubnetIds": self.private_subnet_ids,
                "intraSubnetIds": self.intra_subnet_ids,
                "publicSubnetIds": self.public_subnet_ids,
            }
        )

    def _make(self, settings: NewNetwork, args: NetworkArgs) -> None:
        vpc = aws.ec2.Vpc(
            self._name,
            cidr_block=settings.cidr,
            # The endpoints' private names need both.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": self._name},
            opts=self._child(protect=args.protect),
        )
        # Whatever names no group of its own must not reach anything.
        aws.ec2.DefaultSecurityGroup(self._name, vpc_id=vpc.id, ingress=[], egress=[], opts=self._child())
        self.vpc_id = vpc.id
        private = self._subnets(vpc, settings, args, "private", settings.private_cidrs())
        intra = self._subnets(vpc, settings, args, "intra", settings.intra_cidrs())
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.intra_subnet_ids = [subnet.id for subnet in intra]
        tables = self._private_tables(vpc, settings, private)
        if settings.nat is not Nat.NONE:
            public = self._subnets(vpc, settings, args, "public", settings.public_cidrs())
            self.public_subnet_ids = [subnet.id for subnet in public]
            self._ways_out(vpc, settings, args, public, tables)
        if settings.endpoints:
            self._endpoints(vpc, settings, args, tables)

    # ------------------------------------------------------------------------------------------------------ subnets
    def _subnets(
        self, vpc: aws.ec2.Vpc, settings: NewNetwork, args: NetworkArgs, kind: str, cidrs: tuple[str, ...]
    ) -> list[aws.ec2.Subnet]:
        roles = {"public": {"kubernetes.io/role/elb": "1"}, "private": {"kubernetes.io/role/internal-elb": "1"}}
        return [
            aws.ec2.Subnet(
                f"{self._name}-{kind}-{zone}",
                vpc_id=vpc.id,
                cidr_block=cidr,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags={"Name": f"{self._name}-{kind}-{zone}", **roles.get(kind, {})},
                opts=self._child(protect=args.protect),
            )
            for zone, cidr in zip(settings.zones, cidrs, strict=True)
        ]

    def _private_tables(
        self, vpc: aws.ec2.Vpc, settings: NewNetwork, subnets: list[aws.ec2.Subnet]
    ) -> list[aws.ec2.RouteTable]:
        """Make one table per zone, so that each zone can have a NAT gateway of its own."""
        tables = []
        for zone, subnet in zip(settings.zones, subnets, strict=True):
            table = self._table(vpc, f"private-{zone}")
            self.ready.append(self._associate(f"private-{zone}", table, subnet))
            tables.append(table)
        return tables

    # ---------------------------------------------------------------------------------------------------------- out
    def _ways_out(
        self,
        vpc: aws.ec2.Vpc,
        settings: NewNetwork,
        args: NetworkArgs,
        public: list[aws.ec2.Subnet],
        tables: list[aws.ec2.RouteTable],
    ) -> None:
        gateway = aws.ec2.InternetGateway(self._name, vpc_id=vpc.id, tags={"Name": self._name}, opts=self._child())
        table = self._table(vpc, "public")
        way = self._route("public", table, gateway_id=gateway.id)
        associations = [
            self._associate(f"public-{zone}", table, subnet)
            for zone, subnet in zip(settings.zones, public, strict=True)
        ]
        zones = settings.zones if settings.nat is Nat.PER_ZONE else settings.zones[:1]
        gateways = [
            self._nat(zone, subnet, args, [way, *associations]) for zone, subnet in zip(zones, public, strict=False)
        ]
        for index, (zone, private) in enumerate(zip(settings.zones, tables, strict=True)):
            nat = gateways[min(index, len(gateways) - 1)]
            self.ready.append(self._route(f"private-{zone}", private, nat_gateway_id=nat.id))

    def _nat(
        self, zone: str, subnet: aws.ec2.Subnet, args: NetworkArgs, ways: list[pulumi.Resource]
    ) -> aws.ec2.NatGateway:
        # Partners know the cluster by this address.
        address = aws.ec2.Eip(
            f"{self._name}-{zone}",
            domain="vpc",
            tags={"Name": f"{self._name}-{zone}"},
            opts=self._child(protect=args.protect),
        )
        return aws.ec2.NatGateway(
            f"{self._name}-{zone}",
            allocation_id=address.id,
            subnet_id=subnet.id,
            tags={"Name": f"{self._name}-{zone}"},
            opts=self._child(depends_on=ways),
        )

    # ---------------------------------------------------------------------------------------------------- endpoints
    def _endpoints(
        self, vpc: aws.ec2.Vpc, settings: NewNetwork, args: NetworkArgs, tables: list[aws.ec2.RouteTable]
    ) -> None:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints",
            vpc_id=vpc.id,
            description="HTTPS from the VPC to the endpoints of AWS services",
            tags={"Name": f"{self._name}-endpoints"},
            opts=self._child(),
        )
        rule = aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-endpoints",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=settings.cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=self._child(),
        )
        self.ready.append(rule)
        for service in INTERFACE_ENDPOINTS:
            endpoint = aws.ec2.VpcEndpoint(
                f"{self._name}-{service.replace('.', '-')}",
                vpc_id=vpc.id,
                service_name=f"com.amazonaws.{args.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                policy=_endpoint_policy(service, settings.endpoint_accounts, args.partition),
                subnet_ids=self.intra_subnet_ids,
                security_group_ids=[group.id],
                tags={"Name": f"{self._name}-{service}"},
                opts=self._child(),
            )
            self.ready.append(endpoint)
        buckets = aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags={"Name": f"{self._name}-s3"},
            opts=self._child(),
        )
        self.ready.append(buckets)

    # ------------------------------------------------------------------------------------------------------- pieces
    def _table(self, vpc: aws.ec2.Vpc, suffix: str) -> aws.ec2.RouteTable:
        tags = {"Name": f"{self._name}-{suffix}"}
        return aws.ec2.RouteTable(f"{self._name}-{suffix}", vpc_id=vpc.id, tags=tags, opts=self._child())

    def _associate(self, suffix: str, table: aws.ec2.RouteTable, subnet: aws.ec2.Subnet) -> pulumi.Resource:
        association: pulumi.Resource = aws.ec2.RouteTableAssociation(
            f"{self._name}-{suffix}", route_table_id=table.id, subnet_id=subnet.id, opts=self._child()
        )
        return association

    def _route(self, suffix: str, table: aws.ec2.RouteTable, **way: pulumi.Input[str]) -> pulumi.Resource:
        route: pulumi.Resource = aws.ec2.Route(
            f"{self._name}-{suffix}",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            opts=self._child(),
            **way,
        )
        return route

    def _child(
        self, *, protect: bool | None = None, depends_on: list[pulumi.Resource] | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=protect or None, depends_on=depends_on)


def _endpoint_policy(service: str, accounts: tuple[str, ...], partition: str) -> str | None:
    """Return who may use an endpoint; None for AWS's own policy, which lets everybody.

    A pod that exchanges its token is nobody yet: for it the role's account decides.
    """
    if not accounts or service not in _GUARDED_ENDPOINTS:
        return None
    ours: dict[str, object] = {
        "Sid": "UseByOwnAccounts",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": list(accounts)}},
    }
    exchange: dict[str, object] = {
        "Sid": "ExchangeTokens",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Resource": [f"arn:{partition}:iam::{account}:role/*" for account in accounts],
    }
    statements = [ours, exchange] if service == "sts" else [ours]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, sort_keys=True)
