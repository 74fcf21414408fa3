"""Who may become a role: trust policy, Pod Identity associations and service accounts to facts.

What an app runs as is one fact, and its trust speaks of "its own service account": so a move to another namespace is
one change and not five. Everybody else that the trust lets in is named.

Source: EKS user guide (IRSA: `sub` and `aud` of the issuer; Pod Identity: request tags, associations).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from .actions import spelled
from .conditions import Test, Tests, tests_text
from .documents import AppDocument, Document, Undecided
from .facts import HIDDEN, About, FactList, Subject, Way
from .patterns import has_wildcard
from .reads import add_reads
from .statements import Atom, Effect, UnreadablePolicyError, read_policy, without_superfluous

_ANNOTATION = "eks.amazonaws.com/role-arn"
_POD_IDENTITY = "pods.eks.amazonaws.com"
_SUBJECT = "system:serviceaccount:"
_TAGS = ("aws:RequestTag/kubernetes-namespace", "aws:RequestTag/kubernetes-service-account")
OWN = "its own service account"
ANY = "any service account"
PATTERN = " (pattern)"
SESSION_POLICY = "session policy"
#: First part of what one association of several says; of a single one the app's own facts say all.
ASSOCIATION = "association"


def add_trust(facts: FactList, app: AppDocument, atoms: Iterable[Atom]) -> tuple[str, ...]:
    """Add who may become the role; `atoms` are those of the trust policy.

    Returns:
        The app's service accounts as `namespace/name`, sorted: those that its documents name, else those that the
        trust names.
    """
    allowed = [(atom, who, tests) for atom in atoms for who, tests in _who(atom)]
    own = own_accounts(app)
    named = {who for atom, (_, who), _ in allowed if atom.effect is Effect.ALLOW and _is_account(who)}
    for atom, (kind, who), tests in allowed:
        name = OWN if who in own and kind else who
        shown = f"{kind}: {name}" if kind else name
        if atom.effect is Effect.DENY:
            facts.add(Subject(about=About.DENIAL, parts=(spelled(atom.action), f"for {shown}")), way=Way(tests=tests))
            continue
        subject = Subject(about=About.TRUST, parts=(shown,))
        facts.add(subject, way=Way(action=spelled(atom.action), tests=tests), why=atom.why)
    _add_identity(facts, app, own)
    return own or tuple(sorted(named))


def _is_account(who: str) -> bool:
    return "/" in who and not who.startswith("arn:") and "*" not in who and "?" not in who


def own_accounts(app: AppDocument) -> tuple[str, ...]:
    """Return the service accounts that the documents themselves name, sorted."""
    named = {(_text(a, "namespace"), _text(a, "serviceAccount")) for a in app.associations}
    for manifest in app.service_accounts:
        metadata = manifest.get("metadata")
        if isinstance(metadata, Mapping):
            named.add((_text(metadata, "namespace"), _text(metadata, "name")))
    return tuple(sorted(f"{namespace}/{name}" for namespace, name in named if namespace and name))


def _who(atom: Atom) -> Iterator[tuple[tuple[str, str], Tests]]:
    """Yield ((mechanism, who), the conditions that remain) of one atom of a trust policy."""
    kind, name = atom.principal
    if kind == "Federated" and ":oidc-provider/" in name:
        host = name.partition(":oidc-provider/")[2]
        yield from _irsa(atom.tests, host)
    elif (kind, name) == ("Service", _POD_IDENTITY):
        yield from _pod_identity(atom.tests)
    else:
        yield ("", name if kind == "AWS" else f"{kind} {name}"), atom.tests


def _irsa(tests: Tests, host: str) -> Iterator[tuple[tuple[str, str], Tests]]:
    key = f"{host}:sub".lower()
    mechanism = f"IRSA of {host}"
    subjects = [test for test in tests if test.key == key and test.operator in {"StringEquals", "StringLike"}]
    if len(subjects) != 1:
        rest = Tests(replace(test, key=_claim(test.key, host)) for test in tests)
        yield (mechanism, ANY), rest
        return
    for value in subjects[0].values:
        who = value.removeprefix(_SUBJECT).replace(":", "/", 1) if value.startswith(_SUBJECT) else f"subject {value}"
        plain = subjects[0].operator == "StringEquals" or not has_wildcard(value)
        rest = Tests(replace(test, key=_claim(test.key, host)) for test in tests - {subjects[0]})
        yield (mechanism, who if plain else f"{who}{PATTERN}"), rest


def _claim(key: str, host: str) -> str:
    """Return a condition key of an issuer without the issuer, which `who` names already."""
    return key.removeprefix(f"{host.lower()}:")


def _pod_identity(tests: Tests) -> Iterator[tuple[tuple[str, str], Tests]]:
    found = [_exact(tests, key) for key in _TAGS]
    namespace, account = found
    if namespace is None or account is None:
        yield ("Pod Identity", ANY), tests
        return
    rest = Tests(tests - {namespace, account})
    yield ("Pod Identity", f"{namespace.values[0]}/{account.values[0]}"), rest


def _exact(tests: Tests, key: str) -> Test | None:
    found = [test for test in tests if test.key == key and test.operator == "StringEquals" and len(test.values) == 1]
    return found[0] if len(found) == 1 else None


def _add_identity(facts: FactList, app: AppDocument, own: tuple[str, ...]) -> None:
    def add(name: str, text: str) -> None:
        if text:
            facts.add(Subject(about=About.IDENTITY, parts=(name,)), texts={"value": text})

    add("service account", ", ".join(own))
    add("role", app.role_arn)
    add("second role", app.chain_role)
    add("permissions boundary", app.boundary)
    for association in app.associations:
        _add_association(facts, app, association)
        add("cluster of the association", _text(association, "clusterName"))
        if _text(association, "roleArn") != app.role_arn:
            add("role of the association", _text(association, "roleArn"))
        if association.get("disableSessionTags") is True:
            add("session tags", "disabled")
        if association.get("policy"):
            _add_session_policy(facts, association["policy"])
        if _text(association, "externalId"):
            parts = ("external id",)
            facts.add(
                Subject(about=About.IDENTITY, parts=parts), texts={f"{HIDDEN}value": _text(association, "externalId")}
            )
    for manifest in app.service_accounts:
        metadata = manifest.get("metadata")
        annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
        named = _text(annotations, _ANNOTATION) if isinstance(annotations, Mapping) else ""
        if named != app.role_arn:
            add("role annotation", named)


def _add_association(facts: FactList, app: AppDocument, association: Document) -> None:
    """Add one association by itself: another one with the same cluster, account or policy says nothing about it."""
    who = f"{_text(association, 'namespace')}/{_text(association, 'serviceAccount')}"
    role, policy = _text(association, "roleArn"), association.get("policy")
    told = {
        "role": "" if role == app.role_arn else role,
        "second role": _text(association, "targetRoleArn"),
        "session tags": "disabled" if association.get("disableSessionTags") is True else "",
        f"{HIDDEN}{SESSION_POLICY}": _session_text(policy) if policy else "",
        f"{HIDDEN}external id": _text(association, "externalId"),
    }
    parts = (ASSOCIATION, f"{who} in cluster {_text(association, 'clusterName')}")
    facts.add(Subject(about=About.IDENTITY, parts=parts), texts={name: text for name, text in told.items() if text})


def _session_text(policy: object) -> str:
    """Return a text that two session policies share when they allow the same."""
    if isinstance(policy, Undecided):
        return policy.reason
    try:
        atoms = without_superfluous(read_policy(policy, SESSION_POLICY))
    except UnreadablePolicyError:
        return json.dumps(policy, sort_keys=True, default=str)
    return json.dumps(sorted((a.effect, str(a.action), str(a.resource), tests_text(a.tests)) for a in atoms))


def _add_session_policy(facts: FactList, policy: object) -> None:
    """Add that there is a session policy, and each thing that it lets through: it only ever takes away."""
    facts.add(Subject(about=About.IDENTITY, parts=(SESSION_POLICY,)))
    if isinstance(policy, Undecided):
        facts.add(Subject(about=About.UNKNOWN, parts=(SESSION_POLICY,)), texts={"value": policy.reason})
        return
    own = FactList()
    add_reads(own, read_policy(policy, SESSION_POLICY))
    for subject, terms in own.facts().items():
        inside = Subject(about=About.IDENTITY, parts=(SESSION_POLICY, subject.about.value, *subject.parts))
        facts.add(inside, texts=terms.texts)
        for way in terms.ways:
            facts.add(inside, way=way, why=SESSION_POLICY)


def _text(document: Mapping[str, object], key: str) -> str:
    value = document.get(key, "")
    return value if isinstance(value, str) else ""
