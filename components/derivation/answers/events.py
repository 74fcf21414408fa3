"""The text of a failed mount, as it stands in a pod's event or the driver's log, to values.

Two providers' texts are read. Ours ends every problem in `[LSPnnn]` and names region, action, object and role
(provider_runtime/errors.py). AWS's own names less: where it says only that all regions failed, the cause is hidden.
The text is untrusted; nothing here fails on it, and what cannot be read stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import yaml


class ProblemKind(StrEnum):
    """What went wrong, in words that decide what to check."""

    DENIED = "AWS denied the read"
    DECRYPTION = "AWS denied or failed the decryption"
    NOT_FOUND = "AWS has no such object, version or label"
    TRUST = "STS refused the role to the pod"
    CHAIN = "STS refused the second role"
    ASSOCIATION = "the Pod Identity agent gave no credentials"
    ROLE_MISSING = "no role is named for the service account"
    TOKEN = "the pod's token cannot be used"  # noqa: S105 - a sentence
    REGION = "no usable region is known"
    THROTTLED = "too many requests"
    NETWORK = "AWS was not reached in time"
    NO_PROVIDER = "the driver found no provider on the node"
    CLASS = "the SecretProviderClass is invalid"
    VALUE = "the value does not fit the class"
    PROVIDER = "the provider itself could not serve"
    HIDDEN = "every region failed, and the text hides why"
    OTHER = "not recognised"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountProblem:
    """One problem of one mount. Texts are "" and tuples () where the event does not say.

    Attributes:
        kind: What it is.
        code: `LSPnnn`, or "".
        said: The problem's own text, on one line.
        namespace: Of the class or the pod.
        class_name: Of the SecretProviderClass.
        service_account: Name without namespace.
        index: Of the object in the class, from 0, or None.
        names: Of the objects that failed.
        regions: That were asked.
        action: Of the call that failed, such as `secretsmanager:GetSecretValue`.
        role: ARN or name of the role that asked.
        accounts: Account ids in its ARNs.
    """

    kind: ProblemKind
    code: str = ""
    said: str = ""
    namespace: str = ""
    class_name: str = ""
    service_account: str = ""
    index: int | None = None
    names: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    action: str = ""
    role: str = ""
    accounts: tuple[str, ...] = ()


_MESSAGE = re.compile(r"MountVolume\.SetUp failed|FailedMount|rpc error: code = |\[LSP[0-9]{3}\]")
_EVENTS = re.compile(r"(?m)^[\s{\[-]*[\"']?(?:apiVersion|items|kind|message)[\"']?\s*:")
_REASON = re.compile(r"\s*-?\s*[\"']?reason[\"']?\s*:")
_OTHER = re.compile(r"\s*(?:\Z|(?:Normal|Warning)\s|-?\s*[\"']?[A-Za-z][A-Za-z ]*[\"']?:(?:\s|\Z))")
_CODE = re.compile(r"\[(LSP[0-9]{3})\]")
_NUMBERED = re.compile(r"\A(?:[0-9]+ problems:)?\s*(?:\([0-9]+\)\s*)?")
_CLASS = re.compile(r"SecretProviderClass (?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9.-]*[a-z0-9])")
_POD = re.compile(r"\bpod (?P<namespace>[a-z0-9-]+)/[a-z0-9.-]+")
_INDEX = re.compile(r"parameters\.objects\[(?P<index>[0-9]+)\]")
_REGION = re.compile(r"(?<![a-z0-9.-])(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2})(?=[:\s,;.])")
_ARN_REGION = re.compile(r"arn:aws[a-z-]*:(?:secretsmanager|ssm|kms):(?P<region>[a-z0-9-]+):")
_ACCOUNT = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(?P<account>[0-9]{12}):")
_ACTION = re.compile(r"\b(?:secretsmanager|ssm|kms|sts|eks-auth):[A-Z][A-Za-z]+")
_NOT_AUTHORIZED = re.compile(r"not authorized to perform: (?P<action>[a-z-]+:[A-Za-z]+)")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]*[\w+=@-]")
_SESSION_ARN = re.compile(r"assumed-role/(?P<role>[\w+=,.@-]+)/")
_SUBJECT = re.compile(r"system:serviceaccount:(?P<namespace>[a-z0-9-]+):(?P<name>[a-z0-9.-]*[a-z0-9])")
_ACCOUNT_NAME = re.compile(r"service account (?:token of )?(?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9.-]*[a-z0-9])")
_UNBOUND_ACCOUNT = re.compile(
    r"associated with service account (?P<name>[a-z0-9.-]*[a-z0-9])(?: \(namespace: (?P<namespace>[a-z0-9-]+)\))?"
)
_NAMES = (
    re.compile(r"from all regions: (?P<names>\S.*?): [a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}: "),
    re.compile(r"\(asked for (?P<names>[^)]+)\)"),
    re.compile(r"Failed (?:fetching|to describe) secret (?P<names>\S+?): "),
    re.compile(r"invalid parameters: (?P<names>[^\s,]+(?:, ?[^\s,]+)*)"),
    re.compile(r"from all regions\b.*?(?P<names>[^\s:]+(?::[^\s:]+)*)\s*\Z"),
)

_BY_CODE = {
    "LSP103": ProblemKind.TOKEN,
    "LSP104": ProblemKind.TOKEN,
    "LSP120": ProblemKind.REGION,
    "LSP121": ProblemKind.REGION,
    "LSP122": ProblemKind.REGION,
    "LSP130": ProblemKind.TOKEN,
    "LSP131": ProblemKind.ROLE_MISSING,
    "LSP132": ProblemKind.TOKEN,
    "LSP302": ProblemKind.NETWORK,
    "LSP310": ProblemKind.NOT_FOUND,
    "LSP311": ProblemKind.NOT_FOUND,
    "LSP312": ProblemKind.DENIED,
    "LSP313": ProblemKind.DECRYPTION,
    "LSP315": ProblemKind.CLASS,
    "LSP320": ProblemKind.THROTTLED,
    "LSP321": ProblemKind.NETWORK,
    "LSP322": ProblemKind.NETWORK,
    "LSP323": ProblemKind.NETWORK,
}
_BY_HUNDRED = {
    "1": ProblemKind.CLASS,
    "2": ProblemKind.CLASS,
    "3": ProblemKind.NETWORK,
    "4": ProblemKind.VALUE,
    "5": ProblemKind.PROVIDER,
}
_REFUSED_CREDENTIALS = "LSP301"

#: Words of AWS's provider, the driver and AWS itself, the most telling first.
_BY_WORDS = (
    (re.compile(r"provider not found", re.IGNORECASE), ProblemKind.NO_PROVIDER),
    (re.compile(r"IAM role must be associated"), ProblemKind.ROLE_MISSING),
    (re.compile(r"failed to retrieve region|failover region cannot be"), ProblemKind.REGION),
    (re.compile(r"serviceAccount\.tokens|token extraction failed|CSI token error"), ProblemKind.TOKEN),
    (re.compile(r"perform: kms:|Access to KMS|KMSAccessDenied|DecryptionFailure|InvalidKeyId"), ProblemKind.DECRYPTION),
    (re.compile(r"perform: sts:AssumeRole\b"), ProblemKind.CHAIN),
    (re.compile(r"AssumeRoleWithWebIdentity|InvalidIdentityToken|No OpenIDConnect provider"), ProblemKind.TRUST),
    (re.compile(r"AssumeRoleForPodIdentity|pod-?identity|no association|169\.254\.170\.23"), ProblemKind.ASSOCIATION),
    (re.compile(r"AccessDenied|is not authorized to perform"), ProblemKind.DENIED),
    (re.compile(r"ResourceNotFoundException|ParameterNotFound|ParameterVersionNotFound|invalid parameters:"),
     ProblemKind.NOT_FOUND),
    (re.compile(r"Throttling|TooManyRequests|Rate exceeded|Wait\(n=1\) would exceed"), ProblemKind.THROTTLED),
    (re.compile(r"JMES|Invalid JSON"), ProblemKind.VALUE),
    (re.compile(r"from all regions"), ProblemKind.HIDDEN),
    (re.compile(r"(?i)deadline ?exceeded|i/o timeout|no such host|connection refused"), ProblemKind.NETWORK),
    (re.compile(r"failed to refresh cached credentials"), ProblemKind.ASSOCIATION),
    (re.compile(r"Failed to load SecretProviderClass|failed to unmarshal"), ProblemKind.CLASS),
)  # fmt: skip


def parse_event(text: str) -> tuple[MountProblem, ...]:
    """Read every problem of a text, each once; one of kind `OTHER` when nothing is recognised.

    Args:
        text: An event, a log line, or all that `kubectl describe pod` or `kubectl get events` prints, also as YAML or
            JSON.
    """
    problems = (_problem(piece, message) for message in _messages(text) for piece in _pieces(message))
    return tuple({(problem.kind, problem.said): problem for problem in problems}.values())


def _messages(text: str) -> Iterator[str]:
    """Yield each message about a failed mount on one line; the whole text where none is marked as one.

    A message of plain text goes on over lines that begin no other event, no field and no paragraph.
    """
    documented = tuple(_documented(text)) if _EVENTS.search(text) else ()
    if documented:
        yield from documented
        return
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _MESSAGE.search(line) and not _REASON.match(line)]
    if not starts:
        yield " ".join(text.split())
    for start in starts:
        end = start + 1
        while end < len(lines) and not _OTHER.match(lines[end]) and end not in starts:
            end += 1
        yield " ".join(" ".join(lines[start:end]).split())


def _documented(text: str) -> Iterator[str]:
    """Yield the messages about failed mounts of YAML or JSON: of an Event, a List of them, or a bare list."""
    try:
        documents = list(yaml.load_all(text, Loader=yaml.CBaseLoader))
    except (yaml.YAMLError, RecursionError):
        return
    for document in documents:
        listed = document.get("items", document) if isinstance(document, dict) else document
        for event in listed if isinstance(listed, list) else [listed]:
            message = event.get("message") if isinstance(event, dict) else None
            if isinstance(message, str) and (event.get("reason") == "FailedMount" or _MESSAGE.search(message)):
                yield " ".join(message.split())


def _pieces(line: str) -> Iterator[str]:
    """Yield the text of each problem: ours end in a code, a text of another provider is one problem."""
    start = 0
    for code in _CODE.finditer(line):
        yield line[start : code.end()]
        start = code.end()
    if start == 0:
        yield line


def _problem(piece: str, line: str) -> MountProblem:
    said = piece[_said_from(piece) :]
    said = _NUMBERED.sub("", said.strip()).strip()
    code = _CODE.search(piece)
    action = _action(said)
    known_class, pod = _CLASS.search(said) or _CLASS.search(line), _POD.search(line)
    subject = _SUBJECT.search(said) or _ACCOUNT_NAME.search(said) or _UNBOUND_ACCOUNT.search(said)
    index = _INDEX.search(said)
    namespaces = [match["namespace"] for match in (known_class, subject, pod) if match and match["namespace"]]
    regions = [match["region"] for expression in (_ARN_REGION, _REGION) for match in expression.finditer(said)]
    return MountProblem(
        kind=_kind(said, code[1] if code else "", action),
        code=code[1] if code else "",
        said=said,
        namespace=namespaces[0] if namespaces else "",
        class_name=known_class["name"] if known_class else "",
        service_account=subject["name"] if subject else "",
        index=int(index["index"]) if index else None,
        names=_names(said),
        regions=tuple(dict.fromkeys(region for region in regions if region)),
        action=action,
        role=_role(said),
        accounts=tuple(dict.fromkeys(match["account"] for match in _ACCOUNT.finditer(said))),
    )


def _said_from(piece: str) -> int:
    """Where the provider's own words begin: after the last `desc = ` of kubelet and driver."""
    return piece.rfind("desc = ") + len("desc = ") if "desc = " in piece else 0


