"""Events on pods whose re-mount failed: told once, never in a mount's way, never more than the error's text."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from provider_runtime.blocking_calls import BlockingCalls
from provider_runtime.kubernetes_api import KubernetesApi, KubernetesApiError
from provider_runtime.kubernetes_events import (
    BURST,
    MESSAGE_LIMIT_BYTES,
    PAUSE_SECONDS,
    REPEAT_SECONDS,
    KubernetesEvents,
    render_event,
)
from tests.fakes.patience import until
from tests.fakes.ports import FakeClock
from tests.runtime.observability.reports import make_report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provider_runtime.ports import MountReport


class _Cluster(KubernetesApi):
    """Keeps what it is sent, or refuses it."""

    def __init__(self) -> None:
        super().__init__(address="http://unused")
        self.sent: list[tuple[str, Mapping[str, Any]]] = []
        self.refusal = ""
        self.bug: Exception | None = None

    def request(
        self, method: str, path: str, *, timeout_seconds: float, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Keep the event."""
        del timeout_seconds
        assert method == "POST"
        if self.bug is not None:
            bug, self.bug = self.bug, None
            raise bug
        if self.refusal:
            raise KubernetesApiError(self.refusal)
        self.sent.append((path, dict(body or {})))
        return {}


def _failure(**changes: object) -> MountReport:
    fields: dict[str, object] = {
        "outcome": "NOT_FOUND",
        "culprit": "not_found",
        "error_code": "LSP310",
        "error_text": "SecretProviderClass payments/db: gone. Fix: create it. [LSP310]",
        "is_remount": True,
    }
    return make_report(**(fields | changes))


class _Bench:
    """Events on a fake clock and a fake cluster."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = _Cluster()
        self.outcomes: list[str] = []
        self._calls = BlockingCalls(workers=1, clock=self.clock)
        self.events = KubernetesEvents(self.cluster, self._calls, clock=self.clock, on_outcome=self.outcomes.append)

    async def settle(self, outcomes: int) -> None:
        """Run the sender until that many outcomes are known."""
        sending = asyncio.create_task(self.events.run())
        try:
            await until(lambda: len(self.outcomes) >= outcomes, f"{outcomes} outcomes are known")
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._calls.close()


@pytest.fixture
def bench() -> _Bench:
    """A bench of its own for each test."""
    return _Bench()


async def test_a_cluster_that_refuses_costs_a_log_line_and_nothing_else(
    bench: _Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.cluster.refusal = 'HTTP 403: events is forbidden: cannot create resource "events"'
    for pod in ("one", "two", "three"):
        bench.events.mount_finished(_failure(pod=pod, pod_uid=pod))
    await bench.settle(3)
    assert bench.outcomes == ["failed"] * 3
    warnings = [record.getMessage() for record in caplog.records if "Event could not be sent" in record.getMessage()]
    assert len(warnings) == 1, "one line a minute"
    assert "403" in warnings[0]


async def test_a_bug_while_an_event_is_sent_ends_neither_the_sender_nor_the_daemon(
    bench: _Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.cluster.bug = RuntimeError("canary-value-in-an-exception")
    bench.events.mount_finished(_failure())
    bench.events.mount_finished(_failure(pod="two", pod_uid="two"))
    await bench.settle(2)
    assert bench.outcomes == ["failed", "sent"]
    assert "RuntimeError at" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    "report",
    [make_report(is_remount=True), _failure(is_remount=False), _failure(culprit="shutdown"), _failure(pod="")],
    ids=["fine", "first mount: kubelet tells by itself", "shutdown", "nameless"],
)
def test_nobody_is_told_of_what_the_driver_does_not_hide(bench: _Bench, report: MountReport) -> None:
    bench.events.mount_finished(report)
    assert bench.events._queue.empty()


async def test_the_pod_is_told_once_and_again_after_a_while(bench: _Bench) -> None:
    bench.events.mount_finished(_failure())
    bench.clock.pass_by(75)
    bench.events.mount_finished(_failure())
    bench.events.mount_finished(_failure(error_code="LSP312"))
    bench.clock.pass_by(REPEAT_SECONDS)
    bench.events.mount_finished(_failure())
    await bench.settle(3)
    assert bench.outcomes == ["sent"] * 3


def test_a_storm_is_cut_to_a_burst_and_a_trickle(bench: _Bench) -> None:
    for number in range(BURST + 5):
        bench.events.mount_finished(_failure(pod_uid=str(number)))
    assert bench.outcomes == ["dropped"] * 5
    bench.clock.pass_by(PAUSE_SECONDS)
    for number in range(100, 102):
        bench.events.mount_finished(_failure(pod_uid=str(number)))
    assert bench.outcomes == ["dropped"] * 6


def test_a_queue_that_nobody_empties_stays_short(bench: _Bench) -> None:
    for number in range(500):
        bench.clock.pass_by(PAUSE_SECONDS)
        bench.events.mount_finished(_failure(pod_uid=str(number)))
    assert bench.events._queue.qsize() == 100
    assert bench.outcomes == ["dropped"] * 400


async def test_an_event_is_about_the_pod_and_says_what_the_mount_said(bench: _Bench) -> None:
    bench.events.mount_finished(_failure())
    await bench.settle(1)
    path, event = bench.cluster.sent[0]
    assert path == "api/v1/namespaces/payments/events"
    assert event["involvedObject"]["uid"] == "11111111-2222-3333-4444-555555555555"
    assert event["involvedObject"]["name"] == "api-0"
    assert (event["type"], event["reason"]) == ("Warning", "SecretRefreshFailed")
    assert event["message"].startswith("the volume keeps its old files: SecretProviderClass payments/db: gone.")
    assert event["firstTimestamp"] == "2027-01-15T08:00:00Z"


def test_a_long_text_is_cut_to_what_the_api_takes() -> None:
    event = render_event(_failure(error_text="\u00e4" * 4000), 0.0)
    assert len(str(event["message"]).encode()) <= MESSAGE_LIMIT_BYTES
    json.dumps(event)


async def test_a_namespace_from_attributes_cannot_leave_its_place_in_the_path(bench: _Bench) -> None:
    bench.events.mount_finished(_failure(namespace="../nodes"))
    await bench.settle(1)
    assert bench.cluster.sent[0][0] == "api/v1/namespaces/..%2Fnodes/events"


def test_outside_of_a_cluster_there_is_nobody_to_tell() -> None:
    with pytest.raises(KubernetesApiError, match="KUBERNETES_SERVICE_HOST"):
        KubernetesApi(environment={}).request("POST", "api/v1/namespaces/x/events", timeout_seconds=1.0, body={})
