"""What a stack says about a cluster that it makes. Plain values, and how they are read.

Not done here: making it (eks_cluster.py, node_group.py). Nothing of Pulumi is imported.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .arguments import CheckedArguments
from .settings_reader import SettingsReader

#: Add-ons that a cluster cannot do without, each with a pinned version. Source: EKS user guide, add-ons.
REQUIRED_ADDONS = ("coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni")

#: Retention that CloudWatch Logs takes, in days (API reference, PutRetentionPolicy), up to two years.
RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)

_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(?:role|user)/[\w+=,.@/-]+")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")
_KUBERNETES = re.compile(r"1\.\d{2}")
_ADDON_VERSION = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")
#: EKS takes 63 characters; the AWS provider puts a dash and 26 of its own behind a group's prefix.
_LONGEST_GROUP_NAME = 36
_NAME = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{_LONGEST_GROUP_NAME - 2}}}[a-z0-9])?")
_NAME_RULE = f"It is a DNS label of up to {_LONGEST_GROUP_NAME} characters"
_INSTANCE_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_LARGEST_GROUP = 450
_DISK_GIB = (20, 16_384)
#: A network with a shorter prefix is as good as the internet.
NARROWEST_OPEN_PREFIX = 8


class Capacity(StrEnum):
    """How nodes are bought."""

    ON_DEMAND = "ON_DEMAND"
    SPOT = "SPOT"


class AmiType(StrEnum):
    """Images of managed node groups that the provider runs on (Linux only). Source: EKS API, CreateNodegroup."""

    AL2023_X86 = "AL2023_x86_64_STANDARD"
    AL2023_ARM = "AL2023_ARM_64_STANDARD"
    BOTTLEROCKET_X86 = "BOTTLEROCKET_x86_64"
    BOTTLEROCKET_ARM = "BOTTLEROCKET_ARM_64"


class TaintEffect(StrEnum):
    """Effects as the EKS API spells them."""

    NO_SCHEDULE = "NO_SCHEDULE"
    NO_EXECUTE = "NO_EXECUTE"
    PREFER_NO_SCHEDULE = "PREFER_NO_SCHEDULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroupSettings(CheckedArguments):
    """One managed node group.

    Attributes:
        name: Its key; part of the names in AWS.
        release_version: Of the image; None follows the cluster's version.
        taints: Key to effect.
    """

    name: str
    instance_types: tuple[str, ...]
    min_size: int
    max_size: int
    disk_gib: int = 50
    capacity: Capacity = Capacity.ON_DEMAND
    ami_type: AmiType = AmiType.AL2023_X86
    release_version: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Mapping[str, TaintEffect] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings(CheckedArguments):
    """A cluster to make.

    Attributes:
        version: Of Kubernetes, `1.34`.
        deployer: Principal that runs Pulumi. It gets an access entry, because nobody is an administrator by having
            made the cluster.
        admins: Principals with every right.
        readers: Principals that may see everything but Secrets.
        public_access_cidrs: Who may reach the API from the internet; nobody when empty.
        secrets_key: ARN of the key that encrypts Kubernetes Secrets; None makes one that rotates.
        addons: Name to version; the required ones are there.
    """

    version: str
    deployer: str
    node_groups: tuple[NodeGroupSettings, ...]
    addons: Mapping[str, str]
    admins: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    public_access_cidrs: tuple[str, ...] = ()
    secrets_key: str | None = None
    log_retention_days: int = 90
    deletion_protection: bool = True
    zonal_shift: bool = True


def read_cluster(reader: SettingsReader) -> ClusterSettings | None:
    """Read `cluster`; None when it is absent: the cluster then exists. Problems go to the reader."""
    section = reader.section("cluster")
    if section is None:
        return None
    cluster = ClusterSettings(
        version=section.matching("version", _KUBERNETES, "It is a version of Kubernetes", 'write it like "1.34"'),
        deployer=section.matching(
            "deployer",
            _PRINCIPAL,
            "It is the ARN of the role that runs Pulumi",
            "write arn:aws:iam::<account>:role/...",
        ),
        admins=_principals(section, "admins"),
        readers=_principals(section, "readers"),
        public_access_cidrs=_read_cidrs(section),
        secrets_key=section.optional_matching(
            "secretsKey", _KEY, "It is the ARN of a KMS key", "correct it, or leave it out for a key of its own"
        ),
        log_retention_days=_read_retention(section),
        deletion_protection=section.boolean("deletionProtection", default=True),
        zonal_shift=section.boolean("zonalShift", default=True),
        addons=_read_addons(section),
        node_groups=_read_node_groups(section),
    )
    section.refuse_unknown()
    return cluster


def _principals(section: SettingsReader, key: str) -> tuple[str, ...]:
    """Read ARNs, sorted, each once: their order means nothing."""
    principals = section.texts(key, at_least=0)
    for principal in principals:
        if not _PRINCIPAL.fullmatch(principal):
            fix = "write the full ARN; access entries take no wildcard and no assumed-role session"
            section.add(key, f"{principal!r} does not fit", "It is the ARN of a role or user", fix, "CFG007")
    return tuple(sorted(set(principals)))


def _read_cidrs(section: SettingsReader) -> tuple[str, ...]:
    cidrs = section.texts("publicAccessCidrs", at_least=0)
    for text in cidrs:
        problem = _cidr_problem(text)
        if problem:
            section.add("publicAccessCidrs", *problem)
    return tuple(sorted(set(cidrs)))


def _cidr_problem(text: str) -> tuple[str, str, str, str] | None:
    """Return what is wrong with a network that may reach the API, the rule, the fix and the code."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        return f"{text!r} is no network ({error})", "It is a CIDR", "write one such as 203.0.113.0/24", "CFG007"
    if network.prefixlen >= NARROWEST_OPEN_PREFIX:
        return None
    fix = "name your own networks, or none for a private endpoint"
    return f"{text!r} is open to nearly everyone", "An API server is not open to the internet", fix, "CFG013"