def _kind(said: str, code: str, action: str) -> ProblemKind:
    by_words = next((kind for words, kind in _BY_WORDS if words.search(said)), ProblemKind.OTHER)
    if not code:
        return by_words
    if code == _REFUSED_CREDENTIALS:
        kinds = {"sts:AssumeRole": ProblemKind.CHAIN, "sts:AssumeRoleWithWebIdentity": ProblemKind.TRUST}
        return kinds.get(action, ProblemKind.ASSOCIATION if "Pod Identity" in said else ProblemKind.TRUST)
    if code == "LSP312" and by_words is ProblemKind.DECRYPTION:
        return by_words
    return _BY_CODE.get(code) or _BY_HUNDRED[code[3]]


def _action(said: str) -> str:
    named = _NOT_AUTHORIZED.search(said)
    first = _ACTION.search(said)
    return named["action"] if named else first.group() if first else ""


def _role(said: str) -> str:
    arn, session = _ROLE_ARN.search(said), _SESSION_ARN.search(said)
    return arn.group() if arn else session["role"] if session else ""


def _names(said: str) -> tuple[str, ...]:
    for expression in _NAMES:
        match = expression.search(said)
        if match:
            names = (name.strip().rstrip(".").partition(" ")[0].strip("\"'") for name in match["names"].split(","))
            return tuple(dict.fromkeys(name for name in names if name))
    return ()
