"""The documents of one environment that a diff reads: per app its policies, trust, classes and what binds them.

The same values come from derived access, from the JSON of `lockstep render`, and from the resources of a preview
(previews.py), so that all of them can be compared with each other. Nothing is interpreted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from ..access import AppAccess, FleetAccess
from ..render import render_document

#: Plain JSON data.
Document: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """Stands where a text would stand that nobody knows yet: computed at deployment, or hidden as a secret."""

    reason: str


PolicyText: TypeAlias = "str | Document | Undecided"

#: Name of the policy of a second role: what whoever owns that role must allow.
SECOND_ROLE = "permissions of the second role"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a grant comes from.

    Attributes:
        spec: `file:line`, "" unknown.
        owner: Of the secret, "" unknown.
    """

    spec: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDocument:
    """Everything that decides one app's access, unread.

    Attributes:
        app: Its name; for resources that are not Lockstep's the role's, user's or class's.
        role_arn: "" when it has no role, or none that the input shows.
        boundary: ARN, "" for none.
        trust: Of the role; None when the input does not show it.
        policies: Name → document, of the role.
        associations: Of Pod Identity: clusterName, namespace, serviceAccount, roleArn and so on.
        service_accounts: Manifests.
        classes: Manifests of SecretProviderClasses.
        mount_paths: Class name → path in the container; None when the input shows no pods.
        chain_role: A second role that reads instead of the first, "" for none. What it must allow stands in `policies`
            under `SECOND_ROLE`, where the input shows it.
        owner: "" unknown.
        places: IAM resource → where its grant comes from; no part of the comparison.
        spec: `file:line` of the app; no part of the comparison.
        part_places: Part of the app → `file:line`, see `AppAccess.part_places`; no part of the comparison.
        is_whole: Whether everything about the app is in the input, so that what is missing does not exist.
    """

    app: str
    role_arn: str = ""
    boundary: str = ""
    trust: PolicyText | None = None
    policies: Mapping[str, PolicyText] = field(default_factory=dict)
    associations: tuple[Document, ...] = ()
    service_accounts: tuple[Document, ...] = ()
    classes: tuple[Document, ...] = ()
    mount_paths: Mapping[str, str] | None = None
    chain_role: str = ""
    undecided: Mapping[str, str] = field(default_factory=dict)
    owner: str = field(default="", compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    spec: str = field(default="", compare=False)
    part_places: Mapping[str, str] = field(default_factory=dict, compare=False)
    is_whole: bool = field(default=True, compare=False)

    @property
    def reads_elsewhere(self) -> bool:
        """Whether a second role reads whose permissions the input does not show: they stand in its own account."""
        return bool(self.chain_role) and SECOND_ROLE not in self.policies


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicyDocument:
    """A policy that hangs on a secret, a parameter or a key; `others` are more that something writes for it."""

    resource: str
    policy: PolicyText
    others: tuple[PolicyText, ...] = ()
    owner: str = field(default="", compare=False)
    spec: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAccountDocument:
    """What one object of another account must carry so that apps can read.

    Attributes:
        kind: See `ForeignStatements`.
        policy: Its statements as a document.
        apps: Who needs them; no part of the comparison.
    """

    account: str
    kind: str
    resource: str
    policy: Document
    apps: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A resource that nobody here can read. `fingerprint` tells whether it changed, and is never shown."""

    reason: str
    fingerprint: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDocuments:
    """Everything of one environment (or Pulumi stack).

    Attributes:
        environment: Its name.
        apps: By name.
        resource_policies: By resource.
        other_accounts: By account, kind and resource; None when the input does not show what other accounts must add.
        unread: Resources that may decide access and that no reader knows, by place.
        origin: What it was read from, such as `derived` or `preview`: texts of two origins are laid out differently.
    """

    environment: str
    apps: Mapping[str, AppDocument] = field(default_factory=dict)
    resource_policies: Mapping[str, ResourcePolicyDocument] = field(default_factory=dict)
    other_accounts: Mapping[tuple[str, str, str], OtherAccountDocument] | None = None
    unread: Mapping[str, Unread] = field(default_factory=dict)
    origin: str = field(default="derived", compare=False)


class NotRenderedError(ValueError):
    """Data that `lockstep render --format json` did not write."""


def read_rendered(document: object) -> FleetDocuments:
    """Read the document of `lockstep render --format json`.

    Raises:
        NotRenderedError: It is something else; the message says what is missing.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("apps"), Mapping):
        raise NotRenderedError("it has no mapping 'apps'")
    apps: dict[str, AppDocument] = {}
    for name, app in cast("Mapping[str, object]", document["apps"]).items():
        if not isinstance(app, Mapping):
            raise NotRenderedError(f"apps.{name} is not a mapping")
        apps[name] = _rendered_app(name, app)
    policies = [
        ResourcePolicyDocument(
            resource=_text(item, "resource"),
            policy=_policy(item.get("policy")),
            owner=_text(item, "owner"),
            spec=_text(item, "spec"),
        )
        for item in _documents(document, "secretPolicies")
    ]
    return FleetDocuments(
        environment=_text(document, "environment"),
        apps=apps,
        resource_policies={item.resource: item for item in policies},
        other_accounts=_other_accounts(document["foreignAccounts"]) if "foreignAccounts" in document else None,
    )


def _other_accounts(document: object) -> dict[tuple[str, str, str], OtherAccountDocument]:
    if not isinstance(document, Mapping) or not all(isinstance(listed, list) for listed in document.values()):
        raise NotRenderedError("foreignAccounts is not a mapping of accounts to lists")
    found = [
        OtherAccountDocument(
            account=str(account),
            kind=_text(item, "kind"),
            resource=_text(item, "resource"),
            policy={"Statement": item.get("statements")},
            apps=_texts(item, "apps"),
        )
        for account in document
        for item in _documents(document, account)
    ]
    return {(item.account, item.kind, item.resource): item for item in found}


def _rendered_app(name: str, app: Document) -> AppDocument:
    chain = _inner(app, "secondRole")
    policies = app.get("policies")
    policies = policies if isinstance(policies, list) else []
    names = app.get("policyNames")
    known = [str(name) for name in names] if isinstance(names, list) and len(names) == len(policies) else []
    labels = known or [str(number) for number in range(1, len(policies) + 1)]
    named: dict[str, PolicyText] = {
        f"policy {label}": _policy(item) for label, item in zip(labels, policies, strict=True)
    }
    if "permissions" in chain:
        named[SECOND_ROLE] = _policy(chain["permissions"])
    associations = _documents(app, "podIdentityAssociation")
    classes = (*_documents(app, "secretProviderClass"), *_documents(app, "secretProviderClasses"))
    return AppDocument(
        app=name,
        role_arn=_text(app, "roleArn"),
        boundary=_text(app, "permissionsBoundary"),
        trust=_policy(app["trust"]) if "trust" in app else None,
        policies=named,
        associations=associations,
        service_accounts=_documents(app, "serviceAccount"),
        classes=classes,
        mount_paths=mount_paths(
            (*_documents(app, "volume"), *_documents(app, "volumes")),
            (*_documents(app, "volumeMount"), *_documents(app, "volumeMounts")),
        ),
        chain_role=_text(chain, "roleArn") or second_role(associations, classes),
        owner=_text(app, "owner"),
        # Of several lines that ask for one object the first one counts.
        places={
            _text(grant, "resource"): Place(spec=_text(grant, "spec"), owner=_text(grant, "owner"))
            for grant in reversed(_documents(app, "grants"))
        },
        spec=_text(app, "spec"),
        part_places={name: text for name, text in _inner(app, "places").items() if isinstance(text, str)},
    )


def second_role(associations: Iterable[Document], classes: Iterable[Document]) -> str:
    """Return the role that reads in place of an app's own, which EKS or the provider assumes; "" for none."""
    named = [_text(association, "targetRoleArn") for association in associations]
    named += [_text(_inner(_inner(manifest, "spec"), "parameters"), "assumeRoleArn") for manifest in classes]
    return next(filter(None, named), "")


def mount_paths(volumes: Iterable[Document], volume_mounts: Iterable[Document]) -> dict[str, str]:
    """Return class name → path, from a pod's `volumes` and a container's `volumeMounts`."""
    classes: dict[str, str] = {}
    for volume in volumes:
        attributes = _inner(_inner(volume, "csi"), "volumeAttributes")
        if "secretProviderClass" in attributes:
            classes[_text(volume, "name")] = _text(attributes, "secretProviderClass")
    return {
        classes[_text(mount, "name")]: _text(mount, "mountPath")
        for mount in volume_mounts
        if _text(mount, "name") in classes
    }


def _documents(document: Document, key: str) -> tuple[Document, ...]:
    """Return the mappings under a key: one, or a list of them."""
    value = document.get(key)
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, Mapping))


def _inner(document: Document, key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(document: Document, key: str) -> str:
    value = document.get(key, "")
    return value if isinstance(value, str) else ""


def _texts(document: Document, key: str) -> tuple[str, ...]:
    value = document.get(key)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _policy(value: object) -> PolicyText:
    if isinstance(value, (str, Mapping)):
        return value
    return Undecided(reason="it is not a policy document")


def read_derived(fleet: FleetAccess, read_app: Callable[[AppAccess], AppDocument] | None = None) -> FleetDocuments:
    """Turn derived values into the same documents, with owners and places in the specs.

    Args:
        fleet: Of one environment.
        read_app: Gives what `derived_app` gives, for a caller that has some documents already.
    """
    read = read_app or derived_app
    return FleetDocuments(
        environment=fleet.environment.name,
        apps={str(app.app): read(app) for app in fleet.apps},
        resource_policies={
            item.resource: ResourcePolicyDocument(
                resource=item.resource,
                policy=item.document.to_dict(),
                owner=item.owner,
                spec=f"{item.at.source}:{item.at.line}",
            )
            for item in fleet.secret_policies
        },
        other_accounts={
            (account.account, item.kind, item.resource): OtherAccountDocument(
                account=account.account,
                kind=item.kind,
                resource=item.resource,
                policy={"Statement": item.document.to_dict()["Statement"]},
                apps=item.apps,
            )
            for account in fleet.foreign_accounts
            for item in account.statements
        },
    )


def derived_app(app: AppAccess) -> AppDocument:
    """Turn one app's derived value into its document; a function of the value."""
    return read_rendered(render_document([app], app.environment)).apps[app.app]
