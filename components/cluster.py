"""An existing EKS cluster: its facts, IAM's OIDC provider for it, and the Kubernetes provider that reaches it.

Not done here: making a cluster. What decides access is a literal at preview: facts come from the configuration, or from
one lookup that runs at preview too. The Kubernetes provider is the choke point for everything that is placed in the
cluster: what depends on it is created after and removed before it.
"""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

#: Audience of the tokens that STS takes for roles of service accounts. Source: EKS user guide, IRSA.
IRSA_AUDIENCE = "sts.amazonaws.com"


class ClusterError(Exception):
    """The cluster is not what the stack says; the text names the setting and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What is known of a cluster before anything is placed.

    Attributes:
        oidc_issuer: URL of the issuer of its service accounts' tokens.
        endpoint: URL of the API server.
        certificate: The API server's certificate authority, base64 of PEM.
    """

    name: str
    oidc_issuer: str
    endpoint: str
    certificate: str


def fetch_cluster(name: str, *, oidc_issuer: str | None, endpoint: str | None, certificate: str | None) -> ClusterFacts:
    """Return the facts as given, looking up in EKS what is not given. With everything given there is no call.

    Raises:
        ClusterError: The cluster has another issuer than the one given. Trust would be bound to tokens of another
            cluster, and every mount would be refused.
    """
    if oidc_issuer and endpoint and certificate:
        return ClusterFacts(name=name, oidc_issuer=oidc_issuer, endpoint=endpoint, certificate=certificate)
    found = aws.eks.get_cluster(name=name)
    real_issuer = str(found.identities[0].oidcs[0].issuer)
    if oidc_issuer and oidc_issuer != real_issuer:
        raise ClusterError(
            f"lockstep:oidcIssuer is {oidc_issuer}, the cluster {name} has {real_issuer}. "
            "Trust is bound to the issuer. Fix: correct lockstep:oidcIssuer or lockstep:clusterName, "
            "or leave lockstep:oidcIssuer out"
        )
    return ClusterFacts(
        name=name,
        oidc_issuer=real_issuer,
        endpoint=endpoint or str(found.endpoint),
        certificate=certificate or str(found.certificate_authorities[0].data),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EksClusterArgs:
    """Arguments of `EksCluster`.

    Attributes:
        facts: As `fetch_cluster` returns them.
        region: Of the cluster.
        account: Of the cluster, 12 digits.
        partition: aws, aws-cn or aws-us-gov.
        create_oidc_provider: False where the account has an OIDC provider for this issuer; there can be one only.
        audiences: Token audiences of the apps. Without IRSA's, no OIDC provider is needed and none is made.
    """

    facts: ClusterFacts
    region: str
    account: str
    partition: str
    create_oidc_provider: bool
    audiences: tuple[str, ...]


class EksCluster(pulumi.ComponentResource):
    """Ties an existing cluster to IAM and to Pulumi.

    Attributes:
        kubernetes: Provider for everything that is placed in the cluster.
        oidc_provider: None when it was not to be made.
    """

    kubernetes: kubernetes.Provider
    oidc_provider: aws.iam.OpenIdConnectProvider | None

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"clusterName": args.facts.name, "oidcIssuer": args.facts.oidc_issuer, "region": args.region}
        super().__init__("lockstep:index:EksCluster", name, inputs, opts)
        self.oidc_provider = None
        if args.create_oidc_provider and IRSA_AUDIENCE in args.audiences:
            self.oidc_provider = aws.iam.OpenIdConnectProvider(
                f"{name}-oidc",
                url=args.facts.oidc_issuer,
                client_id_lists=[IRSA_AUDIENCE],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.kubernetes = kubernetes.Provider(
            f"{name}-kubernetes",
            # Known at preview and unchanged by a new endpoint: otherwise the provider, and with it every object in the
            # cluster, would be replaced (pulumi-kubernetes DiffConfig).
            cluster_identifier=f"arn:{args.partition}:eks:{args.region}:{args.account}:cluster/{args.facts.name}",
            kubeconfig=render_kubeconfig(args.facts, args.region),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"clusterName": args.facts.name, "oidcIssuer": args.facts.oidc_issuer})


def render_kubeconfig(facts: ClusterFacts, region: str) -> str:
    """Return a kubeconfig, as JSON, that holds no credential: the AWS command line makes a token for each use."""
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", facts.name, "--region", region, "--output", "json"],
        "interactiveMode": "Never",
    }
    cluster = {"server": facts.endpoint, "certificate-authority-data": facts.certificate}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": facts.name, "cluster": cluster}],
        "users": [{"name": facts.name, "user": {"exec": command}}],
        "contexts": [{"name": facts.name, "context": {"cluster": facts.name, "user": facts.name}}],
        "current-context": facts.name,
    }
    return json.dumps(config, sort_keys=True)
