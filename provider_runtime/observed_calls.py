"""The ports to AWS with an observer beside them: every call is reported by service, action, outcome and duration.

Not done here: calling, counting, tracing. What is wrapped behaves as if it were not.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from provider_runtime.errors import MountError, culprit_of
from provider_runtime.ports import AGENT_ACTION, CHAIN_ACTION, EXCHANGE_ACTION, CallError, CallReport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provider_runtime.caller_identity import CallerIdentity
    from provider_runtime.fetch_plan import ParameterBatch, ReadResult, SecretRead
    from provider_runtime.ports import (
        AwsCredentials,
        Caller,
        CallObserver,
        Clock,
        ParameterOutcome,
        ReadScope,
        SecretReader,
        TokenExchange,
    )

OUTCOME_OK: Final = "ok"
OUTCOME_ABANDONED: Final = "abandoned"
OUTCOME_INTERNAL: Final = "internal"
_ACTIONS: Final = {
    "secretsmanager:GetSecretValue": ("secretsmanager", "GetSecretValue"),
    "ssm:GetParameters": ("ssm", "GetParameters"),
    EXCHANGE_ACTION: ("sts", "AssumeRoleWithWebIdentity"),
    AGENT_ACTION: ("pod-identity-agent", "GetCredentials"),
}


class ObservedReader:
    """A `SecretReader` that reports what it is asked."""

    def __init__(self, reader: SecretReader, observer: CallObserver, clock: Clock) -> None:
        self._reader = reader
        self._observer = observer
        self._clock = clock

    def check_region(self, region: str) -> None:
        """As the reader."""
        self._reader.check_region(region)

    async def fetch_secret(self, read: SecretRead, scope: ReadScope, deadline: float) -> ReadResult:
        """As the reader."""
        with _reported(self._observer, self._clock, "secretsmanager:GetSecretValue", scope.region):
            return await self._reader.fetch_secret(read, scope, deadline)

    async def fetch_parameters(self, batch: ParameterBatch, scope: ReadScope, deadline: float) -> ParameterOutcome:
        """As the reader. A batch that leaves names out as invalid is a call that AWS answered: `ok`."""
        with _reported(self._observer, self._clock, "ssm:GetParameters", scope.region):
            return await self._reader.fetch_parameters(batch, scope, deadline)

    async def fetch_stages(self, secret_id: str, scope: ReadScope, deadline: float) -> Mapping[str, tuple[str, ...]]:
        """As the reader."""
        with _reported(self._observer, self._clock, "secretsmanager:DescribeSecret", scope.region):
            return await self._reader.fetch_stages(secret_id, scope, deadline)

    async def prepare(self, region: str, deadline: float) -> None:
        """As the reader; it makes no call."""
        await self._reader.prepare(region, deadline)


class ObservedExchange:
    """A `TokenExchange` that reports what it is asked."""

    def __init__(self, exchange: TokenExchange, observer: CallObserver, clock: Clock) -> None:
        self._exchange = exchange
        self._observer = observer
        self._clock = clock

    async def fetch_credentials(self, caller: Caller, region: str, deadline: float) -> AwsCredentials:
        """As the exchange."""
        action = EXCHANGE_ACTION if caller.identity.role_arn else AGENT_ACTION
        with _reported(self._observer, self._clock, action, region):
            return await self._exchange.fetch_credentials(caller, region, deadline)

    async def assume_chained_role(
        self, identity: CallerIdentity, credentials: AwsCredentials, region: str, deadline: float
    ) -> AwsCredentials:
        """As the exchange."""
        with _reported(self._observer, self._clock, CHAIN_ACTION, region):
            return await self._exchange.assume_chained_role(identity, credentials, region, deadline)


@contextlib.contextmanager
def _reported(observer: CallObserver, clock: Clock, action: str, region: str) -> Iterator[None]:
    began = clock.monotonic()
    outcome = OUTCOME_OK
    try:
        yield
    except CallError as failure:
        action = failure.action  # the credentials of a role chain fail by another action than the first one
        outcome = culprit_of(failure.code).value
        raise
    except MountError as error:
        outcome = error.culprit.value
        raise
    except asyncio.CancelledError:
        outcome = OUTCOME_ABANDONED
        raise
    except Exception:
        outcome = OUTCOME_INTERNAL
        raise
    finally:
        service, name = _ACTIONS.get(action) or split_action(action)
        observer.call_finished(
            CallReport(
                service=service,
                action=name,
                region=region,
                outcome=outcome,
                seconds=max(0.0, clock.monotonic() - began),
            )
        )


def split_action(action: str) -> tuple[str, str]:
    """Split an IAM action such as `sts:AssumeRole` into service and name."""
    service, _, name = action.partition(":")
    return service, name
