"""Why a mount was refused: which of grant, trust, KMS, region, name or association is missing, as far as specs tell.

The specs say what ought to be in place. Where all of it is fine by them and AWS still refused, what is deployed differs
from the specs, or something that Lockstep does not write refuses; the diagnosis says which of these can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ..access import AppAccess
from ..errors import Spot
from ..spec import Identity
from .checks import Check, Subject, Verdict
from .events import MountProblem, ProblemKind
from .inventory import ObjectId
from .questions import Answers, ReadAnswer, regions_of


class Aspect(StrEnum):
    """What a read needs."""

    NAME = "name"
    GRANT = "grant"
    KMS = "KMS"
    TRUST = "trust"
    ASSOCIATION = "association"
    REGION = "region"


class State(StrEnum):
    """How an aspect stands."""

    MISSING = "missing"
    FINE = "fine"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One aspect: how it stands, why, and what to do (`fix` "" where nothing)."""

    aspect: Aspect
    state: State
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the specs say about one object of one app, and about a problem with it.

    Attributes:
        app: Whose mount it is.
        item: The object, or None where the problem is not about one.
        problem: What the event said, or None when nobody gave one.
        findings: By aspect.
        spots: Lines of the spec that name the object.
        rest: Where nothing is missing: what can still be the cause, one sentence each.
    """

    app: AppAccess
    item: ObjectId | None
    problem: MountProblem | None
    findings: tuple[Finding, ...]
    spots: tuple[Spot, ...]
    rest: tuple[str, ...]

    @property
    def missing(self) -> tuple[Finding, ...]:
        """The aspects that are missing."""
        return tuple(finding for finding in self.findings if finding.state is State.MISSING)


#: Kinds that no change of access cures: what to look at instead.
ELSEWHERE = {
    ProblemKind.THROTTLED: "This is no question of access. Ask less often, or raise the account's request quota.",
    ProblemKind.NETWORK: "This is no question of access. Check route, DNS, proxy and VPC endpoints of the node.",
    ProblemKind.NO_PROVIDER: "This is no question of access. The provider's DaemonSet must run on the pod's node.",
    ProblemKind.CLASS: "This is no question of access. The deployed class is not the derived one, or is hand-written.",
    ProblemKind.VALUE: "This is no question of access. The value in AWS does not fit keys or encoding of the spec.",
    ProblemKind.PROVIDER: "This is no question of access. See the provider's log on the pod's node.",
    ProblemKind.TOKEN: "This is no question of access. The CSIDriver's tokenRequests must list the app's audience.",
}
_NOT_DEPLOYED = "The stack may not have been deployed since the spec changed: compare with `pulumi preview`."
_OTHER_POLICIES = (
    "Something that Lockstep does not write may refuse: a service control policy, the permissions boundary, "
    "a VPC endpoint policy, or a resource policy of the secret."
)


def find_apps(answers: Answers, problem: MountProblem) -> tuple[AppAccess, ...]:
    """Return the apps that a problem may be about: by class, else by role, else by service account, else by object."""
    apps = answers.fleet.apps
    by_class = [
        app
        for app in apps
        if (not problem.namespace or app.namespace == problem.namespace)
        and any(mount.class_name == problem.class_name for mount in app.mounts)
    ]
    role = problem.role.rpartition("/")[2]
    by_role = [app for app in apps if role and role in {app.role_name, app.reader_arn.rpartition("/")[2]}]
    who = (problem.namespace, problem.service_account)
    by_account = [app for app in apps if all(who) and (app.namespace, app.service_account) == who]
    in_namespace = [app for app in apps if app.namespace == problem.namespace]
    by_object = [app for app in in_namespace if any(listed.name in problem.names for listed in app.objects)]
    return tuple(by_class or by_role or by_account or by_object)


def diagnose(answers: Answers, app: str, *, name: str = "", problem: MountProblem | None = None) -> Iterator[Diagnosis]:
    """Yield one diagnosis per object: the one that is named, or those of the problem; else one without an object.

    Raises:
        KeyError: There is no such app.
    """
    access = answers.app(app)
    if access is None:
        raise KeyError(app)
    names = [name] if name else list(_names_of(access, problem))
    account = answers.account_of(app)
    found = (answers.inventory.find(_without_selector(each), account=account) for each in names)
    items: list[ObjectId | None] = [listed[0] for listed in found if listed]
    for item in items or [None]:
        yield _diagnosis(answers, access, item, problem)


def _names_of(app: AppAccess, problem: MountProblem | None) -> Iterator[str]:
    if problem is None:
        return
    if problem.names:
        yield from problem.names
    elif problem.index is not None:
        for mount in app.mounts:
            if mount.class_name == problem.class_name and problem.index < len(mount.objects):
                yield mount.objects[problem.index].name


def _without_selector(name: str) -> str:
    """A parameter is named with `:version` or `:label` in AWS's answers; an ARN keeps its colons."""
    return name if name.startswith("arn:") else name.partition(":")[0]


