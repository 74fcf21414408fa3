"""What a role may do: atoms of its policies to facts about reads, keys, other powers and denials.

A read of a value is a fact per secret or parameter, whatever the regions, so that a further region is a change of it
and no new secret. A Decrypt that is bound to exactly what is read is part of that read (its key); any other stands
alone, because it decrypts more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..arn import UNKNOWN_SUFFIX, Arn, has_random_suffix
from .actions import BY_PATH, Power, power_of, reads_of, spelled
from .conditions import Test, Tests
from .facts import About, FactList, Subject, Way
from .key_changes import DECRYPT, DOMAINS, key_text
from .patterns import Pattern, has_wildcard
from .statements import Atom, Effect, without_superfluous

_CONTEXTS = {
    "kms:EncryptionContext:SecretARN": "secretsmanager",
    "kms:EncryptionContext:PARAMETER_ARN": "ssm",
}
_VIA = "kms:ViaService"
#: Name of a way that only lets AWS say "not found": the ARN that is asked about while a secret does not exist.
WHILE_ABSENT = "while it does not exist"


def add_reads(facts: FactList, atoms: Iterable[Atom]) -> None:
    """Add the facts of one role's policies, taken together."""
    allowed = without_superfluous(atom for atom in atoms if atom.effect is Effect.ALLOW)
    denied = without_superfluous(atom for atom in atoms if atom.effect is Effect.DENY)
    readable = _absent_folded(
        {
            _extent(action, atom.resource.text)
            for atom in allowed
            for action in reads_of(atom.action)
            if not atom.resource.but
        }
    )
    for atom in allowed:
        _add_allowed(facts, atom, readable)
    for atom in denied:
        subject = Subject(about=About.DENIAL, parts=(spelled(atom.action), str(atom.resource)))
        facts.add(subject, way=Way(tests=atom.tests), why=atom.why)


def _extent(action: str, resource: str) -> str:
    """Return what an action reads: a read by path is allowed for the path, and returns everything below it."""
    if action != BY_PATH or resource.endswith("*"):
        return resource
    return f"{resource.rstrip('/')}/*"


def _absent_folded(resources: set[str]) -> dict[str, str]:
    """Return resource → the one that it is part of: a bare name belongs to the same name with a suffix.

    Only a bare name that can be no secret's whole ARN: `db-AbC123` may be the secret `db`, and a pattern may be many.
    """

    def is_absent(text: str) -> bool:
        arn = Arn.parse(text)
        bare = arn is not None and arn.service == "secretsmanager" and not has_random_suffix(arn)
        return bare and not has_wildcard(text) and text + UNKNOWN_SUFFIX in resources

    return {text: text + UNKNOWN_SUFFIX if is_absent(text) else text for text in resources}


def _add_allowed(facts: FactList, atom: Atom, readable: dict[str, str]) -> None:
    power = power_of(atom.action)
    home = readable.get(atom.resource.text, "") if not atom.resource.but else ""
    reads = reads_of(atom.action)
    if reads and may_read(atom.resource, reads):
        for action in reads:
            absent = bool(home) and home != atom.resource.text
            way = Way(region=region_of(atom.resource), action=WHILE_ABSENT if absent else action, tests=atom.tests)
            what = str(atom.resource) if atom.resource.but else _extent(action, atom.resource.text)
            facts.add(read_subject(what if action == BY_PATH else home or what), way=way, why=atom.why)
    elif power is Power.DESCRIBE and home:
        action = WHILE_ABSENT if home != atom.resource.text else spelled(atom.action)
        way = Way(region=region_of(atom.resource), action=action, tests=atom.tests)
        facts.add(read_subject(home), way=way, why=atom.why)
        return
    elif atom.action.text == DECRYPT and _add_keys(facts, atom, readable):
        return
    if not reads or not atom.action.is_exact:
        parts = (power.value, spelled(atom.action), str(atom.resource))
        facts.add(Subject(about=About.POWER, parts=parts), way=Way(tests=atom.tests), why=atom.why)


def may_read(resource: Pattern, reads: tuple[str, ...]) -> bool:
    """Say whether a resource can be one of the service of these actions; others are allowed in vain."""
    _, _, named, *_ = [*resource.text.split(":"), "*", "*"]  # IAM completes an ARN that ends early
    services = {action.partition(":")[0] for action in reads}
    return not resource.text.startswith("arn:") or any(Pattern.of(named).matches(service) for service in services)


def is_wide(resource: str) -> bool:
    """Say whether a resource is more than one object; the unknown suffix of a secret is not, a policy variable is."""
    bare = resource.removesuffix(UNKNOWN_SUFFIX) if ":secret:" in resource else resource
    return has_wildcard(bare) or "${" in resource or " except " in resource


def read_subject(resource: str) -> Subject:
    """Return the subject of a read: the ARN without its region."""
    arn = Arn.parse(resource)
    return Subject(about=About.READ, parts=(str(arn.in_region("")) if arn else resource,))


def region_of(resource: Pattern) -> str:
    """Return the region of a resource, `*` where it names none."""
    arn = Arn.parse(resource.text)
    return (arn.region or "*") if arn else "*"


# ------------------------------------------------------------------------------------------------------------ the keys
def _add_keys(facts: FactList, atom: Atom, readable: dict[str, str]) -> bool:
    """Add a Decrypt as keys of the reads that it is bound to, and as a power for what remains of it.

    Returns:
        False when it is bound to nothing that is read.
    """
    bound = [(test, _CONTEXTS[test.key]) for test in atom.tests if test.key in _CONTEXTS and _is_any_of(test)]
    via = [test for test in atom.tests if test.key == _VIA and _is_any_of(test) and len(test.values) == 1]
    if len(bound) != 1 or len(via) != 1:
        return False
    (context, service), (place,) = bound[0], via
    name, _, rest = place.values[0].partition(".")
    region, _, domain = rest.partition(".")
    if domain not in DOMAINS:
        return False
    others = frozenset(atom.tests - {context, place})
    fits = [value for value in context.values if name == service and value in readable and _region(value) == region]
    for value in fits:
        facts.add(read_subject(readable[value]), texts={key_text(region, atom.resource, others): ""}, why=atom.why)
    for rest_test in _remaining(context, fits):
        parts = (Power.DECRYPT.value, spelled(atom.action), str(atom.resource))
        way = Way(tests=Tests(others | {place, rest_test}))
        facts.add(Subject(about=About.POWER, parts=parts), way=way, why=atom.why)
    return bool(fits)


def _is_any_of(test: Test) -> bool:
    """Say whether a test passes for any of its values; under StringEquals `*` is a star, which no ARN has."""
    is_literal = test.operator == "StringEquals" and any(map(has_wildcard, test.values))
    return test.operator in {"StringEquals", "StringLike", "ArnLike"} and not is_literal


def _region(resource: str) -> str:
    arn = Arn.parse(resource)
    return arn.region if arn else ""


def _remaining(context: Test, fits: list[str]) -> Iterator[Test]:
    rest = [value for value in context.values if value not in fits]
    if rest and fits:
        yield Test.of(context.operator, context.key, rest)
