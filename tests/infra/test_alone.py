"""Every component alone, as a program would use it without the rest: parents, providers, protection, outputs."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest

from components.admission import AccessAdmission, AccessAdmissionArgs
from components.app_access import AppAccess, AppAccessArgs, AppNamespaces, AppNamespacesArgs
from components.app_secrets import AppSecrets
from components.arguments import ArgumentErrors
from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.cluster_facts import ClusterFacts
from components.cluster_settings import ClusterSettings, NodeGroupSettings
from components.csi_driver import SecretsStoreCsiDriver, SecretsStoreCsiDriverArgs
from components.derivation import Environment, Identity, Statement, derive, derive_role, parse_specs, role_of
from components.eks_cluster import EksCluster, EksClusterArgs
from components.flow_logs import FlowLogs, FlowLogsArgs
from components.identity import WorkloadIdentity, WorkloadIdentityArgs
from components.image_repository import ImageRepository, ImageRepositoryArgs
from components.mount_platform import MountPlatform
from components.network import Network, NetworkArgs
from components.network_settings import GivenNetwork, NewNetwork
from components.node_group import NodeGroup, NodeGroupArgs
from components.platform_needs import PlatformNeeds
from components.platform_settings import AdmissionMode, PlatformSettings, ProviderExtra
from components.provider_daemonset import ProviderDaemonSet, ProviderDaemonSetArgs
from components.provider_observability import ProviderObservability, ProviderObservabilityArgs
from components.secret_policies import SecretPolicies, SecretPoliciesArgs
from components.secrets_platform import SecretsPlatform, SecretsPlatformArgs
from tests.infra.recording import ASSOCIATION, ROLE, ROLE_POLICY, Recorded, run_components, unknown

IMAGE = f"registry.example/provider@sha256:{'0' * 64}"
ENVIRONMENT = Environment(
    name="dev",
    region="eu-west-1",
    account="111122223333",
    cluster="dev",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
)
SPEC = "version: 1\napp: shop\nnamespace: shop\nsecrets:\n  - name: dev/shop\n"
ACCESS = derive(parse_specs(SPEC, "spec")[0], ENVIRONMENT)
STATEMENT = Statement(sid="Scale", actions=("autoscaling:DescribeAutoScalingGroups",), resources=("arn:aws:x:::one",))
NODES = NodeGroupSettings(name="general", instance_types=("m7i.large",), min_size=2, max_size=4)
CLUSTER_SETTINGS = ClusterSettings(
    version="1.34",
    deployer="arn:aws:iam::111122223333:role/ci/deployer",
    addons={
        "coredns": "v1.12.4-eksbuild.1",
        "eks-pod-identity-agent": "v1.3.9-eksbuild.3",
        "kube-proxy": "v1.34.0-eksbuild.4",
        "vpc-cni": "v1.20.4-eksbuild.1",
    },
    node_groups=(NODES,),
)
SUBNETS = ("subnet-00000001", "subnet-00000002")
GIVEN = GivenNetwork(vpc_id="vpc-0123456789abcdef0", private_subnets=SUBNETS, intra_subnets=SUBNETS)
PLATFORM = PlatformSettings(
    provider_image=IMAGE,
    chart_repository="https://charts.example",
    chart_version="1.6.0",
    provider_extras=frozenset(ProviderExtra),
    scraping_namespaces=("monitoring",),
)
NEEDS = PlatformNeeds(audiences=("sts.amazonaws.com",))
FACTS = ClusterFacts(name="dev", oidc_issuer=ENVIRONMENT.oidc_issuer, endpoint="https://api", certificate="Y2E=")
CONNECTION = ClusterConnectionArgs(
    facts=FACTS,
    region="eu-west-1",
    account="111122223333",
    partition="aws",
    create_oidc_provider=True,
    audiences=("sts.amazonaws.com",),
)
DRIVER = SecretsStoreCsiDriverArgs(
    chart_repository="https://charts.example",
    chart_version="1.6.0",
    audiences=("sts.amazonaws.com",),
    sync_secrets=False,
    refresh_interval_seconds=120,
)


def _network(name: str, opts: pulumi.ResourceOptions | None = None) -> Network:
    settings = NewNetwork(cidr="10.20.0.0/16", zones=("eu-west-1a", "eu-west-1b"))
    return Network(name, NetworkArgs(settings=settings, region="eu-west-1"), opts)


def _cluster(name: str, opts: pulumi.ResourceOptions | None = None) -> EksCluster:
    network = Network(f"{name}-given", NetworkArgs(settings=GIVEN, region="eu-west-1"), opts)
    args = EksClusterArgs(
        cluster_name="main", settings=CLUSTER_SETTINGS, network=network, region="eu-west-1", account="111122223333"
    )
    return EksCluster(name, args, opts)


def _controller(name: str, identity: Identity, opts: pulumi.ResourceOptions | None = None) -> WorkloadIdentity:
    role = derive_role(
        ENVIRONMENT,
        name="scaler",
        namespace="ops",
        service_account="scaler",
        statements=(STATEMENT,),
        identity=identity,
    )
    return WorkloadIdentity(name, WorkloadIdentityArgs(role=role), opts)


#: Name to how a program makes the component, with nothing else of ours.
ALONE: Mapping[str, Callable[[str, pulumi.ResourceOptions | None], pulumi.ComponentResource]] = {
    "AccessAdmission": lambda name, opts: AccessAdmission(name, AccessAdmissionArgs(mode=AdmissionMode.DENY), opts),
    "AppAccess": lambda name, opts: AppAccess(name, AppAccessArgs(access=ACCESS, platform=()), opts),
    "AppNamespaces": lambda name, opts: AppNamespaces(name, AppNamespacesArgs(names=("a", "b"), create=True), opts),
    "AppSecrets": lambda name, opts: AppSecrets(
        name,
        {
            "spec": SPEC,
            "environment": "dev",
            "region": "eu-west-1",
            "account": "111122223333",
            "clusterName": "dev",
            "oidcIssuer": ENVIRONMENT.oidc_issuer,
        },
        opts,
    ),
    "ClusterConnection": lambda name, opts: ClusterConnection(name, CONNECTION, opts),
    "EksCluster": _cluster,
    "FlowLogs": lambda name, opts: FlowLogs(
        name,
        FlowLogsArgs(
            vpc_id=GIVEN.vpc_id, network_name="main", region="eu-west-1", account="111122223333", retention_days=30
        ),
        opts,
    ),
    "ImageRepository": lambda name, opts: ImageRepository(name, ImageRepositoryArgs(repository="a/provider"), opts),
    "MountPlatform": lambda name, opts: MountPlatform(
        name,
        {
            "providerImage": IMAGE,
            "identities": ["irsa"],
            "csiDriverChartRepository": "https://charts.example/driver",
            "csiDriverChartVersion": "1.6.0",
        },
        opts,
    ),
    "Network": _network,
    "NodeGroup": lambda name, opts: NodeGroup(
        name,
        NodeGroupArgs(settings=NODES, cluster_name="dev", version="1.34", role_arn="arn:x", subnet_ids=list(SUBNETS)),
        opts,
    ),
    "ProviderDaemonSet": lambda name, opts: ProviderDaemonSet(
        name,
        ProviderDaemonSetArgs(image=IMAGE, refresh_interval_seconds=120, tells_pods=True, looks_up_classes=True),
        opts,
    ),
    "ProviderObservability": lambda name, opts: ProviderObservability(
        name,
        ProviderObservabilityArgs(object_name="provider", pod_labels={"app": "x"}, extras=frozenset(ProviderExtra)),
        opts,
    ),
    "SecretPolicies": lambda name, opts: SecretPolicies(name, SecretPoliciesArgs(secrets=(), after=()), opts),
    "SecretsPlatform": lambda name, opts: SecretsPlatform(
        name, SecretsPlatformArgs(settings=PLATFORM, needs=NEEDS), opts
    ),
    "SecretsStoreCsiDriver": lambda name, opts: SecretsStoreCsiDriver(
        name, dataclasses.replace(DRIVER, prevents_early_pods=True), opts
    ),
    "WorkloadIdentity": lambda name, opts: _controller(name, Identity.POD_IDENTITY, opts),
}

_RUNS: dict[tuple[str, bool], Recorded] = {}


def alone(name: str, *, preview: bool) -> Recorded:
    """Return what a component registers, made protected and with providers of the caller's own. Each runs once."""

    def make() -> None:
        providers: list[pulumi.ProviderResource] = [
            aws.Provider("theirs", region="eu-west-1"),
            kubernetes.Provider("theirs", kubeconfig="{}"),
        ]
        ALONE[name]("shop", pulumi.ResourceOptions(protect=True, providers=providers))

    if (name, preview) not in _RUNS:
        _RUNS[name, preview] = run_components(make, preview=preview)
    return _RUNS[name, preview]


