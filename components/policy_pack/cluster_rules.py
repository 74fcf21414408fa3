"""Rules about clusters, nodes and disks: no API for everybody, no IMDSv1, no plain text at rest.

What is not set counts as AWS's own default, and what is not known at preview as not held: nothing is assumed.

Source: property names of pulumi-aws 7; EKS API reference (CreateCluster: the endpoint is public by default), EC2 user
guide (instance metadata options, encryption by default), EFS API reference.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from ..cluster_settings import NARROWEST_OPEN_PREFIX
from ..derivation.diff.preview_resources import Resource, undecided
from .rule import Finding, Rule, example

_CLUSTER = "aws:eks/cluster:Cluster"
_NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_INSTANCE = "aws:ec2/instance:Instance"
_CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
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


# ---------------------------------------------------------------------------------------------------------------- IMDS
def _old_metadata(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    for resource in stack:
        if resource.type == _TEMPLATE or _decides_itself(resource):
            options = resource.mapping("metadataOptions")
            if options.get("httpTokens") != "required" and options.get("httpEndpoint") != "disabled":
                told = options.get("httpTokens")
                shown = "is not set" if told is None else f"is {told!r}" if undecided(told) is None else "is not known"
                yield Finding(urn=resource.urn, what=f"metadataOptions.httpTokens {shown}, so IMDSv1 may answer")
        elif resource.type == _NODE_GROUP and not resource.properties.get("launchTemplate"):
            what = "the node group has no launch template, so nothing says IMDSv2 or encrypted disks"
            yield Finding(urn=resource.urn, what=what)


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
        if not _is_true(resource.properties.get("encrypted")):
            yield "`encrypted` is not true"
    elif resource.type == _TEMPLATE:
        yield from _devices(resource, "blockDeviceMappings", inner="ebs")
    elif _decides_itself(resource):
        if not _is_true(resource.mapping("rootBlockDevice").get("encrypted")):
            yield "rootBlockDevice.encrypted is not true"
        if resource.properties.get("ebsBlockDevices"):
            yield from _devices(resource, "ebsBlockDevices")


def _decides_itself(resource: Resource) -> bool:
    """Say whether a resource is an instance, or describes some, without a template that is judged by itself."""
    return resource.type in {_INSTANCE, _CONFIGURATION} and not resource.properties.get("launchTemplate")


def _devices(resource: Resource, key: str, inner: str = "") -> Iterator[str]:
    devices = resource.properties.get(key)
    if not isinstance(devices, list) or not devices:
        yield f"{key} says nothing of the disks, so they are encrypted only where the account's default says so"
        return
    for index, device in enumerate(devices):
        disk = device.get(inner) if inner and isinstance(device, Mapping) else device
        if disk is None:
            continue  # an instance store, or a device that is left out
        if not isinstance(disk, Mapping) or not _is_true(disk.get("encrypted")):
            yield f"{key}[{index}] is not encrypted"


def _is_true(value: object) -> bool:
    return value is True or value == "true"


def _cluster(
    *, public: bool = False, key: str = "arn:aws:kms:eu-west-1:111122223333:key/a", **network: object
) -> Resource:
    encryption = {"encryptionConfig": {"provider": {"keyArn": key}, "resources": ["secrets"]}} if key else {}
    return example(_CLUSTER, vpcConfig={"endpointPublicAccess": public, **network}, **encryption)


def _template(tokens: str = "required", *, encrypted: str = "true") -> Resource:
    disk = {"deviceName": "/dev/xvda", "ebs": {"encrypted": encrypted}}
    return example(_TEMPLATE, metadataOptions={"httpTokens": tokens}, blockDeviceMappings=[disk])


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
        name="nodes-use-imdsv2",
        title="Instances answer metadata requests of version 2 only",
        why="With IMDSv1 a pod that can be made to send one request reads the credentials of its node.",
        fix='set metadataOptions.httpTokens to "required", in a launch template where nodes are a managed group',
        bad=(_template("optional"), example(_NODE_GROUP, clusterName="prod")),
        good=(_template(), example(_NODE_GROUP, clusterName="prod", launchTemplate={"id": "lt-1", "version": "1"})),
        check=_old_metadata,
    ),
    Rule(
        name="data-is-encrypted",
        title="Kubernetes Secrets and disks are encrypted",
        why="Synced Secrets lie in etcd, and mounted files may be swapped or copied to a node's disk.",
        fix="give the cluster encryptionConfig with a KMS key for `secrets`, and every disk `encrypted`",
        bad=(_cluster(key=""), _template(encrypted="false"), example(_VOLUME, size=10)),
        good=(_cluster(), _template(), example(_VOLUME, size=10, encrypted=True)),
        check=_plain_text,
    ),
)
