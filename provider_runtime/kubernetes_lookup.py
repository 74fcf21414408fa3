"""Role and region of a pod from the Kubernetes API, for classes that carry neither.

Not done here: deciding whether a lookup is needed (`mounting`). A derived class never needs one.

Three kinds of GET of single objects, with the pod's own service account, as the AWS provider does it: ServiceAccount
(annotation eks.amazonaws.com/role-arn), Pod (spec.nodeName), Node (label topology.kubernetes.io/region). Answers are
kept for KEEP_SECONDS and asked for once at a time, so that a rollout costs one call per account and node; a missing
annotation is not kept. Calls are paced by --qps and --burst.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from provider_runtime.blocking_calls import DeadlinePassed, remaining_seconds
from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.kubernetes_api import CREDENTIALS_DIRECTORY, KubernetesApi, KubernetesApiError, render_path
from provider_runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider_runtime.blocking_calls import BlockingCalls
    from provider_runtime.ports import Clock, TaskSpawner

ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"
REGION_LABEL: Final = "topology.kubernetes.io/region"
KEEP_SECONDS: Final = 60.0
_REQUEST_SECONDS: Final = 5.0
_LOOKUP_SECONDS: Final = 30.0
"""Time limit of one call, waiting for its turn included."""
_KEPT_LIMIT: Final = 1_000
_SLOTS: Final = "kubernetes"


class KubernetesLookup:
    """A `ClusterLookup` on the API server's REST interface.

    Args:
        calls: Where blocking work runs.
        clock: Monotonic time.
        spawn: Starts calls that outlive the mount that asked.
        qps: Calls per second over time.
        burst: Calls that may come at once.
        address: Base URL; empty: from KUBERNETES_SERVICE_HOST and _PORT of `environment`.
        environment: Of the process.
        credentials_directory: Where `token` and `ca.crt` are; the token is read for every call, kubelet renews it.
    """

    def __init__(
        self,
        calls: BlockingCalls,
        *,
        clock: Clock,
        spawn: TaskSpawner,
        qps: int,
        burst: int,
        address: str = "",
        environment: Mapping[str, str] = os.environ,
        credentials_directory: str = CREDENTIALS_DIRECTORY,
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._api = KubernetesApi(address=address, environment=environment, credentials_directory=credentials_directory)
        self._kept: dict[str, tuple[str, float]] = {}
        self._pace = _Pace(qps=qps, burst=burst)
        self._flights: SingleFlight[str, dict[str, Any]] = SingleFlight(spawn, clock)

    async def fetch_region(self, namespace: str, pod: str, deadline: float) -> str:
        """Return the region of the pod's node.

        Raises:
            MountError(REGION_UNKNOWN): Pod, node or label are not there, or the API does not answer.
        """
        place = f"pod {shown(namespace)}/{shown(pod)}"
        try:
            node = await self._kept_text(render_path("api/v1/namespaces", namespace, "pods", pod), _node_of, deadline)
            return await self._kept_text(render_path("api/v1/nodes", node), _region_of, deadline)
        except KubernetesApiError as error:
            raise MountError(
                ErrorCode.REGION_UNKNOWN,
                where=place,
                what=f"failed to retrieve region from node: {error}",
                rule="Without `region` in the class or AWS_REGION, the region is the label of the pod's node",
                fix="set `region` in the class, or let the provider's service account get pods and nodes",
            ) from None

    async def fetch_role_arn(self, namespace: str, service_account: str, deadline: float) -> str:
        """Return the role of the service account's annotation.

        Raises:
            MountError(ROLE_MISSING): Account or annotation are not there, or the API does not answer.
        """
        path = render_path("api/v1/namespaces", namespace, "serviceaccounts", service_account)
        place = f"service account {shown(namespace)}/{shown(service_account)}"
        try:
            role_arn = await self._kept_text(path, _role_of, deadline)
        except KubernetesApiError as error:
            raise MountError(
                ErrorCode.ROLE_MISSING,
                where=place,
                what=f"failed to get service account {shown(namespace)}/{shown(service_account)}: {error}",
                rule="Without `roleArn` in the class the role is read from the service account",
                fix="set `roleArn` in the class, or let the provider's service account get serviceaccounts",
            ) from None
        if not role_arn:
            raise MountError(
                ErrorCode.ROLE_MISSING,
                where=place,
                what=f"An IAM role must be associated with service account {shown(service_account)}",
                rule=f"The annotation {ROLE_ANNOTATION} names it",
                fix="annotate the service account, or set `roleArn` in the class",
            )
        return role_arn

    async def _kept_text(self, path: str, read: Callable[[dict[str, Any]], str], deadline: float) -> str:
        now = self._clock.monotonic()
        kept = self._kept.get(path)
        if kept is not None and now - kept[1] < KEEP_SECONDS:
            return kept[0]
        text = read(await self._fetch(path, deadline))
        if text:
            if len(self._kept) >= _KEPT_LIMIT:
                self._kept = {old: pair for old, pair in self._kept.items() if now - pair[1] < KEEP_SECONDS}
            self._kept[path] = (text, now)
        return text

    async def _fetch(self, path: str, deadline: float) -> dict[str, Any]:
        flight = self._flights.find(path, accepted_age=_LOOKUP_SECONDS)
        if flight is None:

            async def work() -> dict[str, Any]:
                limit = self._clock.monotonic() + _LOOKUP_SECONDS
                return await self._calls.run(_SLOTS, limit, lambda: self._get(path))

            flight = self._flights.start(path, work, name=f"look up {path}")
        try:
            return await flight.result(deadline - self._clock.monotonic())
        except (TimeoutError, DeadlinePassed):
            raise KubernetesApiError(f"{path}: no answer before the deadline") from None

    def _get(self, path: str) -> dict[str, Any]:
        """GET one object. Runs in a worker thread."""
        self._api.check_address()
        self._pace.wait(remaining_seconds())
        return self._api.request("GET", path, timeout_seconds=min(_REQUEST_SECONDS, max(0.1, remaining_seconds())))


class _Pace:
    """A token bucket for worker threads."""

    def __init__(self, *, qps: int, burst: int) -> None:
        self._seconds_per_call = 1 / qps
        self._burst_seconds = (burst - 1) / qps
        self._lock = threading.Lock()
        self._next_at = 0.0

    def wait(self, limit_seconds: float) -> None:
        """Sleep until this call's turn, at most `limit_seconds`."""
        with self._lock:
            now = time.monotonic()
            self._next_at = max(self._next_at, now - self._burst_seconds)
            pause = self._next_at - now
            self._next_at += self._seconds_per_call
        if pause > 0:
            time.sleep(min(pause, max(0.0, limit_seconds)))


def _member(document: dict[str, Any], *keys: str) -> str:
    value: Any = document
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _node_of(pod: dict[str, Any]) -> str:
    node = _member(pod, "spec", "nodeName")
    if not node:
        raise KubernetesApiError("the pod has no node yet")
    return node


def _region_of(node: dict[str, Any]) -> str:
    region = _member(node, "metadata", "labels", REGION_LABEL)
    if not region:
        raise KubernetesApiError(f"Region not found: the node has no label {REGION_LABEL}")
    return region


def _role_of(service_account: dict[str, Any]) -> str:
    return _member(service_account, "metadata", "annotations", ROLE_ANNOTATION)
