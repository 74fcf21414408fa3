"""Rows as sentences: "app payments gains read access to secret prod/payments/db".

A sentence is a tuple of words; a `Name` among them came from an input and is set apart (and escaped) by each format.
"""

from __future__ import annotations

from collections.abc import Callable

from components.derivation.arn import UNKNOWN_SUFFIX, Arn
from components.derivation.diff import About, Change, Risk, Row
from components.derivation.diff.actions import BY_PATH
from components.derivation.diff.compare import WHOLE_APP
from components.derivation.diff.reads import WHILE_ABSENT
from components.derivation.diff.trust import ASSOCIATION, SESSION_POLICY
from lockstep.access_report.visible_text import visible


class Name(str):
    """A text from an input: a name, an ARN, a path. Formats quote it."""

    __slots__ = ()


Sentence = tuple[str, ...]

_SYMBOLS = {Change.GAINED: "+", Change.LOST: "-", Change.WIDENED: "~", Change.NARROWED: "~", Change.CHANGED: "~"}


#: How holders that are not Lockstep's apps are called; an app's own name has no space.
_FOREIGN_KINDS = ("role", "user", "group", "policy", "class", "service account")


def symbol(row: Row) -> str:
    """Return the sign of a row: + - or ~."""
    return _SYMBOLS[row.change]


def plain(sentence: Sentence) -> str:
    """Return a sentence as one line without markup; control characters are made visible."""
    return visible(" ".join(sentence).replace(" ,", ",").replace(" :", ":"))


def what(row: Row) -> Sentence:
    """Return what a row is about, as short as a person would name it."""
    parts = row.parts
    match row.about:
        case About.READ | About.REGION | About.KEY | About.GRANT_WITHOUT_MOUNT | About.MOUNT_WITHOUT_GRANT:
            return (*resource_words(parts[0]), *_account(row))
        case About.POWER | About.DENIAL:
            return (Name(parts[-2]), "on", Name(parts[-1]))
        case About.TRUST | About.UNKNOWN | About.IDENTITY:
            return (Name(parts[0]), *_let_through(row))
        case About.SYNC:
            return ("Kubernetes Secret", Name(parts[0]))
        case About.FILE | About.MODE:
            return ("file", Name(parts[1]))
        case About.MOUNT:
            return ("class", Name(parts[0]), Name(parts[1]))
        case About.RESOURCE_POLICY:
            return ("policy of", *resource_words(parts[0]))
        case About.OTHER_ACCOUNT:
            return (*_carrier(row), "in account", Name(parts[0]))


_DENIED = "what it denies:"


def _let_through(row: Row) -> Sentence:
    """Return what a row about a session policy says that the policy lets through; () for any other row."""
    if row.about is not About.IDENTITY or row.parts[0] != SESSION_POLICY or not row.parts[1:]:
        return ()
    kind, *parts = row.parts[1:]
    if kind == About.READ and parts:
        return ("for reading", *resource_words(parts[0]))
    if len(parts) < 2:  # noqa: PLR2004 - a key or a region, or the report of somebody else's program
        return ("for", Name(" ".join(row.parts[1:])))
    return ("for", *((_DENIED,) if kind == About.DENIAL else ()), Name(parts[-2]), "on", Name(parts[-1]))


def resource_words(resource: str) -> Sentence:
    """Return an IAM resource as its kind and name: `secret prod/db`."""
    arn = Arn.parse(resource)
    if arn is None:
        return ("everything",) if resource == "*" else (Name(resource),)
    kind, _, name = arn.resource.partition(":")
    if arn.service == "secretsmanager" and kind == "secret":
        return ("secret", Name(name.removesuffix(UNKNOWN_SUFFIX)))
    if arn.service == "ssm" and arn.resource.startswith("parameter/"):
        return ("parameter", Name(arn.resource.removeprefix("parameter")))
    return (Name(resource),)


def _account(row: Row) -> Sentence:
    if row.about is About.KEY:
        return ()  # what may be in another account there is the key, and its ARN says so
    arn = Arn.parse(row.parts[0])
    return ("of account", Name(arn.account)) if arn and Risk.CROSS_ACCOUNT in row.risks else ()


