"""The endpoints that a mount needs: whether their names resolve, and whether the cluster's network reaches them.

What resolves here says how it is here; run it in the network for what a private cluster sees. The network itself is
asked of EC2: an interface endpoint with private names, or a route out for every subnet in which nodes are. Those of the
control plane say nothing of it: mounts are made by nodes.

Source: EKS user guide (node groups; the tag `kubernetes.io/cluster/<name>` that every node's instance carries).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from components.derivation import Identity
from components.derivation.spec import Store
from lockstep.doctor.aws_reader import AwsCalls, pages
from lockstep.doctor.eks_checks import fetch_cluster
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Check, UnseenError, Verdict, examine, listed

Resolve = Callable[[str], Sequence[str]]

_EVERYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})
_AVAILABLE: Final = "available"
_EKS_AUTH: Final = "eks-auth"
#: EKS Auth has dual-stack names only. Source: botocore 1.44.5, data/partitions.json, dualStackDnsSuffix.
_DUAL_STACK_SUFFIXES: Final[Mapping[str, str]] = {
    "aws": "api.aws",
    "aws-cn": "api.amazonwebservices.com.cn",
    "aws-us-gov": "api.aws",
}


def resolve(host: str) -> tuple[str, ...]:
    """Return the addresses of a host, sorted; () when it has none."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(sorted({str(each[4][0]) for each in found}))


def services_of(expected: Expected) -> tuple[tuple[str, str], ...]:
    """Return service and region of everything that a mount of the stack's apps asks, sorted."""
    home = expected.environment.region
    found = {("sts", home)} if expected.uses(Identity.IRSA) or any(app.chain for app in expected.apps) else set()
    if expected.uses(Identity.POD_IDENTITY):
        found.add((_EKS_AUTH, home))
    for app in expected.apps:
        for grant in app.grants:
            service = "secretsmanager" if grant.store is Store.SECRETS_MANAGER else "ssm"
            # KMS is asked by the services themselves, not by the node; a private policy of it still matters to people.
            found |= {(service, grant.region)} | ({("kms", grant.region)} if grant.key else set())
    return tuple(sorted(found))


def check_names(expected: Expected, find: Resolve = resolve) -> Iterator[Verdict]:
    """Yield whether the names resolve from here."""
    for service, region in services_of(expected):
        host = _host(service, region, expected)
        yield from examine(Check("endpoint.name", host), partial(_name, host, find))


def check_network(expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    """Yield whether the cluster's network reaches the services of its region."""
    yield from examine(Check("endpoint.network"), lambda check: _network(check, expected, aws))


def _host(service: str, region: str, expected: Expected) -> str:
    if service == _EKS_AUTH:
        return f"{service}.{region}.{_DUAL_STACK_SUFFIXES[expected.environment.partition]}"
    return f"{service}.{region}.{expected.environment.dns_suffix}"


def _name(host: str, find: Resolve, check: Check) -> Iterator[Verdict]:
    addresses = find(host)
    if not addresses:
        fix = "a private network needs a VPC endpoint with private DNS names, and DNS support on in the VPC"
        yield check.warn("the name does not resolve from here", fix)
        return
    private = [address for address in addresses if ipaddress.ip_address(address.partition("%")[0]).is_private]
    if len(private) == len(addresses):
        yield check.ok("the name resolves to private addresses: a VPC endpoint")
    elif private:
        what = f"the name resolves to private and public addresses ({listed(addresses)})"
        yield check.warn(what, "look at the private hosted zones of this network")
    else:
        yield check.ok("the name resolves to public addresses: reached by a way out of the network")


def _network(check: Check, expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    region = expected.environment.region
    vpc = str(fetch_cluster(expected, aws).get("resourcesVpcConfig", {}).get("vpcId", ""))
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    endpoints = list(pages(aws, "ec2", "DescribeVpcEndpoints", "VpcEndpoints", region=region, Filters=filters))
    wanted = [service for service, where in services_of(expected) if where == region]
    served = {service for service in wanted if any(_serves(each, service, region) for each in endpoints)}
    lacking = [service for service in wanted if service not in served]
    if not lacking:
        yield check.ok(f"{vpc} has endpoints with private names for {listed(wanted)}")
        return
    nodes = _node_subnets(expected, aws, vpc)
    tables = list(pages(aws, "ec2", "DescribeRouteTables", "RouteTables", region=region, Filters=filters))
    enclosed = [subnet for subnet in nodes.subnets if not _has_way_out(subnet, tables)]
    if enclosed:
        what = f"nodes in {listed(enclosed)} have no way out, and {vpc} has no endpoint with private names for"
        fix = "add interface endpoints (lockstep:network endpoints: true), or a NAT gateway"
        yield check.fail(f"{what} {listed(lacking)}", fix)
    else:
        way = f"every subnet of the nodes ({listed(nodes.subnets)}) has a way out to {listed(lacking)}"
        yield check.ok(f"{way}{f'; {listed(served)} by endpoints' if served else ''}{nodes.but}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nodes:
    """Where a cluster's nodes are or will be: `subnets`, and what is not known of them, to be appended."""

    subnets: frozenset[str]
    but: str = ""


def _node_subnets(expected: Expected, aws: AwsCalls, vpc: str) -> _Nodes:
    """Return the subnets of managed node groups, which may have no node yet, and of every instance of the cluster.

    Raises:
        UnseenError: There is neither, or one may not be asked and the other is not there.
    """
    cluster, region = expected.environment.cluster, expected.environment.region
    found: set[str] = set()
    for name in pages(aws, "eks", "ListNodegroups", "nodegroups", region=region, clusterName=cluster):
        answer = aws.call("eks", "DescribeNodegroup", region=region, clusterName=cluster, nodegroupName=name)
        found |= {str(each) for each in answer["nodegroup"].get("subnets") or ()}
    tag = f"kubernetes.io/cluster/{cluster}"
    filters = [
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "tag-key", "Values": [tag]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    try:
        for each in pages(aws, "ec2", "DescribeInstances", "Reservations", region=region, Filters=filters):
            found |= {str(instance["SubnetId"]) for instance in each.get("Instances", ()) if instance.get("SubnetId")}
    except UnseenError as reason:
        if not found:
            raise
        return _Nodes(subnets=frozenset(found), but=f"; of nodes outside of node groups nothing is known: {reason}")
    if not found:
        what = f"{cluster} has no managed node group, and no running instance in {vpc} has the tag {tag}"
        raise UnseenError(f"{what}: look again when it has nodes")
    return _Nodes(subnets=frozenset(found))


def _serves(endpoint: Mapping[str, Any], service: str, region: str) -> bool:
    is_it = str(endpoint.get("ServiceName", "")).endswith(f".{region}.{service}")
    return is_it and str(endpoint.get("State", "")).lower() == _AVAILABLE and bool(endpoint.get("PrivateDnsEnabled"))


def _has_way_out(subnet: str, tables: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a subnet's route table, or else the VPC's main one, has an active route to everywhere."""
    mine = [table for table in tables if any(a.get("SubnetId") == subnet for a in table.get("Associations", ()))]
    main = [table for table in tables if any(a.get("Main") for a in table.get("Associations", ()))]
    return any(
        _EVERYWHERE & {route.get("DestinationCidrBlock"), route.get("DestinationIpv6CidrBlock")}
        and route.get("State", "active") == "active"
        for table in mine or main
        for route in table.get("Routes", ())
    )