@pytest.fixture(params=[(name, mode) for name in sorted(ALONE) for mode in ("preview", "up")], ids="-".join)
def run(request: pytest.FixtureRequest) -> Recorded:
    name, mode = request.param
    return alone(name, preview=mode == "preview")


def test_every_component_of_the_folder_is_tried_alone(project: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted((project / "components").glob("*.py"))]
    classes = [line.split()[1].split("(")[0] for text in texts for line in text.splitlines() if "(pulumi.Comp" in line]
    assert sorted(classes) == sorted(ALONE)


def test_nothing_is_registered_in_the_order_of_a_set(project: Path) -> None:
    """Its order changes from run to run, and with it the resources of a preview."""
    unordered = [
        f"{file.name}:{node.lineno}"
        for file in sorted((project / "components").glob("*.py"))
        for tree in [ast.parse(file.read_text(encoding="utf-8"))]
        for node in ast.walk(tree)
        if isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter)
        for node in [node.iter]
    ]
    assert unordered == []


def _is_set(node: ast.expr) -> bool:
    """Say whether an expression is a set where it stands; sorted(...) around one is a list."""
    is_made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    return is_made or isinstance(node, ast.Set | ast.SetComp)


def test_everything_has_the_component_above_it(run: Recorded) -> None:
    tops = {item.urn for item in run.resources if not item.custom and not item.parent.count("::lockstep:")}
    assert tops
    for item in run.resources:
        if item.name == "theirs" or item.type == "pulumi:pulumi:Stack" or item.urn in tops:
            continue
        above = item
        while above.urn not in tops:
            above = run.by_urn(above.parent)