def sentence(row: Row) -> Sentence:
    """Return a row as a sentence that a reviewer reads without knowing IAM."""
    told = _SENTENCES[row.about](row)
    if row.is_certain:
        return told
    if row.change in {Change.GAINED, Change.WIDENED}:
        return (*told, ", unless it had that before, which is not known")
    return (*_app(row), "may or may not keep", *what(row), ": it is not known")


def _app(row: Row) -> Sentence:
    """Return who it is about; what is not Lockstep's is named by its kind: `role billing`."""
    for kind in _FOREIGN_KINDS:
        if row.app.startswith(f"{kind} "):
            return (kind, Name(row.app.removeprefix(f"{kind} ")))
    return ("app", Name(row.app)) if row.app else ()


def _listed(texts: tuple[str, ...]) -> Sentence:
    return (Name(", ".join(texts) or "nothing"),)


def _read(row: Row) -> Sentence:
    merged = all(any(_is_resource(text) for text in texts) for texts in (row.before, row.after))
    if set(row.before) | set(row.after) == {WHILE_ABSENT}:
        verb = "may be told" if row.after else "is no longer told"
        return (*_app(row), verb, "that", *what(row), "does not exist, as long as it does not")
    match row.change:
        case Change.GAINED:
            return (*_app(row), "gains read access to", *_read_what(row))
        case Change.LOST:
            return (*_app(row), "loses read access to", *_read_what(row))
        case Change.WIDENED | Change.NARROWED if merged:
            old, new = (_resources(texts) for texts in (row.before, row.after))
            return (*_app(row), f"has its read access {row.change.value} from", *old, "to", *new)
        case Change.WIDENED:
            return (*_app(row), "may read", *what(row), "under fewer conditions")
        case Change.NARROWED:
            return (*_app(row), "may read", *what(row), "under more conditions")
        case _:
            return (*_app(row), "may read", *what(row), "in other ways than before")


def _read_what(row: Row) -> Sentence:
    """Return what is read; leave for a path is leave for every parameter below it."""
    words = what(row)
    if len(words) > 1 and any(text.startswith(BY_PATH) for text in (*row.before, *row.after)):
        return ("every parameter below", Name(words[1].removesuffix("*")), *words[2:])
    return words


def _resources(texts: tuple[str, ...]) -> Sentence:
    """Return the resources among the terms of a merged row."""
    words: list[str] = []
    for text in texts:
        if _is_resource(text):
            words += ["and", *resource_words(text)] if words else resource_words(text)
    return tuple(words)


def _is_resource(text: str) -> bool:
    """Say whether a term of a row is a resource, and no action with its conditions."""
    return text.startswith("arn:") or text == "*"


def _region(row: Row) -> Sentence:
    gone, new = set(row.before) - set(row.after), set(row.after) - set(row.before)
    words: list[str] = [*_app(row)]
    if "*" in new:
        return (*words, "may read", *what(row), "in every region")
    if "*" in gone:
        return (*words, "may read", *what(row), "only in", *_listed(row.after))
    if new:
        words += ["may read", *what(row), "in", *_listed(tuple(sorted(new))), "too"]
    if gone:
        words += ["and" if new else "may", "no longer" if new else "no longer read", *(() if new else what(row))]
        words += ["in", *_listed(tuple(sorted(gone)))]
    return tuple(words)


def _key(row: Row) -> Sentence:
    keys = [tuple(text.partition(": ")[2] for text in texts) for texts in (row.before, row.after)]
    match row.change:
        case Change.GAINED:  # AWS's own key was enough
            return (*_app(row), "decrypts", *what(row), "with the customer key", *_listed(keys[1]))
        case Change.LOST:
            return (*_app(row), "no longer decrypts", *what(row), "with the customer key", *_listed(keys[0]))
        case Change.NARROWED if not keys[0]:  # an unbound Decrypt let it, see key_changes.py
            known = ("with the customer key", *_listed(keys[1]), "as before, and now bound to it")
            return (*_app(row), "decrypts", *what(row), *known)
        case Change.WIDENED if not keys[1]:
            known = ("with the customer key", *_listed(keys[0]), "as before, and no longer bound to it")
            return (*_app(row), "decrypts", *what(row), *known)
        case _ if not keys[0]:
            return (*_app(row), "decrypts", *what(row), "with the customer key", *_listed(keys[1]), "too")
        case _ if not keys[1]:
            return (*_app(row), "no longer decrypts", *what(row), "with the customer key", *_listed(keys[0]))
        case _:
            return (*_app(row), "decrypts", *what(row), "with", *_listed(keys[1]), "instead of", *_listed(keys[0]))


