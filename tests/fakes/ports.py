"""The mounter's ports in memory: time stands still until told, AWS answers what it is told and counts."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode
from provider_runtime.fetch_plan import ReadResult
from provider_runtime.ports import (
    CHAIN_ACTION,
    EXCHANGE_ACTION,
    AwsCredentials,
    CallError,
    MountReport,
    ParameterOutcome,
)
from provider_runtime.redaction import SecretBytes, SecretText

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from provider_runtime.caller_identity import CallerIdentity
    from provider_runtime.fetch_plan import ParameterBatch, SecretRead
    from provider_runtime.ports import Caller, ReadScope


class FakeClock:
    """Time that only `pass_by` moves."""

    def __init__(self) -> None:
        self._passed = 0.0

    def monotonic(self) -> float:
        """Return the standing time."""
        return 1_000.0 + self._passed

    def wall(self) -> float:
        """Return the standing time as a date."""
        return 1_800_000_000.0 + self._passed

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds


def call_error(
    code: ErrorCode, *, region: str = "eu-west-1", action: str = "secretsmanager:GetSecretValue"
) -> CallError:
    """Make a failure of one call."""
    return CallError(code, region=region, action=action, cause=f"told to answer {code.name}", fix="nothing")


@dataclass(slots=True)
class FakeReader:
    """Values by (region, name); a failure in `failures` by region or name comes first."""

    clock: FakeClock
    values: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    failures: dict[str, ErrorCode] = field(default_factory=dict)
    denied: set[CallerIdentity] = field(default_factory=set)
    reads: list[tuple[CallerIdentity, str, str]] = field(default_factory=list)
    says_who: bool = False
    """When set, every secret's value is the name of the service account that read it."""
    gate: asyncio.Event | None = None
    """When set, reads wait for it."""

    def check_region(self, region: str) -> None:
        """Accept every region."""

    async def fetch_secret(self, read: SecretRead, scope: ReadScope, deadline: float) -> ReadResult:
        """Answer as told."""
        del deadline
        await self._arrive(scope, read.secret_id)
        if self.says_who:
            value = SecretBytes(scope.identity.service_account.encode())
            return ReadResult(value=value, version="1", region=scope.region)
        return self._value(scope.region, read.secret_id)

    async def fetch_parameters(self, batch: ParameterBatch, scope: ReadScope, deadline: float) -> ParameterOutcome:
        """Answer as told; unknown names are invalid."""
        del deadline
        await self._arrive(scope, ",".join(batch.names))
        found = {
            read: self._value(scope.region, read.request_name)
            for read in batch.reads
            if (scope.region, read.request_name) in self.values
        }
        return ParameterOutcome(
            found=found, invalid=tuple(read.request_name for read in batch.reads if read not in found)
        )

    async def fetch_stages(self, secret_id: str, scope: ReadScope, deadline: float) -> dict[str, tuple[str, ...]]:
        """Answer that the value of the moment is AWSCURRENT."""
        del deadline
        await self._arrive(scope, f"describe {secret_id}")
        return {self._value(scope.region, secret_id).version: ("AWSCURRENT",)}

    async def prepare(self, region: str, deadline: float) -> None:
        """Nothing has to be prepared."""

    async def _arrive(self, scope: ReadScope, target: str) -> None:
        self.reads.append((scope.identity, scope.region, target))
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        for key in (scope.region, target):
            if key in self.failures:
                raise call_error(self.failures[key], region=scope.region)
        if scope.identity in self.denied:
            raise call_error(ErrorCode.ACCESS_DENIED, region=scope.region)

    def _value(self, region: str, name: str) -> ReadResult:
        if (region, name) not in self.values:
            raise call_error(ErrorCode.OBJECT_NOT_FOUND, region=region)
        value, version = self.values[region, name]
        return ReadResult(value=SecretBytes(value), version=version, region=region)


@dataclass(slots=True)
class FakeExchange:
    """Credentials for everyone, unless told otherwise."""

    clock: FakeClock
    session_seconds: float = 900.0
    failure: ErrorCode | None = None
    exchanges: list[tuple[CallerIdentity, str]] = field(default_factory=list)
    chained: list[tuple[CallerIdentity, str]] = field(default_factory=list)
    """Second exchanges, with the access key that signed each."""
    chain_failure: ErrorCode | None = None
    dead_regions: set[str] = field(default_factory=set)

    async def assume_chained_role(
        self, identity: CallerIdentity, credentials: AwsCredentials, region: str, deadline: float
    ) -> AwsCredentials:
        """Answer as told."""
        del deadline
        self.chained.append((identity, credentials.access_key_id))
        await asyncio.sleep(0)
        if self.chain_failure is not None:
            raise call_error(self.chain_failure, region=region, action=CHAIN_ACTION)
        return self._session(repr((identity, region, len(self.chained))))

    async def fetch_credentials(self, caller: Caller, region: str, deadline: float) -> AwsCredentials:
        """Answer as told."""
        del deadline
        self.exchanges.append((caller.identity, region))
        await asyncio.sleep(0)
        if region in self.dead_regions:
            raise call_error(ErrorCode.NETWORK, region=region, action=EXCHANGE_ACTION)
        if self.failure is not None:
            raise call_error(self.failure, region=region, action=EXCHANGE_ACTION)
        return self._session(repr((caller.identity, region, len(self.exchanges))))

    def _session(self, seed: str) -> AwsCredentials:
        digest = hashlib.sha256(seed.encode()).hexdigest()
        return AwsCredentials(
            access_key_id=f"ASIA{digest[:16].upper()}",
            secret_access_key=SecretText("s"),
            session_token=SecretText("t"),
            expires_at=self.clock.wall() + self.session_seconds,
        )


class FakeLookup:
    """A cluster in which every pod is in one region and every account has one role."""

    def __init__(self) -> None:
        self.lookups = 0

    async def fetch_region(self, namespace: str, pod: str, deadline: float) -> str:
        """Return the one region."""
        del namespace, pod, deadline
        self.lookups += 1
        return "eu-west-1"

    async def fetch_role_arn(self, namespace: str, service_account: str, deadline: float) -> str:
        """Return the one role."""
        del namespace, service_account, deadline
        self.lookups += 1
        return "arn:aws:iam::111122223333:role/looked-up"


class Spawner:
    """Starts shared work in a task group of the test."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks

    def __call__(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start the work."""
        return self._tasks.create_task(work, name=name)


@dataclass(slots=True)
class RecordingObserver:
    """Keeps the reports."""

    reports: list[MountReport] = field(default_factory=list)

    def mount_finished(self, report: MountReport) -> None:
        """Keep the report."""
        self.reports.append(report)
