"""The AWS SDK as the adapters use it: shared clients, credentials per call.

Not done here: which call to make (`aws_secrets`, `aws_credentials`), what an error means (`aws_errors`).

One botocore session and one client per service and region exist for the life of the process; a client is built on
first use, inside a worker thread, by one thread at a time. Whose credentials sign a call is decided per call: the
session's credentials object reads a context variable that is set inside the worker thread, and refuses when it is
unset. Endpoints come from settings alone; a region from a class is accepted only if botocore knows it, because clients
live for ever and a region's name becomes part of a host name. Where every endpoint is overridden (an emulator, a test)
no name can leave the machine, so any well-formed region will do, up to REGION_LIMIT of them.
"""

from __future__ import annotations

import contextlib
import re
import threading
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

from provider_runtime.blocking_calls import DeadlinePassed, remaining_seconds
from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.guarded_connections import guard_connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provider_runtime.config import AwsSettings
    from provider_runtime.ports import AwsCredentials

CONNECT_TIMEOUT_SECONDS: Final = 2.0
READ_TIMEOUT_SECONDS: Final = 10.0
REGION_LIMIT: Final = 64
"""Regions that may have clients; each costs some 4 MiB."""
_REGION_FORM: Final = re.compile(r"(?![0-9]+$)(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


class AwsService(StrEnum):
    """The services that a mount may talk to, by botocore's names.

    STS is asked with a token (unsigned, the SDK knows which operations are) and, for role chains, signed.
    """

    SECRETS_MANAGER = "secretsmanager"
    PARAMETER_STORE = "ssm"
    STS = "sts"


_current_credentials: ContextVar[AwsCredentials | None] = ContextVar("aws_credentials", default=None)


@contextlib.contextmanager
def acting_as(credentials: AwsCredentials) -> Iterator[None]:
    """Sign every AWS call of this thread with `credentials` until the block ends."""
    token = _current_credentials.set(credentials)
    try:
        yield
    finally:
        _current_credentials.reset(token)


class PerCallCredentials:
    """botocore's view of whoever is acting now. Without `acting_as` every use fails: no call goes out unsigned."""

    method = "lockstep-per-call"
    account_id = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the acting caller's credentials.

        Raises:
            NoCredentialsError: Nobody is acting in this thread.
        """
        credentials = _current_credentials.get()
        if credentials is None:
            raise NoCredentialsError
        return ReadOnlyCredentials(
            credentials.access_key_id, credentials.secret_access_key.reveal(), credentials.session_token.reveal()
        )

    def get_deferred_property(self, property_name: str) -> Callable[[], str | None]:
        """Return a resolver for account-based endpoints; none is known before signing."""
        del property_name
        return lambda: None

    @property
    def access_key(self) -> str | None:
        """Access key id of the acting caller."""
        return self.get_frozen_credentials().access_key

    @property
    def secret_key(self) -> str | None:
        """Secret access key of the acting caller."""
        return self.get_frozen_credentials().secret_key

    @property
    def token(self) -> str | None:
        """Session token of the acting caller."""
        return self.get_frozen_credentials().token


class _PerCallResolver:
    """botocore's hook for "where do credentials come from": never the node's, never the environment's."""

    def load_credentials(self) -> PerCallCredentials:
        return PerCallCredentials()


class AwsClients:
    """All AWS clients of the process.

    Args:
        settings: Endpoints, FIPS, dual-stack, attempts, application id.
        pool_size: Connections kept per client; at least the number of worker threads.
    """

    def __init__(self, settings: AwsSettings, *, pool_size: int) -> None:
        self._settings = settings
        self._pool_size = pool_size
        self._session = botocore.session.Session()
        self._session.register_component("credential_provider", _PerCallResolver())
        self._clients: dict[tuple[AwsService, str], Any] = {}
        self._building = threading.Lock()
        self._known_regions = frozenset(
            region
            for partition in self._session.get_available_partitions()
            for region in self._session.get_available_regions("secretsmanager", partition_name=partition)
        )

    def check_region(self, region: str) -> None:
        """Accept a region that a client may be built for.

        Raises:
            MountError: The region is unknown, malformed, or one too many.
        """
        if self._settings.is_every_endpoint_overridden:
            regions = {known for _, known in tuple(self._clients)} | {region}
            if _REGION_FORM.fullmatch(region) and len(regions) <= REGION_LIMIT:
                return
            what = "is no region name" if not _REGION_FORM.fullmatch(region) else "is one region too many"
        elif region in self._known_regions:
            return
        else:
            what = "is not a region that this provider knows"
        raise MountError(
            ErrorCode.REGION_UNSUPPORTED,
            where=f"region {shown(region)}",
            what=what,
            rule="Clients are built for AWS's own regions only, unless AWS_ENDPOINT_URL overrides every endpoint",
            fix="correct `region` in the class; for a region newer than this build, update the provider",
        )

    def is_built(self, service: AwsService, region: str) -> bool:
        """Whether `client` would return at once."""
        return (service, region) in self._clients

    def client(self, service: AwsService, region: str) -> Any:  # noqa: ANN401  # botocore makes client classes at run time
        """Return the shared client; blocking when it must be built, so call it in a worker thread.

        Raises:
            MountError: See `check_region`.
        """
        key = (service, region)
        if key not in self._clients:
            with self._building:
                if key not in self._clients:
                    self.check_region(region)
                    self._clients[key] = self._build(service, region)
        return self._clients[key]

    def _build(self, service: AwsService, region: str) -> Any:  # noqa: ANN401  # as above
        settings = self._settings
        config = Config(  # type: ignore[call-arg]  # the stubs do not know user_agent_appid yet
            region_name=region,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            max_pool_connections=self._pool_size,
            retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
            # Go checks no lengths on the client's side; AWS itself does, with a better text.
            parameter_validation=False,
            use_fips_endpoint=settings.use_fips,
            use_dualstack_endpoint=settings.use_dualstack,
            user_agent_appid=settings.app_id,
        )
        client = self._session.create_client(
            service.value,
            region_name=region,
            endpoint_url=settings.endpoint_urls.get(service.value),
            config=config,
        )
        client.meta.events.register("before-send.*", _refuse_late_attempt)
        guard_connections(client)
        return client


def _refuse_late_attempt(**_: object) -> None:
    """Stop a retry whose mount has already been answered, so that its thread is free again."""
    if remaining_seconds() <= 0:
        raise DeadlinePassed