_POWERS = {
    "write": "change values or policies",
    "read": "read values",
    "decrypt": "decrypt",
    "assume": "become another role",
    "list": "list, or read many at once",
    "describe": "see descriptions",
    "other": "do",
}


def _power(row: Row) -> Sentence:
    verb = {Change.GAINED: "may now", Change.LOST: "may no longer"}.get(row.change, "may under other conditions")
    return (*_app(row), verb, f"{_POWERS[row.parts[0]]}:", *what(row))


def _denial(row: Row) -> Sentence:
    verb = {Change.GAINED: "is newly denied", Change.LOST: "is no longer denied"}
    return (*_app(row), verb.get(row.change, "is denied under other conditions"), *what(row))


def _identity(row: Row) -> Sentence:
    if row.parts == (WHOLE_APP,):
        if row.change is Change.LOST:
            return (*_app(row), "is gone")
        return (*_app(row), "is new", *(("and runs as", *_listed(row.workloads)) if row.workloads else ()))
    before, after = _listed(row.before), _listed(row.after)
    if row.parts == ("service account",) and row.before and row.after:
        return (*_app(row), "runs as", *after, "instead of", *before)
    if row.parts == ("name",):
        return (*_app(row), "was called", *before)
    if row.parts[0] in {SESSION_POLICY, ASSOCIATION}:
        return _session_policy(row) if row.parts[0] == SESSION_POLICY else _association(row)
    if row.change is Change.GAINED:
        return (*_app(row), f"now has the {row.parts[0]}", *after)
    if row.change is Change.LOST:
        return (*_app(row), f"no longer has the {row.parts[0]}", *before)
    return (*_app(row), f"has another {row.parts[0]}:", *after, "instead of", *before)


def _association(row: Row) -> Sentence:
    verbs = {Change.GAINED: "may now become", Change.LOST: "may no longer become"}
    verb = verbs.get(row.change, "becomes under other terms")
    return ("by its own association", Name(row.parts[-1]), verb, "the role of", *_app(row))


def _session_policy(row: Row) -> Sentence:
    if not row.parts[1:]:
        if row.change is Change.LOST:
            return (*_app(row), "is no longer held back by a session policy")
        return (*_app(row), "is now held back by a session policy, whatever its role allows")
    if row.parts[1] == About.DENIAL:
        verb = {Change.GAINED: "now denies", Change.LOST: "no longer denies"}.get(row.change, "denies otherwise")
    else:
        verb = {Change.GAINED: "now lets through", Change.LOST: "no longer lets through"}.get(
            row.change, "lets through otherwise"
        )
    reading = ("the reading of",) if row.parts[1] == About.READ else ()
    named = tuple(word for word in _let_through(row)[1:] if word != _DENIED)
    return ("the session policy of", *_app(row), verb, *reading, *named)


def _trust(row: Row) -> Sentence:
    role = ("the role of", *_app(row))
    match row.change:
        case Change.GAINED:
            return (*what(row), "may now become", *role)
        case Change.LOST:
            return (*what(row), "may no longer become", *role)
        case Change.WIDENED:
            return (*what(row), "may become", *role, "under fewer conditions")
        case Change.NARROWED:
            return (*what(row), "may become", *role, "under more conditions")
        case _:
            return (*what(row), "may become", *role, "under other conditions")


