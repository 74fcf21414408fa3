"""Ties a cluster, made or existing, to IAM and to Pulumi: IAM's OIDC provider for it and the Kubernetes provider.

Not done here: making a cluster (eks_cluster.py) or looking one up (cluster_facts.py). The Kubernetes provider is the
choke point for everything that is placed in the cluster: it waits for the deployer's access, the add-ons and the nodes,
so what depends on it is created after them and removed before them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from .arguments import ArgumentProblem, CheckedArguments
from .cluster_facts import ClusterFacts
from .derivation.arn import DNS_SUFFIXES, is_account, is_region

#: Audience of the tokens that STS takes for roles of service accounts. Source: EKS user guide, IRSA.
IRSA_AUDIENCE = "sts.amazonaws.com"

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConnectionArgs(CheckedArguments):
    """Arguments of `ClusterConnection`.

    Attributes:
        facts: Of the cluster.
        region: Of the cluster.
        account: Of the cluster, 12 digits.
        partition: aws, aws-cn or aws-us-gov.
        create_oidc_provider: False where the account has an OIDC provider for this issuer; there can be one only.
        audiences: Token audiences of the apps. Without IRSA's, no OIDC provider is needed and none is made.
        role: Assumed for each call to the API server; None: the credentials of the process are the deployer's.
    """

    facts: ClusterFacts
    region: str
    account: str
    partition: str
    create_oidc_provider: bool
    audiences: tuple[str, ...]
    role: str | None = None

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what would name another cluster, or none."""
        for field, fits, rule, fix in (
            ("region", is_region(self.region), "It is a region's name", "write it like eu-west-1"),
            ("account", is_account(self.account), "It is 12 digits", "write them as a text"),
            ("partition", self.partition in DNS_SUFFIXES, f"It is one of {', '.join(DNS_SUFFIXES)}", "correct it"),
            ("role", self.role is None or _ROLE.fullmatch(self.role), "It is the ARN of a role", "write the full ARN"),
        ):
            if not fits:
                yield self.problem(field, f"{getattr(self, field)!r} does not fit", rule, fix)


class ClusterConnection(pulumi.ComponentResource):
    """Makes both providers.

    Attributes:
        kubernetes: Provider for everything that is placed in the cluster.
        oidc_provider: None when it was not to be made.
    """

    kubernetes: kubernetes.Provider
    oidc_provider: aws.iam.OpenIdConnectProvider | None

    def __init__(self, name: str, args: ClusterConnectionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"clusterName": args.facts.name, "oidcIssuer": args.facts.oidc_issuer, "region": args.region}
        super().__init__("lockstep:index:ClusterConnection", name, inputs, opts)
        self.oidc_provider = None
        if args.create_oidc_provider and IRSA_AUDIENCE in args.audiences:
            self.oidc_provider = aws.iam.OpenIdConnectProvider(
                f"{name}-oidc",
                url=args.facts.oidc_issuer,
                client_id_lists=[IRSA_AUDIENCE],
                opts=pulumi.ResourceOptions(parent=self, depends_on=[args.facts.cluster] if args.facts.cluster else []),
            )
        self.kubernetes = kubernetes.Provider(
            f"{name}-kubernetes",
            # Known at preview and unchanged by a new endpoint: otherwise the provider, and with it every object in the
            # cluster, would be replaced (pulumi-kubernetes DiffConfig).
            cluster_identifier=f"arn:{args.partition}:eks:{args.region}:{args.account}:cluster/{args.facts.name}",
            kubeconfig=_kubeconfig(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.facts.ready)),
        )
        self.register_outputs({"clusterName": args.facts.name, "oidcIssuer": args.facts.oidc_issuer})


def warn_of_ambient_cluster(component: pulumi.ComponentResource) -> None:
    """Say so where nobody said which cluster a component's objects belong in.

    Pulumi then takes the current context of whoever runs it, and that may be any cluster.
    """
    if component.get_provider("kubernetes:core/v1:Pod") is None:
        pulumi.log.warn(
            f"{type(component).__name__}: no Kubernetes provider was given, so its objects go to the cluster that the "
            "kubeconfig of this machine names now. A cluster is named in the program. "
            "Fix: pass providers=[ClusterConnection(...).kubernetes] in its options",
            component,
        )


def _kubeconfig(args: ClusterConnectionArgs) -> pulumi.Input[str]:
    """Return the kubeconfig, a literal where both of its values are: it is then known at preview."""
    endpoint, certificate = args.facts.endpoint, args.facts.certificate
    if isinstance(endpoint, str) and isinstance(certificate, str):
        return render_kubeconfig(args, endpoint=endpoint, certificate=certificate)
    known: pulumi.Output[str] = pulumi.Output.all(endpoint, certificate).apply(
        lambda values: render_kubeconfig(args, endpoint=values[0], certificate=values[1])
    )
    return known


def render_kubeconfig(args: ClusterConnectionArgs, *, endpoint: str, certificate: str) -> str:
    """Return a kubeconfig, as JSON, that holds no credential: the AWS command line makes a token for each use."""
    name = args.facts.name
    # Named, because the plugin does not see the credentials of Pulumi's AWS provider.
    role = ["--role-arn", args.role] if args.role else []
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", name, "--region", args.region, *role, "--output", "json"],
        "interactiveMode": "Never",
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": certificate}}],
        "users": [{"name": name, "user": {"exec": command}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(config, sort_keys=True)