def test_the_callers_providers_reach_every_child(run: Recorded) -> None:
    for item in run.resources:
        package = item.type.split(":", 1)[0]
        if item.custom and package in {"aws", "kubernetes"}:
            assert f"pulumi:providers:{package}::theirs" in item.provider, item.label


def test_nothing_inside_takes_the_protection_of_the_component_away(run: Recorded) -> None:
    """The engine hands `protect` down; a child that says False would be removed from under a protected parent."""
    assert [item.label for item in run.resources if item.unprotects] == []
    assert any(item.protect for item in run.resources)


def test_outputs_are_registered_and_no_input_is_a_secret(run: Recorded) -> None:
    assert {item.urn for item in run.resources if not item.custom} <= run.outputs.keys()
    assert [item.label for item in run.resources for key in item.inputs if item.is_secret(key)] == []


@pytest.mark.parametrize("name", sorted(ALONE))
def test_preview_and_up_register_the_same(name: str) -> None:
    preview, up = alone(name, preview=True), alone(name, preview=False)
    assert {item.urn: item.parent for item in preview.resources} == {item.urn: item.parent for item in up.resources}


# ---------------------------------------------------------------------------------------------------- workload identity
def test_a_controller_of_the_platform_gets_a_role_with_the_same_exact_trust() -> None:
    run = run_components(lambda: _controller("shop", Identity.IRSA))
    role = run.one(ROLE)
    trust = json.loads(str(role.inputs["assumeRolePolicy"]))
    (statement,) = trust["Statement"]
    host = ENVIRONMENT.issuer_host
    subject = "system:serviceaccount:ops:scaler"
    assert statement["Condition"] == {"StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:sub": subject}}
    assert role.inputs["name"] == "dev-eu-west-1-scaler"
    policy = run.one(ROLE_POLICY)
    assert json.loads(str(policy.inputs["policy"]))["Statement"] == [STATEMENT.to_dict()]
    assert run.of_type(ASSOCIATION) == []
    assert all(not unknown(item) for item in run.resources), "all of it is known at preview"


