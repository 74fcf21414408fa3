"""A program that serves one app on two clusters: under the mocks, and in a process of the embedded engine."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from components.app_access import AppAccess, AppAccessArgs, AppNamespaces, AppNamespacesArgs
from components.derivation import AppAccess as Access
from components.derivation import Environment, derive, parse_specs

#: Two classes, and more secrets than one inline policy holds: everything that has a name of its own below an app.
SPEC = (
    "version: 1\napp: mailer\nnamespace: messaging\nmounts: {smtp: /mnt/smtp}\n"
    "secrets:\n  - {name: prod/smtp, mount: smtp}\n"
    + "".join(f"  - {{name: prod/{'x' * 220}{number:03}, file: f{number}}}\n" for number in range(60))
)
RENAMED = SPEC.replace("app: mailer", "app: post\nrenamedFrom: [mailer]")
REGIONS = {"eu": "eu-west-1", "us": "us-east-1"}


def access_in(region: str, spec: str = SPEC) -> Access:
    """Return an app's access on the cluster `main` of a region."""
    issuer = f"https://oidc.eks.{region}.amazonaws.com/id/EXAMPLE"
    environment = Environment(name="prod", region=region, account="222233334444", cluster="main", oidc_issuer=issuer)
    return derive(parse_specs(spec, "spec")[0], environment)


def place_twice(spec: str = SPEC) -> None:
    """Serve one app, in one namespace, on two clusters that have nothing in common."""
    for cluster, region in REGIONS.items():
        where = kubernetes.Provider(cluster, kubeconfig="{}", cluster_identifier=cluster)
        opts = pulumi.ResourceOptions(providers=[where])
        access = access_in(region, spec)
        AppNamespaces(f"namespaces-{cluster}", AppNamespacesArgs(names=("messaging",), create=True), opts)
        AppAccess(f"{cluster}-{access.app}", AppAccessArgs(access=access, platform=()), opts)


def place_once() -> None:
    """Serve it on one, as a program of the caller's own would call its parts."""
    AppNamespaces("namespaces", AppNamespacesArgs(names=("messaging",), create=True))
    AppAccess("mail-access", AppAccessArgs(access=access_in("eu-west-1"), platform=()))
