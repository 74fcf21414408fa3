"""Secrets Manager and Parameter Store reads.

Not done here: which reads a class needs (`fetch_plan`), whether to ask AWS at all (`value_reads`), the text around a
failure (`failure_texts`). Three actions are used, and they are the ones that the derivation grants:
secretsmanager:GetSecretValue, ssm:GetParameters (with decryption), and secretsmanager:DescribeSecret for drivers before
1.6, which say what the volume holds.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from provider_runtime.aws_clients import AwsService, acting_as
from provider_runtime.aws_errors import parse_failure
from provider_runtime.blocking_calls import DeadlinePassed, QueueFull
from provider_runtime.errors import ErrorCode, shown, shown_list
from provider_runtime.fetch_plan import ParameterAnswer, ReadResult, match_parameters
from provider_runtime.ports import CallError, ParameterOutcome
from provider_runtime.redaction import SecretBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider_runtime.aws_clients import AwsClients
    from provider_runtime.blocking_calls import BlockingCalls
    from provider_runtime.fetch_plan import ParameterBatch, SecretRead
    from provider_runtime.ports import ReadScope

GET_SECRET_VALUE: Final = "secretsmanager:GetSecretValue"  # noqa: S105  # an IAM action
DESCRIBE_SECRET: Final = "secretsmanager:DescribeSecret"  # noqa: S105  # an IAM action
GET_PARAMETERS: Final = "ssm:GetParameters"

_Answer = TypeVar("_Answer")


class AwsSecretReader:
    """Reads values with the credentials of each scope, on shared clients, in worker threads."""

    def __init__(self, clients: AwsClients, calls: BlockingCalls) -> None:
        self._clients = clients
        self._calls = calls

    def check_region(self, region: str) -> None:
        """Raise a MountError if no client may be built for the region."""
        self._clients.check_region(region)

    async def fetch_secret(self, read: SecretRead, scope: ReadScope, deadline: float) -> ReadResult:
        """Read one secret; an unset version and stage are not sent, and AWS then takes AWSCURRENT.

        Returns:
            SecretString as UTF-8 when present, even if empty; else the bytes of SecretBinary.

        Raises:
            CallError: See the port.
        """
        arguments = {"SecretId": read.secret_id}
        if read.version_id:
            arguments["VersionId"] = read.version_id
        if read.version_stage:
            arguments["VersionStage"] = read.version_stage

        def call() -> ReadResult:
            client = self._clients.client(AwsService.SECRETS_MANAGER, scope.region)
            with acting_as(scope.credentials):
                return _parse_secret(client.get_secret_value(**arguments), scope.region)

        return await self._run(call, scope, deadline, action=GET_SECRET_VALUE, target=shown(read.secret_id))

    async def fetch_parameters(self, batch: ParameterBatch, scope: ReadScope, deadline: float) -> ParameterOutcome:
        """Read one batch with decryption.

        Raises:
            CallError: The call failed as a whole, or the answer leaves a name out without calling it invalid.
        """

        def call() -> ParameterOutcome:
            client = self._clients.client(AwsService.PARAMETER_STORE, scope.region)
            with acting_as(scope.credentials):
                answer = client.get_parameters(Names=list(batch.names), WithDecryption=True)
            return _parse_parameters(answer, batch, scope.region)

        return await self._run(call, scope, deadline, action=GET_PARAMETERS, target=shown_list(batch.names, 400))

    async def fetch_stages(self, secret_id: str, scope: ReadScope, deadline: float) -> Mapping[str, tuple[str, ...]]:
        """Ask which stages each version of a secret carries.

        Raises:
            CallError: See the port.
        """

        def call() -> dict[str, tuple[str, ...]]:
            client = self._clients.client(AwsService.SECRETS_MANAGER, scope.region)
            with acting_as(scope.credentials):
                answer = client.describe_secret(SecretId=secret_id)
            return {version: tuple(stages) for version, stages in answer.get("VersionIdsToStages", {}).items()}

        return await self._run(call, scope, deadline, action=DESCRIBE_SECRET, target=shown(secret_id))

    async def prepare(self, region: str, deadline: float) -> None:
        """Build the region's clients, which takes a second or more where CPU is short; late is no failure."""
        missing = [service for service in AwsService if not self._clients.is_built(service, region)]
        if missing:
            with contextlib.suppress(DeadlinePassed, QueueFull):
                await self._calls.run(
                    region, deadline, lambda: [self._clients.client(service, region) for service in missing]
                )

    async def _run(
        self, call: Callable[[], _Answer], scope: ReadScope, deadline: float, *, action: str, target: str
    ) -> _Answer:
        try:
            return await self._calls.run(scope.region, deadline, call)
        except (ClientError, BotoCoreError, DeadlinePassed, QueueFull) as error:
            failure = parse_failure(error)
            if failure is None:
                raise
            raise CallError(
                failure.code,
                region=scope.region,
                action=action,
                cause=failure.cause,
                rule=_render_rule(failure.code, action=action, target=target, caller=scope.identity.described),
                fix=_render_fix(failure.code, action=action, target=target, caller=scope.identity.described),
                is_modelled=failure.is_modelled,
                are_credentials_stale=failure.are_credentials_stale,
            ) from None  # the cause is in the text; the SDK's exception holds the whole answer