def test_with_pod_identity_it_is_associated_after_its_role() -> None:
    run = run_components(lambda: _controller("shop", Identity.POD_IDENTITY))
    association = run.one(ASSOCIATION)
    assert run.dependencies(association) == {f"{ROLE}::shop"}
    assert association.inputs["roleArn"] == "arn:aws:iam::111122223333:role/dev-eu-west-1-scaler"


def test_the_role_of_an_app_and_of_a_controller_are_derived_alike() -> None:
    by_hand = derive_role(ENVIRONMENT, name="shop", namespace="shop", service_account="shop", statements=(STATEMENT,))
    derived = role_of(ACCESS)
    assert (by_hand.arn, by_hand.trust, by_hand.audience) == (derived.arn, derived.trust, derived.audience)


def test_a_role_without_a_name_or_rights_is_refused_whole() -> None:
    with pytest.raises(ValueError, match=r"(?s)derive_role\.name: 'A b'.*derive_role\.statements: there is none"):
        derive_role(ENVIRONMENT, name="A b", namespace="ops", service_account="scaler", statements=())


# ----------------------------------------------------------------------------------------- which cluster, which account
@pytest.mark.parametrize("name", ["AppAccess", "AppSecrets", "SecretsPlatform"])
def test_objects_without_a_named_cluster_are_warned_of(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, _resource: said.append(text))
    alone(name, preview=True)
    assert said == []
    run_components(lambda: ALONE[name]("shop", None))
    assert said
    assert "Fix: pass providers=[ClusterConnection(...).kubernetes]" in said[0]


# ------------------------------------------------------------------------------------------------------ what is unknown
def test_subnets_that_are_made_in_the_same_program_reach_cluster_and_nodes() -> None:
    def make() -> None:
        made = [aws.ec2.Subnet(f"theirs-{zone}", vpc_id="vpc-1", cidr_block="10.0.0.0/24") for zone in ("a", "b")]
        ids = tuple(subnet.id for subnet in made)
        given = GivenNetwork(vpc_id="vpc-0123456789abcdef0", private_subnets=ids, intra_subnets=ids)
        network = Network("given", NetworkArgs(settings=given, region="eu-west-1"))
        args = EksClusterArgs(
            cluster_name="main", settings=CLUSTER_SETTINGS, network=network, region="eu-west-1", account="111122223333"
        )
        EksCluster("eks", args)

    run = run_components(make)
    assert "vpcConfig" in unknown(run.one("aws:eks/cluster:Cluster"))
    assert "subnetIds" in unknown(run.one("aws:eks/nodeGroup:NodeGroup"))


