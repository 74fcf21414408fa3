"""What stands in the input and has no place in a spec, and what existing access has beyond the mounts.

Every document and every statement of the input ends either in a spec or in a note: nothing is lost in silence.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..lint.class_rules import PARAMETERS
from ..lint.grant_rules import policies_of
from ..lint.material import Material
from ..lint.policies import PolicyText, PolicyUse, StatementText, matches
from ..lint.registry import RULES
from ..lint.run import lint
from .grouping import AppGroup
from .notes import Note, NoteKind

_READS = (
    "secretsmanager:getsecretvalue",
    "secretsmanager:describesecret",
    "ssm:getparameters",
    "ssm:getparameter",
    "ssm:getparametersbypath",
    "kms:decrypt",
)
#: Rules of the linter that say: this grants more than a mount needs.
_WIDER = frozenset(
    [
        "LS102",
        "LS104",
        "LS105",
        "LS106",
        "LS111",
        "LS112",
        "LS113",
        "LS118",
        "LS202",
        "LS203",
        "LS204",
        "LS301",
        "LS302",
        "LS303",
        "LS305",
        "LS401",
        "LS402",
        "LS403",
        "LS404",
        "LS405",
        "LS412",
        "LS413",
        "LS701",
    ]
)
_NEW = "LS702"
_CARRIED_CONDITIONS = ("kms:viaservice", "kms:encryptioncontext:", "secretsmanager:version", "aws:principaltag/")


def leftovers(material: Material, groups: tuple[AppGroup, ...]) -> Iterator[Note]:
    """Yield the notes of everything that no spec says."""
    yield from _documents(material)
    for group in groups:
        yield from _class_parts(group)
    second = _second_roles(material)
    for policy in material.policies:
        yield from _policy(policy, second)
    yield from _unused(material)
    yield from _trusted(material, groups, second)
    yield from _accounts(material, groups)
    for finding in lint(material, [rule for rule in RULES if rule.code in {*_WIDER, _NEW}]):
        if finding.code in _WIDER:
            yield Note(spot=finding.spot, kind=NoteKind.WIDER, what=f"{finding.what} [{finding.code}]")
        elif finding.code == _NEW:
            yield Note(spot=finding.spot, kind=NoteKind.NEW, what=finding.what)


def _documents(material: Material) -> Iterator[Note]:
    for part in material.others:
        kind = part.get("kind").text
        provider = part.get("spec", "provider").text
        if kind == "SecretProviderClass":
            what = f"the class {part.get('metadata', 'name').text!r} of the provider {provider!r}"
        else:
            what = f"a document of the kind {kind!r}" if kind else "a document that is no manifest and no policy"
        yield Note(spot=part.spot, kind=NoteKind.LOST, what=what)
    for item in material.pods:
        if item.is_provider:
            what = f"the provider's DaemonSet {item.name!r}: a stack's platform places one"
            yield Note(spot=item.part.spot, kind=NoteKind.LOST, what=what)
    for part in material.drivers:
        yield Note(
            spot=part.spot, kind=NoteKind.LOST, what="settings of the driver: a stack's configuration holds them"
        )


def _class_parts(group: AppGroup) -> Iterator[Note]:
    for mounted in group.mounts:
        document = mounted.document
        for key, value in document.parameters.entries():
            if key.text not in PARAMETERS:
                what = f"the parameter {key.text!r}, which the provider ignores"
                yield Note(spot=key.spot, kind=NoteKind.LOST, what=what, app=group.app)
            elif key.text == "roleArn":
                what = f"the role {value.text!r}: Lockstep derives a role of its own for the app"
                yield Note(spot=value.spot, kind=NoteKind.LOST, what=what, app=group.app)
        for secret in document.secret_objects():
            for part in (secret.get("labels"), secret.get("annotations")):
                if part:
                    what = f"labels or annotations of the synced Secret {secret.get('secretName').text!r}"
                    yield Note(spot=part.spot, kind=NoteKind.LOST, what=what, app=group.app)


def _second_roles(material: Material) -> frozenset[str]:
    """Return the ARNs of the roles that apps assume with their own."""
    chained = {item.parameters.get("assumeRoleArn").text for item in material.classes}
    return frozenset((chained | {item.part.get("targetRoleArn").text for item in material.associations}) - {""})


def _policy(policy: PolicyText, second: frozenset[str]) -> Iterator[Note]:
    if policy.use is PolicyUse.RESOURCE:
        what = "a resource policy: write `restrict` where the secret's owner wants one"
        yield Note(spot=policy.part.spot, kind=NoteKind.LOST, what=what)
        return
    for item in policy.statements():
        if not item.is_allow:
            what = f"a statement with the effect {item.part.get('Effect').text!r}"
            yield Note(spot=item.part.spot, kind=NoteKind.LOST, what=what)
        elif policy.use is PolicyUse.IDENTITY:
            yield from _statement(item, second)


def _statement(item: StatementText, second: frozenset[str]) -> Iterator[Note]:
    assumes = {resource.text for resource in item.resources} & second
    for action in item.actions:
        text = action.text.lower()
        if assumes and text in {"sts:assumerole", "sts:tagsession"}:
            continue
        is_read = any(matches(text, read) for read in _READS)
        if not is_read and not text.startswith(("secretsmanager:", "ssm:", "kms:")):
            yield Note(spot=action.spot, kind=NoteKind.LOST, what=f"{action.text!r} is no access to secrets")
        elif not is_read:
            yield Note(spot=action.spot, kind=NoteKind.LOST, what=f"{action.text!r}: a derived role only reads")
    for test in item.tests():
        if not test.key.text.lower().startswith(_CARRIED_CONDITIONS):
            what = f"the condition {test.operator.text} on {test.key.text}"
            yield Note(spot=test.key.spot, kind=NoteKind.LOST, what=what)


def _unused(material: Material) -> Iterator[Note]:
    used = [policy for item in material.classes for policy in policies_of(item, material)]
    for policy in material.identity_policies():
        if policy not in used:
            whose = f"the policy of the role {policy.role!r}" if policy.role else "the policy"
            what = f"{whose}: no given class is mounted with it"
            yield Note(spot=policy.part.spot, kind=NoteKind.WIDER, what=what)


def _trusted(material: Material, groups: tuple[AppGroup, ...], second: frozenset[str]) -> Iterator[Note]:
    known = {f"system:serviceaccount:{group.namespace}:{group.service_account}" for group in groups}
    for policy in material.trusts():
        if not groups:
            yield Note(spot=policy.part.spot, kind=NoteKind.LOST, what="the trust: there is no app that it could be of")
        is_second = any(arn.endswith(f"/{policy.role}") for arn in second if policy.role)
        for item in policy.allows():
            yield from _principals(item) if not is_second else ()
            for test in item.tests():
                for value in test.values if test.key.text.lower().endswith(":sub") else ():
                    if value.text not in known:
                        what = f"the trust in {value.text!r}: no given class is mounted by it"
                        yield Note(spot=value.spot, kind=NoteKind.WIDER, what=what)


def _principals(item: StatementText) -> Iterator[Note]:
    """A derived role trusts the cluster's OIDC provider or Pod Identity, and nobody else."""
    for kind, names in item.part.get("Principal").entries():
        for name in names.each():
            is_cluster = kind.text == "Federated" and ":oidc-provider/" in name.text
            if not is_cluster and name.text != "pods.eks.amazonaws.com":
                yield Note(spot=name.spot, kind=NoteKind.LOST, what=f"the trust in the principal {name.text!r}")


def _accounts(material: Material, groups: tuple[AppGroup, ...]) -> Iterator[Note]:
    known = {(group.namespace, group.service_account) for group in groups}
    names = {name for _, name in known}
    for account in material.service_accounts:
        is_used = (account.namespace, account.name) in known if account.namespace else account.name in names
        if account.role.text and not is_used:
            what = f"the service account {account.name!r}: it mounts no given class"
            yield Note(spot=account.part.spot, kind=NoteKind.LOST, what=what)
    for item in material.associations:
        if (item.namespace, item.service_account) not in known:
            what = f"the association of {item.namespace}/{item.service_account}: it mounts no given class"
            yield Note(spot=item.part.spot, kind=NoteKind.LOST, what=what)
    for pod in material.pods:
        given = {item.name for item in material.classes_of(pod)}
        for name in sorted(pod.class_names() - given):
            what = f"the class {name!r} that {pod.kind} {pod.name!r} mounts: it was not given"
            yield Note(spot=pod.part.spot, kind=NoteKind.LOST, what=what)
