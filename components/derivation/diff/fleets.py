"""The access diff of one environment: `diff_fleets(before, after) -> Difference`.

Apps whose documents are equal are not read at all: facts are a function of the documents. That is what makes a
thousand apps with fifty changes cheap.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..arn import Arn
from .actions import Power
from .app_facts import NOTHING, AppFacts, read_app, read_resource_policy
from .compare import Side, associations_in, compare
from .conditions import tests_text
from .documents import SECOND_ROLE, AppDocument, FleetDocuments, Place, ResourcePolicyDocument, Undecided
from .facts import About, Facts, Subject, Way
from .other_accounts import other_account_rows
from .patterns import contains
from .risks import add_risks
from .rows import Change, Row
from .trust import ASSOCIATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changes between two sides of one environment.

    Attributes:
        rows: In canonical order. Empty exactly when access is equal.
        undecided: What neither side knows (`app: place: reason`), sorted: it was not compared.
        reformatted: Apps whose documents differ and whose access does not, sorted.
        apps: How many apps each side has.
    """

    environment: str
    rows: tuple[Row, ...] = ()
    undecided: tuple[str, ...] = ()
    reformatted: tuple[str, ...] = ()
    apps: tuple[int, int] = (0, 0)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes and nothing is left open."""
        return not self.rows and not self.undecided


#: A policy of AWS's own, whose text is one for all who attach it: where both sides do, nothing is open.
AWS_POLICY = re.compile(r"attached policy arn:aws[a-z-]*:iam::aws:policy/[\w+=,.@/-]+")


def diff_fleets(before: FleetDocuments, after: FleetDocuments, *, is_protected: bool = False) -> Difference:
    """Compare two sides.

    Args:
        before: Its environment's name is only used when `after` has none.
        after: Names the environment of the rows.
        is_protected: Marks every row that broadens access with the word `protected`.
    """
    environment = after.environment or before.environment
    rows: list[Row] = []
    undecided: set[str] = set()
    reformatted: list[str] = []
    earlier = _renamed(before.apps, after.apps)
    for name in sorted((before.apps.keys() | after.apps.keys()) - set(earlier.values())):
        old, new = before.apps.get(earlier.get(name, name)), after.apps.get(name)
        found, open_questions, is_same_text = _diff_app(name, old, new, environment)
        rows += (_risky(row, old, new, is_protected) for row in found)
        undecided |= open_questions
        if not found and not is_same_text and before.origin == after.origin:
            reformatted.append(name)
    rows += (_risky(row, None, None, is_protected) for row in _diff_resource_policies(before, after, environment))
    undecided |= _undecided_resource_policies(before, after)
    for row, facts in other_account_rows(before, after, environment):
        known = replace(row, spec_digest=spec_digest(facts) if facts else "")
        rows.append(_risky(known, None, None, is_protected))
    rows += (_risky(row, None, None, is_protected) for row in _diff_unread(before, after, environment))
    return Difference(
        environment=environment,
        rows=tuple(sorted(rows, key=lambda row: row.sort_key)),
        undecided=tuple(sorted(undecided)),
        reformatted=tuple(reformatted),
        apps=(len(before.apps), len(after.apps)),
    )


def _renamed(before: Mapping[str, AppDocument], after: Mapping[str, AppDocument]) -> dict[str, str]:
    """Return new name → old name of apps that only changed their name: they keep their role, and nobody else has it."""
    sides = []
    for own, other in ((before, after), (after, before)):
        users: dict[str, list[str]] = {}
        for name, app in own.items():
            users.setdefault(app.role_arn, []).append(name)
        sides.append({role: names[0] for role, names in users.items() if role and len(names) == 1})
        sides[-1] = {role: name for role, name in sides[-1].items() if name not in other}
    return {new: sides[0][role] for role, new in sorted(sides[1].items()) if role in sides[0]}


def _diff_app(
    name: str, before: AppDocument | None, after: AppDocument | None, environment: str
) -> tuple[list[Row], set[str], bool]:
    """Return rows, what neither side knows, and whether the documents are the same."""
    renamed: list[Row] = []
    if before is not None and after is not None:
        before, after = _comparable(before, after)
        if before.app != after.app:
            blank = Row(environment=environment, app=name, about=About.IDENTITY, change=Change.CHANGED, parts=("name",))
            renamed = [replace(blank, before=(before.app,), after=(after.app,))]
            before = replace(before, app=after.app)
        elif before == after:
            open_questions = read_app(after).facts if _may_be_undecided(after) else {}
            return [], _unknown_in(name, open_questions, open_questions), True
    old = NOTHING if before is None else read_app(before)
    new = NOTHING if after is None else read_app(after)
    rows = [*renamed, *compare(_side(old), _side(new), environment=environment, app=name)]
    digest = "" if after is None else spec_digest(new.facts)
    rows = [_placed(row, before, after, old, new, digest) for row in rows]
    return rows, _unknown_in(name, old.facts, new.facts), False


def _comparable(before: AppDocument, after: AppDocument) -> tuple[AppDocument, AppDocument]:
    """Leave out what only one of the two inputs can show: a preview has no pods, and no roles of other accounts."""
    if before.mount_paths is None or after.mount_paths is None:
        before, after = replace(before, mount_paths=None), replace(after, mount_paths=None)
    if before.reads_elsewhere is not after.reads_elsewhere and before.chain_role and after.chain_role:
        before, after = _without_second_role(before), _without_second_role(after)
    return before, after


def _without_second_role(app: AppDocument) -> AppDocument:
    return replace(app, policies={name: text for name, text in app.policies.items() if name != SECOND_ROLE})


def _may_be_undecided(app: AppDocument) -> bool:
    texts = (*app.policies.values(), app.trust)
    return bool(app.undecided) or any(not isinstance(text, (str, Mapping)) for text in texts if text is not None)


def _unknown_in(name: str, old: Facts, new: Facts) -> set[str]:
    both = [subject for subject in new if subject.about is About.UNKNOWN and subject in old]
    open_questions = [subject for subject in both if not AWS_POLICY.fullmatch(subject.parts[0])]
    return {f"{name}: {subject.parts[0]}: {new[subject].texts.get('value', '')}" for subject in open_questions}


def _side(app: AppFacts) -> Side:
    return Side(facts=app.facts, files_of=app.files_of, accounts=app.accounts)


def spec_digest(facts: Facts) -> str:
    """Return a short name of an app's whole access, whatever the layout it was read from."""
    is_several = associations_in(facts) > 1
    told = [
        [subject.about, subject.parts, sorted(terms.texts.items()), sorted(map(_way_text, terms.ways))]
        for subject, terms in sorted(facts.items(), key=lambda item: item[0])
        if (subject.about is not About.MOUNT or subject.parts[1] != "path")
        and (is_several or subject.about is not About.IDENTITY or subject.parts[0] != ASSOCIATION)
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _way_text(way: Way) -> str:
    return f"{way.region} {way.action} {tests_text(way.tests)}"


# -------------------------------------------------------------------------------------------- who, where and how bad
def _placed(
    row: Row, before: AppDocument | None, after: AppDocument | None, old: AppFacts, new: AppFacts, digest: str
) -> Row:
    lost = row.change is Change.LOST
    document = before if lost or after is None else after
    facts = old if lost or after is None else new
    place = _place_of(row, document, facts)
    return replace(
        row,
        workloads=facts.accounts,
        owner=document.owner if document else "",
        secret_owner=place.owner,
        spec=place.spec or _line_of_part(row, document),
        spec_digest=digest,
    )


_OF_ONE_OBJECT = frozenset({About.READ, About.REGION, About.KEY, About.GRANT_WITHOUT_MOUNT, About.MOUNT_WITHOUT_GRANT})


def _place_of(row: Row, document: AppDocument | None, facts: AppFacts) -> Place:
    """Find where a read comes from, or a file: the places name ARNs with their region, rows ARNs without."""
    if document is None:
        return Place()
    if row.about in {About.FILE, About.MODE}:
        file = Subject(about=About.FILE, parts=row.parts)
        reads = [read.parts[0] for read, files in sorted(facts.files_of.items()) if file in files]
        # A file of an object keeps its line; who owns the secret is said where it is read.
        return Place(spec=_place_in(document.places, reads[0]).spec) if reads else Place()
    return _place_in(document.places, row.parts[0]) if row.about in _OF_ONE_OBJECT else Place()


def _place_in(places: Mapping[str, Place], read: str) -> Place:
    for resource, place in sorted(places.items()):
        arn = Arn.parse(resource)
        if arn is not None and contains(read, str(arn.in_region(""))):
            return place
    return Place()


def _line_of_part(row: Row, document: AppDocument | None) -> str:
    """Return the line of the part of an app that a row is about; the app's own where it has none."""
    if document is None:
        return ""
    part = ""
    match row.about:
        case About.SYNC:
            part = f"Secret {row.parts[0]}"
        case About.MOUNT:
            part = _PARTS_OF_CLASSES.get(row.parts[1], f"class {row.parts[0]}")
        case About.IDENTITY:
            part = row.parts[0]
        case About.POWER if row.parts[0] == Power.ASSUME:
            part = "second role"
    return document.part_places.get(part, document.spec)


#: Setting of a class → the part of the app that it comes from.
_PARTS_OF_CLASSES = {"failover regions": "failover regions", "assumeRoleArn": "second role"}


def _risky(row: Row, before: AppDocument | None, after: AppDocument | None, is_protected: bool) -> Row:  # noqa: FBT001 - private
    document = after or before
    role = Arn.parse(document.role_arn) if document else None
    return add_risks(row, account=role.account if role else "", is_new=before is None, is_protected=is_protected)


# -------------------------------------------------------------------------------------------- what belongs to no app
def _diff_resource_policies(before: FleetDocuments, after: FleetDocuments, environment: str) -> Iterator[Row]:
    for old, new in _paired(before.resource_policies, after.resource_policies):
        if old == new:
            continue
        sides = [Side(facts=read_resource_policy(side) if side else {}, files_of={}) for side in (old, new)]
        digest = spec_digest(sides[1].facts) if new else ""
        for row in compare(sides[0], sides[1], environment=environment, app=""):
            there = new or old
            yield replace(row, owner=there.owner if there else "", spec=there.spec if there else "", spec_digest=digest)


def _undecided_resource_policies(before: FleetDocuments, after: FleetDocuments) -> set[str]:
    """Return what neither side knows of the policies of secrets and keys, also where both say the same of them."""
    found: set[str] = set()
    for old, new in _paired(before.resource_policies, after.resource_policies):
        if old is None or new is None or not any(isinstance(text, Undecided) for text in (new.policy, *new.others)):
            continue
        facts = [read_resource_policy(side) for side in (old, new)]
        found |= {text.removeprefix(": ") for text in _unknown_in("", *facts)}
    return found


def _paired(
    before: Mapping[str, ResourcePolicyDocument], after: Mapping[str, ResourcePolicyDocument]
) -> Iterator[tuple[ResourcePolicyDocument | None, ResourcePolicyDocument | None]]:
    """Pair policies of one secret: one side may know the suffix of its ARN, and the other one not."""
    partner = {
        name: next((other for other in sorted(after.keys() - before.keys()) if _is_same_secret(name, other)), name)
        for name in sorted(before.keys() - after.keys())
    }
    for name in sorted(before.keys() | after.keys() - set(partner.values())):
        old, new = before.get(name), after.get(partner.get(name, name))
        yield old, replace(new, resource=name) if new is not None else None


def _is_same_secret(one: str, other: str) -> bool:
    return contains(one, other) or contains(other, one)


def _diff_unread(before: FleetDocuments, after: FleetDocuments, environment: str) -> Iterator[Row]:
    """A resource that may decide access and that nobody here can read is a row when it changes."""
    for place in sorted(after.unread.keys() | before.unread.keys()):
        if before.unread.get(place) == after.unread.get(place):
            continue
        blank = Row(environment=environment, app="", about=About.UNKNOWN, change=Change.CHANGED, parts=(place,))
        if place in after.unread:
            change = Change.CHANGED if place in before.unread else Change.GAINED
            found = after.unread[place]
            yield replace(
                blank, change=change, after=(found.reason,), spec_digest=_slow_digest(place, found.fingerprint)
            )
        else:
            yield replace(blank, change=Change.LOST, before=(before.unread[place].reason,))


def _slow_digest(place: str, fingerprint: str) -> str:
    """Return what an approval of an unread resource holds for; slow to make, because its properties may be anything."""
    return hashlib.scrypt(fingerprint.encode(), salt=place.encode(), n=2**14, r=8, p=1, dklen=8).hex()
