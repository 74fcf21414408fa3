"""Rules about a role beside what is mounted: grants that nobody mounts, mounts that nobody granted.

The given identity policies count as those of the given classes' role. A policy that the file names a role for counts
for the classes whose `roleArn`, or whose pods' service account, names that role.

Not done here: the whole of IAM's evaluation. A Deny or a boundary elsewhere is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provider_runtime.object_values import ObjectType

from ..arn import UNKNOWN_SUFFIX, Arn, has_random_suffix
from .class_document import ClassDocument, spelled
from .examples import DB, PARAMETER, SECRET, policy, secrets_policy, spc, statement
from .material import Material
from .part import Part
from .policies import PolicyText, matches
from .rule import Example, Hit, Rule, Severity

_ACTIONS = {
    ObjectType.SECRETS_MANAGER: ("secretsmanager:GetSecretValue",),
    ObjectType.PARAMETER: ("ssm:GetParameters",),
}
_SAMPLE_SUFFIX = "-Xx0Xx0"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedName:
    """One object of a class in one region, as its entry says it. `region` "" means: any."""

    entry: Part
    store: ObjectType
    name: str
    region: str

    def is_covered_by(self, resource: str) -> bool:
        """Say whether a policy's resource matches the object; what the class does not say counts as matching."""
        if resource == "*":
            return True
        pattern = Arn.parse(resource)
        return pattern is not None and any(matches(pattern.resource, text) for text in self._resources(pattern))

    def _resources(self, pattern: Arn) -> Iterator[str]:
        own = Arn.parse(self.name)
        service = "secretsmanager" if self.store is ObjectType.SECRETS_MANAGER else "ssm"
        region = own.region if own else self.region
        if not matches(pattern.service, service) or (region and not matches(pattern.region, region)):
            return
        if own and not matches(pattern.account, own.account):
            return
        if self.store is ObjectType.PARAMETER:
            yield own.resource if own else f"parameter/{self.name.split(':')[0].removeprefix('/')}"
        elif own and has_random_suffix(own):
            # A pattern with -?????? matches the whole ARN; one with another suffix does not.
            yield own.resource
        else:
            base = own.resource if own else f"secret:{self.name}"
            yield base  # what is asked for where the secret does not exist
            exact = pattern.resource[len(base) :]
            yield base + (exact if pattern.resource.startswith(base) and _is_suffix(exact) else _SAMPLE_SUFFIX)


def _is_suffix(text: str) -> bool:
    return len(text) == len(_SAMPLE_SUFFIX) and text.startswith("-") and text[1:].isalnum()


def mounted_names(item: ClassDocument) -> Iterator[MountedName]:
    """Yield every object of a class in each of its regions; entries that say neither name nor type are left out."""
    for entry in item.entries:
        name = spelled(entry, "objectName").text
        store = _store(name, spelled(entry, "objectType").text)
        if not name or store is None:
            continue
        yield MountedName(entry=entry, store=store, name=name, region=item.region)
        differs = spelled(entry, "failoverObject")
        holders = list(differs.each())
        for number, region in enumerate(item.failover_regions):
            # A mapping counts in every failover region; of a list the first in the first, and none beyond its end.
            number_in_list = number if differs.kind == "list" else 0
            other = spelled(holders[number_in_list], "objectName").text if number_in_list < len(holders) else ""
            yield MountedName(entry=entry, store=store, name=other or name, region=region)


def _store(name: str, kind: str) -> ObjectType | None:
    if kind in {item.value for item in ObjectType}:
        return ObjectType(kind)
    arn = Arn.parse(name)
    services = {"secretsmanager": ObjectType.SECRETS_MANAGER, "ssm": ObjectType.PARAMETER}
    return services.get(arn.service) if arn and not kind else None


def role_names(item: ClassDocument, material: Material) -> set[str]:
    """Return the names of the roles that a class is mounted with, as far as the files say."""
    arns = {item.parameters.get(key).text for key in ("roleArn", "assumeRoleArn")}
    for pod in material.pods:
        if item in material.classes_of(pod):
            arns |= {
                account.role.text
                for account in material.service_accounts
                if account.name == pod.service_account and item.may_share_namespace(account.namespace)
            }
    return {arn.rpartition("/")[2] for arn in arns if arn}


