"""What a stack says about its network: one to make, or one that exists. Plain values, and how they are read.

Not done here: making it (network.py). Nothing of Pulumi is imported.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from .arguments import CheckedArguments
from .cluster_settings import RETENTION_DAYS
from .derivation.arn import is_account
from .settings_reader import SettingsReader

#: Zones of a network. EKS wants two for its control plane; a fourth costs more than it saves.
ZONE_COUNTS = (2, 3)

#: Length of the VPC's prefix: room for pods, which take addresses of their own, and for two small subnets per zone.
_LONGEST_PREFIX, _SHORTEST_PREFIX = 20, 16

_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")


#: An id, or an output of the caller's program that will be one; Pulumi's type for that is not known here.
NetworkId: TypeAlias = Any


class Nat(StrEnum):
    """How nodes reach the internet."""

    NONE = "none"
    SINGLE = "single"
    PER_ZONE = "perZone"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNetwork(CheckedArguments):
    """A network to make.

    Attributes:
        cidr: Of the VPC, IPv4, between /16 and /20.
        zones: Names of two or three availability zones. The order decides the subnets: add at the end, never reorder.
        nat: `single` is cheap and fails with its zone; `none` needs the endpoints, and every image from ECR: the
            provider's, and the driver's (`DriverImages`), whose chart names a public registry.
        endpoints: Interface endpoints for what a mount and a node need.
        endpoint_accounts: Accounts whose principals may use the endpoints of tokens, values and keys; anybody's when
            empty, as AWS has it. Foreign credentials on a node then reach no foreign secret through them.
        flow_log_days: How long flow logs are kept; None for no flow logs.
    """

    cidr: str
    zones: tuple[str, ...]
    nat: Nat = Nat.PER_ZONE
    endpoints: bool = True
    endpoint_accounts: tuple[str, ...] = ()
    flow_log_days: int | None = None

    def private_cidrs(self) -> tuple[str, ...]:
        """Return the nodes' and pods' subnets, one per zone: a quarter of the VPC each."""
        return self._parts(2, 0)

    def public_cidrs(self) -> tuple[str, ...]:
        """Return the subnets of load balancers and NAT gateways, one per zone."""
        return self._parts(5, 24)

    def intra_cidrs(self) -> tuple[str, ...]:
        """Return the subnets without a way out, for the control plane and the endpoints, one per zone."""
        return self._parts(5, 27)

    def _parts(self, longer: int, first: int) -> tuple[str, ...]:
        """Return one part of the VPC per zone; where a part lies does not depend on how many zones there are."""
        parts = list(ipaddress.ip_network(self.cidr).subnets(prefixlen_diff=longer))
        return tuple(str(part) for part in parts[first : first + len(self.zones)])


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenNetwork(CheckedArguments):
    """A network that exists.

    A program that makes them itself may pass outputs for the ids; a stack's settings are texts.

    Attributes:
        private_subnets: Of nodes, in two zones or more.
        intra_subnets: Of the control plane; the private ones when left out.
        public_subnets: Of load balancers; nothing is placed there, they are handed on.
    """

    vpc_id: NetworkId
    private_subnets: tuple[NetworkId, ...]
    intra_subnets: tuple[NetworkId, ...] = ()
    public_subnets: tuple[NetworkId, ...] = ()


NetworkSettings = NewNetwork | GivenNetwork


def read_network(reader: SettingsReader) -> NetworkSettings | None:
    """Read `network`; None when it is absent. Problems go to the reader."""
    section = reader.section("network")
    if section is None:
        return None
    network = _read_given(section) if section.value("vpcId") else _read_new(section)
    section.refuse_unknown()
    return network


def _read_given(section: SettingsReader) -> GivenNetwork:
    return GivenNetwork(
        vpc_id=section.matching("vpcId", _VPC, "It is the id of a VPC", "write it like vpc-0123456789abcdef0"),
        private_subnets=_subnets(section, "privateSubnets", at_least=2),
        intra_subnets=_subnets(section, "intraSubnets", at_least=2 if section.value("intraSubnets") else 0),
        public_subnets=_subnets(section, "publicSubnets", at_least=0),
    )


def _subnets(section: SettingsReader, key: str, *, at_least: int) -> tuple[str, ...]:
    subnets = section.texts(key, at_least=at_least)
    for subnet in subnets:
        if not _SUBNET.fullmatch(subnet):
            fix = "write it like subnet-0123456789abcdef0"
            section.add(key, f"{subnet!r} does not fit", "It is the id of a subnet", fix, "CFG007")
    return subnets


def _read_new(section: SettingsReader) -> NewNetwork:
    zones = section.texts("zones", at_least=ZONE_COUNTS[0])
    if not section.is_broken("zones") and (len(zones) > ZONE_COUNTS[-1] or len(set(zones)) != len(zones)):
        rule = f"It names {ZONE_COUNTS[0]} or {ZONE_COUNTS[-1]} zones, each once"
        section.add("zones", f"{', '.join(zones)} does not fit", rule, "write two or three zones", "CFG007")
    return NewNetwork(
        cidr=_read_cidr(section),
        zones=zones,
        nat=section.choice("nat", Nat, Nat.PER_ZONE, default=Nat.PER_ZONE),
        endpoints=section.boolean("endpoints", default=True),
        endpoint_accounts=_read_accounts(section),
        flow_log_days=_read_flow_log_days(section),
    )


def _read_accounts(section: SettingsReader) -> tuple[str, ...]:
    accounts = section.texts("endpointAccounts", at_least=0)
    for account in (each for each in accounts if not is_account(each)):
        section.add("endpointAccounts", f"{account!r} does not fit", "It is 12 digits", "put them in quotes", "CFG007")
    return tuple(sorted(set(accounts)))


def _read_flow_log_days(section: SettingsReader) -> int | None:
    if section.value("flowLogDays") is None:
        return None
    days = section.integer("flowLogDays", least=RETENTION_DAYS[0], most=RETENTION_DAYS[-1])
    if days not in RETENTION_DAYS:
        rule = f"CloudWatch Logs takes {', '.join(str(each) for each in RETENTION_DAYS)}"
        section.add("flowLogDays", f"{days} does not fit", rule, "write one of them", "CFG007")
    return days


def _read_cidr(section: SettingsReader) -> str:
    text = section.text("cidr")
    if section.is_broken("cidr"):
        return f"10.0.0.0/{_SHORTEST_PREFIX}"
    problem = _cidr_problem(text)
    if problem is None:
        return text
    section.add("cidr", *problem, "CFG007")
    return f"10.0.0.0/{_SHORTEST_PREFIX}"


def _cidr_problem(text: str) -> tuple[str, str, str] | None:
    """Return what is wrong with the block of a VPC, the rule and the fix."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        return f"{text!r} is no IPv4 network ({error})", "It is a CIDR", "write 10.20.0.0/16"
    if _SHORTEST_PREFIX <= network.prefixlen <= _LONGEST_PREFIX and network.is_private:
        return None
    rule = f"It is a private network between /{_SHORTEST_PREFIX} and /{_LONGEST_PREFIX}, so that pods have addresses"
    return f"{text!r} does not fit", rule, "write one such as 10.20.0.0/16"


