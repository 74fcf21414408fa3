"""Why a mount failed, as one value: who is at fault, a stable code, a final gRPC status and a text that says the fix.

Nothing is logged or sent here. A text has one shape, `<where>: <what, with the cause>. <rule>. Fix: <action>. [CODE]`;
it reaches the pod's FailedMount event verbatim, so it never holds a secret value and is bounded in size. `<what>` keeps
the Go provider's own words wherever it had some: people search their logs and alert on them.

Only final gRPC codes exist in `StatusName`. After any other code the driver (1.6, rotation on) starts the pod with an
empty directory: kubelet keeps the directory for CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE, RESOURCE_EXHAUSTED and
ABORTED, and the driver takes the fresh directory for a finished mount.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHOWN_LIMIT = 200
"""Characters of one untrusted value that an error text repeats."""
MESSAGE_LIMIT_BYTES = 3500
"""UTF-8 bytes of one message. gRPC sends it as a header, percent-encoded (up to 3 bytes for one), and clients limit the
size of headers (8 KiB is a common default); past that limit they answer RESOURCE_EXHAUSTED, which is not final."""
_ROOM_FOR_REMAINDER = 40  # bytes kept free for " (and 1234 more problems)"


class Culprit(StrEnum):
    """Who has to act. Labels of metrics and log lines, so the set is closed."""

    REQUEST = "request"  # what the driver sent
    CONFIG = "config"  # the SecretProviderClass
    REGION = "region"
    IDENTITY = "identity"  # service account token or role are not there
    CREDENTIALS = "credentials"  # STS or the Pod Identity agent refused
    NOT_FOUND = "not_found"
    ACCESS_DENIED = "access_denied"
    THROTTLED = "throttled"
    AWS_SERVER = "aws_server"
    NETWORK = "network"
    VALUE = "value"  # the secret is there, its content does not fit the class
    WRITE = "write"  # files on the node
    OVERLOAD = "overload"
    SHUTDOWN = "shutdown"
    INTERNAL = "internal"  # our bug


class StatusName(StrEnum):
    """Names of the gRPC codes that a mount may end with; each is final for kubelet."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    INTERNAL = "INTERNAL"