def policies_of(item: ClassDocument, material: Material) -> tuple[PolicyText, ...]:
    """Return the identity policies that count for a class."""
    roles = role_names(item, material)
    return tuple(
        policy for policy in material.identity_policies() if not policy.role or not roles or policy.role in roles
    )


def second_role(item: ClassDocument, material: Material) -> str:
    """Return the name of the role that reads instead of the pods' own: the provider's chain, or EKS's; "" without."""
    arn = item.parameters.get("assumeRoleArn").text
    for pod in material.pods if not arn else ():
        if item in material.classes_of(pod):
            arn = arn or next(
                (
                    target
                    for each in material.associations
                    if each.service_account == pod.service_account
                    and item.may_share_namespace(each.namespace)
                    and (target := each.part.get("targetRoleArn").text)
                ),
                "",
            )
    return arn.rpartition("/")[2]


def reading_policies(item: ClassDocument, material: Material) -> tuple[PolicyText, ...]:
    """Return the identity policies of the role that reads for a class.

    With a second role those are its own: what the first role may read is no use. A file that names no role may be
    either's, unless all that it does is to assume roles.
    """
    policies = policies_of(item, material)
    second = second_role(item, material)
    if not second:
        return policies
    return tuple(
        policy for policy in policies if policy.role == second or (not policy.role and not _only_assumes(policy))
    )


def _only_assumes(policy: PolicyText) -> bool:
    actions = {action.text.lower() for item in policy.allows() for action in item.actions}
    return bool(actions) and all(action.startswith("sts:") for action in actions)


def _unused(material: Material) -> Iterator[Hit]:
    if not material.classes:
        return
    for document in material.identity_policies():
        classes = [item for item in material.classes if document in reading_policies(item, material)]
        mounted = [name for item in classes for name in mounted_names(item)]
        granted = {resource.text for item in document.allows() for resource in item.resources}
        for item in document.allows():
            stores = [store for store, actions in _ACTIONS.items() if item.grants(*actions)]
            for resource in item.resources if stores and classes else ():
                # Of an optional secret both ARNs are granted, with its suffix and without.
                whole = resource.text + UNKNOWN_SUFFIX
                text = whole if whole in granted else resource.text
                used = any(name.store in stores and name.is_covered_by(text) for name in mounted)
                if not used:
                    yield Hit.on(resource, f"{resource.text!r} is granted, and no class mounts it")


def _ungranted(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        policies = reading_policies(item, material)
        for name in mounted_names(item) if policies else ():
            granted = any(
                statement.grants(*_ACTIONS[name.store])
                and any(name.is_covered_by(resource.text) for resource in statement.resources)
                for document in policies
                for statement in document.allows()
            )
            if not granted:
                where = f" in {name.region}" if name.region else ""
                yield Hit.on(name.entry, f"{name.name!r} is mounted{where}, and no policy grants it")


_FLAGS = "- objectName: /prod/flags\n  objectType: ssmparameter\n"
_BOTH = policy(statement("secretsmanager:GetSecretValue", SECRET), statement("ssm:GetParameters", PARAMETER))

RULES = (
    Rule(
        code="LS701",
        severity=Severity.WARNING,
        title="What is granted is mounted",
        why="A grant that nobody uses is access for whoever steals the pod's token, and nobody misses it.",
        fix="remove it from the policy, or mount it",
        bad=Example(manifests=spc(), policy=_BOTH),
        good=Example(manifests=spc(), policy=secrets_policy()),
        check=_unused,
    ),
    Rule(
        code="LS702",
        severity=Severity.ERROR,
        title="What is mounted is granted",
        why="One object that the role may not read fails the whole mount: no file appears, and the pod does not start.",
        fix="add it to the role's policy, or remove it from the class",
        bad=Example(manifests=spc(DB + _FLAGS), policy=secrets_policy()),
        good=Example(manifests=spc(DB + _FLAGS), policy=_BOTH),
        check=_ungranted,
    ),
)
