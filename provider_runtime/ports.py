"""What a mount needs from the outside, as protocols, and the values that cross them. No implementation, no I/O.

`mounting` sees this module only; the adapters implement it; `daemon` joins the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from provider_runtime.circuit_breaker import Contact
from provider_runtime.errors import Culprit, ErrorCode, culprit_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Mapping

    from provider_runtime.caller_identity import CallerIdentity
    from provider_runtime.deliveries import Delivery
    from provider_runtime.fetch_plan import ParameterBatch, ParameterRead, ReadResult, SecretRead
    from provider_runtime.mount_request import AddressType
    from provider_runtime.redaction import SecretText

EXCHANGE_ACTION: Final = "sts:AssumeRoleWithWebIdentity"
CHAIN_ACTION: Final = "sts:AssumeRole"
AGENT_ACTION: Final = "the EKS Pod Identity agent"
CREDENTIAL_ACTIONS: Final = frozenset({EXCHANGE_ACTION, CHAIN_ACTION, AGENT_ACTION})
_CONTACTS: Final = {Culprit.NETWORK: Contact.UNREACHABLE, Culprit.AWS_SERVER: Contact.SERVER_ERROR}
_NEVER_SENT: Final = frozenset({Culprit.OVERLOAD, Culprit.SHUTDOWN, Culprit.INTERNAL})


class Clock(Protocol):
    """Two clocks: one for ages and deadlines, one for what the outside world dates."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back. The event loop's clock."""

    def wall(self) -> float:
        """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCredentials:
    """Temporary credentials of one identity."""

    access_key_id: str
    secret_access_key: SecretText
    session_token: SecretText
    expires_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf a mount asks: the identity and the token that proves it this time."""

    identity: CallerIdentity
    token: SecretText
    address_type: AddressType
    """Which address of the Pod Identity agent to use; no part of the identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadScope:
    """On whose behalf and where a read happens."""

    identity: CallerIdentity
    region: str
    credentials: AwsCredentials


class CallError(Exception):
    """One call to AWS, or to the Pod Identity agent, that failed for good in one region.

    Args:
        code: What it means; decides who has to act and whether another region may be asked.
        region: Where it was made.
        action: `secretsmanager:GetSecretValue`, `sts:AssumeRoleWithWebIdentity`, ...
        cause: One line: AWS's status, code and message, or what the network said.
        fix: What to do, imperative.
        rule: The rule behind it; optional.
        is_modelled: Whether the Go provider would end the mount here with this text.
        are_credentials_stale: Whether the call may succeed with new credentials.
    """

    def __init__(
        self,
        code: ErrorCode,
        *,
        region: str,
        action: str,
        cause: str,
        fix: str,
        rule: str = "",
        is_modelled: bool = False,
        are_credentials_stale: bool = False,
    ) -> None:
        super().__init__(f"{region}: {action}: {cause}")
        self.code = code
        self.region = region
        self.action = action
        self.cause = cause
        self.fix = fix
        self.rule = rule
        self.is_modelled = is_modelled
        self.are_credentials_stale = are_credentials_stale

    @property
    def may_fail_over(self) -> bool:
        """Whether another region, or the last known value, may stand in: never after a denial or NotFound."""
        if self.code is ErrorCode.CREDENTIALS_UNAVAILABLE:
            return True  # nobody answered
        return culprit_of(self.code) in {Culprit.THROTTLED, Culprit.AWS_SERVER, Culprit.NETWORK}

    @property
    def is_refusal(self) -> bool:
        """Whether AWS, or the agent, answered and the answer was no: what was remembered must go."""
        return not self.may_fail_over and culprit_of(self.code) not in _NEVER_SENT

    @property
    def contact(self) -> Contact:
        """What the failure shows about the service that was called."""
        culprit = culprit_of(self.code)
        return Contact.NONE if culprit in _NEVER_SENT else _CONTACTS.get(culprit, Contact.ALIVE)

    @property
    def is_of_credentials(self) -> bool:
        """Whether no read was made because there were no credentials."""
        return self.action in CREDENTIAL_ACTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterOutcome:
    """Outcome of one GetParameters call: every read of the batch is in `found`, or its name is in `invalid`."""

    found: Mapping[ParameterRead, ReadResult]
    invalid: tuple[str, ...]
    """Requested names that do not exist (or whose version or label does not), in AWS's order, each once."""