class ErrorCode(StrEnum):
    """Stable codes: a number is never reused. README and runbooks refer to them."""

    # 1xx: the request
    TARGET_PATH_MISSING = "LSP101"
    ATTRIBUTES_INVALID = "LSP102"
    TOKENS_MISSING = "LSP103"
    TOKENS_INVALID = "LSP104"
    PERMISSION_INVALID = "LSP105"
    POD_IDENTITY_FLAG_INVALID = "LSP106"
    PATH_TRANSLATION_INVALID = "LSP107"
    OBJECT_VERSIONS_INVALID = "LSP108"
    ROLE_ARN_INVALID = "LSP109"
    REFRESH_INTERVAL_INVALID = "LSP110"
    ASSUME_ROLE_INVALID = "LSP111"
    EXTERNAL_ID_INVALID = "LSP112"
    SHARE_FLAG_INVALID = "LSP113"
    REGION_UNKNOWN = "LSP120"
    FAILOVER_REGION_INVALID = "LSP121"
    REGION_UNSUPPORTED = "LSP122"
    TOKEN_UNAVAILABLE = "LSP130"  # noqa: S105 - an error code
    ROLE_MISSING = "LSP131"
    TOKEN_REFUSED = "LSP132"  # noqa: S105 - an error code
    # 2xx: the objects document
    DOCUMENT_INVALID = "LSP201"
    DOCUMENT_EMPTY = "LSP202"
    DOCUMENT_TOO_LARGE = "LSP203"
    DOCUMENT_ALIASES = "LSP204"
    ENTRY_EMPTY = "LSP205"
    FIELD_TYPE = "LSP206"
    NAME_MISSING = "LSP210"
    ARN_FORMAT = "LSP211"
    ARN_REGION = "LSP212"
    TYPE_MISSING = "LSP213"
    ARN_SERVICE = "LSP214"
    TYPE_INVALID = "LSP215"
    TYPE_MISMATCH = "LSP216"
    VERSION_AND_LABEL = "LSP217"
    PATH_TRAVERSAL = "LSP218"
    FILE_PERMISSION = "LSP219"
    JMES_PATH_MISSING = "LSP220"
    JMES_ALIAS_MISSING = "LSP221"
    FAILOVER_ALIAS_MISSING = "LSP222"
    FAILOVER_REGION_MISSING = "LSP223"
    FAILOVER_VERSION = "LSP224"
    CONTROL_CHARACTER = "LSP225"
    DUPLICATE_NAME = "LSP230"
    DUPLICATE_ALIAS = "LSP231"
    FILE_COLLISION = "LSP233"
    PATH_PREFIX = "LSP234"
    PATH_FORM = "LSP235"
    PATH_TOO_LONG = "LSP236"
    OPTIONAL_INVALID = "LSP240"
    ENCODING_INVALID = "LSP241"
    KEYS_INVALID = "LSP242"
    NON_TEXT_INVALID = "LSP243"
    TEMPLATE_INVALID = "LSP244"
    TEMPLATE_REFERENCE = "LSP245"
    # 3xx: AWS
    CREDENTIALS_REFUSED = "LSP301"
    CREDENTIALS_UNAVAILABLE = "LSP302"
    OBJECT_NOT_FOUND = "LSP310"
    PARAMETERS_INVALID = "LSP311"
    ACCESS_DENIED = "LSP312"
    DECRYPTION_FAILED = "LSP313"
    ANSWER_INCOMPLETE = "LSP314"
    READ_REFUSED = "LSP315"
    THROTTLED = "LSP320"
    AWS_SERVER = "LSP321"
    NETWORK = "LSP322"
    DEADLINE = "LSP323"
    # 4xx: values
    VALUE_NOT_JSON = "LSP401"
    JMES_PATH_INVALID = "LSP402"
    JMES_PATH_EMPTY = "LSP403"
    JMES_RESULT_NOT_TEXT = "LSP404"
    JMES_BUDGET = "LSP405"
    BASE64_INVALID = "LSP406"
    KEYS_NOT_OBJECT = "LSP407"
    KEY_NOT_TEXT = "LSP408"
    KEY_FILE_NAME = "LSP409"
    KEY_COLLISION = "LSP410"
    VALUE_TOO_LARGE = "LSP411"
    TEMPLATE_VALUE = "LSP412"
    # 5xx: the provider itself
    OVERLOAD = "LSP501"
    SHUTDOWN = "LSP502"
    REPLY_TOO_LARGE = "LSP503"
    WRITE_FAILED = "LSP504"
    INTERNAL = "LSP599"


