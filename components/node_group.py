"""One managed node group: launch template and group.

Not done here: the nodes' role (eks_cluster.py, one for all groups) and autoscaling: the desired size belongs to whoever
scales, so it is set once and then left alone.

Hardening: IMDSv2 only, with a hop limit of 1, so that no pod reaches the node's credentials; encrypted gp3 volumes; no
SSH key; repair of broken nodes on; a third of the nodes at most is replaced at a time.

Source: EKS user guide (launch templates, node auto repair), EC2 user guide (instance metadata options).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .arguments import ArgumentProblem, CheckedArguments
from .cluster_settings import NodeGroupSettings, node_group_problems

#: How much of a group may be away during an update.
_AWAY_PERCENT = 33

#: Devices of the images: Bottlerocket keeps its data, and with it images and logs, on a second volume.
_ROOT, _BOTTLEROCKET_DATA = "/dev/xvda", "/dev/xvdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroupArgs(CheckedArguments):
    """Arguments of `NodeGroup`.

    Attributes:
        settings: What is wanted.
        cluster_name: As AWS knows it. An output of the cluster makes the group wait for it.
        version: Of Kubernetes.
        role_arn: Of the nodes.
        subnet_ids: Private subnets.
        after: What nodes need before they can be ready: their role's policies, ways out, the network's add-ons.
    """

    settings: NodeGroupSettings
    cluster_name: pulumi.Input[str]
    version: pulumi.Input[str]
    role_arn: pulumi.Input[str]
    subnet_ids: list[pulumi.Input[str]]
    after: tuple[pulumi.Resource, ...] = ()

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what EKS or EC2 would refuse."""
        for field, *problem in node_group_problems(self.settings):
            yield self.problem(f"settings.{field}", *problem)


class NodeGroup(pulumi.ComponentResource):
    """Makes nodes."""

    group: aws.eks.NodeGroup

    def __init__(self, name: str, args: NodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        super().__init__("lockstep:index:NodeGroup", name, {"instanceTypes": list(settings.instance_types)}, opts)
        template = aws.ec2.LaunchTemplate(
            name,
            description=f"Nodes of {name}, made by Lockstep",
            update_default_version=True,
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            block_device_mappings=_devices(settings),
            monitoring=aws.ec2.LaunchTemplateMonitoringArgs(enabled=True),
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags={"Name": name})
                for kind in ("instance", "volume")
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.group = aws.eks.NodeGroup(
            name,
            cluster_name=args.cluster_name,
            node_group_name_prefix=f"{settings.name}-",
            node_role_arn=args.role_arn,
            subnet_ids=args.subnet_ids,
            version=args.version,
            release_version=settings.release_version,
            ami_type=str(settings.ami_type.value),
            capacity_type=str(settings.capacity.value),
            instance_types=list(settings.instance_types),
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=settings.min_size, max_size=settings.max_size, desired_size=max(1, settings.min_size)
            ),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable_percentage=_AWAY_PERCENT),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels=dict(settings.labels) or None,
            taints=[
                aws.eks.NodeGroupTaintArgs(key=key, effect=str(effect.value))
                for key, effect in sorted(settings.taints.items())
            ]
            or None,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(args.after), ignore_changes=["scalingConfig.desiredSize"]
            ),
        )
        self.register_outputs({"instanceTypes": list(settings.instance_types)})


def _devices(settings: NodeGroupSettings) -> list[aws.ec2.LaunchTemplateBlockDeviceMappingArgs]:
    devices = {_ROOT: settings.disk_gib}
    if settings.ami_type.value.startswith("BOTTLEROCKET"):
        devices = {_ROOT: 4, _BOTTLEROCKET_DATA: settings.disk_gib}
    return [
        aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
            device_name=device,
            ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                volume_size=size, volume_type="gp3", encrypted="true", delete_on_termination="true"
            ),
        )
        for device, size in devices.items()
    ]
