"""Rules about nodes: no IMDSv1, and which disks of instances are plain text.

What an instance says itself counts more than its template does, and what neither says counts as AWS's own default.
Templates of another stack are not judged.

Source: property names of pulumi-aws 7; EC2 user guide (instance metadata options, encryption by default, device names
of root volumes; RunInstances: what is given overrides the launch template), Karpenter 1 (EC2NodeClass: IMDSv2 and
encrypted disks unless it says otherwise).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..derivation.diff.preview_resources import Resource, undecided
from .rule import Finding, Rule, example

_NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
_FLEET: Final = "aws:ec2/spotFleetRequest:SpotFleetRequest"
_INSTANCES: Final = frozenset(
    {
        "aws:ec2/instance:Instance",
        "aws:ec2/launchConfiguration:LaunchConfiguration",
        "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
    }
)
_KARPENTER, _NODE_CLASS = "kubernetes:karpenter.k8s.aws/", ":EC2NodeClass"
#: By what AMIs call their root disk: Amazon Linux and Bottlerocket, then Ubuntu and Windows, then older ones.
_ROOTS: Final = frozenset({"/dev/xvda", "/dev/sda1", "/dev/sda"})


# ---------------------------------------------------------------------------------------------------------------- IMDS
def _old_metadata(stack: tuple[Resource, ...]) -> Iterator[Finding]:
    for resource in stack:
        yield from (Finding(urn=resource.urn, what=what) for what in _metadata(resource))


def _metadata(resource: Resource) -> Iterator[str]:
    if resource.type in {_TEMPLATE, *_INSTANCES}:
        yield from _tokens(resource.properties.get("metadataOptions"), has_default=_has_template(resource))
    elif _is_node_class(resource):
        yield from _tokens(resource.mapping("spec").get("metadataOptions"), has_default=True)
    elif resource.type == _FLEET and resource.properties.get("launchSpecifications"):
        yield "launchSpecifications cannot ask for IMDSv2, which launchTemplateConfigs can"
    elif resource.type == _NODE_GROUP and not resource.properties.get("launchTemplate"):
        yield "the node group has no launch template, so nothing says IMDSv2 or encrypted disks"


def _tokens(given: object, *, has_default: bool) -> Iterator[str]:
    """Yield what is wrong with metadata options; `has_default` where something else decides what they leave out."""
    options = given if isinstance(given, Mapping) else {"httpTokens": given}
    tokens = options.get("httpTokens")
    if tokens == "required" or options.get("httpEndpoint") == "disabled" or (tokens is None and has_default):
        return
    shown = "is not set" if tokens is None else f"is {tokens!r}" if undecided(tokens) is None else "is not known"
    yield f"metadataOptions.httpTokens {shown}, so IMDSv1 may answer"


def _has_template(resource: Resource) -> bool:
    return resource.type in _INSTANCES and bool(resource.properties.get("launchTemplate"))


def _is_node_class(resource: Resource) -> bool:
    return resource.type.startswith(_KARPENTER) and resource.type.endswith(_NODE_CLASS)


# --------------------------------------------------------------------------------------------------------------- disks
def plain_disks(resource: Resource) -> Iterator[str]:
    """Yield the disks that a template or an instance leaves in plain text; nothing for any other resource."""
    if resource.type == _TEMPLATE:
        yield from _mappings(resource.properties.get("blockDeviceMappings"))
    elif resource.type in _INSTANCES:
        yield from _own_disks(resource.properties, "rootBlockDevice", has_default=_has_template(resource))
    elif resource.type == _FLEET:
        specifications = resource.properties.get("launchSpecifications")
        for index, item in enumerate(specifications if isinstance(specifications, list) else []):
            for what in _own_disks(item if isinstance(item, Mapping) else {}, "rootBlockDevices", has_default=False):
                yield f"launchSpecifications[{index}].{what}"
    elif _is_node_class(resource) and resource.mapping("spec").get("blockDeviceMappings"):
        yield from _mappings(resource.mapping("spec").get("blockDeviceMappings"))


def _own_disks(properties: Mapping[str, object], root: str, *, has_default: bool) -> Iterator[str]:
    """Yield what is plain of the disks that an instance names itself; a template decides about those it does not."""
    given = properties.get(root)
    roots = given if isinstance(given, list) else [given] if given is not None else []
    if not all(isinstance(disk, Mapping) and is_true(disk.get("encrypted")) for disk in roots):
        yield f"{root}.encrypted is not true"
    elif not roots and not has_default:
        yield f"{root} is not set, so it is encrypted only where the account's default says so"
    others = properties.get("ebsBlockDevices")
    for index, disk in enumerate(others if isinstance(others, list) else [others] if others else []):
        if not isinstance(disk, Mapping) or not is_true(disk.get("encrypted")):
            yield f"ebsBlockDevices[{index}] is not encrypted"


def _mappings(devices: object) -> Iterator[str]:
    if not isinstance(devices, list) or not devices:
        what = "blockDeviceMappings says nothing of the disks"
        yield f"{what}, so they are encrypted only where the account's default says so"
        return
    has_root = False
    for index, device in enumerate(devices):
        disk = device.get("ebs") if isinstance(device, Mapping) else device
        has_root = has_root or (disk is not None and isinstance(device, Mapping) and device.get("deviceName") in _ROOTS)
        if disk is None:
            continue  # an instance store, or a device that is left out
        if not isinstance(disk, Mapping) or not is_true(disk.get("encrypted")):
            yield f"blockDeviceMappings[{index}] is not encrypted"
    if not has_root:
        what = f"blockDeviceMappings says nothing of the root disk ({', '.join(sorted(_ROOTS))})"
        yield f"{what}, so it is encrypted only where the account's default says so"


def is_true(value: object) -> bool:
    """Say whether a property is true, as a truth value or as the text that launch templates have."""
    return value is True or value == "true"


def node_template(tokens: str = "required", *, encrypted: str = "true") -> Resource:
    """Return a launch template for an example."""
    disk = {"deviceName": "/dev/xvda", "ebs": {"encrypted": encrypted}}
    return example(_TEMPLATE, metadataOptions={"httpTokens": tokens}, blockDeviceMappings=[disk])


RULES = (
    Rule(
        name="nodes-use-imdsv2",
        title="Instances answer metadata requests of version 2 only",
        why="With IMDSv1 a pod that can be made to send one request reads the credentials of its node.",
        fix='set metadataOptions.httpTokens to "required", in a launch template where nodes are a managed group',
        bad=(node_template("optional"), example(_NODE_GROUP, clusterName="prod")),
        good=(node_template(), example(_NODE_GROUP, clusterName="prod", launchTemplate={"id": "lt-1", "version": "1"})),
        check=_old_metadata,
    ),
)
