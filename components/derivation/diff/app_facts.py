"""The facts of one app, read from its documents; and those of the policies that hang on secrets and keys.

What cannot be read, or is not known before a deployment, is a fact of its own: nothing is guessed and nothing is left
out in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..arn import Arn
from .actions import BY_PATH, spelled
from .documents import AppDocument, PolicyText, ResourcePolicyDocument, Undecided
from .facts import About, FactList, Facts, Subject, Way
from .mounts import Need, add_mounts
from .patterns import contains
from .reads import add_reads
from .statements import Atom, UnreadablePolicyError, read_policy, without_superfluous
from .trust import add_trust


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFacts:
    """One app, read.

    Attributes:
        accounts: Its service accounts, `namespace/name`, sorted.
        files_of: Read → files that come from it, so that a report can show them in one row.
    """

    facts: Facts
    accounts: tuple[str, ...] = ()
    files_of: Mapping[Subject, tuple[Subject, ...]]


NOTHING = AppFacts(facts={}, accounts=(), files_of={})


def read_app(app: AppDocument) -> AppFacts:
    """Read one app's documents; never raises for what stands in them."""
    facts = FactList()
    for place, reason in app.undecided.items():
        _add_unknown(facts, place, reason)
    atoms: list[Atom] = []
    for name, policy in app.policies.items():
        atoms += _read(facts, policy, name)
    add_reads(facts, atoms)
    trust = () if app.trust is None else _read(facts, app.trust, "trust")
    try:
        accounts = add_trust(facts, app, without_superfluous(trust))
    except UnreadablePolicyError as error:
        _add_unknown(facts, "session policy", str(error))
        accounts = ()
    needs = add_mounts(facts, app)
    if app.is_whole and not app.reads_elsewhere and not facts.of(About.UNKNOWN):
        _add_mismatches(facts, app, needs, accounts)
    return AppFacts(facts=facts.facts(), accounts=accounts, files_of=_files_of(facts, needs))


def _read(facts: FactList, policy: PolicyText, name: str) -> tuple[Atom, ...]:
    if isinstance(policy, Undecided):
        _add_unknown(facts, name, policy.reason)
        return ()
    try:
        return read_policy(policy, name)
    except UnreadablePolicyError as error:
        _add_unknown(facts, name, str(error))
        return ()


def _add_unknown(facts: FactList, place: str, reason: str) -> None:
    facts.add(Subject(about=About.UNKNOWN, parts=(place,)), texts={"value": reason})


# ------------------------------------------------------------------------------------------------- grants and mounts
def _add_mismatches(facts: FactList, app: AppDocument, needs: Iterable[Need], accounts: tuple[str, ...]) -> None:
    """Add a mount that no grant allows, and a grant that no mount uses.

    A role that no pod runs as (a function's, a person's) reads without a mount; that is not our business.
    """
    needs = tuple(needs)
    if app.role_arn:
        for need in needs:
            if not any(_meets(resource, need) for subject in facts.of(About.READ) for resource in _places(subject)):
                where = {"value": f"class {need.class_name} asks for {need.source}"}
                facts.add(Subject(about=About.MOUNT_WITHOUT_GRANT, parts=(need.resource,)), texts=where)
    if not accounts and not any(":" in subject.parts[0] for subject in facts.of(About.TRUST)):
        return
    for subject in facts.of(About.READ):
        if {way.action for way in facts.ways(subject)} == {BY_PATH}:
            continue  # a class cannot ask for a path: the app's own SDK does, and the row of the read says what
        if not any(_meets(resource, need) for need in needs for resource in _places(subject)):
            facts.add(
                Subject(about=About.GRANT_WITHOUT_MOUNT, parts=subject.parts), texts={"value": "no class names it"}
            )


def _places(subject: Subject) -> tuple[str, ...]:
    """Return a read's resource as patterns: its region is any, because the needs name theirs."""
    arn = Arn.parse(subject.parts[0])
    return (str(arn.in_region("*")),) if arn and not arn.region else (subject.parts[0],)


def _meets(resource: str, need: Need) -> bool:
    return contains(resource, need.resource) or contains(_any_region(need.resource), resource)


def _any_region(resource: str) -> str:
    arn = Arn.parse(resource)
    return str(arn.in_region("*")) if arn else resource


def _files_of(facts: FactList, needs: Iterable[Need]) -> dict[Subject, tuple[Subject, ...]]:
    needs = tuple(needs)
    found: dict[Subject, tuple[Subject, ...]] = {}
    for subject in facts.of(About.READ):
        files = {
            file for need in needs if any(_meets(place, need) for place in _places(subject)) for file in need.files
        }
        if files:
            found[subject] = tuple(sorted(files))
    return found


# -------------------------------------------------------------------------------------------------- resource policies
def read_resource_policy(document: ResourcePolicyDocument) -> Facts:
    """Read the policy of one secret, parameter or key."""
    facts = FactList()
    where = f"policy of {document.resource}"
    atoms = [atom for policy in (document.policy, *document.others) for atom in _read(facts, policy, where)]
    if document.others:
        _add_unknown(facts, where, "several resources write it, and AWS keeps one")
    for atom in without_superfluous(atoms):
        kind, name = atom.principal
        who = name if kind in {"AWS", ""} else f"{kind} {name}"
        parts = (document.resource, atom.effect.value, who or "nobody", spelled(atom.action), str(atom.resource))
        facts.add(Subject(about=About.RESOURCE_POLICY, parts=parts), way=Way(tests=atom.tests), why=atom.why)
    return facts.facts()
