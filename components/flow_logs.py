"""Flow logs of a VPC: who talked to whom, in a log group that expires, written by a role that can do nothing else.

Not done here: the network (network.py). Usable for any VPC. Accepted and rejected traffic is logged: who reached an
endpoint of Secrets Manager is asked after an incident, and only then.

Source: VPC user guide, flow logs to CloudWatch Logs (role, trust against the confused deputy).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .arguments import ArgumentProblem, CheckedArguments
from .cluster_settings import RETENTION_DAYS
from .derivation.naming import platform_role_name
from .role_place import place_rules

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

#: A record every minute: ten minutes, the other choice, is long after a short connection.
_AGGREGATION_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogsArgs(CheckedArguments):
    """Arguments of `FlowLogs`.

    Attributes:
        vpc_id: Of the network, existing or made.
        network_name: Part of the log group's and the role's names; unique in account and region.
        retention_days: One of those that CloudWatch Logs takes.
        role_path: IAM path of the role.
        permissions_boundary: Of the role, or None.
        protect: Whether the log group may not be removed.
    """

    vpc_id: pulumi.Input[str]
    network_name: str
    region: str
    account: str
    retention_days: int
    partition: str = "aws"
    role_path: str = "/"
    permissions_boundary: str | None = None
    protect: bool = False

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what AWS would refuse."""
        for field, fits, rule, fix in (
            ("network_name", _NAME.fullmatch(self.network_name), "It is part of names", "use letters, 0-9, - and _"),
            *place_rules(self),
            ("retention_days", self.retention_days in RETENTION_DAYS, "CloudWatch Logs takes some only", "pass 90"),
        ):
            if not fits:
                yield self.problem(field, f"{getattr(self, field)!r} does not fit", rule, fix)

    @property
    def log_group(self) -> str:
        """Name of the log group."""
        return f"/aws/vpc/{self.network_name}/flow-logs"

    @property
    def role_name(self) -> str:
        """Name of the role, global in its account."""
        return platform_role_name(cluster=self.network_name, region=self.region, purpose="flow-logs")


class FlowLogs(pulumi.ComponentResource):
    """Turns flow logs on."""

    log_group: aws.cloudwatch.LogGroup
    role: aws.iam.Role

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"logGroup": args.log_group, "retentionDays": args.retention_days}
        super().__init__("lockstep:index:FlowLogs", name, inputs, opts)
        self.log_group = aws.cloudwatch.LogGroup(
            name,
            name=args.log_group,
            retention_in_days=args.retention_days,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect or None),
        )
        self.role = aws.iam.Role(
            name,
            name=args.role_name,
            path=args.role_path,
            permissions_boundary=args.permissions_boundary,
            assume_role_policy=_render(_trust(args)),
            description=f"Writes the flow logs of {args.network_name}, made by Lockstep",
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = aws.iam.RolePolicy(
            name,
            name="flow-logs",
            role=self.role.name,
            policy=_render(_rights(args)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.ec2.FlowLog(
            name,
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=self.log_group.arn,
            iam_role_arn=self.role.arn,
            max_aggregation_interval=_AGGREGATION_SECONDS,
            tags={"Name": args.network_name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({"logGroup": args.log_group})


def _trust(args: FlowLogsArgs) -> dict[str, object]:
    source = f"arn:{args.partition}:ec2:{args.region}:{args.account}:vpc-flow-log/*"
    return {
        "Sid": "AssumeByFlowLogs",
        "Effect": "Allow",
        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": args.account}},
    }


def _rights(args: FlowLogsArgs) -> dict[str, object]:
    group = f"arn:{args.partition}:logs:{args.region}:{args.account}:log-group:{args.log_group}"
    return {
        "Sid": "WriteFlowLogs",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        "Resource": [group, f"{group}:log-stream:*"],
    }


def _render(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, sort_keys=True)