def cluster_problems(settings: ClusterSettings) -> Iterator[tuple[str, str, str, str]]:
    """Yield what a component of these settings could not make, or must not: field, what, rule, fix."""
    if not _KUBERNETES.fullmatch(settings.version):
        yield "version", f"{settings.version!r} does not fit", "It is a version of Kubernetes", 'write it like "1.34"'
    for key in ("deployer", "admins", "readers"):
        given = getattr(settings, key)
        for principal in (given,) if isinstance(given, str) else given:
            if not _PRINCIPAL.fullmatch(principal):
                yield key, f"{principal!r} does not fit", "It is the ARN of a role or user", "write the full ARN"
    for text in settings.public_access_cidrs:
        problem = _cidr_problem(text)
        if problem:
            yield "public_access_cidrs", *problem[:3]
    yield from _log_and_key_problems(settings)
    yield from _addon_problems(settings.addons)
    yield from _all_node_group_problems(settings)


def _log_and_key_problems(settings: ClusterSettings) -> Iterator[tuple[str, str, str, str]]:
    if settings.log_retention_days not in RETENTION_DAYS:
        rule = f"CloudWatch Logs takes {', '.join(str(each) for each in RETENTION_DAYS)}"
        yield "log_retention_days", f"{settings.log_retention_days} does not fit", rule, "pass one of them"
    if settings.secrets_key is not None and not _KEY.fullmatch(settings.secrets_key):
        fix = "write the full ARN, or leave it out for a key of its own"
        yield "secrets_key", f"{settings.secrets_key!r} does not fit", "It is the ARN of a KMS key", fix


def _all_node_group_problems(settings: ClusterSettings) -> Iterator[tuple[str, str, str, str]]:
    if not settings.node_groups:
        yield "node_groups", "there is none", "A cluster without nodes cannot run the driver", "add one"
    names = [group.name for group in settings.node_groups]
    for name in sorted({each for each in names if names.count(each) > 1}):
        rule = "A group's name is unique in its cluster"
        yield f"node_groups[{name!r}]", f"{names.count(name)} groups are called so", rule, "rename all but one"
    for group in settings.node_groups:
        for key, what, rule, fix in node_group_problems(group):
            yield f"node_groups[{group.name!r}].{key}", what, rule, fix


def node_group_problems(group: NodeGroupSettings) -> Iterator[tuple[str, str, str, str]]:
    """Yield what EKS or EC2 would refuse of a group: field, what, rule, fix."""
    if not _NAME.fullmatch(group.name):
        yield "name", f"{group.name!r} is no name", _NAME_RULE, "rename it"
    if not group.instance_types:
        yield "instance_types", "there is none", "A group has one type or more", "name one, such as m7g.large"
    for each in group.instance_types:
        if not _INSTANCE_TYPE.fullmatch(each):
            yield "instance_types", f"{each!r} does not fit", "It is a type of EC2", "write one such as m7g.large"
    if not 0 <= group.min_size <= _LARGEST_GROUP:
        yield "min_size", f"{group.min_size} does not fit", f"It is from 0 to {_LARGEST_GROUP}", "correct it"
    if not max(1, group.min_size) <= group.max_size <= _LARGEST_GROUP:
        rule = f"It is from min_size, and at least 1, to {_LARGEST_GROUP}"
        yield "max_size", f"{group.max_size} does not fit", rule, "raise it, or lower min_size"
    least, most = _DISK_GIB
    if not least <= group.disk_gib <= most:
        yield "disk_gib", f"{group.disk_gib} does not fit", f"It is from {least} to {most}", "pass a size such as 50"


