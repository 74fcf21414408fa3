"""`AppAccess` values to text: one JSON or YAML document, or a folder of files. Canonical to the byte.

Shape of the document:
    {"environment": …, "apps": {"<app>": {"policies": [IAM documents], "trust": {…}, "roleName": …,
     "secretProviderClasses": […], "serviceAccount": {…}, "volumes": […], "volumeMounts": […],
     "limits": [{"subject": "trust policy", "used": …, "limit": …, "unit": …}], "owner": …, "spec": "<file>:<line>",
     "grants": [{"resource": …, "region": …, "owner": …, "spec": "<file>:<line>"}], …}}}
Owners and lines of the spec change no access: a diff reads them to say whose secret it is, and where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson
import yaml

from .access import (
    AppAccess,
    FleetAccess,
    ForeignStatements,
    Manifest,
    PodIdentityAssociation,
    RoleChainAccess,
    SecretPolicy,
)
from .errors import Spot
from .grants import Grant
from .limit_use import LimitUse, limit_of, limits_of


def render_document(apps: Iterable[AppAccess], environment: str) -> Manifest:
    """Return the whole document as plain data, apps sorted by name."""
    by_name = {str(app.app): _app(app) for app in sorted(apps, key=lambda app: app.app)}
    return {"environment": environment, "apps": by_name}


def render_json(apps: Iterable[AppAccess], environment: str) -> str:
    """Return the document as indented JSON that ends in a newline."""
    return dump_json(render_document(apps, environment))


def render_yaml(apps: Iterable[AppAccess], environment: str) -> str:
    """Return the document as YAML."""
    return dump_yaml(render_document(apps, environment))


def render_files(apps: Iterable[AppAccess]) -> dict[str, str]:
    """Return relative path → text: per app its policies and trust as JSON and its manifests as YAML, sorted."""
    files: dict[str, str] = {}
    for app in apps:
        for policy in app.policies:
            files[f"{app.app}/policy-{policy.name}.json"] = dump_json(policy.document.to_dict())
        files[f"{app.app}/trust.json"] = dump_json(app.trust.to_dict())
        for mount in app.mounts:
            suffix = f"-{mount.name}" if mount.name else ""
            files[f"{app.app}/secret-provider-class{suffix}.yaml"] = dump_yaml(mount.secret_provider_class)
        files[f"{app.app}/service-account.yaml"] = dump_yaml(app.service_account_manifest)
        files[f"{app.app}/pod-volume.yaml"] = dump_yaml(_pod_part(app))
        if app.association:
            files[f"{app.app}/pod-identity-association.json"] = dump_json(_association(app.association))
        if app.chain:
            files[f"{app.app}/second-role.json"] = dump_json(_second_role(app.chain))
    return dict(sorted(files.items()))


def dump_json(value: Mapping[str, object]) -> str:
    """Return indented JSON in the value's own key order, with a newline at the end.

    The standard library indents in Python, which takes longer for a fleet than to derive it.
    """
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


class _Dumper(yaml.SafeDumper):
    """Block style, multi-line text as a literal block, no aliases, indented lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002 - PyYAML's signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def dump_yaml(value: Mapping[str, object]) -> str:
    """Return YAML in the value's own key order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def _app(app: AppAccess) -> Manifest:
    document: Manifest = {
        **({"owner": app.owner} if app.owner else {}),
        "identity": app.identity.value,
        "roleName": app.role_name,
        "roleArn": app.role_arn,
        "trust": app.trust.to_dict(),
        "policyNames": [policy.name for policy in app.policies],
        "policies": [policy.document.to_dict() for policy in app.policies],
        "secretProviderClasses": [mount.secret_provider_class for mount in app.mounts],
        "serviceAccount": app.service_account_manifest,
        **_pod_part(app),
    }
    if app.permissions_boundary:
        document["permissionsBoundary"] = app.permissions_boundary
    if app.association:
        document["podIdentityAssociation"] = _association(app.association)
    if app.chain:
        document["secondRole"] = _second_role(app.chain)
    document["limits"] = [limit_use(one) for one in limits_of(app)]
    document["spec"] = _line(app.at)
    if app.part_places:
        document["places"] = {name: _line(spot) for name, spot in app.part_places.items()}
    document["grants"] = [_grant(grant) for grant in app.grants]
    return document


def limit_use(one: LimitUse) -> Manifest:
    """Return the use of one limit as plain data."""
    return {"subject": one.limit.subject, "used": one.used, "limit": one.of, "unit": one.limit.unit}


def _grant(grant: Grant) -> Manifest:
    """Return whose object a grant reads and which line of which spec asks for it."""
    document: Manifest = {"resource": grant.extent, "region": grant.region}
    if grant.owner:
        document["owner"] = grant.owner
    if grant.at:
        document["spec"] = _line(grant.at)
    return document


def _line(spot: Spot) -> str:
    return f"{spot.source}:{spot.line}"


def _pod_part(app: AppAccess) -> Manifest:
    return {
        **({"initContainers": [app.guard]} if app.guard else {}),
        "volumes": [mount.volume for mount in app.mounts],
        "volumeMounts": [mount.volume_mount for mount in app.mounts],
    }


def _association(association: PodIdentityAssociation) -> Manifest:
    document: Manifest = {
        "clusterName": association.cluster,
        "namespace": association.namespace,
        "serviceAccount": association.service_account,
        "roleArn": association.role_arn,
    }
    if association.policy:
        document["policy"] = association.policy.to_dict()
    if association.disable_session_tags:
        document["disableSessionTags"] = True
    if association.target_role_arn:
        document["targetRoleArn"] = association.target_role_arn
    return document


def _second_role(chain: RoleChainAccess) -> Manifest:
    return {
        "roleArn": chain.role_arn,
        "account": chain.account,
        **({"externalId": chain.external_id} if chain.external_id else {}),
        "trust": chain.trust.to_dict(),
        "permissions": chain.permissions.to_dict(),
    }


# -------------------------------------------------------------------------------------------------------- all apps
def render_fleet(fleet: FleetAccess) -> Manifest:
    """Return the whole document of `render_document`, and what only all apps together show.

    Shape of the addition: {"secretPolicies": [{"secret": …, "policy": {…}, …}], "foreignAccounts": {"<account>":
    [{"kind": …, "resource": …, "apps": […], "statements": […]}]}, "deployerPolicies": {"<name>": {…}}}
    """
    return {**render_document(fleet.apps, fleet.environment.name), **_fleet_parts(fleet)}


def render_fleet_files(fleet: FleetAccess) -> dict[str, str]:
    """Return relative path → text: the files of every app, and those of all apps together below `_fleet`."""
    files = render_files(fleet.apps)
    for policy in fleet.deployer_policy:
        files[f"_fleet/{policy.name}.json"] = dump_json(policy.document.to_dict())
    for account in fleet.foreign_accounts:
        listed = {"account": account.account, "statements": [_foreign(item) for item in account.statements]}
        files[f"_fleet/account-{account.account}.json"] = dump_json(listed)
    for number, secret in enumerate(fleet.secret_policies, start=1):
        files[f"_fleet/secret-policy-{number}.json"] = dump_json(_secret_policy(secret))
    return dict(sorted(files.items()))


def _fleet_parts(fleet: FleetAccess) -> Manifest:
    accounts = {item.account: [_foreign(one) for one in item.statements] for item in fleet.foreign_accounts}
    return {
        "secretPolicies": [_secret_policy(policy) for policy in fleet.secret_policies],
        "foreignAccounts": accounts,
        "deployerPolicies": {policy.name: policy.document.to_dict() for policy in fleet.deployer_policy},
    }


def _secret_policy(policy: SecretPolicy) -> Manifest:
    return {
        "secret": policy.secret,
        "resource": policy.resource,
        "owner": policy.owner,
        "app": policy.app,
        "adopt": policy.adopt,
        "spec": _line(policy.at),
        "policy": policy.document.to_dict(),
        "limits": [limit_use(limit_of(policy))],
    }


def _foreign(item: ForeignStatements) -> Manifest:
    return {
        "kind": item.kind,
        "resource": item.resource,
        "apps": list(item.apps),
        "statements": [statement.to_dict() for statement in item.document.statements],
    }
