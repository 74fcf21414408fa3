"""Watching never fails what is watched, and a wrapped port behaves as if it were not."""

from __future__ import annotations

import asyncio
import logging

import pytest

from provider_runtime.errors import ErrorCode, MountError
from provider_runtime.observability_settings import parse_observability
from provider_runtime.observed_calls import ObservedReader
from provider_runtime.observers import Observers
from provider_runtime.ports import CallReport, MountReport
from tests.fakes.ports import FakeClock, FakeReader, RecordingObserver, call_error
from tests.runtime.observability.reports import make_report

_TEXTS = {"metrics-address": "", "audit-log": "all", "tracing": "false", "kubernetes-events": "false"}


class _Broken:
    """An observer that fails, with a text that must not be logged."""

    def mount_finished(self, report: MountReport) -> None:
        """Fail."""
        raise RuntimeError(f"canary of {report.pod}")

    def call_finished(self, report: CallReport) -> None:
        """Fail."""
        raise RuntimeError(f"canary of {report.region}")


class _Calls:
    """Keeps the reports."""

    def __init__(self) -> None:
        self.reports: list[CallReport] = []

    def call_finished(self, report: CallReport) -> None:
        """Keep the report."""
        self.reports.append(report)


class _Scope:
    region = "eu-west-1"


def test_an_observer_that_breaks_is_logged_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    recording = RecordingObserver()
    observers = Observers(
        parse_observability(_TEXTS, []),
        clock=FakeClock(),
        mount_log=recording,
        audit_logger=logging.getLogger("provider_runtime"),
        refresh_interval_seconds=120,
        is_socket_ours=lambda: True,
    )
    broken, after = _Broken(), RecordingObserver()
    observers.add_mount_observer(broken)
    observers.add_mount_observer(after)
    observers.add_call_observer(broken)
    observers.mount_finished(make_report())
    observers.call_finished(CallReport(service="ssm", action="GetParameters", region="r", outcome="ok", seconds=1))
    assert len(recording.reports) == len(after.reports) == 1
    assert caplog.text.count("_Broken failed; mounts go on") == 2
    assert "canary" not in caplog.text
    assert "canary" not in str([vars(record).get("fields") for record in caplog.records])


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (call_error(ErrorCode.ACCESS_DENIED), "access_denied"),
        (call_error(ErrorCode.DEADLINE), "network"),
        (MountError(ErrorCode.OVERLOAD, where="a", what="b", fix="c"), "overload"),
        (asyncio.CancelledError(), "abandoned"),
        (ValueError("odd"), "internal"),
    ],
)
async def test_a_failing_call_is_reported_and_still_fails(
    error: BaseException, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, clock = _Calls(), FakeClock()
    inner = FakeReader(clock=clock)

    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(FakeReader, "fetch_secret", fail)
    reader = ObservedReader(inner, calls, clock)
    with pytest.raises(type(error)):
        await reader.fetch_secret(None, _Scope(), 0.0)  # type: ignore[arg-type]  # neither is looked at
    assert [(one.service, one.action, one.outcome) for one in calls.reports] == [
        ("secretsmanager", "GetSecretValue", outcome)
    ]
