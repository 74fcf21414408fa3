"""Service account token → AWS credentials: STS for IRSA, the EKS Pod Identity agent for Pod Identity.

Not done here: keeping credentials (`credential_cache`), checking the token's claims (`caller_identity`).

STS is called unsigned, regionally, through the same endpoint, FIPS and retry settings as every other service. The
agent is a link-local HTTP server on the node: it is never reached through a proxy, and a request to it is bounded.
Sources: AWS STS API reference (AssumeRoleWithWebIdentity: session name of 2 to 64 letters, digits and _+=,.@-, duration
of at least 900 s; IDPCommunicationError and InvalidIdentityToken may pass when an OIDC provider is new); EKS Pod
Identity agent (GET /v1/credentials, the raw token in Authorization, answer AccessKeyId, SecretAccessKey, Token,
Expiration).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
import urllib.parse
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from provider_runtime.aws_clients import AwsService, acting_as
from provider_runtime.aws_errors import parse_failure
from provider_runtime.blocking_calls import DeadlinePassed, QueueFull, remaining_seconds, watch_connection
from provider_runtime.caller_identity import IdentityKind
from provider_runtime.errors import ErrorCode, shown
from provider_runtime.mount_request import AddressType
from provider_runtime.ports import AGENT_ACTION, CHAIN_ACTION, EXCHANGE_ACTION, AwsCredentials, CallError
from provider_runtime.redaction import SecretText

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provider_runtime.aws_clients import AwsClients
    from provider_runtime.aws_errors import AwsFailure
    from provider_runtime.blocking_calls import BlockingCalls
    from provider_runtime.caller_identity import CallerIdentity
    from provider_runtime.ports import Caller

SESSION_SECONDS: Final = 900
SESSION_NAME_LIMIT: Final = 64
AGENT_TIMEOUT_SECONDS: Final = 5.0
AGENT_CONNECT_SECONDS: Final = 1.0
_DIGEST_DIGITS: Final = 10
_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = (0.2, 0.5)
_PASSING_CODES: Final = frozenset({"InvalidIdentityToken", "IDPCommunicationError"})
_PASSING_FAILURES: Final = frozenset(
    {ErrorCode.THROTTLED, ErrorCode.AWS_SERVER, ErrorCode.NETWORK, ErrorCode.DEADLINE, ErrorCode.OVERLOAD}
)
_AGENT_ANSWER_LIMIT_BYTES: Final = 65_536
_HTTP_OK: Final = 200
_HTTP_SERVER_ERROR: Final = 500
_HTTP_TOO_MANY: Final = 429


def render_session_name(namespace: str, service_account: str) -> str:
    """Render the role session name `<namespace>.<serviceaccount>` in STS's characters.

    A name that must be changed or cut ends in a digest of the original, so that two accounts never share a name.
    """
    name = f"{namespace}.{service_account}"
    allowed = re.sub(r"[^\w+=,.@-]", "-", name, flags=re.ASCII)
    if allowed == name and len(name) <= SESSION_NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    return f"{allowed[: SESSION_NAME_LIMIT - _DIGEST_DIGITS - 1]}-{digest}"


class AwsTokenExchange:
    """The exchange that a caller's kind of identity asks for.

    Args:
        clients: For the STS clients.
        calls: Where blocking work runs.
        agent_endpoints: URLs of the Pod Identity agent, IPv4 then IPv6.
        agent_timeout_seconds: Time limit of one request to the agent; None: AGENT_TIMEOUT_SECONDS.
    """

    def __init__(
        self,
        clients: AwsClients,
        calls: BlockingCalls,
        *,
        agent_endpoints: tuple[str, str],
        agent_timeout_seconds: float | None,
    ) -> None:
        self._clients = clients
        self._calls = calls
        self._agent_endpoints = agent_endpoints
        self._agent_timeout_seconds = agent_timeout_seconds or AGENT_TIMEOUT_SECONDS

    async def fetch_credentials(self, caller: Caller, region: str, deadline: float) -> AwsCredentials:
        """Exchange the token.

        Raises:
            CallError: Refused (final), or not reachable (another region or memory may help).
        """
        is_irsa = caller.identity.kind is IdentityKind.IRSA
        exchange = self._assume_role if is_irsa else self._ask_agent
        action = EXCHANGE_ACTION if is_irsa else AGENT_ACTION
        return await self._run(lambda: exchange(caller, region), region, deadline, action)

    async def assume_chained_role(
        self, identity: CallerIdentity, credentials: AwsCredentials, region: str, deadline: float
    ) -> AwsCredentials:
        """Assume the second role of a chain with the first one's session.

        Raises:
            CallError: As above; the text names both roles.
        """
        return await self._run(
            lambda: self._assume_chained_role(identity, credentials, region), region, deadline, CHAIN_ACTION
        )

    async def _run(
        self, exchange: Callable[[], AwsCredentials], region: str, deadline: float, action: str
    ) -> AwsCredentials:
        try:
            return await self._calls.run(region, deadline, exchange)
        except (DeadlinePassed, QueueFull) as error:
            failure = parse_failure(error)
            assert failure is not None  # noqa: S101  # both are classified
            raise CallError(
                failure.code, region=region, action=action, cause=failure.cause, fix=_UNREACHABLE_FIXES[action]
            ) from None

    def _assume_chained_role(
        self, identity: CallerIdentity, credentials: AwsCredentials, region: str
    ) -> AwsCredentials:
        """Call STS, signed with the first role's session. Runs in a worker thread."""
        client = self._clients.client(AwsService.STS, region)
        external = {"ExternalId": identity.external_id} if identity.external_id else {}
        try:
            with acting_as(credentials):
                answer = client.assume_role(
                    RoleArn=identity.assumed_role_arn,
                    RoleSessionName=render_session_name(identity.namespace, identity.service_account),
                    DurationSeconds=SESSION_SECONDS,
                    **external,
                )
            return _parse_sts_answer(answer)
        except (ClientError, BotoCoreError) as error:
            failure = parse_failure(error)
            if failure is None:
                raise
            raise _chain_error(failure, identity, region) from None

    def _assume_role(self, caller: Caller, region: str) -> AwsCredentials:
        """Call STS; a code that may pass is tried again, as the Go SDK does it. Runs in a worker thread."""
        client = self._clients.client(AwsService.STS, region)
        identity = caller.identity
        for attempt in range(_ATTEMPTS):
            try:
                answer = client.assume_role_with_web_identity(
                    RoleArn=identity.role_arn,
                    RoleSessionName=render_session_name(identity.namespace, identity.service_account),
                    WebIdentityToken=caller.token.reveal(),
                    DurationSeconds=SESSION_SECONDS,
                )
                return _parse_sts_answer(answer)
            except (ClientError, BotoCoreError) as error:
                failure = parse_failure(error)
                if failure is None:
                    raise
                is_last = attempt == _ATTEMPTS - 1 or remaining_seconds() <= 0
                if failure.aws_code not in _PASSING_CODES or is_last:
                    raise _sts_error(failure.code, failure.cause, identity, region) from None
                time.sleep(_PAUSE_SECONDS[attempt])
        raise AssertionError("the loop returns or raises")

    def _ask_agent(self, caller: Caller, region: str) -> AwsCredentials:
        """Ask the agent at each allowed address in turn, three rounds. Runs in a worker thread."""
        endpoints = _choose_endpoints(self._agent_endpoints, caller.address_type)
        token = caller.token.reveal()
        if not token.isascii() or not token.isprintable():
            raise _agent_error(ErrorCode.TOKEN_REFUSED, "the token holds characters that no header may hold", region)
        problems: dict[str, str] = {}
        for attempt in range(_ATTEMPTS):
            for endpoint in endpoints:
                left = remaining_seconds()
                if left <= 0:
                    break
                try:
                    status, body = _get(endpoint, token, min(left, self._agent_timeout_seconds))
                except (OSError, http.client.HTTPException) as error:
                    problems[endpoint] = f"{type(error).__name__}: {error}"
                    continue
                if status == _HTTP_OK:
                    return _parse_agent_answer(body, region)
                problems[endpoint] = f"HTTP {status}: {shown(body.decode('utf-8', 'replace'))}"
                if status < _HTTP_SERVER_ERROR and status != _HTTP_TOO_MANY:
                    raise _agent_error(ErrorCode.CREDENTIALS_REFUSED, problems[endpoint], region)
            if attempt < _ATTEMPTS - 1 and remaining_seconds() > 0:
                time.sleep(_PAUSE_SECONDS[attempt])
        causes = "; ".join(f"{endpoint}: {problem}" for endpoint, problem in problems.items())
        raise _agent_error(ErrorCode.CREDENTIALS_UNAVAILABLE, causes or "no time left", region)