def _is_id(pattern: re.Pattern[str], value: object) -> bool:
    """Say whether a value is an id, or an output that will be one."""
    return not isinstance(value, str) or pattern.fullmatch(value) is not None


def network_problems(settings: NetworkSettings, region: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield what a component of these settings could not make: field, what, rule, fix."""
    if isinstance(settings, GivenNetwork):
        # Left out, intra subnets are the private ones, and there are no public ones: nothing is placed there.
        least = {"private_subnets": ZONE_COUNTS[0], "intra_subnets": ZONE_COUNTS[0] if settings.intra_subnets else 0}
        if not _is_id(_VPC, settings.vpc_id):
            yield "vpc_id", f"{settings.vpc_id!r} does not fit", "It is the id of a VPC", "write vpc-0123456789abcdef0"
        for key in ("private_subnets", "intra_subnets", "public_subnets"):
            subnets = getattr(settings, key)
            if len(subnets) < least.get(key, 0):
                yield key, f"it names {len(subnets)}", "EKS wants subnets in two zones or more", "name one per zone"
            for subnet in (each for each in subnets if not _is_id(_SUBNET, each)):
                yield key, f"{subnet!r} does not fit", "It is the id of a subnet", "write subnet-0123456789abcdef0"
    else:
        yield from _new_network_problems(settings, region)


def _new_network_problems(settings: NewNetwork, region: str) -> Iterator[tuple[str, str, str, str]]:
    problem = _cidr_problem(settings.cidr)
    if problem:
        yield "cidr", *problem
    if not ZONE_COUNTS[0] <= len(set(settings.zones)) == len(settings.zones) <= ZONE_COUNTS[-1]:
        rule = f"It names {ZONE_COUNTS[0]} or {ZONE_COUNTS[-1]} zones, each once"
        yield "zones", f"{', '.join(settings.zones) or 'nothing'} does not fit", rule, "name two or three zones"
    strangers = [zone for zone in settings.zones if not zone.startswith(region)]
    if strangers:
        yield "zones", f"{', '.join(strangers)} is not in {region}", "Zones are in the region", "name zones of region"
    for account in (each for each in settings.endpoint_accounts if not is_account(each)):
        yield "endpoint_accounts", f"{account!r} does not fit", "It is 12 digits", "write them as a text"
    if settings.endpoints and region.startswith("cn-"):
        rule = "Endpoint services have other names in China, service by service"
        yield "endpoints", f"it is on in {region}", rule, "set it to False and bring endpoints"
