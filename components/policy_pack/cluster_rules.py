"""Rules about clusters and data: no API for everybody, no plain text at rest. Those of nodes are in node_rules.py.

What is not set counts as AWS's own default, and what is not known at preview as not held: nothing is assumed.

Source: property names of pulumi-aws 7; EKS API reference (CreateCluster: the endpoint is public by default), EC2 user
guide (encryption by default), EFS API reference.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from ..cluster_settings import NARROWEST_OPEN_PREFIX
from ..derivation.diff.preview_resources import Resource, undecided
from .node_rules import is_true, node_template, plain_disks
from .rule import Finding, Rule, example

_CLUSTER = "aws:eks/cluster:Cluster"
_VOLUME = "aws:ebs/volume:Volume"
_FILE_SYSTEM = "aws:efs/fileSystem:FileSystem"


# ------------------------------------------------------------------------------------------------------------ endpoint
def _open_endpoint(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    for resource in stack:
        if resource.type == _CLUSTER:
            yield from (Finding(urn=resource.urn, what=what) for what in _endpoint(resource.mapping("vpcConfig")))


def _endpoint(config: Mapping[str, object]) -> Iterator[str]:
    public = config.get("endpointPublicAccess")
    cidrs = config.get("publicAccessCidrs")
    if undecided(public) is not None:
        yield "whether the API is public is not known at preview"
    elif public is not False and not cidrs:
        said = "is public" if public is True else "is public unless endpointPublicAccess is false"
        yield f"the API {said}, and no publicAccessCidrs are named, so everybody may reach it"
    elif public is not False:
        for cidr in cidrs if isinstance(cidrs, list) else [cidrs]:
            if undecided(cidr) is not None:
                yield "who may reach the public API is not known at preview"
            elif _is_everybody(str(cidr)):
                yield f"the API is public for {str(cidr)!r}"


def _is_everybody(cidr: str) -> bool:
    """Say whether a network is as good as the internet, by the measure of our own settings; an unreadable one is."""
    try:
        return ipaddress.ip_network(cidr, strict=False).prefixlen < NARROWEST_OPEN_PREFIX
    except ValueError:
        return True


# ---------------------------------------------------------------------------------------------------------- encryption
def _plain_text(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    for resource in stack:
        yield from (Finding(urn=resource.urn, what=what) for what in _unencrypted(resource))


def _unencrypted(resource: Resource) -> Iterator[str]:
    if resource.type == _CLUSTER:
        config = resource.mapping("encryptionConfig")
        kinds, provider = config.get("resources"), config.get("provider")
        key = provider.get("keyArn") if isinstance(provider, Mapping) else None
        # A key that the same stack makes has no ARN yet; that there is one is known.
        if not key or not isinstance(kinds, list) or "secrets" not in kinds:
            yield "encryptionConfig names no key for Kubernetes Secrets"
    elif resource.type in {_VOLUME, _FILE_SYSTEM}:
        if not is_true(resource.properties.get("encrypted")):
            yield "`encrypted` is not true"
    else:
        yield from plain_disks(resource)


def _cluster(
    *, public: bool = False, key: str = "arn:aws:kms:eu-west-1:111122223333:key/a", **network: object
) -> Resource:
    encryption = {"encryptionConfig": {"provider": {"keyArn": key}, "resources": ["secrets"]}} if key else {}
    return example(_CLUSTER, vpcConfig={"endpointPublicAccess": public, **network}, **encryption)


RULES = (
    Rule(
        name="eks-endpoint-is-not-for-everybody",
        title="A cluster's API is private, or public for named networks",
        why="A public API is one stolen kubeconfig, or one flaw, away from every Secret and every token.",
        fix="set vpcConfig.endpointPublicAccess to false, or name your networks in publicAccessCidrs",
        bad=(_cluster(public=True), example(_CLUSTER, "default", encryptionConfig={})),
        good=(_cluster(), _cluster(public=True, publicAccessCidrs=["203.0.113.0/24"])),
        check=_open_endpoint,
    ),
    Rule(
        name="data-is-encrypted",
        title="Kubernetes Secrets and disks are encrypted",
        why="Synced Secrets lie in etcd, and mounted files may be swapped or copied to a node's disk.",
        fix="give the cluster encryptionConfig with a KMS key for `secrets`, and every disk `encrypted`",
        bad=(_cluster(key=""), node_template(encrypted="false"), example(_VOLUME, size=10)),
        good=(_cluster(), node_template(), example(_VOLUME, size=10, encrypted=True)),
        check=_plain_text,
    ),
)
