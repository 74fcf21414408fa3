"""What other accounts must add so that apps can read: which account must add, change or remove what, for which role.

Statements are compared role by role, so that a key policy in which two roles share a statement, or number them anew,
says nothing about the role that nobody touched. Not done here: what must be added (derivation/foreign_accounts.py). A
preview does not show it; where a side does not, nothing is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..arn import Arn
from .actions import spelled
from .compare import Side, compare
from .conditions import Tests
from .documents import AppDocument, FleetDocuments, OtherAccountDocument, Place
from .facts import About, FactList, Facts, Subject, Way
from .patterns import contains
from .rows import Row
from .statements import WITH_VARIABLES, Atom, UnreadablePolicyError, read_policy, without_superfluous
from .trust import own_accounts

#: The condition by which a statement names the roles that it is for.
_ROLES = "aws:PrincipalArn"
_BY_NAME = frozenset({"ArnLike", "StringEquals", "StringLike"})
#: Of these the object is the role that may; every other kind names who may in its statements.
_OF_ITSELF = "role permissions"


def other_account_rows(before: FleetDocuments, after: FleetDocuments, environment: str) -> Iterator[tuple[Row, Facts]]:
    """Yield rows, without risks and digests, and what their object must carry after the change.

    A row names the app that it is for where it is one alone; several that share a second role are in its details.
    """
    olds, news = before.other_accounts, after.other_accounts
    if olds is None or news is None:
        return
    for place in sorted(olds.keys() | news.keys()):
        old, new = olds.get(place), news.get(place)
        if old == new:
            continue
        sides = [read_other_account(document) if document else {} for document in (old, new)]
        for row in compare(*(Side(facts=facts, files_of={}) for facts in sides), environment=environment, app=""):
            apps = _apps_of(row, (before, old), (after, new))
            names = tuple(sorted(apps))
            if len(names) == 1:
                yield _placed(row, apps[names[0]]), sides[1]
            else:
                needed = (f"needed by the apps {', '.join(names)}",) if names else ()
                yield replace(row, details=(*row.details, *needed)), sides[1]


# -------------------------------------------------------------------------------------------------------------- facts
def read_other_account(document: OtherAccountDocument) -> Facts:
    """Read what one object of another account must carry; a role is a subject, its actions are the ways."""
    facts = FactList()
    where = f"{document.kind} of {document.resource}"
    try:
        # Role by role before what is superfluous: one statement may say for two roles what another says for one.
        whole = {"Version": WITH_VARIABLES, **document.policy}  # statements for a policy that is there already
        atoms = [part for atom in read_policy(whole, where) for part in _by_role(atom, document)]
    except UnreadablePolicyError as error:
        facts.add(Subject(about=About.UNKNOWN, parts=(where,)), texts={"value": str(error)})
        return facts.facts()
    arn = Arn.parse(document.resource)
    for atom in without_superfluous(atoms):
        parts = (document.account, document.kind, document.resource, atom.principal[1])
        way = Way(region=arn.region if arn else "", action=_action(atom, document.resource), tests=atom.tests)
        facts.add(Subject(about=About.OTHER_ACCOUNT, parts=parts), way=way, why=atom.why)
    return facts.facts()


def _action(atom: Atom, resource: str) -> str:
    """Return an action, with what it is on where that is not the object that carries the statement."""
    on = str(atom.resource)
    action = spelled(atom.action)
    return action if on in {"*", resource} else f"{action} on {on}"


def _by_role(atom: Atom, document: OtherAccountDocument) -> Iterator[Atom]:
    """Yield a statement for each role that it is for, the role as principal, with the conditions that remain."""
    if document.kind == _OF_ITSELF:
        yield replace(atom, principal=("role", document.resource))
        return
    found = [test for test in atom.tests if test.key == _ROLES and test.operator in _BY_NAME]
    if len(found) != 1:
        yield replace(atom, principal=("role", atom.principal[1] or "*"))
        return
    for role in found[0].values:
        yield replace(atom, principal=("role", role), tests=Tests(atom.tests - {found[0]}))


# ----------------------------------------------------------------------------------------------------- for which app
_Shown = tuple[FleetDocuments, OtherAccountDocument | None]


def _apps_of(row: Row, before: _Shown, after: _Shown) -> dict[str, AppDocument]:
    """Return the apps that need a statement, or did, as the later of two sides has them: those whose role it names."""
    needing: dict[str, AppDocument] = {}
    for fleet, document in (before, after):
        names = document.apps if document else ()
        needing |= {name: fleet.apps[name] for name in names if name in fleet.apps}
    role = row.parts[-1]
    own = {name: app for name, app in needing.items() if role in {app.role_arn, app.chain_role}}
    return own or needing


def _placed(row: Row, app: AppDocument) -> Row:
    """Say for whom it is, who that is and which line asks for it."""
    place = _place(app.places, row)
    accounts = own_accounts(app)
    return replace(
        row,
        app=app.app,
        workloads=accounts,
        owner=app.owner,
        secret_owner=place.owner,
        spec=place.spec or _line(app, row),
    )


def _line(app: AppDocument, row: Row) -> str:
    is_second_role = row.about is About.OTHER_ACCOUNT and row.parts[1] in {_OF_ITSELF, "role trust"}
    return app.part_places.get("second role", app.spec) if is_second_role else app.spec


def _place(places: Mapping[str, Place], row: Row) -> Place:
    """Find the line of a grant: of the object itself, or of one that the terms name, of what is new in them first."""
    if row.about is not About.OTHER_ACCOUNT:
        return Place()
    carrier = row.parts[2]
    found = [place for resource, place in sorted(places.items()) if contains(resource, carrier)]
    old, new = ({word for text in texts for word in text.split()} for texts in (row.before, row.after))
    for words in (new - old, old - new, new | old):
        found += [place for resource, place in sorted(places.items()) if resource in words]
    return found[0] if found else Place()