def _resource_policy(row: Row) -> Sentence:
    _, effect, who, action, _ = (*row.parts, "", "", "", "")[:5]
    when = {Change.GAINED: "now", Change.LOST: "no longer"}.get(row.change, "")
    verb = "denies" if effect == "Deny" else "allows"
    ends = {Change.WIDENED: "in more cases", Change.NARROWED: "in fewer cases"}
    end = "" if when else ends.get(row.change, "under other conditions")
    told = ("the", *what(row), when, verb, Name(who), "the action", Name(action), end)
    return tuple(word for word in told if word)


def _carrier(row: Row) -> Sentence:
    """Return what of another account carries a statement: `policy of secret prod/db`."""
    _, kind, resource, _ = row.parts
    if kind in {"secret policy", "parameter policy"}:
        return ("policy of", *resource_words(resource))
    named = {"key policy": "policy of key", "role trust": "trust of role", "role permissions": "permissions of role"}
    return (named.get(kind, "policy of"), Name(resource))


def _other_account(row: Row) -> Sentence:
    account, _, resource, role = row.parts
    told: tuple[str, ...] = () if role == resource else ("for role", Name(role))
    told = (*told, "of app" if told else "for app", Name(row.app)) if row.app else told
    carrier = (*_carrier(row), *told)
    match row.change:
        case Change.GAINED:
            return ("account", Name(account), "must add a statement to the", *carrier)
        case Change.LOST:
            unused = ", which nothing needs any more"
            return ("account", Name(account), "should remove its statement from the", *carrier, unused)
        case Change.WIDENED:
            return ("account", Name(account), "must allow more in the", *carrier)
        case Change.NARROWED:
            return ("account", Name(account), "should allow less in the", *carrier)
        case _:
            return ("account", Name(account), "must change its statement in the", *carrier)


def _sync(row: Row) -> Sentence:
    verb = {Change.GAINED: "copies files into", Change.LOST: "no longer fills"}.get(row.change, "fills otherwise")
    return (*_app(row), verb, "the", *what(row))


def _file(row: Row) -> Sentence:
    verb = {Change.GAINED: "sees the new", Change.LOST: "no longer sees the"}.get(
        row.change, "sees other content in the"
    )
    return (*_app(row), verb, *what(row))


def _mode(row: Row) -> Sentence:
    verb = {Change.WIDENED: "opens", Change.NARROWED: "closes"}.get(row.change, "changes")
    return (*_app(row), verb, "the mode of the", *what(row), "from", *_listed(row.before), "to", *_listed(row.after))


def _mount(row: Row) -> Sentence:
    verb = {Change.GAINED: "sets", Change.LOST: "no longer sets"}.get(row.change, "changes")
    return (*_app(row), verb, Name(row.parts[1]), "of its class", Name(row.parts[0]))


def _mount_without_grant(row: Row) -> Sentence:
    if row.change is Change.LOST:
        return (*_app(row), "may now read what it mounts:", *what(row))
    return (*_app(row), "cannot start: it mounts", *what(row), "and nothing allows it to read that")


def _grant_without_mount(row: Row) -> Sentence:
    verb = "no longer has unused access to" if row.change is Change.LOST else "may read without mounting it:"
    return (*_app(row), verb, *what(row))


def _unknown(row: Row) -> Sentence:
    if row.change is Change.LOST:
        return (*_app(row), "has" if row.app else "there is", "no longer unknown access:", *what(row))
    subject = (*_app(row), "has access that") if row.app else ("there is access that",)
    return (*subject, "cannot be told before the deployment:", Name(": ".join((row.parts[0], *row.after[:1]))))


_SENTENCES: dict[About, Callable[[Row], Sentence]] = {
    About.READ: _read,
    About.REGION: _region,
    About.KEY: _key,
    About.POWER: _power,
    About.DENIAL: _denial,
    About.IDENTITY: _identity,
    About.TRUST: _trust,
    About.RESOURCE_POLICY: _resource_policy,
    About.OTHER_ACCOUNT: _other_account,
    About.SYNC: _sync,
    About.FILE: _file,
    About.MODE: _mode,
    About.MOUNT: _mount,
    About.MOUNT_WITHOUT_GRANT: _mount_without_grant,
    About.GRANT_WITHOUT_MOUNT: _grant_without_mount,
    About.UNKNOWN: _unknown,
}