def _diagnosis(answers: Answers, app: AppAccess, item: ObjectId | None, problem: MountProblem | None) -> Diagnosis:
    answer = answers.can_read(app.app, item, as_mount=True) if item else None
    checks = answer.identity if answer else answers.identity_of(app.app)
    findings: list[Finding] = []
    if answer:
        findings += [_name(answers, answer, problem), _grant(answer), _kms(answer, problem)]
    findings.append(_trust(app, checks, problem))
    if app.identity is Identity.POD_IDENTITY:
        findings.append(_association(app, problem))
    findings.append(_region(app, problem))
    missing = any(finding.state is State.MISSING for finding in findings)
    return Diagnosis(
        app=app,
        item=item,
        problem=problem,
        findings=tuple(findings),
        spots=answer.spots if answer else (),
        rest=() if missing else tuple(_rest(app, problem)),
    )


# -------------------------------------------------------------------------------------------------------------- aspects


def _name(answers: Answers, answer: ReadAnswer, problem: MountProblem | None) -> Finding:
    item = answer.item
    path = answers.path_to(answer.app.app, item)
    if not answer.grants and path is not None:
        text = (
            f"the spec of {answer.app.app} names {item.shown} by its path {path.shown} only, and no mount reads by path"
        )
        fix = f"list it under 'parameters:' of {answer.app.app}"
        return Finding(aspect=Aspect.NAME, state=State.MISSING, text=text, fix=fix)
    if not answer.grants:
        similar = [name for name in answers.inventory.similar(item.shown) if name != item.shown]
        near = f"; specs name {' and '.join(similar)}" if similar else ""
        text = f"the spec of {answer.app.app} does not name {item.shown}{near}"
        fix = "correct the name in the class or the pod" if similar else f"add it to the spec of {answer.app.app}"
        return Finding(aspect=Aspect.NAME, state=State.MISSING, text=text, fix=fix)
    if problem and problem.kind is ProblemKind.NOT_FOUND:
        where = ", ".join(problem.regions) or item.region
        text = (
            f"the spec names {item.shown}, and account {item.account} has no such object, version or label in {where}"
        )
        fix = "create it there, or correct name, version or label in the spec"
        return Finding(aspect=Aspect.NAME, state=State.MISSING, text=text, fix=fix)
    return Finding(aspect=Aspect.NAME, state=State.FINE, text=f"the spec of {answer.app.app} names {item.shown}")


def _grant(answer: ReadAnswer) -> Finding:
    checks = [check for region in answer.regions for check in region.checks if check.subject is Subject.READ]
    fix = f"add {answer.item.shown} to the spec of {answer.app.app}"
    return _of_checks(Aspect.GRANT, checks, "the derived policies allow", fix)


def _kms(answer: ReadAnswer, problem: MountProblem | None) -> Finding:
    checks = [check for region in answer.regions for check in region.checks if check.subject is Subject.DECRYPT]
    fix = "name the key with kmsKey in the spec of the app, for every region that is read"
    if checks:
        return _of_checks(Aspect.KMS, checks, "the derived policies allow", fix)
    if problem and problem.kind is ProblemKind.DECRYPTION:
        text = f"no spec names a customer key for {answer.item.shown}, and AWS asked for one"
        return Finding(aspect=Aspect.KMS, state=State.MISSING, text=text, fix=fix)
    text = f"no spec names a customer key for {answer.item.shown}: AWS's own needs no grant"
    return Finding(aspect=Aspect.KMS, state=State.FINE, text=text)