class SecretReader(Protocol):
    """Reads values from AWS. A failure names region, action, cause and fix."""

    def check_region(self, region: str) -> None:
        """Raise a MountError if no call can be made to this region."""

    async def fetch_secret(self, read: SecretRead, scope: ReadScope, deadline: float) -> ReadResult:
        """Read one secret. Raises CallError."""

    async def fetch_parameters(self, batch: ParameterBatch, scope: ReadScope, deadline: float) -> ParameterOutcome:
        """Read up to ten parameters in one call. Raises CallError if the call as a whole failed."""

    async def fetch_stages(self, secret_id: str, scope: ReadScope, deadline: float) -> Mapping[str, tuple[str, ...]]:
        """Return the stages of every version of one secret, by version id. Raises CallError."""

    async def prepare(self, region: str, deadline: float) -> None:
        """Get ready for calls to this region, so that no call is late for reasons of this process."""


class TokenExchange(Protocol):
    """Turns a service account token into AWS credentials."""

    async def fetch_credentials(self, caller: Caller, region: str, deadline: float) -> AwsCredentials:
        """Exchange the token; the second role of a chain plays no part in it. Raises CallError."""

    async def assume_chained_role(
        self, identity: CallerIdentity, credentials: AwsCredentials, region: str, deadline: float
    ) -> AwsCredentials:
        """Assume the second role of a chain with the credentials of the first. Raises CallError."""


class ClusterLookup(Protocol):
    """What a class without role or region needs from the Kubernetes API."""

    async def fetch_region(self, namespace: str, pod: str, deadline: float) -> str:
        """Return the region label of the pod's node. Raises MountError."""

    async def fetch_role_arn(self, namespace: str, service_account: str, deadline: float) -> str:
        """Return the role annotation of the service account. Raises MountError."""


class TaskSpawner(Protocol):
    """Starts work that outlives the request that asked for it; the daemon owns it."""

    def __call__(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start `work`, which never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountReport:
    """One finished mount, for logs and metrics: names and numbers, never values."""

    namespace: str
    pod: str
    class_name: str
    outcome: str
    """`OK` or the name of the gRPC code."""
    error_code: str
    """Stable code of the first problem; empty on success."""
    error_text: str
    culprit: str
    object_count: int
    seconds: float
    aws_calls: int
    """Calls that this mount started itself; calls it shared are counted where they were started."""
    remembered: int
    """Reads answered from memory."""
    stale: int
    """Reads that bridged an outage with the last known value."""
    oldest_seconds: float
    """Age of the oldest value that was delivered."""
    shared: int = 0
    """Reads that waited for a call of another mount."""
    missed: int = 0
    """Reads that memory could not answer."""
    pod_uid: str = ""
    service_account: str = ""
    target_path: str = ""
    caller: str = ""
    """`role <arn>`, or the service account whose association decides the role."""
    is_known_to_driver: bool = False
    """The driver sent versions of an earlier mount; drivers from 1.6 on never do."""
    deliveries: tuple[Delivery, ...] = ()
    """What the volume now holds; empty unless the mount succeeded."""
    absent: tuple[str, ...] = ()
    """Names of optional objects that are not there."""
    is_remount: bool = False
    """The volume was mounted before; the driver hides a failure from kubelet then. Set by `volume_health`."""


class MountObserver(Protocol):
    """Told about every finished mount; must not fail and must not block."""

    def mount_finished(self, report: MountReport) -> None:
        """Record the mount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """One finished call to AWS or to the Pod Identity agent, for metrics and traces."""

    service: str
    """`secretsmanager`, `ssm`, `sts` or `pod-identity-agent`."""
    action: str
    """`GetSecretValue`, ...; the agent has one action, `GetCredentials`."""
    region: str
    outcome: str
    """`ok` or the culprit of the failure."""
    seconds: float


class CallObserver(Protocol):
    """Told about every finished call; must not fail and must not block."""

    def call_finished(self, report: CallReport) -> None:
        """Record the call."""
