"""Arguments that may be outputs of the caller's program: none is made a text before it is known."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest

from components.arguments import CheckedArguments
from components.cluster_connection import ClusterConnection
from components.cluster_facts import ClusterFacts
from components.eks_cluster import EksCluster, EksClusterArgs
from components.flow_logs import FlowLogs, FlowLogsArgs
from components.network import Network, NetworkArgs
from components.network_settings import GivenNetwork
from components.node_group import NodeGroup, NodeGroupArgs
from tests.infra.recording import KUBERNETES_PROVIDER, run_components
from tests.infra.test_alone import CLUSTER_SETTINGS, CONNECTION, NODES

#: What Pulumi writes where an Output is made a text.
WARNING = "Calling __str__"


def later(value: object) -> pulumi.Output[Any]:
    """Return an output that tells its value after a while, as another resource's."""

    async def tell() -> object:
        return value

    return pulumi.Output.from_input(tell())


def _subnets() -> tuple[pulumi.Output[Any], ...]:
    return tuple(later(f"subnet-0000000{number}") for number in (1, 2))


def _network() -> GivenNetwork:
    return GivenNetwork(
        vpc_id=later("vpc-0123456789abcdef0"),
        private_subnets=_subnets(),
        intra_subnets=_subnets(),
        public_subnets=_subnets(),
    )


def _facts(**known: Any) -> ClusterFacts:  # noqa: ANN401 - fields of several types
    told = {"oidc_issuer": "https://issuer.example/id/A", "endpoint": "https://api.example", "certificate": "Y2E="}
    return ClusterFacts(name="mine", **{**{key: later(value) for key, value in told.items()}, **known})


def _cluster() -> None:
    network = Network("net", NetworkArgs(settings=_network(), region="eu-west-1"))
    args = EksClusterArgs(
        cluster_name="main", settings=CLUSTER_SETTINGS, network=network, region="eu-west-1", account="111122223333"
    )
    EksCluster("eks", args)


#: Arguments that take outputs, to a program that passes one for each of their fields that may be one.
OUTPUTS: Mapping[type, Callable[[], object]] = {
    ClusterFacts: lambda: ClusterConnection("reach", dataclasses.replace(CONNECTION, facts=_facts())),
    FlowLogsArgs: lambda: FlowLogs(
        "logs",
        FlowLogsArgs(
            vpc_id=later("vpc-1"), network_name="main", region="eu-west-1", account="111122223333", retention_days=30
        ),
    ),
    GivenNetwork: _cluster,
    NodeGroupArgs: lambda: NodeGroup(
        "nodes",
        NodeGroupArgs(
            settings=NODES,
            cluster_name=later("main"),
            version=later("1.34"),
            role_arn=later("arn:aws:iam::111122223333:role/nodes"),
            subnet_ids=list(_subnets()),
        ),
    ),
}


def _takes_outputs(arguments: type) -> bool:
    """Say whether a field may be an output: by its annotation, which is a text or a type."""
    hints = (str(field.type) for field in dataclasses.fields(typing.cast("Any", arguments)))
    return any(part in hint for hint in hints for part in ("Output", "Input[", "NetworkId"))


@pytest.mark.parametrize("arguments", OUTPUTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("preview", [True, False], ids=["preview", "up"])
def test_no_output_is_made_a_text(arguments: type, preview: bool) -> None:  # noqa: FBT001 - pytest passes it
    run = run_components(OUTPUTS[arguments], preview=preview)
    spoilt = [item.label for item in run.resources if WARNING in json.dumps(item.inputs, default=str)]
    assert spoilt == []


def test_every_argument_that_takes_outputs_is_tried() -> None:
    """Of every component and the settings in it; the import of test_alone has loaded them all."""
    ours = [each for each in CheckedArguments.__subclasses__() if each.__module__.startswith("components.")]
    # By name: a dataclass with slots is a second class beside the one that was written.
    assert {each.__name__ for each in ours if _takes_outputs(each)} == {each.__name__ for each in OUTPUTS}


@pytest.mark.parametrize("known", ["endpoint", "certificate", "neither"])
def test_a_cluster_of_the_callers_program_is_reached_by_what_it_tells(known: str) -> None:
    """Without `cluster`, which is for what this toolkit makes."""
    literal = {} if known == "neither" else {known: {"endpoint": "https://api.example", "certificate": "Y2E="}[known]}

    def make() -> None:
        ClusterConnection("reach", dataclasses.replace(CONNECTION, facts=_facts(**literal)))

    run = run_components(make, preview=False)
    config = json.loads(str(run.one(KUBERNETES_PROVIDER).inputs["kubeconfig"]))
    (cluster,) = config["clusters"]
    assert cluster["cluster"] == {"server": "https://api.example", "certificate-authority-data": "Y2E="}