_CULPRITS: dict[ErrorCode, Culprit] = {
    ErrorCode.REGION_UNKNOWN: Culprit.REGION,
    ErrorCode.FAILOVER_REGION_INVALID: Culprit.REGION,
    ErrorCode.REGION_UNSUPPORTED: Culprit.REGION,
    ErrorCode.PATH_TRANSLATION_INVALID: Culprit.CONFIG,
    ErrorCode.OBJECT_VERSIONS_INVALID: Culprit.CONFIG,
    ErrorCode.ROLE_ARN_INVALID: Culprit.CONFIG,
    ErrorCode.REFRESH_INTERVAL_INVALID: Culprit.CONFIG,
    ErrorCode.ASSUME_ROLE_INVALID: Culprit.CONFIG,
    ErrorCode.EXTERNAL_ID_INVALID: Culprit.CONFIG,
    ErrorCode.SHARE_FLAG_INVALID: Culprit.CONFIG,
    ErrorCode.POD_IDENTITY_FLAG_INVALID: Culprit.CONFIG,
    ErrorCode.TOKEN_UNAVAILABLE: Culprit.IDENTITY,
    ErrorCode.ROLE_MISSING: Culprit.IDENTITY,
    ErrorCode.TOKEN_REFUSED: Culprit.IDENTITY,
    ErrorCode.CREDENTIALS_REFUSED: Culprit.CREDENTIALS,
    ErrorCode.CREDENTIALS_UNAVAILABLE: Culprit.CREDENTIALS,
    ErrorCode.OBJECT_NOT_FOUND: Culprit.NOT_FOUND,
    ErrorCode.PARAMETERS_INVALID: Culprit.NOT_FOUND,
    ErrorCode.ACCESS_DENIED: Culprit.ACCESS_DENIED,
    ErrorCode.DECRYPTION_FAILED: Culprit.ACCESS_DENIED,
    ErrorCode.ANSWER_INCOMPLETE: Culprit.AWS_SERVER,
    ErrorCode.READ_REFUSED: Culprit.CONFIG,
    ErrorCode.THROTTLED: Culprit.THROTTLED,
    ErrorCode.AWS_SERVER: Culprit.AWS_SERVER,
    ErrorCode.NETWORK: Culprit.NETWORK,
    ErrorCode.DEADLINE: Culprit.NETWORK,
    ErrorCode.OVERLOAD: Culprit.OVERLOAD,
    ErrorCode.SHUTDOWN: Culprit.SHUTDOWN,
    ErrorCode.REPLY_TOO_LARGE: Culprit.VALUE,
    ErrorCode.WRITE_FAILED: Culprit.WRITE,
    ErrorCode.INTERNAL: Culprit.INTERNAL,
}
_CULPRIT_OF_HUNDRED = {"1": Culprit.REQUEST, "2": Culprit.CONFIG, "4": Culprit.VALUE}

_STATUSES: dict[Culprit, StatusName] = {
    Culprit.REQUEST: StatusName.INVALID_ARGUMENT,
    Culprit.CONFIG: StatusName.INVALID_ARGUMENT,
    Culprit.REGION: StatusName.FAILED_PRECONDITION,
    Culprit.IDENTITY: StatusName.UNAUTHENTICATED,
    Culprit.CREDENTIALS: StatusName.PERMISSION_DENIED,
    Culprit.NOT_FOUND: StatusName.NOT_FOUND,
    Culprit.ACCESS_DENIED: StatusName.PERMISSION_DENIED,
    Culprit.THROTTLED: StatusName.FAILED_PRECONDITION,
    Culprit.AWS_SERVER: StatusName.FAILED_PRECONDITION,
    Culprit.NETWORK: StatusName.FAILED_PRECONDITION,
    Culprit.VALUE: StatusName.FAILED_PRECONDITION,
    Culprit.WRITE: StatusName.INTERNAL,
    Culprit.OVERLOAD: StatusName.FAILED_PRECONDITION,
    Culprit.SHUTDOWN: StatusName.FAILED_PRECONDITION,
    Culprit.INTERNAL: StatusName.INTERNAL,
}

_NEXT_REGION_MAY_HELP = frozenset({Culprit.THROTTLED, Culprit.AWS_SERVER, Culprit.NETWORK})
"""A denial, a missing object or a wrong value is final: asking elsewhere would turn a revocation into a detour."""

_MISSING = frozenset({ErrorCode.OBJECT_NOT_FOUND, ErrorCode.PARAMETERS_INVALID})
"""AWS itself said that there is no such object, version or label. A denial is never one of these."""