def _trust(app: AppAccess, checks: Iterable[Check], problem: MountProblem | None) -> Finding:
    role = problem.role if problem else ""
    expected = {app.role_arn, app.reader_arn, app.role_name, app.reader_arn.rpartition("/")[2]}
    if role and role not in expected:
        text = f"the pod asked as {role}, the spec gives it {app.role_arn}"
        fix = "deploy the derived SecretProviderClass and service account, or correct roleArn in the class"
        return Finding(aspect=Aspect.TRUST, state=State.MISSING, text=text, fix=fix)
    other = _other_account(app, problem)
    if other:
        fix = "run the pod as that service account, or name the pod's in the spec"
        return Finding(aspect=Aspect.TRUST, state=State.MISSING, text=other, fix=fix)
    trusted = f"{app.namespace}/{app.service_account} may use"
    return _of_checks(Aspect.TRUST, list(checks), trusted, "deploy the derived trust policy")


def _other_account(app: AppAccess, problem: MountProblem | None) -> str:
    if problem is None or not problem.service_account or problem.service_account == app.service_account:
        return ""
    pod = f"{problem.namespace or app.namespace}/{problem.service_account}"
    return f"the pod runs as {pod}, the spec trusts {app.namespace}/{app.service_account}"


def _association(app: AppAccess, problem: MountProblem | None) -> Finding:
    association = app.association
    if association is None:
        return Finding(aspect=Aspect.ASSOCIATION, state=State.UNKNOWN, text="none is derived")
    derived = (
        f"{association.namespace}/{association.service_account} of cluster {association.cluster} "
        f"with {association.role_arn}"
    )
    other = _other_account(app, problem)
    if other:
        text = f"{other}, and only that one is associated"
        return Finding(aspect=Aspect.ASSOCIATION, state=State.MISSING, text=text, fix="name the pod's in the spec")
    if problem and problem.kind is ProblemKind.ASSOCIATION:
        text = f"the spec derives {derived}, and the agent knows none"
        fix = "deploy the stack; a new association takes some seconds to be known"
        return Finding(aspect=Aspect.ASSOCIATION, state=State.MISSING, text=text, fix=fix)
    return Finding(aspect=Aspect.ASSOCIATION, state=State.FINE, text=f"the spec derives {derived}")


def _region(app: AppAccess, problem: MountProblem | None) -> Finding:
    regions = regions_of(app)
    reads = f"the class reads from {', '.join(regions)}"
    foreign = [region for region in (problem.regions if problem else ()) if region not in regions]
    if foreign:
        text = f"{reads}, the pod asked in {', '.join(foreign)}"
        fix = "deploy the derived class, or add the region to failoverRegions"
        return Finding(aspect=Aspect.REGION, state=State.MISSING, text=text, fix=fix)
    if problem and problem.kind is ProblemKind.REGION:
        text = f"{reads}, and the class in the cluster names no usable one"
        return Finding(aspect=Aspect.REGION, state=State.MISSING, text=text, fix="deploy the derived class")
    return Finding(aspect=Aspect.REGION, state=State.FINE, text=reads)


def _of_checks(aspect: Aspect, checks: list[Check], allows: str, fix: str) -> Finding:
    bad = [check for check in checks if not check.passes]
    if not bad:
        listed = ", ".join(dict.fromkeys(f"{check.action} on {check.resource}" for check in checks))
        return Finding(aspect=aspect, state=State.FINE, text=f"{allows} {listed}")
    state = State.UNKNOWN if all(check.verdict is Verdict.UNCLEAR for check in bad) else State.MISSING
    listed = "; ".join(dict.fromkeys(f"{check.action} on {check.resource}: {check.reason}" for check in bad))
    return Finding(aspect=aspect, state=state, text=listed, fix=fix)


def _rest(app: AppAccess, problem: MountProblem | None) -> Iterator[str]:
    if problem is None:
        return
    if problem.kind in ELSEWHERE:
        yield ELSEWHERE[problem.kind]
        return
    yield "By the spec nothing is missing."
    yield _NOT_DEPLOYED
    if problem.kind in {ProblemKind.DENIED, ProblemKind.DECRYPTION, ProblemKind.HIDDEN}:
        yield _OTHER_POLICIES
    if problem.kind is ProblemKind.DECRYPTION:
        yield "The key's own policy must leave the decision to IAM or name the role, and the key must be enabled."
    if problem.kind is ProblemKind.HIDDEN:
        yield (
            "AWS's provider writes this text for a denied read, a denied key, a refused role, a JSON path that finds "
            "no text, and a network that does not answer; its log on the node, or this provider, tells which."
        )
        yield "A secret that does not exist would have been reported as ResourceNotFoundException."
    if problem.kind in {ProblemKind.TRUST, ProblemKind.ROLE_MISSING}:
        yield f"The OIDC provider of the cluster must exist in IAM, and the role {app.role_arn} too."
