"""Answers about access as text and as JSON.

Not done here: any answer (components/derivation/answers), and writing to the terminal (lockstep/commands).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import typer

from components.derivation.answers import BlastRadius, Check, ObjectId, ReadAnswer, RegionAnswer, Subject
from components.derivation.errors import Spot
from components.derivation.limit_use import limits_of
from components.derivation.render import limit_use
from components.derivation.spec import Store
from lockstep.asking import AskedStack
from lockstep.spec_lines import excerpt
from lockstep.tables import aligned, counted

_NOUNS = {Store.SECRETS_MANAGER: "secret", Store.PARAMETER_STORE: "parameter"}
Json = dict[str, object]


def noun(item: ObjectId) -> str:
    """Return `secret prod/db`, `parameter /prod/flags` or, of a path, `parameters /prod/tree/*`."""
    if item.is_path:
        return f"parameters {item.shown}"
    return f"{_NOUNS[item.store]} {item.shown}"


def verdict_word(answer: ReadAnswer) -> str:
    """Return yes, no, or unclear; coloured where the output is a terminal."""
    if answer.is_allowed:
        return typer.style("yes", fg=typer.colors.GREEN, bold=True)
    word, colour = ("unclear", typer.colors.YELLOW) if answer.is_unclear else ("no", typer.colors.RED)
    return typer.style(word, fg=colour, bold=True)


# ----------------------------------------------------------------------------------------------------------------- can


def can_text(stack: str, answer: ReadAnswer) -> str:
    """Return one answer with everything that decides it."""
    app = answer.app
    can = "can" if answer.is_allowed else "may or may not" if answer.is_unclear else "cannot"
    where = "" if answer.is_complete or not answer.is_allowed else ", but not in every region"
    lines = [f"{stack}: {verdict_word(answer)}, {app.app} {can} read the {noun(answer.item)}{where}"]
    rows = [_identity_row(check, answer) for check in answer.identity]
    rows += [row for region in answer.regions for row in _region_rows(region)]
    rows += [("files", ", ".join(answer.files))] if answer.files else []
    lines += aligned(rows)
    for spot in answer.spots:
        lines += [f"  granted by {spot}", *excerpt(spot, indent="    ")]
    if not answer.spots:
        lines.append(f"  no line of the spec of {app.app} names it")
    lines += [f"  note: {text}" for text in answer.notes]
    return "\n".join(lines)


def _identity_row(check: Check, answer: ReadAnswer) -> tuple[str, str]:
    app = answer.app
    who = f"{app.namespace}/{app.service_account}" if check.subject is Subject.TRUST else app.role_arn
    if check.passes:
        return str(check.subject), f"{who} may use {check.action} for {check.resource}, {_through(check)}"
    return str(check.subject), f"{who} may not use {check.action} for {check.resource}: {check.reason}"


def _region_rows(region: RegionAnswer) -> Iterator[tuple[str, str]]:
    for check in region.checks:
        version = region.selector.stage or region.selector.version_id
        of_version = f" of version {version}" if version and check.subject is Subject.READ else ""
        if check.passes:
            yield region.item.region, f"{check.action}{of_version} {_through(check)}"
        else:
            yield (
                region.item.region,
                f"{check.action}{of_version} is {check.verdict}: {check.reason} ({check.resource})",
            )


def _through(check: Check) -> str:
    return "through " + " and ".join(str(statement) for statement in check.statements)


def can_json(stack: AskedStack, answer: ReadAnswer) -> Json:
    """Return one answer as data."""
    app = answer.app
    return {
        "stack": stack.stack,
        "environment": stack.environment,
        "app": app.app,
        "namespace": app.namespace,
        "serviceAccount": app.service_account,
        "role": app.reader_arn,
        "object": _object_json(answer.item),
        "allowed": answer.is_allowed,
        "inEveryRegion": answer.is_complete,
        "unclear": answer.is_unclear,
        "identity": [_check_json(check) for check in answer.identity],
        "regions": [_region_json(region) for region in answer.regions],
        "files": list(answer.files),
        "grantedBy": [spot_json(spot) for spot in answer.spots],
        "notes": list(answer.notes),
    }


def _object_json(item: ObjectId) -> Json:
    return {"store": item.store.value, "name": item.shown, "account": item.account, "region": item.region}


def _region_json(region: RegionAnswer) -> Json:
    return {
        "region": region.item.region,
        "arn": region.arn,
        "key": region.key or None,
        "stage": region.selector.stage or None,
        "versionId": region.selector.version_id or None,
        "allowed": region.passes,
        "checks": [_check_json(check) for check in region.checks],
    }


def _check_json(check: Check) -> Json:
    return {
        "subject": check.subject.value,
        "action": check.action,
        "resource": check.resource,
        "verdict": check.verdict.value,
        "statements": [
            {"kind": one.kind.value, "policy": one.policy, "sid": one.sid or None, "number": one.number}
            for one in check.statements
        ],
        "reason": check.reason or None,
    }


def spot_json(spot: Spot) -> Json:
    """Return a place of a spec as data."""
    return {"file": spot.source, "line": spot.line, "column": spot.column, "field": spot.field}


# --------------------------------------------------------------------------------------------------- who and what


def who_text(stack: AskedStack, item: ObjectId, answers: Sequence[ReadAnswer]) -> str:
    """Return who can read one object."""
    owners = stack.answers.inventory.owners(item)
    owned = f" (owner: {', '.join(owners)})" if owners else ""
    if not answers:
        similar = stack.answers.inventory.similar(item.shown)
        named = stack.answers.inventory.is_named(item)
        hint = f"; specs name {' and '.join(similar)}" if similar and not named else ""
        return f"{stack.stack}: no app can read the {noun(item)}{owned}{hint}"
    rows = [
        (str(answer.app.app), _pods(answer), _regions(answer), _lines(answer), _doubt(answer)) for answer in answers
    ]
    title = f"{stack.stack}: {counted(len(answers), 'app')} can read the {noun(item)}{owned}"
    return "\n".join((title, *aligned(rows), *_notes(answers)))


def what_text(stack: AskedStack, app: str, answers: Sequence[ReadAnswer]) -> str:
    """Return everything that one app can read."""
    access = stack.answers.app(app)
    assert access is not None  # noqa: S101 - the answers are this app's
    owner = f", owner: {access.owner}" if access.owner else ""
    title = (
        f"{stack.stack}: {app} reads {counted(len(answers), 'object')} "
        f"as {access.namespace}/{access.service_account} with {access.reader_arn}{owner}"
    )
    rows = [
        (
            _NOUNS[answer.item.store],
            answer.item.shown,
            _regions(answer),
            "by path" if answer.item.is_path else counted(len(answer.files), "file"),
            _lines(answer),
            _doubt(answer),
        )
        for answer in answers
    ]
    room = [(f"room: {use.limit.subject}", str(use)) for use in limits_of(access)]
    return "\n".join((title, *aligned(rows), *_notes(answers), *aligned(room)))


def limits_json(stack: AskedStack, app: str) -> Json:
    """Return how much of the limits an app of a stack uses."""
    access = stack.answers.app(app)
    uses = limits_of(access) if access else ()
    return {"stack": stack.stack, "app": app, "limits": [limit_use(use) for use in uses]}


def _pods(answer: ReadAnswer) -> str:
    return f"{answer.app.namespace}/{answer.app.service_account}"


def _regions(answer: ReadAnswer) -> str:
    return ", ".join(dict.fromkeys(region.item.region for region in answer.regions if region.passes))


def _lines(answer: ReadAnswer) -> str:
    return ", ".join(f"{spot.source}:{spot.line}" for spot in answer.spots)


def _doubt(answer: ReadAnswer) -> str:
    if answer.is_allowed:
        return ""
    checks = (*answer.identity, *(check for region in answer.regions for check in region.checks))
    return next((f"{check.verdict}: {check.reason}" for check in checks if not check.passes), "")


def _notes(answers: Iterable[ReadAnswer]) -> Iterator[str]:
    for text in dict.fromkeys(note for answer in answers for note in answer.notes):
        yield f"  note: {text}"


# -------------------------------------------------------------------------------------------------------- blast radius


def blast_text(stack: AskedStack, radius: BlastRadius, absent: Sequence[str]) -> str:
    """Return what a node reaches; `absent` are apps that this stack does not have."""
    objects = radius.objects()
    accounts = sorted({item.account for item in objects})
    names = ", ".join(str(app.app) for app in radius.apps)
    reach = f"{counted(len(objects), 'object')} of {counted(len(accounts), 'account')}"
    lines = [f"{stack.stack}: a node that runs {names} reaches {reach} through {counted(len(radius.apps), 'role')}"]
    rows = []
    for item, answers in objects.items():
        owners = ", ".join(stack.answers.inventory.owners(item))
        rows.append((noun(item), item.account, f"owner: {owners}" if owners else "", _app_names(answers)))
    lines += aligned(rows)
    shared = sum(len(answers) > 1 for answers in objects.values())
    lines.append(f"  {counted(shared, 'object')} reached through more than one app")
    lines += _notes(radius.answers)
    lines += [f"  note: {stack.stack} has no app {name}" for name in absent]
    lines.append(
        "  Whoever controls the provider or is root on the node can read all of it while these pods run there."
    )
    return "\n".join(lines)


def _app_names(answers: Iterable[ReadAnswer]) -> str:
    return ", ".join(sorted({str(answer.app.app) for answer in answers}))


def blast_json(stack: AskedStack, radius: BlastRadius, absent: Sequence[str]) -> Json:
    """Return the blast radius as data."""
    return {
        "stack": stack.stack,
        "environment": stack.environment,
        "apps": [str(app.app) for app in radius.apps],
        "absentApps": list(absent),
        "roles": [app.reader_arn for app in radius.apps],
        "objects": [
            {
                **_object_json(item),
                "owners": list(stack.answers.inventory.owners(item)),
                "apps": sorted({str(answer.app.app) for answer in answers}),
            }
            for item, answers in radius.objects().items()
        ],
        "notes": list(dict.fromkeys(note for answer in radius.answers for note in answer.notes)),
    }
