"""Types of the `aws` package that the embedded engine shows at preview and does not place.

Not done here: placing them. A cluster and its network cost money and minutes, and an emulator of them proves nothing
about secrets; a preview of a stack that makes them is worth having all the same. Inputs are held to the real SDK's
names; what only AWS can tell is unknown; `up` is refused, by name.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from pulumi import _types

from lockstep.engine.aws_resource import AwsResource, Clients
from lockstep.engine.resource_provider import ProviderError, ProviderObject
from lockstep.engine.values import Properties

#: Pulumi's token to where pulumi_aws has the type.
SDK_CLASSES: Final[Mapping[str, str]] = {
    "aws:cloudwatch/logGroup:LogGroup": "cloudwatch.LogGroup",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "ec2.DefaultSecurityGroup",
    "aws:ec2/eip:Eip": "ec2.Eip",
    "aws:ec2/flowLog:FlowLog": "ec2.FlowLog",
    "aws:ec2/internetGateway:InternetGateway": "ec2.InternetGateway",
    "aws:ec2/launchTemplate:LaunchTemplate": "ec2.LaunchTemplate",
    "aws:ec2/natGateway:NatGateway": "ec2.NatGateway",
    "aws:ec2/route:Route": "ec2.Route",
    "aws:ec2/routeTable:RouteTable": "ec2.RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "ec2.RouteTableAssociation",
    "aws:ec2/securityGroup:SecurityGroup": "ec2.SecurityGroup",
    "aws:ec2/subnet:Subnet": "ec2.Subnet",
    "aws:ec2/vpc:Vpc": "ec2.Vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "ec2.VpcEndpoint",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": "ecr.LifecyclePolicy",
    "aws:ecr/repository:Repository": "ecr.Repository",
    "aws:eks/accessEntry:AccessEntry": "eks.AccessEntry",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": "eks.AccessPolicyAssociation",
    "aws:eks/addon:Addon": "eks.Addon",
    "aws:eks/cluster:Cluster": "eks.Cluster",
    "aws:eks/nodeGroup:NodeGroup": "eks.NodeGroup",
    "aws:kms/alias:Alias": "kms.Alias",
    "aws:kms/key:Key": "kms.Key",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "vpc.SecurityGroupIngressRule",
}

#: A part of pulumi_aws is loaded by the first look at an attribute of it (`importlib.util.LazyLoader`); a second thread
#: that looks meanwhile finds it half there.
_LOADING: Final = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkNames:
    """What a pulumi_aws resource takes and has, as it travels (`assumeRolePolicy`)."""

    inputs: frozenset[str]
    outputs: frozenset[str]


def sdk_names(sdk_class: str) -> SdkNames:
    """Return the names of a pulumi_aws resource, such as `iam.Role`; any thread may ask.

    The SDK is imported on the first call only: it costs half a second.
    """
    module, _, name = sdk_class.partition(".")
    with _LOADING:
        package = importlib.import_module(f"pulumi_aws.{module}")
        inputs = _types.input_type_py_to_pulumi_names(getattr(package, f"{name}Args"))
        return SdkNames(
            inputs=frozenset(inputs.values()), outputs=frozenset(_types.resource_types(getattr(package, name)))
        )


@functools.cache
def previewed_resource(token: str) -> AwsResource | None:
    """Return how a type is previewed; None for a type that is not.

    Required inputs are not known to the SDK's classes at run time; AWS's own provider asks for them.
    """
    sdk_class = SDK_CLASSES.get(token)
    if sdk_class is None:
        return None
    names = sdk_names(sdk_class)

    def refuse(*_: object) -> NoReturn:
        raise ProviderError(
            f"the embedded engine previews {token} and does not place it. "
            "Fix: use a cluster that exists, or run the program with the Pulumi CLI"
        )

    def read(clients: Clients, object_id: str) -> ProviderObject:
        refuse(clients, object_id)

    def create(clients: Clients, inputs: Properties) -> ProviderObject:
        refuse(clients, inputs)

    return AwsResource(
        sdk_class=sdk_class,
        inputs=names.inputs,
        required=frozenset(),
        immutable=frozenset(),
        identity=frozenset(),
        defaults={},
        computed=names.outputs - names.inputs,
        create=create,
        read=read,
        update=refuse,
        delete=refuse,
    )