def _addon_problems(addons: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    for name in REQUIRED_ADDONS:
        if name not in addons:
            rule = "The cluster's self-managed add-ons are off, so that each has a reviewed version"
            fix = f"add its version; `aws eks describe-addon-versions --addon-name {name}` lists them"
            yield f"addons[{name!r}]", "it is missing", rule, fix
    for name, version in addons.items():
        if not _ADDON_VERSION.fullmatch(version):
            fix = "write one that `aws eks describe-addon-versions` prints, such as v1.2.3-eksbuild.1"
            yield f"addons[{name!r}]", f"{version!r} does not fit", "An add-on is pinned", fix


def _read_retention(section: SettingsReader) -> int:
    days = section.integer("logRetentionDays", least=RETENTION_DAYS[0], most=RETENTION_DAYS[-1], default=90)
    if days not in RETENTION_DAYS:
        rule = f"CloudWatch Logs takes {', '.join(str(each) for each in RETENTION_DAYS)}"
        section.add("logRetentionDays", f"{days} does not fit", rule, "write one of them", "CFG007")
    return days


def _read_addons(section: SettingsReader) -> dict[str, str]:
    addons = section.text_map("addons")
    for name, version in addons.items():
        key = f"addons.{name}"
        if not section.is_broken(key) and not _ADDON_VERSION.fullmatch(version):
            fix = "write one that `aws eks describe-addon-versions` prints, such as v1.2.3-eksbuild.1"
            section.add(key, f"{version!r} does not fit", "An add-on is pinned", fix, "CFG007")
    for name in REQUIRED_ADDONS:
        if name not in addons:
            fix = f"add its version; `aws eks describe-addon-versions --addon-name {name}` lists them"
            rule = "The cluster's self-managed add-ons are off, so that each has a reviewed version"
            section.add(f"addons.{name}", "it is missing", rule, fix, "CFG006")
    return addons


def _read_node_groups(section: SettingsReader) -> tuple[NodeGroupSettings, ...]:
    groups = section.section("nodeGroups")
    if groups is None:
        rule = "A cluster without nodes cannot run the driver"
        fix = "add one with instanceTypes, minSize and maxSize"
        section.add("nodeGroups", "there is no node group", rule, fix, "CFG006")
        return ()
    return tuple(_read_node_group(groups, name) for name in sorted(groups.names()))


def _read_node_group(groups: SettingsReader, name: str) -> NodeGroupSettings:
    if not _NAME.fullmatch(name):
        groups.add(name, f"{name!r} is no name", _NAME_RULE, "rename it", "CFG007")
    group = groups.section(name) or SettingsReader(
        {}, groups.file, f"{groups.full(name)}.", groups.problems, groups.broken
    )
    smallest = group.integer("minSize", least=0, most=_LARGEST_GROUP)
    settings = NodeGroupSettings(
        name=name,
        instance_types=group.texts("instanceTypes", at_least=1),
        min_size=smallest,
        max_size=group.integer("maxSize", least=max(1, smallest), most=_LARGEST_GROUP),
        disk_gib=group.integer("diskGib", least=_DISK_GIB[0], most=_DISK_GIB[1], default=50),
        capacity=group.choice("capacity", Capacity, Capacity.ON_DEMAND, default=Capacity.ON_DEMAND),
        ami_type=group.choice("amiType", AmiType, AmiType.AL2023_X86, default=AmiType.AL2023_X86),
        release_version=group.optional_matching("releaseVersion", None, "", ""),
        labels=group.text_map("labels"),
        taints=_read_taints(group),
    )
    group.refuse_unknown()
    return settings


def _read_taints(group: SettingsReader) -> dict[str, TaintEffect]:
    section = group.section("taints")
    if section is None:
        return {}
    return {key: section.choice(key, TaintEffect, TaintEffect.NO_SCHEDULE) for key in sorted(section.names())}
