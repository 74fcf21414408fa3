"""The `aws` package of the embedded engine: boto3 against one endpoint, one account and one region.

Not done here: what each type needs (aws_resources.py). Done here: clients, which type and input is known, what would
change, and AWS's errors as sentences. Meant for an emulator; nothing in it is emulator-specific.
"""

from __future__ import annotations

import difflib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lockstep.engine.aws_previewed import SDK_CLASSES, previewed_resource, sdk_names
from lockstep.engine.aws_resource import AwsResource, Client, Clients
from lockstep.engine.aws_resources import RESOURCES
from lockstep.engine.aws_secret_policies import get_secret
from lockstep.engine.resource_provider import InputProblem, ProviderError, ProviderObject, ResourceDiff
from lockstep.engine.values import UNKNOWN, Json, Properties, contains_unknown, diff_properties

#: Error codes that say that the object is not there. The IAM and EKS API references name one each.
_GONE = frozenset({"NoSuchEntity", "ResourceNotFoundException"})

_SERVICES = ("iam", "eks", "sts", "secretsmanager")

#: Connections per client; the engine registers at most this many resources at a time.
_CONNECTIONS = 16


class AwsProvider:
    """Places AWS resources at one endpoint. See `ResourceProvider` for the methods."""

    def __init__(self, *, endpoint_url: str, region: str, access_key: str, secret_key: str) -> None:
        self._region = region
        session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region)
        config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=_CONNECTIONS,
        )
        make_client: Callable[..., Client] = session.client  # its overloads want the name as a literal
        self._clients: Clients = {
            service: make_client(service, endpoint_url=endpoint_url, config=config) for service in _SERVICES
        }
        self._account: str | None = None
        self._lock = threading.Lock()

    # ---------------------------------------------------------------------------------------------------- provider
    def configure(self, settings: Properties) -> None:
        """Refuse another region, and an account that `allowedAccountIds` does not name."""
        region = settings.get("region", self._region)
        if region != self._region:
            raise ProviderError(
                f"the stack deploys to {region}, the AWS endpoint of this run serves {self._region}. "
                f"Fix: set aws:region to {self._region}, or start the run for {region}"
            )
        allowed = settings.get("allowedAccountIds")
        if isinstance(allowed, str):  # configuration reaches a provider as text; lists are JSON
            allowed = json.loads(allowed)
        if allowed and self._own_account() not in _texts(allowed):
            raise ProviderError(
                f"the credentials belong to account {self._own_account()}, the stack allows "
                f"{', '.join(_texts(allowed))}. Fix: use credentials of the stack's account"
            )

    def check(self, resource_type: str, inputs: Properties) -> tuple[InputProblem, ...]:
        """Refuse unknown types and inputs, missing inputs, and documents that are not JSON objects."""
        resource = _resource(resource_type)
        given = {key for key, value in inputs.items() if value is not None}
        missing = "is missing. Fix: give it a value"
        malformed = "is not a JSON object. Fix: pass a policy document"
        return (
            *_unplaced(resource, inputs),
            *(InputProblem(property=key, reason=missing) for key in sorted(resource.required - given)),
            *(
                InputProblem(property=key, reason=malformed)
                for key in sorted(resource.documents & given)
                if not contains_unknown(inputs[key]) and not _is_json_object(inputs[key])
            ),
        )

    def diff(self, resource_type: str, old_inputs: Properties, new_inputs: Properties) -> ResourceDiff:
        """Compare top-level inputs; lists and mappings by their elements."""
        resource = _resource(resource_type)
        changes = diff_properties({**resource.defaults, **old_inputs}, {**resource.defaults, **new_inputs})
        changed = {change.root for change in changes}
        same_object = all(old_inputs.get(key) == new_inputs.get(key) for key in resource.identity)
        return ResourceDiff(
            changes=changes,
            replace_keys=tuple(sorted(changed & resource.immutable)),
            delete_before_replace=same_object,
        )

    def plan(self, resource_type: str, inputs: Properties, prior: Properties) -> Properties:
        """Return inputs, defaults and what AWS said before; what it has still to say is unknown."""
        resource = _resource(resource_type)
        computed = {key: prior.get(key, UNKNOWN) for key in sorted(resource.computed)}
        return {**resource.defaults, **inputs, **computed}

    def create(self, resource_type: str, inputs: Properties) -> ProviderObject:
        """Create the object in AWS."""
        resource = _resource(resource_type)
        with _sentences(resource_type):
            made = resource.create(self._clients, inputs)
        return ProviderObject(id=made.id, outputs={**resource.defaults, **inputs, **made.outputs})

    def read(self, resource_type: str, object_id: str) -> ProviderObject | None:
        """Return what AWS has; None when there is no such object."""
        resource = _resource(resource_type)
        try:
            with _sentences(resource_type):
                return resource.read(self._clients, object_id)
        except _GoneError:
            return None

    def update(self, resource_type: str, prior: ProviderObject, inputs: Properties) -> ProviderObject:
        """Change what differs from the last run, call by call."""
        resource = _resource(resource_type)
        with _sentences(resource_type):
            resource.update(self._clients, prior.outputs, {**resource.defaults, **inputs})
        return ProviderObject(id=prior.id, outputs=self.plan(resource_type, inputs, prior.outputs))

    def delete(self, resource_type: str, prior: ProviderObject) -> None:
        """Delete the object in AWS; one that is gone is fine."""
        resource = _resource(resource_type)
        try:
            with _sentences(resource_type):
                resource.delete(self._clients, prior.outputs)
        except _GoneError:
            return

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer `getCallerIdentity`, `getCluster`, `getClusters` and `getSecret`."""
        functions: Mapping[str, Callable[[Properties], Properties]] = {
            "aws:eks/getCluster:getCluster": self._get_cluster,
            "aws:eks/getClusters:getClusters": self._get_clusters,
            "aws:index/getCallerIdentity:getCallerIdentity": self._get_caller_identity,
            "aws:secretsmanager/getSecret:getSecret": lambda given: get_secret(self._clients, given),
        }
        function = functions.get(token)
        if function is None:
            raise ProviderError(f"the embedded engine does not answer {token}. It answers: {', '.join(functions)}")
        with _sentences(token):
            return function(arguments)

    # ---------------------------------------------------------------------------------------------------- functions
    def _get_caller_identity(self, _: Properties) -> Properties:
        answer = self._clients["sts"].get_caller_identity()
        return {
            "accountId": answer["Account"],
            "arn": answer["Arn"],
            "userId": answer["UserId"],
            "id": answer["Account"],
        }

    def _get_cluster(self, arguments: Properties) -> Properties:
        cluster = self._clients["eks"].describe_cluster(name=arguments["name"])["cluster"]
        return {
            "id": cluster["name"],
            "name": cluster["name"],
            "arn": cluster["arn"],
            "endpoint": cluster["endpoint"],
            "version": cluster["version"],
            "status": cluster["status"],
            "certificateAuthorities": [{"data": cluster["certificateAuthority"]["data"]}],
            "identities": [{"oidcs": [{"issuer": cluster["identity"]["oidc"]["issuer"]}]}],
        }

    def _get_clusters(self, _: Properties) -> Properties:
        names = [
            name for page in self._clients["eks"].get_paginator("list_clusters").paginate() for name in page["clusters"]
        ]
        return {"id": self._region, "names": sorted(names)}

    def _own_account(self) -> str:
        with self._lock:
            if self._account is None:
                with _sentences("sts:GetCallerIdentity"):
                    self._account = str(self._clients["sts"].get_caller_identity()["Account"])
            return self._account


class _GoneError(ProviderError):
    """AWS says that the object does not exist."""


@contextmanager
def _sentences(subject: str) -> Iterator[None]:
    """Turn boto3's errors into `ProviderError`; AWS's own text is kept, it names action, object and cause."""
    try:
        yield
    except ClientError as error:
        detail = error.response.get("Error", {})
        code, text = str(detail.get("Code", "")), str(detail.get("Message", ""))
        failure = _GoneError if code in _GONE else ProviderError
        raise failure(f"{subject}: {error.operation_name} was refused with {code}: {text}") from error
    except BotoCoreError as error:
        raise ProviderError(f"{subject}: AWS could not be asked ({error}). Fix: look at the endpoint") from error


def _resource(resource_type: str) -> AwsResource:
    resource = RESOURCES.get(resource_type) or previewed_resource(resource_type)
    if resource is None:
        near = difflib.get_close_matches(resource_type, [*RESOURCES, *SDK_CLASSES], n=1)
        fix = f"did you mean {near[0]}?" if near else "run the program with the Pulumi CLI"
        known = ", ".join(sorted(RESOURCES))
        raise ProviderError(f"the embedded engine cannot place {resource_type}. It places: {known}. Fix: {fix}")
    return resource


def _unplaced(resource: AwsResource, inputs: Properties) -> Iterator[InputProblem]:
    for key in sorted(inputs.keys() - resource.inputs):
        real = sdk_names(resource.sdk_class).inputs
        if key in real:
            yield InputProblem(property=key, reason="is not placed by the embedded engine. Fix: leave it out")
            continue
        near = difflib.get_close_matches(key, sorted(real), n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(sorted(real))}"
        yield InputProblem(property=key, reason=f"is no input of {resource.sdk_class}. Fix: {fix}")


def _is_json_object(document: Json) -> bool:
    try:
        return isinstance(json.loads(str(document)), dict)
    except ValueError:
        return False


def _texts(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
