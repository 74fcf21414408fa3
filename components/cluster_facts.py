"""What is known of a cluster, made or existing, and how an existing one is looked up.

Not done here: making a cluster (eks_cluster.py), tying it to IAM and Pulumi (cluster_connection.py).

What decides access is a literal at preview, and of a cluster that is the issuer of its tokens. A stack writes it down,
or it is looked up, at preview too. The issuer of a cluster that does not exist yet is known to nobody: such a stack's
apps use Pod Identity, or come with the next run.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .arguments import CheckedArguments
from .derivation import AppAccess, Identity
from .look_ups import LookUpError, look_up
from .settings import NO_ISSUER


class ClusterError(Exception):
    """The cluster is not what the stack says; the text names the setting and the fix."""


class UnansweredError(ClusterError):
    """Something about a cluster cannot be looked up.

    Attributes:
        key: The setting that made it necessary.
    """

    def __init__(self, key: str, text: str) -> None:
        self.key = key
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts(CheckedArguments):
    """What is needed of a cluster to place something in it.

    Attributes:
        oidc_issuer: URL of the issuer of its service accounts' tokens.
        endpoint: URL of the API server.
        certificate: The API server's certificate authority, base64 of PEM.
        version: Of Kubernetes, `1.34`; None where nobody said and nothing was looked up.
        cluster: The resource, if this stack makes it. What is in the cluster goes with it.
        ready: What has to be there before anything is placed, and still when it is removed: the deployer's access,
            add-ons, nodes.
    """

    name: str
    oidc_issuer: pulumi.Input[str]
    endpoint: pulumi.Input[str]
    certificate: pulumi.Input[str]
    version: str | None = None
    cluster: pulumi.Resource | None = None
    ready: tuple[pulumi.Resource, ...] = ()


def fetch_cluster(
    name: str,
    *,
    oidc_issuer: str | None = None,
    endpoint: str | None = None,
    certificate: str | None = None,
    opts: pulumi.InvokeOptions | None = None,
) -> ClusterFacts:
    """Return the facts as given, looking up in EKS what is not given. With everything given there is no call.

    Args:
        name: Of the cluster.
        oidc_issuer: URL, likewise endpoint.
        endpoint: Of the API server; goes with `certificate`.
        certificate: Base64 of PEM.
        opts: For a program with an AWS provider of its own: `pulumi.InvokeOptions(provider=...)`.

    Raises:
        ClusterError: The cluster has another issuer than the one given. Trust would be bound to tokens of another
            cluster, and every mount would be refused. Or `UnansweredError`: it cannot be looked up.
    """
    if oidc_issuer and endpoint and certificate:
        return ClusterFacts(name=name, oidc_issuer=oidc_issuer, endpoint=endpoint, certificate=certificate)
    spared = "or write down lockstep:oidcIssuer, lockstep:clusterEndpoint and lockstep:clusterCertificate"
    found = _find_cluster(name, opts, spared)
    return ClusterFacts(
        name=name,
        oidc_issuer=_agreed_issuer(name, oidc_issuer, _issuer_of(found)),
        endpoint=endpoint or str(found.endpoint),
        certificate=certificate or str(found.certificate_authorities[0].data),
        version=found.version or None,
    )


def find_issuer(name: str, oidc_issuer: str | None) -> str:
    """Return the issuer of a cluster that this stack makes, `NO_ISSUER` while there is no cluster.

    Raises:
        ClusterError: Another issuer is written down than the cluster has, or one before there is any. Or
            `UnansweredError`: it cannot be looked up.
    """
    try:
        names = look_up(lambda: aws.eks.get_clusters().names)
    except LookUpError as error:
        raise UnansweredError(
            "lockstep:cluster",
            f"the clusters of the region cannot be listed ({error}). Whether this one is there decides what is known "
            "of its issuer. Fix: use credentials that may ListClusters in that account, or correct aws:region",
        ) from error
    if name not in names:
        if oidc_issuer:
            raise ClusterError(
                f"lockstep:oidcIssuer is {oidc_issuer}, but the cluster {name} is still to be made. AWS gives a new "
                "cluster a new issuer. Fix: leave lockstep:oidcIssuer out until this stack has exported it"
            )
        return NO_ISSUER
    return _agreed_issuer(name, oidc_issuer, _issuer_of(_find_cluster(name, None, "or wait until it is made")))


def refuse_unbound(apps: Iterable[AppAccess], issuer: str) -> None:
    """Refuse apps whose trust would be bound to an issuer that nobody knows yet.

    Raises:
        ClusterError: Names the apps.
    """
    unbound = sorted(str(app.app) for app in apps if app.identity is Identity.IRSA)
    if unbound and issuer == NO_ISSUER:
        raise ClusterError(
            f"lockstep:oidcIssuer is missing and the cluster does not exist yet; the trust of {', '.join(unbound)} is "
            "bound to its issuer. What decides access is known at preview. Fix: use `identity: podIdentity`, or make "
            "the cluster first (lockstep:apps: []) and then the apps"
        )


def _find_cluster(name: str, opts: pulumi.InvokeOptions | None, otherwise: str) -> aws.eks.GetClusterResult:
    try:
        return look_up(lambda: aws.eks.get_cluster(name=name, opts=opts))
    except LookUpError as error:
        raise UnansweredError(
            "lockstep:clusterName",
            f"the cluster {name} cannot be looked up ({error}). What decides access is known at preview. Fix: correct "
            f"lockstep:clusterName or aws:region, use credentials that may DescribeCluster, {otherwise}",
        ) from error


def _issuer_of(found: aws.eks.GetClusterResult) -> str:
    """Return the issuer; a cluster has one when it is made, and none while it is being made."""
    for identity in found.identities:
        for oidc in identity.oidcs:
            return str(oidc.issuer)
    raise UnansweredError(
        "lockstep:clusterName",
        f"the cluster {found.name} has no issuer yet. Trust is bound to the issuer. Fix: wait until it is active",
    )


def _agreed_issuer(name: str, written: str | None, real: str) -> str:
    if written and written != real:
        raise ClusterError(
            f"lockstep:oidcIssuer is {written}, the cluster {name} has {real}. "
            "Trust is bound to the issuer. Fix: correct lockstep:oidcIssuer or lockstep:clusterName, "
            "or leave lockstep:oidcIssuer out"
        )
    return real
