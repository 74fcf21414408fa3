"""A Kubernetes Event on the pod whose re-mount failed: the one failure that nobody else tells its owner about.

Not done here: deciding what counts as such a failure (`volume_health`), the REST call itself (`kubernetes_api`).

Off unless asked for, because it needs a right that nothing else needs: create on events. It never delays a mount: a
report is put in a short queue and sent by one task, one at a time. One volume's one error gives one event in
REPEAT_SECONDS, all of them together at most BURST at once and one each PAUSE_SECONDS over time; what is over that is
dropped and counted. A failure to send is logged, at most once a minute, and never tried again: kubelet's next re-mount
fails again, and that is the retry. The text is the mount's own error: names, roles, causes, never a value.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from provider_runtime.blocking_calls import DeadlinePassed, QueueFull
from provider_runtime.kubernetes_api import KubernetesApiError, render_path
from provider_runtime.telemetry import describe_exception, log_event
from provider_runtime.volume_health import is_masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider_runtime.blocking_calls import BlockingCalls
    from provider_runtime.kubernetes_api import KubernetesApi
    from provider_runtime.ports import Clock, MountReport

REASON: Final = "SecretRefreshFailed"
COMPONENT: Final = "lockstep-provider"
REPEAT_SECONDS: Final = 600.0
BURST: Final = 20
PAUSE_SECONDS: Final = 2.0
MESSAGE_LIMIT_BYTES: Final = 1_000
"""The API takes 1024 bytes (core/v1 Event)."""
_INTRODUCTION: Final = "the volume keeps its old files: "
_QUEUE_LIMIT: Final = 100
_REMEMBERED_LIMIT: Final = 10_000
_SEND_SECONDS: Final = 5.0
_NAME_LIMIT_CHARACTERS: Final = 230
_LOG_PAUSE_SECONDS: Final = 60.0
_SLOTS: Final = "kubernetes-events"
_LOG: Final = logging.getLogger(__name__)


class KubernetesEvents:
    """A `MountObserver` that tells pods.

    Args:
        api: Where events go.
        calls: Where blocking work runs; events take one worker at most.
        clock: Both clocks.
        on_outcome: Told `sent`, `failed` or `dropped` for each event.
    """

    def __init__(
        self, api: KubernetesApi, calls: BlockingCalls, *, clock: Clock, on_outcome: Callable[[str], None]
    ) -> None:
        self._api = api
        self._calls = calls
        self._clock = clock
        self._on_outcome = on_outcome
        self._queue: asyncio.Queue[Mapping[str, object]] = asyncio.Queue(_QUEUE_LIMIT)
        self._told_at: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._tokens = float(BURST)
        self._tokens_at = clock.monotonic()
        self._logged_at = -_LOG_PAUSE_SECONDS

    def mount_finished(self, report: MountReport) -> None:
        """Put an event in the queue if the driver hides this failure and nobody was told lately."""
        if not is_masked(report) or not (report.pod and report.namespace):
            return
        now = self._clock.monotonic()
        key = (report.pod_uid, report.target_path, report.error_code)
        told_at = self._told_at.get(key)
        if told_at is not None and now - told_at < REPEAT_SECONDS:
            return
        if self._queue.full() or not self._take_token(now):
            self._on_outcome("dropped")
            return
        self._told_at[key] = now
        self._told_at.move_to_end(key)
        if len(self._told_at) > _REMEMBERED_LIMIT:
            self._told_at.popitem(last=False)
        self._queue.put_nowait(render_event(report, self._clock.wall()))

    async def run(self) -> None:
        """Send what is queued, one at a time, until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._send(event)
            except (KubernetesApiError, DeadlinePassed, QueueFull) as error:
                self._on_outcome("failed")
                self._log_failure(str(error) or type(error).__name__)
            except Exception as error:  # noqa: BLE001  # a bug here must not end the daemon with its mounts
                self._on_outcome("failed")
                self._log_failure(describe_exception(error))
            else:
                self._on_outcome("sent")

    async def _send(self, event: Mapping[str, object]) -> None:
        metadata = event["metadata"]
        assert isinstance(metadata, dict)  # noqa: S101  # `render_event` made it
        path = render_path("api/v1/namespaces", str(metadata["namespace"]), "events")
        deadline = self._clock.monotonic() + _SEND_SECONDS
        await self._calls.run(
            _SLOTS, deadline, lambda: self._api.request("POST", path, timeout_seconds=_SEND_SECONDS, body=event)
        )

    def _take_token(self, now: float) -> bool:
        self._tokens = min(float(BURST), self._tokens + (now - self._tokens_at) / PAUSE_SECONDS)
        self._tokens_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _log_failure(self, cause: str) -> None:
        now = self._clock.monotonic()
        if now - self._logged_at < _LOG_PAUSE_SECONDS:
            return
        self._logged_at = now
        log_event(
            _LOG,
            logging.WARNING,
            f"a Kubernetes Event could not be sent: {cause}. Fix: give the provider's service account the right to "
            "create events, or switch --kubernetes-events off",
        )


def render_event(report: MountReport, wall_seconds: float) -> dict[str, object]:
    """Render a core/v1 Event about the pod of a failed re-mount."""
    when = datetime.fromtimestamp(wall_seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = f"{_INTRODUCTION}{report.error_text}".encode()[:MESSAGE_LIMIT_BYTES].decode("utf-8", "ignore")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{report.pod[:_NAME_LIMIT_CHARACTERS]}.{secrets.token_hex(8)}",
            "namespace": report.namespace,
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": report.pod,
            "namespace": report.namespace,
            "uid": report.pod_uid,
        },
        "reason": REASON,
        "message": message,
        "type": "Warning",
        "source": {"component": COMPONENT},
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }
