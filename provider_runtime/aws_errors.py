"""What a failed AWS call means: who has to act, and whether asking again or elsewhere can help.

Not done here: the sentence around it (which object, which role, which fix), that is the calling adapter's.

The Go provider splits failures by whether its SDK has a type for the code; only those with a type end the mount there
and show their text. Here every failure shows its text, and `is_modelled` only decides whether the Go provider's words
for "all regions failed" are added for people who alert on them.
Source: API references of Secrets Manager, Systems Manager and STS (common errors, errors per action).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, SSLError

from provider_runtime.blocking_calls import DeadlinePassed, QueueFull
from provider_runtime.errors import ErrorCode, shown

_DENIED: Final = frozenset(
    {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "OptInRequired", "NotAuthorized"}
)
_STALE_CREDENTIALS: Final = frozenset(
    {
        "ExpiredTokenException",
        "ExpiredToken",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
    }
)
_THROTTLED: Final = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "RequestThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "SlowDown",
    }
)
_MODELLED: Final = {
    "ResourceNotFoundException": ErrorCode.OBJECT_NOT_FOUND,
    "ParameterNotFound": ErrorCode.OBJECT_NOT_FOUND,
    "ParameterVersionNotFound": ErrorCode.OBJECT_NOT_FOUND,
    "DecryptionFailure": ErrorCode.DECRYPTION_FAILED,
    "InvalidKeyId": ErrorCode.DECRYPTION_FAILED,
    "InvalidParameterException": ErrorCode.READ_REFUSED,
    "InvalidRequestException": ErrorCode.READ_REFUSED,
    "ExpiredTokenException": ErrorCode.CREDENTIALS_REFUSED,
    "InvalidIdentityToken": ErrorCode.CREDENTIALS_REFUSED,
    "IDPRejectedClaim": ErrorCode.CREDENTIALS_REFUSED,
    "IDPCommunicationError": ErrorCode.CREDENTIALS_REFUSED,
    "RegionDisabledException": ErrorCode.CREDENTIALS_REFUSED,
    "PackedPolicyTooLarge": ErrorCode.CREDENTIALS_REFUSED,
    "MalformedPolicyDocument": ErrorCode.CREDENTIALS_REFUSED,
}
_SERVER_ERROR_STATUS: Final = 500
_THROTTLED_STATUS: Final = 429
_CAUSE_LIMIT_CHARACTERS: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsFailure:
    """One failed call.

    `cause` is one line: HTTP status, error code and AWS's own message, or what the network said. AWS's messages name
    principals, actions and resources, never values; they are bounded and made printable here.
    """

    code: ErrorCode
    aws_code: str
    """AWS's error code; empty for network failures."""
    cause: str
    is_modelled: bool
    """Whether the Go provider knows this code as the client's fault."""
    are_credentials_stale: bool
    """Whether new credentials may cure it."""


def parse_failure(error: Exception) -> AwsFailure | None:
    """Classify what an SDK call raised; None means that it is nothing AWS or the network did: our own bug."""
    if isinstance(error, ClientError):
        return _parse_client_error(error)
    if isinstance(error, DeadlinePassed):
        return _network("no answer before the deadline", ErrorCode.DEADLINE)
    if isinstance(error, QueueFull):
        return _network("more calls wait on this node than can be made in time", ErrorCode.OVERLOAD)
    if isinstance(error, NoCredentialsError):
        return None
    if isinstance(error, SSLError):
        return _network(f"TLS: {error}", ErrorCode.NETWORK)
    if isinstance(error, HTTPClientError | BotoCoreError):
        return _network(f"{type(error).__name__}: {error}", ErrorCode.NETWORK)
    return None


def _network(cause: str, code: ErrorCode) -> AwsFailure:
    return AwsFailure(
        code=code,
        aws_code="",
        cause=shown(cause, _CAUSE_LIMIT_CHARACTERS),
        is_modelled=False,
        are_credentials_stale=False,
    )


def _parse_client_error(error: ClientError) -> AwsFailure:
    details = error.response.get("Error", {})
    aws_code = shown(str(details.get("Code", "")) or "no error code", 100)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = shown(str(details.get("Message", "")), _CAUSE_LIMIT_CHARACTERS)
    return AwsFailure(
        code=_classify(aws_code, status),
        aws_code=aws_code,
        cause=f"{status}: {aws_code}" + (f": {message}" if message else ""),
        is_modelled=aws_code in _MODELLED and status < _SERVER_ERROR_STATUS,
        are_credentials_stale=aws_code in _STALE_CREDENTIALS,
    )


def _classify(aws_code: str, status: int) -> ErrorCode:
    if aws_code in _THROTTLED or status == _THROTTLED_STATUS:
        return ErrorCode.THROTTLED
    if status >= _SERVER_ERROR_STATUS:
        return ErrorCode.AWS_SERVER
    if aws_code in _DENIED:
        return ErrorCode.ACCESS_DENIED
    if aws_code in _STALE_CREDENTIALS:
        return ErrorCode.CREDENTIALS_REFUSED
    return _MODELLED.get(aws_code, ErrorCode.READ_REFUSED)