# ---------------------------------------------------------------------------------------------------------- wrong usage
WRONG: Mapping[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "a tag instead of a digest": (
        lambda: ProviderDaemonSetArgs(image="registry.example/provider:v1", refresh_interval_seconds=1),
        (
            "ProviderDaemonSetArgs.image: 'registry.example/provider:v1' does not fit. An image is named by digest",
            "as `make image PUSH=<repository>` prints it. [ARG002]",
            "ProviderDaemonSetArgs.refresh_interval_seconds: 1 is too short.",
        ),
    ),
    "one audience as a text": (
        lambda: dataclasses.replace(DRIVER, audiences="sts.amazonaws.com"),  # type: ignore[arg-type]
        ("SecretsStoreCsiDriverArgs.audiences: 'sts.amazonaws.com' does not fit. It is a tuple of a text. Fix: ",),
    ),
    "a chart that is not pinned, and a duration of another language": (
        lambda: dataclasses.replace(DRIVER, chart_version="latest", poll_interval="PT2M"),
        ("chart_version: 'latest' does not fit. A chart is pinned.", "poll_interval: 'PT2M' does not fit. It is a Go"),
    ),
    "an old driver that would read everything twice a minute": (
        lambda: dataclasses.replace(DRIVER, chart_version="1.5.4", refresh_interval_seconds=29),
        ("refresh_interval_seconds: 29 s is too short for driver 1.5.4.", "take driver 1.6.0"),
    ),
    "a word instead of a mode": (
        lambda: AccessAdmissionArgs(mode="deny"),  # type: ignore[arg-type]
        ("AccessAdmissionArgs.mode: 'deny' does not fit.", "Fix: pass AdmissionMode.DENY or AdmissionMode.WARN or"),
    ),
    "one namespace as a text": (
        lambda: AppNamespacesArgs(names="shop", create=True),  # type: ignore[arg-type]
        ("AppNamespacesArgs.names: 'shop' does not fit.", "read letter by letter"),
    ),
    "a spec instead of its access": (
        lambda: AppAccessArgs(access=parse_specs(SPEC, "spec")[0], platform=()),  # type: ignore[arg-type]
        ("AppAccessArgs.access: a AppSpec does not fit. It is a AppAccess.",),
    ),
    "an access instead of its role": (
        lambda: WorkloadIdentityArgs(role=ACCESS),  # type: ignore[arg-type]
        ("WorkloadIdentityArgs.role: a AppAccess does not fit. It is a WorkloadRole.",),
    ),
    "extras as words": (
        lambda: ProviderObservabilityArgs(object_name="x", pod_labels={}, extras=["dashboard"]),  # type: ignore[arg-type]
        ("ProviderObservabilityArgs.extras: a list of str does not fit. It is a frozenset of a ProviderExtra.",),
    ),
    "a network that is too large, in one zone of elsewhere": (
        lambda: NetworkArgs(settings=NewNetwork(cidr="10.0.0.0/8", zones=("us-east-1a",)), region="eu-west-1"),
        (
            "NetworkArgs.settings.cidr: '10.0.0.0/8' does not fit.",
            "NetworkArgs.settings.zones: us-east-1a does not fit. It names 2 or 3 zones",
            "NetworkArgs.settings.zones: us-east-1a is not in eu-west-1.",
        ),
    ),
    "subnets that are none": (
        lambda: NetworkArgs(
            settings=GivenNetwork(vpc_id="main", private_subnets=("a",), intra_subnets=SUBNETS), region="eu-west-1"
        ),
        ("settings.vpc_id: 'main' does not fit.", "settings.private_subnets: it names 1.", "'a' does not fit."),
    ),
    "one subnet of the control plane, and a public one that is none": (
        lambda: NetworkArgs(
            settings=dataclasses.replace(GIVEN, intra_subnets=SUBNETS[:1], public_subnets=("x",)), region="eu-west-1"
        ),
        ("settings.intra_subnets: it names 1.", "settings.public_subnets: 'x' does not fit. It is the id of a subnet"),
    ),
    "a repository with its registry": (
        lambda: ImageRepositoryArgs(repository="111122223333.dkr.ecr.eu-west-1.amazonaws.com/Provider:v1"),
        ("It is the name of an ECR repository, without a registry",),
    ),
    "a platform whose parts would be refused one after the other": (
        lambda: SecretsPlatformArgs(
            settings=dataclasses.replace(PLATFORM, provider_image="provider:v1", chart_version="latest"), needs=NEEDS
        ),
        (
            "SecretsStoreCsiDriverArgs.chart_version: 'latest' does not fit.",
            "ProviderDaemonSetArgs.image: 'provider:v1' does not fit.",
        ),
    ),
    "a connection to nowhere": (
        lambda: dataclasses.replace(CONNECTION, region="eu", account="1", partition="AWS", role="deployer"),
        ("region: 'eu' does", "account: '1' does", "partition: 'AWS' does", "role: 'deployer' does not fit. It is the"),
    ),
    "a namespace that is none": (
        lambda: AppNamespacesArgs(names=("shop", "Shop_2"), create=True),
        ("AppNamespacesArgs.names: 'Shop_2' does not fit. It is a DNS label",),
    ),
    "settings that would be read letter by letter, and a number for a text": (
        lambda: NewNetwork(cidr="10.20.0.0/16", zones="eu-west-1a", nat="none", flow_log_days=True),  # type: ignore[arg-type]
        (
            "NewNetwork.zones: 'eu-west-1a' does not fit. It is a tuple of a text.",
            "NewNetwork.nat: 'none' does not fit. It is a Nat. Fix: pass Nat.NONE or Nat.SINGLE or Nat.PER_ZONE",
            "NewNetwork.flow_log_days: True does not fit. It is a whole number or None.",
        ),
    ),
    "nodes of one type": (
        lambda: dataclasses.replace(NODES, instance_types="m7i.large", min_size="2"),  # type: ignore[arg-type]
        ("NodeGroupSettings.instance_types: 'm7i.large' does", "NodeGroupSettings.min_size: '2' does not fit."),
    ),
    "an admission mode as a word": (
        lambda: dataclasses.replace(PLATFORM, admission="warn", guard="always"),  # type: ignore[arg-type]
        ("PlatformSettings.admission: 'warn' does not fit.", "Fix: pass When.AUTO or When.ALWAYS or When.NEVER"),
    ),
    "a platform's settings of another kind": (
        lambda: SecretsPlatformArgs(settings=CLUSTER_SETTINGS, needs=NEEDS),  # type: ignore[arg-type]
        ("SecretsPlatformArgs.settings: a ClusterSettings does not fit. It is a PlatformSettings.",),
    ),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_wrong_with_arguments_is_said_at_once_with_the_fix(case: str) -> None:
    make, texts = WRONG[case]
    with pytest.raises(ArgumentErrors) as caught:
        make()
    for text in texts:
        assert text in str(caught.value)
    for line in str(caught.value).splitlines():
        assert "Fix: " in line


def test_a_region_that_is_an_output_is_refused_because_it_is_needed_at_preview() -> None:
    text = (
        r"NetworkArgs\.region: an Output does not fit\. It is a text\. Fix: pass a plain value: it is needed at preview"
    )

    def make() -> None:
        with pytest.raises(ArgumentErrors, match=text):
            NetworkArgs(settings=GIVEN, region=pulumi.Output.from_input("eu-west-1"))  # type: ignore[arg-type]

    run_components(make)


def test_nodes_and_keys_that_aws_would_refuse_are_refused_whole() -> None:
    """From Python too, and not by AWS when half of the cluster stands."""
    bad = NodeGroupSettings(name="Bad Name!", instance_types=(), min_size=5, max_size=2, disk_gib=-3)
    settings = dataclasses.replace(
        CLUSTER_SETTINGS,
        node_groups=(bad, NODES, NODES, dataclasses.replace(NODES, name="g" * 37, instance_types=("large",))),
        secrets_key="alias/foo",
    )

    def make() -> None:
        network = Network("given", NetworkArgs(settings=GIVEN, region="eu-west-1"))
        with pytest.raises(ArgumentErrors) as caught:
            EksClusterArgs(
                cluster_name="main",
                settings=settings,
                network=network,
                region="eu-west-1",
                account="111122223333",
                permissions_boundary="nonsense",
                partition="AWS",
            )
        text = str(caught.value)
        for part in (
            "EksClusterArgs.permissions_boundary: 'nonsense' does not fit. It is the ARN of a managed policy.",
            "EksClusterArgs.partition: 'AWS' does not fit.",
            "settings.secrets_key: 'alias/foo' does not fit. It is the ARN of a KMS key.",
            "settings.node_groups['general']: 2 groups are called so.",
            "settings.node_groups['Bad Name!'].name: 'Bad Name!' is no name. It is a DNS label of up to 36 characters.",
            "settings.node_groups['Bad Name!'].instance_types: there is none.",
            "settings.node_groups['Bad Name!'].max_size: 2 does not fit.",
            "settings.node_groups['Bad Name!'].disk_gib: -3 does not fit.",
            f"settings.node_groups['{'g' * 37}'].name: '{'g' * 37}' is no name.",
            "instance_types: 'large' does not fit.",
        ):
            assert part in text
        with pytest.raises(ArgumentErrors, match=r"NodeGroupArgs\.settings\.disk_gib: -3 does not fit"):
            NodeGroupArgs(settings=bad, cluster_name="main", version="1.34", role_arn="arn:x", subnet_ids=[])

    run_components(make)


def test_names_that_iam_would_refuse_are_shortened_and_stay_apart() -> None:
    def make() -> None:
        for name in ("c" * 78 + "-a", "c" * 78 + "-b", "short"):
            network = Network(f"given-{name}", NetworkArgs(settings=GIVEN, region="eu-west-1"))
            settings = dataclasses.replace(
                CLUSTER_SETTINGS, addons={**CLUSTER_SETTINGS.addons, "aws-ebs-csi-driver": "v1.50.0-eksbuild.1"}
            )
            region, account = "eu-west-1", "111122223333"
            args = EksClusterArgs(cluster_name=name, settings=settings, network=network, region=region, account=account)
            EksCluster(name, args)
            logs = FlowLogsArgs(vpc_id="vpc-1", network_name=name, region=region, account=account, retention_days=30)
            FlowLogs(name, logs)

    run = run_components(make)
    names = [str(item.inputs["name"]) for item in run.of_type(ROLE)]
    assert max(len(name) for name in names) <= 64
    assert len({name.lower() for name in names}) == len(names) == 15
    assert "short-eu-west-1-control-plane" in names, "what fits is left alone"
    policies = [str(item.inputs["policy"]) for item in run.of_type("aws:kms/key:Key") if item.name.endswith("-a")]
    (trusted,) = [name for name in names if any(f'role/{name}"' in policy for policy in policies)]
    assert trusted.startswith("ccc"), "the key's policy names the role as it is called"


def test_a_cluster_open_to_everyone_and_without_its_parts_is_refused_whole() -> None:
    settings = dataclasses.replace(
        CLUSTER_SETTINGS,
        public_access_cidrs=("0.0.0.0/0",),
        addons={"vpc-cni": "latest"},
        node_groups=(),
        deployer="me",
    )

    def make() -> None:
        network = Network("given", NetworkArgs(settings=GIVEN, region="eu-west-1"))
        with pytest.raises(ArgumentErrors) as caught:
            EksClusterArgs(cluster_name="main", settings=settings, network=network, region="eu", account="1")
        text = str(caught.value)
        for part in (
            "EksClusterArgs.region: 'eu' does not fit.",
            "EksClusterArgs.account: '1' does not fit.",
            "settings.public_access_cidrs: '0.0.0.0/0' is open to nearly everyone.",
            "settings.addons['coredns']: it is missing.",
            "settings.addons['vpc-cni']: 'latest' does not fit. An add-on is pinned.",
            "settings.node_groups: there is none.",
            "settings.deployer: 'me' does not fit.",
        ):
            assert part in text

    run_components(make)
