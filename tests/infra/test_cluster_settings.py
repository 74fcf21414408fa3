"""`lockstep:cluster` and `lockstep:network`: every mistake with its key, file and fix, all at once."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.cluster_settings import AmiType, Capacity, TaintEffect
from components.network_settings import GivenNetwork, Nat, NewNetwork
from components.settings import StackSettings, load_settings, parse_settings
from components.stack_config import ConfigKey, ConfigValue, SettingsErrors, load_stack_config

FILE = "stacks/Pulumi.staging.yaml"
ROOT = Path(__file__).resolve().parents[2]
GOOD = dict(load_stack_config(ROOT, "staging").values)


def changed(path: str, value: Any) -> dict[ConfigKey, ConfigValue]:  # noqa: ANN401 - anything that YAML can say
    """Return the staging configuration with one entry changed; None removes it."""
    values = copy.deepcopy(GOOD)
    head, *rest = path.split(".")
    if not rest:
        values[ConfigKey(f"lockstep:{head}")] = value
        return values
    place: Any = values[ConfigKey(f"lockstep:{head}")]
    for name in rest[:-1]:
        place = place[name]
    if value is None:
        place.pop(rest[-1], None)
    else:
        place[rest[-1]] = value
    return values


def parse(values: dict[ConfigKey, ConfigValue]) -> StackSettings:
    return parse_settings(values, "staging", FILE)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("cluster.version", 1.34, "cluster.version: 1.34 is not text. It is text; YAML reads it as something else"),
        ("cluster.version", "latest", "cluster.version: 'latest' does not fit. It is a version of Kubernetes"),
        ("cluster.deployer", None, "cluster.deployer: it is missing. It has no default. Fix: add `deployer: ...`"),
        ("cluster.deployer", "me", "cluster.deployer: 'me' does not fit. It is the ARN of the role that runs Pulumi"),
        ("cluster.readers", ["*"], "cluster.readers: '*' does not fit. It is the ARN of a role or user"),
        ("cluster.publicAccessCidrs", ["0.0.0.0/0"], "'0.0.0.0/0' is open to nearly everyone. An API server is not"),
        ("cluster.publicAccessCidrs", ["::/0"], "'::/0' is open to nearly everyone"),
        ("cluster.publicAccessCidrs", ["10.0.0.1/8"], "'10.0.0.1/8' is no network (10.0.0.1/8 has host bits set)"),
        ("cluster.logRetentionDays", 31, "cluster.logRetentionDays: 31 does not fit. CloudWatch Logs takes 1, 3, 5"),
        ("cluster.addons.vpc-cni", None, "cluster.addons.vpc-cni: it is missing. The cluster's self-managed add-ons"),
        ("cluster.addons.coredns", "latest", "cluster.addons.coredns: 'latest' does not fit. An add-on is pinned"),
        ("cluster.nodeGroups", {}, "cluster.nodeGroups: there is no node group. A cluster without nodes cannot run"),
        ("cluster.nodeGroups.general.maxSize", 1, "general.maxSize: 1 does not fit. It is a whole number from 2 to"),
        (
            "cluster.nodeGroups.general.capacty",
            "SPOT",
            (
                "general.capacty: the key is unknown. The README lists the settings. "
                "Fix: did you mean 'lockstep:cluster.nodeGroups.general.capacity'? [CFG011]"
            ),
        ),
        (
            "cluster.nodeGroups.general.amiType",
            "AL2023_ARM_STANDARD",
            (
                "general.amiType: 'AL2023_ARM_STANDARD' does not fit. It is one of AL2023_x86_64_STANDARD, "
                "AL2023_ARM_64_STANDARD, BOTTLEROCKET_x86_64, BOTTLEROCKET_ARM_64. "
                "Fix: did you mean 'AL2023_ARM_64_STANDARD'? [CFG007]"
            ),
        ),
        ("cluster.nodeGroups.general", 7, "cluster.nodeGroups.general: 7 is not a mapping"),
        ("cluster.nodeGroups.Big_One", {}, "cluster.nodeGroups.Big_One: 'Big_One' is no name. It is a DNS label"),
        ("network.cidr", "10.0.0.0/24", "network.cidr: '10.0.0.0/24' does not fit. It is a private network between"),
        ("network.cidr", "here", "network.cidr: 'here' is no IPv4 network"),
        ("network.zones", ["eu-west-1a"], "network.zones: the list has 1 of them. It has 2 or more entries"),
        ("network.zones", ["eu-west-1a", "eu-west-1a"], "network.zones: eu-west-1a, eu-west-1a does not fit"),
        ("network.zones", ["us-east-1a", "us-east-1b"], "network.zones: us-east-1a, us-east-1b is not in eu-west-1"),
        ("network.endpointAccounts", ["me"], "network.endpointAccounts: 'me' does not fit. It is 12 digits"),
        ("network.flowLogDays", 31, "network.flowLogDays: 31 does not fit. CloudWatch Logs takes 1, 3, 5"),
        ("network.nat", "one", "network.nat: 'one' does not fit. It is one of none, single, perZone"),
        ("network", {}, "lockstep:cluster: it stands without network. A stack makes its cluster and network"),
        ("cluster", {}, "lockstep:network: it stands without cluster"),
        ("platformStack", "a/b/c", "lockstep:platformStack: it stands beside lockstep:cluster"),
        ("network", {"vpcId": "vpc", "privateSubnets": ["a", "b"]}, "network.vpcId: 'vpc' does not fit"),
        (
            "network",
            {
                "vpcId": "vpc-0123456789abcdef0",
                "privateSubnets": ["subnet-00000001", "subnet-00000002"],
                "intraSubnets": ["subnet-00000003"],
            },
            "network.intraSubnets: the list has 1 of them. It has 2 or more entries",
        ),
        ("cluster", "x", "lockstep:cluster: 'x' is not a mapping. It is a mapping"),
    ],
)
def test_a_mistake_says_where_what_and_how(path: str, value: Any, text: str) -> None:  # noqa: ANN401
    with pytest.raises(SettingsErrors) as caught:
        parse(changed(path, value))
    assert text in str(caught.value)
    assert all(line.startswith(f"{FILE} lockstep:") and "Fix: " in line for line in str(caught.value).splitlines())


def test_all_mistakes_of_all_levels_are_reported_at_once() -> None:
    values = changed("cluster.version", "x")
    cluster: Any = values[ConfigKey("lockstep:cluster")]
    cluster["nodeGroups"]["general"]["minSize"] = -1
    cluster["addons"].pop("coredns")
    network: Any = values[ConfigKey("lockstep:network")]
    network["cidr"] = "x"
    with pytest.raises(SettingsErrors) as caught:
        parse(values)
    keys = [problem.key for problem in caught.value.problems]
    assert keys == [
        "lockstep:cluster.addons.coredns",
        "lockstep:cluster.nodeGroups.general.minSize",
        "lockstep:cluster.version",
        "lockstep:network.cidr",
    ]


_ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            "cluster.version",
            "cluster.addons",
            "cluster.nodeGroups",
            "cluster.nodeGroups.general",
            "cluster.nodeGroups.general.minSize",
            "cluster.publicAccessCidrs",
            "network.zones",
            "network.cidr",
            "network",
            "cluster",
        ]
    ),
    _ANY | st.dictionaries(st.text(max_size=5), _ANY, max_size=2),
)
def test_no_value_at_any_level_makes_the_reader_raise_anything_but_its_own_error(path: str, value: Any) -> None:  # noqa: ANN401
    with contextlib.suppress(SettingsErrors):
        parse(changed(path, value))


def test_what_is_written_is_what_is_made() -> None:
    values = changed("cluster.nodeGroups.general.taints", {"team": "NO_EXECUTE"})
    cluster: Any = values[ConfigKey("lockstep:cluster")]
    cluster["nodeGroups"]["general"] |= {"capacity": "SPOT", "labels": {"a": "b"}}
    made = parse(values)
    assert made.cluster is not None
    (group,) = made.cluster.node_groups
    assert (group.capacity, group.ami_type, group.min_size, group.max_size) == (Capacity.SPOT, AmiType.AL2023_ARM, 2, 6)
    assert (dict(group.labels), dict(group.taints)) == ({"a": "b"}, {"team": TaintEffect.NO_EXECUTE})
    assert isinstance(made.network, NewNetwork)
    assert made.network.nat is Nat.SINGLE


def test_an_existing_network_is_named_by_its_ids() -> None:
    subnets = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    network = parse(changed("network", {"vpcId": "vpc-0123456789abcdef0", "privateSubnets": subnets})).network
    assert network == GivenNetwork(vpc_id="vpc-0123456789abcdef0", private_subnets=tuple(subnets))


def test_endpoints_cannot_be_named_in_china_and_that_is_said() -> None:
    values = changed("partition", "aws-cn")
    with pytest.raises(SettingsErrors, match=r"network\.endpoints: it is on in aws-cn"):
        parse(values)


def test_pulumis_text_form_of_the_sections_means_the_same() -> None:
    config = load_stack_config(ROOT, "staging")
    as_text = {ConfigKey(key): value for key, value in config.as_text().items()}
    assert parse(as_text) == load_settings(ROOT, "staging")  # type: ignore[arg-type]