class MountError(Exception):
    """One reason why a mount cannot be answered, or several of them joined (see `join_errors`).

    Args:
        code: Stable code; decides the culprit unless `culprit` is given.
        where: What is wrong, as a place: `SecretProviderClass <ns>/<name> parameters.objects[1]`.
        what: What is wrong there, with the cause. Starts with the Go provider's words where it has some.
        rule: The rule or the allowed values; one sentence, optional.
        fix: What to do, imperative.
        culprit: Who has to act; default from the code.
        status: Final gRPC code; default from the culprit.
        failover: Whether the next region may be asked; default: only throttling, 5xx and network.
        is_missing: Whether an optional object may be taken for absent; default from the code. Only the primary region
            can say so: a failover region that lacks the object, while the primary does not answer, passes False.
    """

    def __init__(
        self,
        code: ErrorCode,
        *,
        where: str,
        what: str,
        fix: str,
        rule: str = "",
        culprit: Culprit | None = None,
        status: StatusName | None = None,
        failover: bool | None = None,
        is_missing: bool | None = None,
    ) -> None:
        self.code = code
        self.culprit = culprit or culprit_of(code)
        self.status = status or _STATUSES[self.culprit]
        self.failover = self.culprit in _NEXT_REGION_MAY_HELP if failover is None else failover
        self.is_missing = code in _MISSING if is_missing is None else is_missing
        self.where = where
        self.what = what
        self.rule = rule
        self.fix = fix
        self.problems: tuple[MountError, ...] = (self,)
        super().__init__(_render(where, what, rule, fix, code))

    @property
    def message(self) -> str:
        """The whole text; the same as `str(error)`."""
        return str(self.args[0])


def culprit_of(code: ErrorCode) -> Culprit:
    """Return who has to act on this code: the exception table first, else by the code's hundred."""
    return _CULPRITS.get(code) or _CULPRIT_OF_HUNDRED[code.value[3]]


def join_errors(errors: Sequence[MountError]) -> MountError:
    """Join the problems of one mount into one error.

    The first error in the given order decides code, culprit and status. The next region may be asked only if every
    problem allows it. The text lists the problems in order, each with its own code, and stops at
    MESSAGE_LIMIT_BYTES with the number of those left out; `.problems` has them all.

    Args:
        errors: At least one, in the order of the objects; joined errors are flattened, equal texts are said once.
    """
    problems = tuple({problem.message: problem for error in errors for problem in error.problems}.values())
    first = problems[0]
    if len(problems) == 1:
        return first
    joined = MountError(
        first.code,
        where=first.where,
        what=first.what,
        rule=first.rule,
        fix=first.fix,
        culprit=first.culprit,
        status=first.status,
        failover=all(problem.failover for problem in problems),
        is_missing=all(problem.is_missing for problem in problems),
    )
    joined.problems = problems
    joined.args = (_render_list(problems),)
    return joined


def shown(text: str, limit: int = SHOWN_LIMIT) -> str:
    """Make an untrusted value fit for one line of text: control characters escaped, at most `limit` characters kept."""
    clipped = text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
    if clipped.isprintable():
        return clipped
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in clipped)


def shown_list(texts: Iterable[str], limit: int = 10 * SHOWN_LIMIT) -> str:
    """Join untrusted values with `, ` for one line of text, bounded as `shown` is."""
    return shown(", ".join(texts), limit)


def _render(where: str, what: str, rule: str, fix: str, code: ErrorCode) -> str:
    sentences = [f"{where}: {what}", rule, f"Fix: {fix}"]
    text = " ".join(f"{sentence.removesuffix('.')}." for sentence in sentences if sentence)
    return f"{_clip(text, MESSAGE_LIMIT_BYTES)} [{code.value}]"


def _render_list(problems: Sequence[MountError]) -> str:
    text = f"{len(problems)} problems:"
    for number, problem in enumerate(problems, start=1):
        longer = f"{text} ({number}) {problem.message}"
        if number > 1 and len(longer.encode()) > MESSAGE_LIMIT_BYTES - _ROOM_FOR_REMAINDER:
            return f"{text} (and {len(problems) - number + 1} more problems)"
        text = longer
    return text


def _clip(text: str, limit_bytes: int) -> str:
    encoded = text.encode("utf-8", "backslashreplace")
    return encoded[:limit_bytes].decode("utf-8", "ignore") + ("…" if len(encoded) > limit_bytes else "")