def _parse_secret(answer: dict[str, Any], region: str) -> ReadResult:
    text = answer.get("SecretString")
    value = text.encode("utf-8", "surrogatepass") if text is not None else bytes(answer.get("SecretBinary", b""))
    return ReadResult(
        value=SecretBytes(value),
        version=str(answer.get("VersionId", "")),
        region=region,
        request_id=_request_id(answer),
    )


def _parse_parameters(answer: dict[str, Any], batch: ParameterBatch, region: str) -> ParameterOutcome:
    answers = [
        ParameterAnswer(
            name=str(one.get("Name", "")),
            arn=str(one.get("ARN", "")),
            selector=str(one.get("Selector", "")),
            result=ReadResult(
                value=SecretBytes(str(one.get("Value", "")).encode("utf-8", "surrogatepass")),
                version=str(one.get("Version", 0)),
                last_modified=str(one.get("LastModifiedDate", "")),
                region=region,
                request_id=_request_id(answer),
            ),
        )
        for one in answer.get("Parameters", ())
    ]
    found = match_parameters(batch.reads, answers)
    invalid = tuple(dict.fromkeys(str(name) for name in answer.get("InvalidParameters", ())))
    unanswered = [read.request_name for read in batch.reads if read not in found and read.request_name not in invalid]
    if unanswered and not invalid:
        raise CallError(
            ErrorCode.ANSWER_INCOMPLETE,
            region=region,
            action=GET_PARAMETERS,
            cause=f"the answer neither holds nor refuses {shown_list(unanswered, 400)}",
            fix="retry; if it lasts, name the parameters as `aws ssm get-parameters` answers them",
        )
    return ParameterOutcome(found=found, invalid=invalid)


def _request_id(answer: dict[str, Any]) -> str:
    """AWS's id of the call, for the audit line; CloudTrail knows the read by it."""
    return shown(str(answer.get("ResponseMetadata", {}).get("RequestId", "")), 64)


def _render_rule(code: ErrorCode, *, action: str, target: str, caller: str) -> str:
    match code:
        case ErrorCode.ACCESS_DENIED:
            return f"The {caller} needs {action} on {target}, and kms:Decrypt on a customer key of it"
        case ErrorCode.DECRYPTION_FAILED:
            return f"The {caller} needs kms:Decrypt on the enabled key that encrypts {target}"
        case ErrorCode.THROTTLED | ErrorCode.AWS_SERVER | ErrorCode.NETWORK | ErrorCode.DEADLINE:
            return "Kubelet tries the mount again by itself"
        case _:
            return f"Asked as {caller}"


def _render_fix(code: ErrorCode, *, action: str, target: str, caller: str) -> str:  # noqa: PLR0911 - one per code
    match code:
        case ErrorCode.ACCESS_DENIED:
            return f"grant {action} on {target} to the {caller}, or correct the name if it does not exist"
        case ErrorCode.DECRYPTION_FAILED:
            return (
                f"grant kms:Decrypt to the {caller} in its policy and in the key's, and check that the key is enabled"
            )
        case ErrorCode.OBJECT_NOT_FOUND:
            return f"create {target} in this region, or correct its name, version or label in the class"
        case ErrorCode.CREDENTIALS_REFUSED:
            return f"check that the {caller} still exists; the next mount gets new credentials"
        case ErrorCode.THROTTLED:
            return "raise the account's request quota, or lengthen --refresh-interval"
        case ErrorCode.NETWORK | ErrorCode.DEADLINE:
            return "check the node's route, DNS, proxy or VPC endpoint to this service and region"
        case ErrorCode.OVERLOAD:
            return "none if it passes; else raise --workers and the CPU limit, or cut large classes"
        case ErrorCode.AWS_SERVER:
            return "retry; see the AWS Health Dashboard if it lasts"
        case _:
            return f"correct name, version or label of {target} in the class"