_UNREACHABLE_FIXES: Final = {
    EXCHANGE_ACTION: "check the node's route, DNS, proxy or VPC endpoint to STS in this region",
    CHAIN_ACTION: "check the node's route, DNS, proxy or VPC endpoint to STS in this region",
    AGENT_ACTION: "check that the eks-pod-identity-agent add-on runs on this node and answers",
}


def _sts_error(code: ErrorCode, cause: str, identity: CallerIdentity, region: str) -> CallError:
    may_pass = code in _PASSING_FAILURES
    return CallError(
        code if may_pass else ErrorCode.CREDENTIALS_REFUSED,
        region=region,
        action=EXCHANGE_ACTION,
        cause=f"role {shown(identity.role_arn)}: {cause}",
        rule=(
            f"The role must exist and trust the cluster's OIDC provider for sub {shown(identity.subject)} "
            f"and aud {IdentityKind.IRSA.value}"
        ),
        fix=_UNREACHABLE_FIXES[EXCHANGE_ACTION] if may_pass else "correct the role's trust policy, or the role's name",
        is_modelled=not may_pass,
    )


def _chain_error(failure: AwsFailure, identity: CallerIdentity, region: str) -> CallError:
    may_pass = failure.code in _PASSING_FAILURES
    first = identity.first.described
    sent = "was sent" if identity.external_id else "is not set, so none was sent"
    return CallError(
        failure.code if may_pass else ErrorCode.CREDENTIALS_REFUSED,
        region=region,
        action=CHAIN_ACTION,
        cause=f"role {shown(identity.assumed_role_arn)}, assumed by {first}: {failure.cause}",
        # The id itself is not shown: it names a relation between two accounts, and this text ends in an event.
        rule=f"The second role's trust policy must name the {first}, which itself needs {CHAIN_ACTION} on it; "
        f"an external id that it asks for comes from externalId, which {sent}",
        fix=_UNREACHABLE_FIXES[CHAIN_ACTION]
        if may_pass
        else "correct the trust of the second role, the grant of the first, or assumeRoleArn and externalId",
        is_modelled=not may_pass,
        are_credentials_stale=failure.are_credentials_stale,
    )


