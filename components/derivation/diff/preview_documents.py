"""Resources of a preview to the documents that a diff reads: ours, and anybody else's of the same kinds.

An app is what one role can do: Lockstep's own resources know their app by their component, others are called after
their role (`role NAME`), user, group or policy. A class finds its role by its parameter, by its component, or by the
service accounts of its namespace.

Source: property names of pulumi-aws 7 and pulumi-kubernetes 4.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .documents import (
    AppDocument,
    Document,
    FleetDocuments,
    PolicyText,
    Undecided,
    Unread,
    second_role,
)
from .preview_kinds import (
    ASSOCIATION,
    ATTACHED,
    ATTACHED_TO,
    ATTACHMENT,
    CLASS_KIND,
    COMPONENT,
    INLINE,
    ONLY_ATTACHED,
    ONLY_INLINE,
    POLICY,
    ROLE,
    SERVICE_ACCOUNT,
    is_unread,
)
from .preview_names import Names, own_app, path_of, role_name
from .preview_resource_policies import policy_text, resource_policies
from .preview_resources import Resource, Sides, undecided

_ANNOTATION = "eks.amazonaws.com/role-arn"
_ELSEWHERE = Undecided(reason="its text is not in this preview")


@dataclass(slots=True, kw_only=True)
class _Holder:
    """An app while its resources are being collected."""

    name: str
    role: Resource | None = None
    role_arn: str = ""
    policies: dict[str, PolicyText] = field(default_factory=dict)
    associations: list[Document] = field(default_factory=list)
    service_accounts: list[Document] = field(default_factory=list)
    classes: list[Document] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)


def read_preview(sides: Sides) -> tuple[FleetDocuments, FleetDocuments]:
    """Return what the resources say before and after.

    In a preview that leaves out what does not change, an app's side is never whole; an app whose role is not new has
    then been there before, even where nothing of it is shown.
    """
    before, after = (_Side(resources, sides).documents() for resources in (sides.before, sides.after))
    if sides.is_whole:
        return before, after
    names = Names(sides.before, sides.after)
    created = {resource.urn for resource in sides.after} - {resource.urn for resource in sides.before}
    old_apps, new_apps = names.apps_of(sides.before), names.apps_of(sides.after)
    new_roles = {names.app_of(item, new_apps) for item in sides.after if item.type == ROLE and item.urn in created}
    old_roles = {names.app_of(item, old_apps) for item in sides.before if item.type == ROLE}
    new_roles -= old_roles
    blank_before = {name: _blank(app) for name, app in after.apps.items() if name not in new_roles}
    gone = old_roles - {names.app_of(item, new_apps) for item in sides.after if item.type == ROLE}
    blank_after = {name: _blank(app) for name, app in before.apps.items() if name not in gone}
    return _with(before, {**blank_before, **before.apps}), _with(after, {**blank_after, **after.apps})


def _blank(app: AppDocument) -> AppDocument:
    return AppDocument(app=app.app, role_arn=app.role_arn, is_whole=False)


def _with(fleet: FleetDocuments, apps: Mapping[str, AppDocument]) -> FleetDocuments:
    return FleetDocuments(
        environment=fleet.environment,
        apps=dict(sorted(apps.items())),
        resource_policies=fleet.resource_policies,
        unread=fleet.unread,
        origin=fleet.origin,
    )


class _Side:
    """One side of a preview, collected holder by holder."""

    def __init__(self, resources: Iterable[Resource], sides: Sides) -> None:
        self._resources = tuple(resources)
        self._sides = sides
        self._by_urn = {resource.urn: resource for resource in self._resources}
        self._names = Names(sides.before, sides.after)
        self._apps = self._names.apps_of(self._resources)
        self._holders: dict[str, _Holder] = {}
        self._named: dict[str, str] = {}  # name or ARN of a role → holder
        self._attached: set[str] = set()

    def documents(self) -> FleetDocuments:
        """Collect in the order in which the kinds refer to each other."""
        steps = (
            (lambda kind: kind == ROLE, self._add_role),
            (lambda kind: kind.endswith(COMPONENT), self._add_component),
            (lambda kind: kind in INLINE, self._add_inline),
            (lambda kind: kind in ONLY_INLINE, self._add_only_inline),
            (lambda kind: kind in ATTACHED, self._add_attached),
            (lambda kind: kind in ONLY_ATTACHED, self._add_only_attached),
            (lambda kind: kind == ATTACHMENT, self._add_attachment),
            (lambda kind: kind == POLICY, self._add_loose_policy),
            (lambda kind: kind == ASSOCIATION, self._add_association),
            (lambda kind: kind == SERVICE_ACCOUNT, self._add_service_account),
            (lambda kind: kind.endswith(CLASS_KIND), self._add_class),
        )
        for is_kind, add in steps:
            for resource in self._resources:
                if is_kind(resource.type):
                    add(resource)
        return FleetDocuments(
            environment=self._sides.environment,
            apps={name: self._finished(holder) for name, holder in sorted(self._holders.items())},
            resource_policies=resource_policies(self._resources, (*self._sides.before, *self._sides.after)),
            unread={self._names.place(item): _unread(item) for item in self._resources if is_unread(item.type)},
            origin="preview",
        )

    def _of(self, kind: str) -> list[Resource]:
        return [resource for resource in self._resources if resource.type == kind]

    def _holder(self, name: str) -> _Holder:
        return self._holders.setdefault(name, _Holder(name=name))

    # ----------------------------------------------------------------------------------------------- roles and policies
    def _add_role(self, role: Resource) -> None:
        holder = self._holder(self._names.app_of(role, self._apps))
        holder.role, holder.role_arn = role, role.text("arn")
        name = "" if self._names.is_shared(role_name(role)) else role.text("name")
        for key in filter(None, (name, role.text("arn"), role.urn)):
            self._named[key] = holder.name
        inline = role.asked("inlinePolicies")  # the computed ones repeat what other resources write
        for number, item in enumerate(inline if isinstance(inline, list) else [], start=1):
            if isinstance(item, Mapping):
                text = item.get("policy")
                holder.policies[f"inline policy {item.get('name', number)}"] = policy_text(text)
        if undecided(inline) is not None and not isinstance(inline, list):
            holder.policies["inline policies"] = policy_text(inline)
        self._attach_all(holder, role, "managedPolicyArns")

    def _add_component(self, resource: Resource) -> None:
        """Take the app's role from our component: at a first preview nothing else knows its ARN."""
        app, arn = self._apps.get(resource.name, resource.name), resource.text("roleArn")
        if resource.text("app") and arn:
            self._holder(app).role_arn = arn
            self._named[arn] = app

    def _own(self, resource: Resource) -> str:
        """Return the app of a resource that one of our components made, "" for any other."""
        own = own_app(resource)
        return self._apps.get(own, own)

    def _add_loose_policy(self, resource: Resource) -> None:
        """Show a policy that nothing in the preview attaches: what attaches it may be left out, or be elsewhere."""
        if resource.urn not in self._attached:
            holder = self._holder(self._own(resource) or f"policy {resource.text('name') or resource.name}")
            _put(holder, f"policy {resource.name}", resource, _policy(resource, "policy"))

    def _add_inline(self, resource: Resource) -> None:
        key, kind = INLINE[resource.type]
        holder = self._holder(self._holder_name(resource, key, kind))
        _put(holder, f"inline policy {resource.text('name') or resource.name}", resource, _policy(resource, "policy"))

    def _add_attached(self, resource: Resource) -> None:
        key, kind = ATTACHED[resource.type]
        holder = self._holder(self._holder_name(resource, key, kind))
        arn = resource.properties.get("policyArn")
        text = self._policy_text(arn, resource.needs.get("policyArn", ()))
        if _shown(arn):
            holder.policies[f"attached policy {_shown(arn)}"] = text
        else:
            _put(holder, f"attached policy {resource.name}", resource, text)

    def _add_attachment(self, resource: Resource) -> None:
        """Add one policy to every holder of a list; one that nobody can name is a holder of its own."""
        for key, kind in ATTACHED_TO.items():
            listed = resource.properties.get(key)
            items = listed if isinstance(listed, list) else [listed] if listed else []
            names = [text.rpartition("/")[2] for text in map(_shown, items) if text]
            made = [self._named[urn] for urn in resource.needs.get(key, ()) if urn in self._named]
            holders = {*made, *(self._named_by(resource, name, kind) for name in names)}
            if len(items) > max(len(names), len(holders)):
                holders.add(f"{kind} of {path_of(resource)}")
            for name in sorted(holders):
                arn = resource.properties.get("policyArn")
                text = self._policy_text(arn, resource.needs.get("policyArn", ()))
                if _shown(arn):
                    self._holder(name).policies[f"attached policy {_shown(arn)}"] = text
                else:
                    _put(self._holder(name), f"attached policy {resource.name}", resource, text)

    def _add_only_attached(self, resource: Resource) -> None:
        key, kind, listed = ONLY_ATTACHED[resource.type]
        self._attach_all(self._holder(self._holder_name(resource, key, kind)), resource, listed)

    def _attach_all(self, holder: _Holder, resource: Resource, key: str) -> None:
        """Add a list of policies by ARN: those of the preview by what made them, where their ARNs are not known yet."""
        arns = resource.properties.get(key)
        items = arns if isinstance(arns, list) else [arns] if arns else []
        shown = [arn for arn in map(_shown, items) if arn]
        for arn in shown:
            holder.policies[f"attached policy {arn}"] = self._policy_text(arn, ())
        if len(shown) == len(items):
            return
        made = [self._by_urn[urn] for urn in resource.needs.get(key, ()) if urn in self._by_urn]
        made = [policy for policy in made if policy.type == POLICY and policy.text("arn") not in shown]
        for policy in made:
            self._attached.add(policy.urn)
            _put(holder, f"attached policy {policy.name}", policy, _policy(policy, "policy"))
        if not isinstance(arns, list) or len(items) - len(shown) > len(made):
            holder.policies[f"attached policy of {resource.name}"] = _ELSEWHERE

    def _add_only_inline(self, resource: Resource) -> None:
        """Add the inline policies that a list keeps in place and no resource of this preview writes."""
        key, kind, listed = ONLY_INLINE[resource.type]
        holder = self._holder(self._holder_name(resource, key, kind))
        names = resource.properties.get(listed)
        items = names if isinstance(names, list) else [names] if names else []
        written = sum(item.type in INLINE for item in map(self._by_urn.get, resource.needs.get(listed, ())) if item)
        for name in filter(None, map(_shown, items)):
            holder.policies.setdefault(f"inline policy {name}", _ELSEWHERE)
        if sum(not _shown(item) for item in items) > written:
            holder.policies[f"inline policy of {resource.name}"] = _ELSEWHERE

    def _holder_name(self, resource: Resource, key: str, kind: str) -> str:
        own = self._own(resource)
        if own:
            return own
        for urn in resource.needs.get(key, ()):
            if urn in self._named:
                return self._named[urn]
        name = resource.text(key).rpartition("/")[2]
        return self._named_by(resource, name, kind) if name else f"{kind} of {path_of(resource)}"

    def _named_by(self, resource: Resource, name: str, kind: str) -> str:
        """Return whom a name means; a name that several roles have is a holder of its own for each that uses it."""
        if kind == "role" and self._names.is_shared(name):
            return f"role {name} (by {path_of(resource)})"
        return self._named.get(name, f"{kind} {name}")

    def _policy_text(self, arn: object, needs: tuple[str, ...]) -> PolicyText:
        """Return the text of an attached policy: by the resource that made it, or by its ARN."""
        made = [item for item in self._of(POLICY) if _is_made_by(item, arn, needs)]
        # Of several nobody knows which: they have one name, and ARNs that are not known yet.
        sure = [item for item in made if item.text("arn") or item.urn in needs] or made
        if len(sure) != 1:
            return _ELSEWHERE
        self._attached.add(sure[0].urn)
        return _policy(sure[0], "policy")

    # ----------------------------------------------------------------------------------------------- who becomes a role
    def _add_association(self, resource: Resource) -> None:
        own = self._own(resource)
        arn = resource.text("roleArn")
        linked = [self._named[urn] for urn in resource.needs.get("roleArn", ()) if urn in self._named]
        name = own or next(iter(linked), "") or self._named.get(arn) or self._named.get(arn.rpartition("/")[2])
        holder = self._holder(name or f"role {arn.rpartition('/')[2] or f'of {resource.name}'}")
        keys = ("clusterName", "namespace", "serviceAccount", "targetRoleArn", "externalId", "policy")
        known = {key: resource.text(key) for key in keys if resource.text(key)}
        for key in (*keys, "roleArn"):
            reason = undecided(resource.properties.get(key))
            if reason is not None and not (key == "roleArn" and linked):
                holder.undecided[f"association {resource.name}: {key}"] = reason.reason
        flag = {"disableSessionTags": True} if resource.properties.get("disableSessionTags") is True else {}
        holder.role_arn = holder.role_arn or arn
        holder.associations.append({**known, **flag, "roleArn": arn or holder.role_arn})

    def _add_service_account(self, resource: Resource) -> None:
        metadata = resource.mapping("metadata")
        annotations = metadata.get("annotations")
        arn = annotations.get(_ANNOTATION, "") if isinstance(annotations, Mapping) else ""
        own = self._own(resource)
        if not own and not arn:
            return  # an ordinary service account
        if undecided(arn) is not None:
            holder = self._holder(own or f"service account {resource.name}")
            holder.undecided[f"role of the service account {resource.name}"] = "it is known only after the deployment"
            arn = ""
        name = own or self._named.get(str(arn)) or self._named.get(str(arn).rpartition("/")[2])
        if not name and not arn:
            return
        holder = self._holder(name or f"role {str(arn).rpartition('/')[2]}")
        holder.role_arn = holder.role_arn or str(arn)
        holder.service_accounts.append({"metadata": {**metadata, "annotations": {_ANNOTATION: arn} if arn else {}}})

    # --------------------------------------------------------------------------------------------------------- classes
    def _add_class(self, resource: Resource) -> None:
        metadata, spec = resource.mapping("metadata"), resource.mapping("spec")
        title = f"class {metadata.get('namespace', '')}/{metadata.get('name') or resource.name}"
        reason = undecided(spec) or undecided({key: metadata.get(key) for key in ("name", "namespace")})
        holder = self._class_holder(resource, "" if reason else _role_parameter(spec), title)
        if reason is not None:
            holder.undecided[title] = reason.reason
        else:
            named = {"name": resource.name, **metadata}
            holder.classes.append({"metadata": named, "spec": spec})

    def _class_holder(self, resource: Resource, role_arn: str, title: str) -> _Holder:
        own = self._own(resource)
        name = own or self._named.get(role_arn) or self._named.get(role_arn.rpartition("/")[2])
        if name:
            return self._holder(name)
        if role_arn:
            holder = self._holder(f"role {role_arn.rpartition('/')[2]}")
            holder.role_arn = holder.role_arn or role_arn
            return holder
        namespace = str(resource.mapping("metadata").get("namespace", ""))
        near = [holder for holder in self._holders.values() if namespace and namespace in _namespaces(holder)]
        return near[0] if len(near) == 1 else self._holder(title)

    # --------------------------------------------------------------------------------------------------------- the rest
    def _finished(self, holder: _Holder) -> AppDocument:
        boundary = holder.role.properties.get("permissionsBoundary") if holder.role else None
        unknown = undecided(boundary)
        questions = {**holder.undecided, **({"permissions boundary": unknown.reason} if unknown else {})}
        return AppDocument(
            app=holder.name,
            role_arn=holder.role_arn,
            boundary=boundary if isinstance(boundary, str) and unknown is None else "",
            trust=_policy(holder.role, "assumeRolePolicy") if holder.role else None,
            policies=dict(sorted(holder.policies.items())),
            associations=tuple(holder.associations),
            service_accounts=tuple(holder.service_accounts),
            classes=tuple(holder.classes),
            chain_role=second_role(holder.associations, holder.classes),
            undecided=dict(sorted(questions.items())),
            is_whole=self._sides.is_whole and (holder.role is not None or holder.name.startswith("class ")),
        )


