"""`AppSecrets`: one app spec placed, as programs in any Pulumi language use it.

Not done here: the placing (app_access.py) and the derivation. Arguments are flat and plain: what decides access must be
known at preview, and Pulumi hands nested arguments that depend on a resource to a package as empty ones. The spec comes
as text, the same YAML or JSON as in a file, and is read as strictly. Unknown arguments are refused; a host that drops
them before they come here (Pulumi's own does) cannot be helped.

Annotations are evaluated by Pulumi to make the package's schema: no `from __future__ import annotations` here.
"""

import difflib
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from .app_access import AppAccess, AppAccessArgs
from .derivation import AppAccess as AppAccessValue
from .derivation import Environment, Identity, derive_fleet, parse_specs

#: Name of the package; part of every URN of its resources.
PACKAGE: Final = "lockstep"


class AppSecretsArgs(TypedDict):
    """Arguments of `AppSecrets`. All are plain: known before anything is placed."""

    spec: str
    """The app spec, YAML or JSON, one app."""
    environment: str
    """Name of the environment; value of ${environment} in the spec and key of its overlays."""
    region: str
    """Region of secrets, parameters and cluster."""
    account: str
    """AWS account of the role, 12 digits."""
    clusterName: str
    """Name of the EKS cluster."""
    oidcIssuer: str
    """Issuer URL of the cluster's service account tokens."""
    partition: NotRequired[str]
    """aws (default), aws-cn or aws-us-gov."""
    identity: NotRequired[str]
    """irsa (default) or podIdentity, when the spec names none."""
    rolePath: NotRequired[str]
    """IAM path of the role; begins and ends with a slash."""
    permissionsBoundary: NotRequired[str]
    """ARN of the policy that bounds the role."""


class AppSecrets(pulumi.ComponentResource):
    """Role, policies, service account and SecretProviderClasses of one app, derived from its spec.

    Give it a Kubernetes provider (`providers`). The cluster has the platform already: CSI driver and provider.
    """

    roleArn: pulumi.Output[str]  # noqa: N815 - the name that every language derives its own from
    """ARN of the app's role."""
    serviceAccount: pulumi.Output[str]  # noqa: N815
    """Name of the service account that the app's pods run as."""

    def __init__(self, name: str, args: AppSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = parse_args(dict(args))
        super().__init__(f"{PACKAGE}:index:AppSecrets", name, dict(given), opts)
        access = _derive(given)
        AppAccess(name, AppAccessArgs(access=access, platform=()), opts=pulumi.ResourceOptions(parent=self))
        self.roleArn = pulumi.Output.from_input(access.role_arn)
        self.serviceAccount = pulumi.Output.from_input(access.service_account)
        self.register_outputs({"roleArn": self.roleArn, "serviceAccount": self.serviceAccount})


def parse_args(args: dict[str, Any]) -> dict[str, str]:
    """Return the arguments that were given, under their names in the schema.

    Raises:
        ValueError: All that is wrong: unknown, missing, or not a plain text.
    """
    known = AppSecretsArgs.__required_keys__ | AppSecretsArgs.__optional_keys__
    given = {_camel(key): value for key, value in args.items() if value is not None}
    problems = []
    for key in sorted(given.keys() - known):
        near = difflib.get_close_matches(key, sorted(known), n=1)
        problems.append(f"{key}: the argument is unknown. Fix: {f'did you mean {near[0]!r}?' if near else 'remove it'}")
    problems += [
        f"{key}: it is missing. Fix: give it" for key in sorted(AppSecretsArgs.__required_keys__ - given.keys())
    ]
    problems += [
        f"{key}: it is no plain text. What decides access is known before anything is placed. Fix: pass a literal"
        for key in sorted(given.keys() & known)
        if not isinstance(given[key], str)
    ]
    if problems:
        raise ValueError("AppSecrets: " + "\nAppSecrets: ".join(problems))
    return {key: given[key] for key in sorted(given)}


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _derive(given: dict[str, str]) -> AppAccessValue:
    environment = Environment(
        name=given["environment"],
        region=given["region"],
        account=given["account"],
        cluster=given["clusterName"],
        oidc_issuer=given["oidcIssuer"],
        partition=given.get("partition", "aws"),
        default_identity=Identity(given.get("identity", "irsa")),
        role_path=given.get("rolePath", "/"),
        permissions_boundary=given.get("permissionsBoundary"),
    )
    specs = parse_specs(given["spec"], "spec")
    if len(specs) != 1:
        raise ValueError(f"AppSecrets: spec: it has {len(specs)} apps. One component places one app. Fix: use several")
    fleet = derive_fleet(specs, environment)
    if fleet.secret_policies:
        raise ValueError("AppSecrets: spec: `restrict` is placed by the project's own program only. Fix: remove it")
    return fleet.apps[0]
