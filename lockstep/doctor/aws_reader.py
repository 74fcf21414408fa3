"""Asks AWS, by an exhaustive list of calls that read and reveal no value.

Not done here: what the answers mean. A call that is not on the list is a bug and never leaves this process. Parameters
are looked up by DescribeParameters: GetParameters would answer with values.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from lockstep.doctor.verdicts import UnseenError

Answer = Mapping[str, Any]

#: Every call that an examination may make.
READ_ONLY: Final = frozenset(
    {
        ("ec2", "DescribeInstances"),
        ("ec2", "DescribeRouteTables"),
        ("ec2", "DescribeVpcEndpoints"),
        ("eks", "DescribeAddon"),
        ("eks", "DescribeCluster"),
        ("eks", "DescribeFargateProfile"),
        ("eks", "DescribeNodegroup"),
        ("eks", "DescribePodIdentityAssociation"),
        ("eks", "ListFargateProfiles"),
        ("eks", "ListNodegroups"),
        ("eks", "ListPodIdentityAssociations"),
        ("iam", "GetOpenIDConnectProvider"),
        ("iam", "GetRole"),
        ("iam", "SimulatePrincipalPolicy"),
        ("kms", "DescribeKey"),
        ("secretsmanager", "DescribeSecret"),
        ("ssm", "DescribeParameters"),
        ("sts", "GetCallerIdentity"),
    }
)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
_MISSING: Final = frozenset({"NotFoundException", "ResourceNotFoundException", "NoSuchEntity"})
_CONFIG: Final = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})


class MissingError(Exception):
    """AWS says that what was asked about does not exist."""


class AwsCalls(Protocol):
    """What checks ask. Raises `MissingError`, and `UnseenError` for a denial or anything else that hides the answer."""

    def call(self, service: str, operation: str, *, region: str, **parameters: object) -> Answer:
        """Make one call and return its answer."""
        ...


def find_session() -> botocore.session.Session | str:
    """Return a session with credentials of the environment, or why there is none."""
    session = botocore.session.get_session()
    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        return _line(error)
    return (
        session if credentials else "there are no AWS credentials (AWS_PROFILE, `aws sso login`, a role of the machine)"
    )


class AwsReader:
    """Asks AWS with the credentials of the environment.

    Args:
        session: Of botocore; one with credentials.
        endpoint_url: For an emulator; None for AWS.
    """

    def __init__(self, session: botocore.session.Session, *, endpoint_url: str | None = None) -> None:
        self._session = session
        self._endpoint_url = endpoint_url
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def call(self, service: str, operation: str, *, region: str, **parameters: object) -> Answer:
        """See `AwsCalls`.

        Raises:
            AssertionError: The call is not on the list.
        """
        if (service, operation) not in READ_ONLY:
            raise AssertionError(f"{service}:{operation} is no call of an examination")
        try:
            answer: Answer = getattr(self._client(service, region), xform_name(operation))(**parameters)
        except ClientError as error:
            raise _refused(service, operation, error) from None
        except NoCredentialsError:
            raise UnseenError("there are no AWS credentials") from None
        except BotoCoreError as error:
            raise UnseenError(f"{service}:{operation} in {region} could not be asked: {_line(error)}") from None
        return answer

    def close(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            client.close()

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - botocore's clients have no static type
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._session.create_client(
                    service, region_name=region, endpoint_url=self._endpoint_url, config=_CONFIG
                )
            return self._clients[service, region]


def pages(aws: AwsCalls, service: str, operation: str, key: str, *, region: str, **parameters: object) -> Iterator[Any]:
    """Yield the items of every page of a listing; `key` is where they are. Raises as `AwsCalls`."""
    token: dict[str, object] = {}
    while True:
        answer = aws.call(service, operation, region=region, **parameters, **token)
        yield from answer.get(key) or ()
        names = [name for name in ("nextToken", "NextToken") if answer.get(name)]
        if not names:
            return
        token = {names[0]: answer[names[0]]}


def _refused(service: str, operation: str, error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _MISSING:
        return MissingError(code)
    if code in _DENIED:
        return UnseenError(f"your credentials may not call {service}:{operation}")
    return UnseenError(f"{service}:{operation} was refused: {code}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