def _put(holder: _Holder, label: str, resource: Resource, text: PolicyText) -> None:
    """Add a policy whose label is a name: another resource may have it too."""
    is_taken = label in holder.policies
    holder.policies[f"{label} ({path_of(resource)})" if is_taken else label] = text


def _namespaces(holder: _Holder) -> set[str]:
    """Return the namespaces whose service accounts may become the holder's role."""
    found = {str(item.get("namespace", "")) for item in holder.associations}
    for manifest in holder.service_accounts:
        metadata = manifest.get("metadata")
        found.add(str(metadata.get("namespace", "")) if isinstance(metadata, Mapping) else "")
    text = holder.role.text("assumeRolePolicy") if holder.role else ""
    found |= {part.partition(":")[0] for part in text.split("system:serviceaccount:")[1:]}
    return found


def _role_parameter(spec: Document) -> str:
    parameters = spec.get("parameters")
    return str(parameters.get("roleArn", "")) if isinstance(parameters, Mapping) else ""


def _policy(resource: Resource, key: str) -> PolicyText:
    return policy_text(resource.properties.get(key))


def _is_made_by(policy: Resource, arn: object, needs: tuple[str, ...]) -> bool:
    """Say whether an attached policy is this one: its name counts only while its ARN is not known, and never AWS's."""
    own, shown = policy.text("arn"), _shown(arn)
    if own and shown:
        return own == shown
    name = policy.text("name")
    has_name = bool(name) and shown.endswith(f":policy{policy.text('path') or '/'}{name}")
    return policy.urn in needs or (has_name and ":iam::aws:" not in shown)


def _shown(value: object) -> str:
    return value if isinstance(value, str) and undecided(value) is None else ""


def _unread(resource: Resource) -> Unread:
    text = json.dumps(resource.properties, sort_keys=True, default=str)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    return Unread(reason="resources of this type are not read", fingerprint=fingerprint)