def _agent_error(code: ErrorCode, cause: str, region: str) -> CallError:
    is_refusal = code is not ErrorCode.CREDENTIALS_UNAVAILABLE
    return CallError(
        code,
        region=region,
        action=AGENT_ACTION,
        cause=cause,
        rule="The service account needs a Pod Identity association with a role in this cluster",
        fix="create the association, or correct its role's trust" if is_refusal else _UNREACHABLE_FIXES[AGENT_ACTION],
        is_modelled=is_refusal,
    )


def _parse_sts_answer(answer: dict[str, Any]) -> AwsCredentials:
    credentials = answer["Credentials"]
    return AwsCredentials(
        access_key_id=credentials["AccessKeyId"],
        secret_access_key=SecretText(credentials["SecretAccessKey"]),
        session_token=SecretText(credentials["SessionToken"]),
        expires_at=credentials["Expiration"].timestamp(),
    )


def _parse_agent_answer(body: bytes, region: str) -> AwsCredentials:
    try:
        answer = json.loads(body)
        return AwsCredentials(
            access_key_id=str(answer["AccessKeyId"]),
            secret_access_key=SecretText(answer["SecretAccessKey"]),
            session_token=SecretText(answer["Token"]),
            expires_at=datetime.fromisoformat(answer["Expiration"]).timestamp(),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        # The body holds credentials, so no part of it is repeated and the cause is not chained.
        message = "its answer is not the JSON object AccessKeyId, SecretAccessKey, Token, Expiration"
        raise _agent_error(ErrorCode.CREDENTIALS_UNAVAILABLE, message, region) from None


def _choose_endpoints(endpoints: tuple[str, str], address_type: AddressType) -> Sequence[str]:
    match address_type:
        case AddressType.IPV4:
            return endpoints[:1]
        case AddressType.IPV6:
            return endpoints[1:]
        case AddressType.AUTO:
            return endpoints


def _get(endpoint: str, token: str, timeout_seconds: float) -> tuple[int, bytes]:
    """GET the agent directly; http.client knows no proxies. Raises OSError or HTTPException."""
    parts = urllib.parse.urlsplit(endpoint)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port or 80, timeout=min(timeout_seconds, AGENT_CONNECT_SECONDS)
    )
    try:
        connection.connect()
        connection.sock.settimeout(timeout_seconds)
        watch_connection(connection.sock)
        connection.request("GET", parts.path, headers={"Authorization": token, "Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(_AGENT_ANSWER_LIMIT_BYTES + 1)
        if len(body) > _AGENT_ANSWER_LIMIT_BYTES:
            raise http.client.HTTPException(f"answer longer than {_AGENT_ANSWER_LIMIT_BYTES} bytes")
        return response.status, body
    finally:
        watch_connection(None)
        connection.close()
