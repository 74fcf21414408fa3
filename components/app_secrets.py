"""`AppSecrets`: one app spec placed, as programs in any Pulumi language use it.

Not done here: the placing (app_access.py) and the derivation. Arguments are flat and plain: what decides access must be
known at preview, and Pulumi hands nested arguments that depend on a resource to a package as empty ones. The spec comes
as text, the same YAML or JSON as in a file, and is read as strictly. `read_args` tells everything that is wrong with
them at once; the package's host asks it before Pulumi drops what it does not know.

Annotations are evaluated by Pulumi to make the package's schema: no `from __future__ import annotations` here.
"""

from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from .app_access import AppAccess, AppAccessArgs
from .derivation import AppAccess as AppAccessValue
from .derivation import Environment, Identity, SpecErrors, derive_fleet, parse_specs
from .package_arguments import PackageErrors, PackageProblem, in_the_schemas_spelling, is_plain, misnamed

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
        given, access = read_args(dict(args))
        super().__init__(f"{PACKAGE}:index:AppSecrets", name, dict(given), opts)
        AppAccess(name, AppAccessArgs(access=access, platform=()), opts=pulumi.ResourceOptions(parent=self))
        self.roleArn = pulumi.Output.from_input(access.role_arn)
        self.serviceAccount = pulumi.Output.from_input(access.service_account)
        self.register_outputs({"roleArn": self.roleArn, "serviceAccount": self.serviceAccount})


def read_args(args: Mapping[str, Any]) -> tuple[dict[str, str], AppAccessValue]:
    """Read the arguments, in Python's spelling or the schema's.

    Returns:
        Those that were given, under their names in the schema and sorted; and what the spec becomes with them.

    Raises:
        PackageErrors: Everything that is wrong: names, values, and each problem of the spec at its line.
    """
    given = in_the_schemas_spelling(args)
    problems = list(misnamed(given, _KNOWN, _REQUIRED))
    flags = (key for key in sorted(given.keys() & _KNOWN) if is_plain(given[key]) and not isinstance(given[key], str))
    problems += [PackageProblem(key, "it is no text. Fix: put it in quotes.") for key in flags]
    plain = {key: value for key, value in sorted(given.items()) if isinstance(value, str) and key in _KNOWN}
    environment = _environment(plain, problems) if plain.keys() >= _REQUIRED - {"spec"} else None
    access = _access(plain["spec"], environment, problems) if "spec" in plain else None
    if problems or access is None:
        raise PackageErrors("AppSecrets", problems)
    return plain, access


_REQUIRED: Final = AppSecretsArgs.__required_keys__
_KNOWN: Final = _REQUIRED | AppSecretsArgs.__optional_keys__
#: Fields of an environment that an argument has another name for.
_ARGUMENTS: Final = {"name": "environment", "cluster": "clusterName"}


def _environment(given: Mapping[str, str], problems: list[PackageProblem]) -> Environment | None:
    identity = given.get("identity", Identity.IRSA.value)
    known = [item.value for item in Identity]
    if identity not in known:
        problems.append(PackageProblem("identity", f"{identity!r} is none of {', '.join(known)}. Fix: name one."))
        identity = Identity.IRSA.value
    try:
        return Environment(
            name=given["environment"],
            region=given["region"],
            account=given["account"],
            cluster=given["clusterName"],
            oidc_issuer=given["oidcIssuer"],
            partition=given.get("partition", "aws"),
            default_identity=Identity(identity),
            role_path=given.get("rolePath", "/"),
            permissions_boundary=given.get("permissionsBoundary"),
        )
    except SpecErrors as errors:
        for problem in errors.problems:
            argument = _ARGUMENTS.get(problem.spot.field, problem.spot.field)
            text = f"{problem.what}. {problem.rule}. Fix: correct it. [{problem.code}]"
            problems.append(PackageProblem(argument, text))
        return None


def _access(text: str, environment: Environment | None, problems: list[PackageProblem]) -> AppAccessValue | None:
    """Derive, as far as the arguments allow: without an environment the spec is only read."""
    try:
        specs = parse_specs(text, "spec")
        if len(specs) != 1:
            what = f"it has {len(specs)} apps. One component places one app. Fix: use one component for each."
            problems.append(PackageProblem("spec", what))
            return None
        if environment is None:
            return None
        fleet = derive_fleet(specs, environment)
    except SpecErrors as errors:
        problems += [PackageProblem("spec", str(problem)) for problem in errors.problems]
        return None
    if fleet.secret_policies:
        what = "`restrict` is placed by the project's own program only. Fix: remove it."
        problems.append(PackageProblem("spec", what))
    return fleet.apps[0]
