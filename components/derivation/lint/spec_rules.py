"""Rules about app specs: what the strict reader takes, and a reviewer should still see.

What follows from a spec is right by construction; these rules are about what the spec itself asks for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from ..arn import Arn
from ..errors import Spot
from ..grants import Grant
from ..secret_match import is_same_secret, without_suffix
from ..spec import AppVariant, ObjectEntry, Store, Suppression
from .material import Material
from .object_rules import constant_path, is_wide_mode
from .rule import Example, Hit, Rule, Severity

_NAME_WITH_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}\Z")
_NEAR_LIMIT = 0.8


def _entries(material: Material) -> Iterator[tuple[AppVariant, ObjectEntry]]:
    for variant in material.variants():
        for entry in variant.objects:
            yield variant, entry


def _in_force(variant: AppVariant, entry: ObjectEntry | None = None) -> tuple[Suppression, ...]:
    return (*(entry.suppress if entry else ()), *variant.suppress)


def _suffix(material: Material) -> Iterator[Hit]:
    for variant, entry in _entries(material):
        for name, at in entry.names() if entry.store is Store.SECRETS_MANAGER else ():
            if not name.startswith("arn:") and _NAME_WITH_SUFFIX.search(name):
                what = f"the name {name!r} ends in a hyphen and six characters"
                yield Hit(spot=at, what=what, suppressions=_in_force(variant, entry))


#: How many other readers a finding names.
_NAMED_READERS = 5


def _shared(material: Material) -> Iterator[Hit]:
    places = {entry.at: (variant, entry) for variant, entry in _entries(material)}
    for stack in material.stacks:
        readers: dict[str, dict[str, Grant]] = defaultdict(dict)
        resources: dict[tuple[Store, str], set[str]] = defaultdict(set)
        for app in stack.apps:
            for grant in app.grants:
                if grant.region == stack.environment.region and not grant.is_path:
                    readers[grant.resource].setdefault(app.app, grant)
                    resources[grant.store, _base(grant)].add(grant.resource)
        for alike in resources.values():
            for resource in sorted(alike):
                # One spec may name a secret, another one tell its ARN.
                same = [readers[other] for other in sorted(alike) if is_same_secret(resource, other)]
                users = {app: grant for listed in same for app, grant in listed.items()} | readers[resource]
                owners = {grant.owner for listed in same for grant in listed.values()}
                if len(users) > 1 and (len(owners) > 1 or "" in owners):
                    yield from _shared_hits(readers[resource], users, owners - {""}, places)


def _base(grant: Grant) -> str:
    return without_suffix(grant.resource) if grant.store is Store.SECRETS_MANAGER else grant.resource


def _shared_hits(
    named: dict[str, Grant],
    users: dict[str, Grant],
    owners: set[str],
    places: dict[Spot, tuple[AppVariant, ObjectEntry]],
) -> Iterator[Hit]:
    for name, grant in sorted(named.items()):
        if grant.at not in places or (grant.owner and len(owners) == 1):
            continue  # this spec says who owns it, and nobody says otherwise
        variant, entry = places[grant.at]
        others = [other for other in sorted(users) if other != name]
        more = f" and {len(others) - _NAMED_READERS} more" if len(others) > _NAMED_READERS else ""
        said = f"owners are named: {', '.join(sorted(owners))}" if grant.owner else "nobody owns it here"
        # The name as written, so that the same finding of several environments is one.
        what = f"{entry.name!r} is read by {', '.join(others[:_NAMED_READERS])}{more} too, and {said}"
        yield Hit(spot=entry.at, what=what, suppressions=_in_force(variant, entry))


def _room(material: Material) -> Iterator[Hit]:
    for stack in material.stacks:
        places = {spec.app: spec for spec in stack.specs}
        for app in stack.apps:
            room = app.headroom
            if room.share > _NEAR_LIMIT:
                variant = places[app.app].for_environment(stack.environment.name)
                what = (
                    f"in {stack.environment.name} the app's {room.kind} policies take {room.used:,} characters of "
                    f"{room.limit:,}"
                )
                yield Hit(spot=variant.at, what=what, suppressions=_in_force(variant))


def _no_such_environment(material: Material) -> Iterator[Hit]:
    if material.environments is None:
        return
    known = ", ".join(sorted(material.environments))
    for spec in material.specs:
        for name, variant in spec.overlays.items():
            if name not in material.environments:
                what = f"the app {str(spec.app)!r} has differences for {name!r}; the environments are {known}"
                yield Hit(spot=spec.at, what=what, suppressions=_in_force(variant))


def _constant(material: Material) -> Iterator[Hit]:
    for variant, entry in _entries(material):
        for key in entry.keys:
            name = constant_path(key.path)
            if name is not None:
                what = f"{key.path!r} is the text itself, not a key of the secret"
                yield Hit(spot=key.at, what=what, suppressions=_in_force(variant, entry))


def _wide_mode(material: Material) -> Iterator[Hit]:
    for variant, entry in _entries(material):
        for mode, spot in ((entry.mode, entry.at), *((key.mode, key.at) for key in entry.keys)):
            if mode is not None and is_wide_mode(mode):
                edits = material.mode_edits(spot, mode)
                what = f"{entry.name!r} gets the mode {mode!r}"
                yield Hit(spot=spot, what=what, suppressions=_in_force(variant, entry), edits=edits)


def _pinned(material: Material) -> Iterator[Hit]:
    for variant, entry in _entries(material):
        version = entry.selector.version or entry.selector.version_id
        if version:
            what = f"{entry.name!r} is read in version {version} for good"
            yield Hit(spot=entry.at, what=what, suppressions=_in_force(variant, entry))


def _foreign_without_key(material: Material) -> Iterator[Hit]:
    for stack in material.stacks:
        own = stack.environment
        for variant in (spec.for_environment(own.name) for spec in stack.specs):
            for entry in variant.objects:
                arn = Arn.parse(entry.name)
                account = arn.account.replace("${account}", own.account) if arn else own.account
                has_key = any(key.arn for key in entry.kms_keys if key.region in {None, own.region})
                if account != own.account and not has_key and entry.store is Store.PARAMETER_STORE:
                    what = f"{entry.name!r} belongs to the account {account}, and no kmsKey is named"
                    yield Hit(spot=entry.at, what=what, suppressions=_in_force(variant, entry))


def _all_keys(material: Material) -> Iterator[Hit]:
    for variant, entry in _entries(material):
        if entry.all_keys:
            what = f"every key of {entry.name!r} becomes a file, those of tomorrow too"
            yield Hit(spot=entry.at, what=what, suppressions=_in_force(variant, entry))


def _paths(material: Material) -> Iterator[Hit]:
    for variant in material.variants():
        for path in variant.paths:
            what = f"every parameter below {path.path!r} can be read, those of tomorrow too ({path.reason})"
            yield Hit(spot=path.at, what=what, suppressions=(*path.suppress, *variant.suppress))


def _unknown_rule(material: Material) -> Iterator[Hit]:
    from .registry import RULES as ALL  # noqa: PLC0415 - this rule is one of them

    known = {rule.code for rule in ALL}
    for suppression in sorted(material.suppressions(), key=lambda item: item.at):
        if suppression.rule not in known:
            yield Hit(spot=suppression.at, what=f"there is no rule {suppression.rule}")


def _found_by_the_run(_: Material) -> Iterator[Hit]:
    """Stale suppressions show only when everything else was checked: see run.py."""
    return iter(())


_HEAD = "version: 1\napp: shop\nnamespace: shop\n"
_CART = "---\nversion: 1\napp: cart\nnamespace: cart\n"


def _spec(body: str) -> Example:
    return Example(spec=_HEAD + body)


_ROW = "  - {{name: prod/shop/team-{number:03}/a-long-name-for-a-database{more}}}\n"
_MANY = "".join(_ROW.format(number=number, more=", mount: more" if number % 2 else "") for number in range(78))
_FEW = "".join(_MANY.splitlines(keepends=True)[:40:2])
_FOREIGN = "parameters:\n  - name: arn:aws:ssm:${region}:999988887777:parameter/shared/db\n    file: db\n"
_FOREIGN_KEY = "    kmsKey: arn:aws:kms:${region}:999988887777:key/5f1d7a0c-2b3e-4d6f-8a9b-0c1d2e3f4a5b\n"
_SHARED = "secrets: [{name: prod/smtp}]\n"
_OWNED = "secrets: [{name: prod/smtp, owner: mail-team}]\n"

_BY_PATH = "parameterPaths: [{path: /prod/shop, reason: the flag library reads the tree}]\n"

#: Stale suppressions: found by the run, after every check.
STALE = Rule(
    code="LS812",
    severity=Severity.WARNING,
    title="A suppression suppresses something",
    why="What it once excused is gone. Left behind it will hide the next finding of that rule, unseen.",
    fix="remove the suppression",
    bad=_spec("secrets: [{name: prod/db, suppress: [{rule: LS801, reason: named long ago}]}]\n"),
    good=_spec("secrets: [{name: prod/db-legacy, suppress: [{rule: LS801, reason: named long ago}]}]\n"),
    check=_found_by_the_run,
)

RULES = (
    Rule(
        code="LS801",
        severity=Severity.WARNING,
        title="A secret's name does not end in a hyphen and six characters",
        why=(
            "It looks like an ARN's suffix: Secrets Manager may answer a partial ARN with the wrong secret. AWS "
            "advises against such names (-config and -apikey are the usual ones)."
        ),
        fix="name it by its full ARN, or rename the secret",
        bad=_spec("secrets: [{name: prod/db-apikey}]\n"),
        good=_spec("secrets: [{name: prod/db-key}]\n"),
        check=_suffix,
    ),
    Rule(
        code="LS802",
        severity=Severity.WARNING,
        title="A shared secret has one owner",
        why="Two apps read it; without an owner nobody knows who rotates it and who must be asked before it changes.",
        fix="write the same 'owner:' in every entry that names it",
        bad=Example(spec=_HEAD + _SHARED + _CART + _OWNED),
        good=Example(spec=_HEAD + _OWNED + _CART + _OWNED),
        check=_shared,
        needs_stacks=True,
    ),
    Rule(
        code="LS803",
        severity=Severity.WARNING,
        title="The app's access has little room left",
        why="IAM limits the policies of a role. The next secrets will not fit, and adding them will wait for a split.",
        fix="split the app into two, or read fewer secrets",
        bad=_spec("mounts: {more: /etc/more}\nsecrets:\n" + _MANY),
        good=_spec("secrets:\n" + _FEW),
        check=_room,
        needs_stacks=True,
    ),
    Rule(
        code="LS804",
        severity=Severity.WARNING,
        title="An overlay is for an environment that exists",
        why="Differences for a name that no stack has are never used: often it is misspelt.",
        fix="correct the name, or remove the overlay",
        bad=_spec("secrets: [{name: prod/db}]\nenvironments: {prd: {serviceAccount: shop-prod}}\n"),
        good=_spec("secrets: [{name: prod/db}]\nenvironments: {prod: {serviceAccount: shop-prod}}\n"),
        check=_no_such_environment,
        needs_stacks=True,
    ),
    Rule(
        code="LS805",
        severity=Severity.ERROR,
        title="A JSON key in inner quotes is a constant",
        why="In JMESPath 'password' is the word password. The file holds that word, not the secret's value.",
        fix="write the key without the inner single quotes (a hyphen needs inner double quotes)",
        bad=_spec("secrets: [{name: prod/db, file: db, keys: {\"'password'\": password}}]\n"),
        good=_spec("secrets: [{name: prod/db, file: db, keys: {password: password}}]\n"),
        check=_constant,
    ),
    Rule(
        code="LS806",
        severity=Severity.WARNING,
        title="A secret's file is neither executable nor writable for others",
        why="Files belong to root; bits beyond 0644 let a process change what others read, or have no effect at all.",
        fix='write "0444", "0440" or "0400"',
        bad=_spec('secrets: [{name: prod/db, mode: "0666"}]\n'),
        good=_spec('secrets: [{name: prod/db, mode: "0444"}]\n'),
        check=_wide_mode,
        mends=True,
    ),
    Rule(
        code="LS807",
        severity=Severity.NOTE,
        title="A pinned version never rotates",
        why="With a version the pod keeps an old value after the rotation, until somebody edits the spec.",
        fix="remove the version, or read by label",
        bad=_spec("parameters: [{name: /prod/flags, version: 3}]\n"),
        good=_spec("parameters: [{name: /prod/flags, label: blue}]\n"),
        check=_pinned,
    ),
    Rule(
        code="LS808",
        severity=Severity.WARNING,
        title="A parameter of another account names its customer key",
        why="The key aws/ssm cannot be shared: a SecureString under it ends in a KMS denial. Plain text needs no key.",
        fix="encrypt it with a customer key, and name that key in kmsKey",
        bad=_spec(_FOREIGN),
        good=_spec(_FOREIGN + _FOREIGN_KEY),
        check=_foreign_without_key,
        needs_stacks=True,
    ),
    Rule(
        code="LS809",
        severity=Severity.NOTE,
        title="All keys of a secret are mounted",
        why="A key that somebody adds to the secret appears in the pod, under a file name that nobody reviewed.",
        fix="name the keys that the app reads",
        bad=_spec('secrets: [{name: prod/db, file: db.json, keys: "*"}]\n'),
        good=_spec("secrets: [{name: prod/db, file: db.json, keys: {password: password}}]\n"),
        check=_all_keys,
    ),
    Rule(
        code="LS810",
        severity=Severity.WARNING,
        title="Parameters are read one by one",
        why=(
            "A read by path is authorised for the path alone: it returns everything below it at any depth, also what "
            "is denied by name. Whoever may create a parameter there puts it within reach of the app."
        ),
        fix="list each parameter by its name, or accept it with 'suppress:' and a reason",
        bad=_spec("secrets: [{name: prod/db}]\n" + _BY_PATH),
        good=_spec("secrets: [{name: prod/db}]\nparameters: [{name: /prod/shop/flags}]\n"),
        check=_paths,
    ),
    Rule(
        code="LS811",
        severity=Severity.ERROR,
        title="A suppression names a rule that exists",
        why="A misspelt code suppresses nothing, and the reader believes that it does.",
        fix="write the code as `lockstep lint` prints it",
        bad=_spec("secrets: [{name: prod/db, suppress: [{rule: LS999, reason: no such rule}]}]\n"),
        good=_spec("secrets: [{name: prod/db}]\n"),
        check=_unknown_rule,
    ),
    STALE,
)
