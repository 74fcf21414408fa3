"""The audit line: who got which version of which object, by which read; never what."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from provider_runtime.audit import AuditObserver
from provider_runtime.config import LogFormat
from provider_runtime.deliveries import Delivery, Origin
from provider_runtime.observability_settings import AuditLog, parse_observability
from provider_runtime.telemetry import configure_logging
from tests.fakes.aws import GET_SECRET, FakeParameter, FakeSecret, Fault
from tests.fakes.driver import FAKE_REGION, ROLE_ARN, Pod
from tests.runtime.observability.conftest import Watched
from tests.runtime.observability.reports import make_report

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS = """
- {objectName: TestSecret1, objectType: secretsmanager}
- {objectName: TestParm1, objectType: ssmparameter}
"""


def _delivery(version: str = "1", *, age_seconds: float = 0.0) -> Delivery:
    return Delivery(
        name="db",
        store="secretsmanager",
        region="eu-west-1",
        version=version,
        request_id="r-1",
        age_seconds=age_seconds,
        origin=Origin.AWS,
    )


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as JSON."""
    stream = io.StringIO()
    level = logging.getLogger().level
    configure_logging(LogFormat.JSON, stream)
    yield stream
    configure_logging(LogFormat.TEXT)
    logging.getLogger().setLevel(level)


def _audit_lines(watched: Watched, pod_uid: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in watched.lines("delivered")]
    return [line for line in lines if line["pod_uid"] == pod_uid]


def test_a_failed_mount_delivers_nothing_and_says_so_in_no_audit_line(watched: Watched) -> None:
    watched.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    assert not watched.driver.mount(Pod(objects=OBJECTS, uid="audit-0", service_account="audit-0")).is_ok
    assert not _audit_lines(watched, "audit-0")


def test_each_delivered_object_is_one_line_that_says_who_what_which_and_by_which_read(watched: Watched) -> None:
    watched.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1", version_id="v7")
    watched.aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value="parm1", version=3)
    assert watched.driver.mount(Pod(objects=OBJECTS, uid="audit-1", service_account="audit-1", name="api-0")).is_ok
    secret, parameter = _audit_lines(watched, "audit-1")
    assert (secret["object"], secret["version"], secret["store"]) == ("TestSecret1", "v7", "secretsmanager")
    assert (parameter["object"], parameter["version"], parameter["store"]) == ("TestParm1", "3", "ssmparameter")
    assert (secret["pod"], secret["service_account"]) == ("fakeNS/api-0", "fakeNS/audit-1")
    assert (secret["caller"], secret["region"]) == (f"role {ROLE_ARN}", FAKE_REGION)
    assert secret["origin"] == "aws"
    assert str(secret["request_id"]).startswith("request-")


def test_a_hit_in_memory_names_the_original_read_and_its_age(watched: Watched) -> None:
    watched.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    watched.aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value="parm1")
    for uid in ("audit-2", "audit-3"):
        assert watched.driver.mount(Pod(objects=OBJECTS, uid=uid, service_account="audit-shared")).is_ok
    first, second = _audit_lines(watched, "audit-2"), _audit_lines(watched, "audit-3")
    assert [line["request_id"] for line in first] == [line["request_id"] for line in second]
    assert [line["origin"] for line in first] == ["aws", "aws"]
    assert [line["origin"] for line in second] == ["earlier", "earlier"]
    assert watched.aws.count(GET_SECRET) == 1


def test_a_last_known_value_is_called_that(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second mount accepts nothing that is in memory, and AWS does not answer."""
    watched.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    objects = "- {objectName: TestSecret1, objectType: secretsmanager}"
    assert watched.driver.mount(Pod(objects=objects, uid="audit-4", service_account="audit-4")).is_ok
    monkeypatch.setattr("provider_runtime.cache.VolumeAges.accepted_age", lambda *_, **__: 0.0)
    watched.aws.fail(GET_SECRET, Fault(status=500, code="InternalServiceError"))
    assert watched.driver.mount(Pod(objects=objects, uid="audit-5", service_account="audit-4")).is_ok
    first, second = _audit_lines(watched, "audit-4"), _audit_lines(watched, "audit-5")
    assert second[0]["origin"] == "last-known"
    assert second[0]["request_id"] == first[0]["request_id"]


@pytest.mark.parametrize(("audit_log", "lines"), [(AuditLog.ALL, 3), (AuditLog.CHANGES, 2), (AuditLog.OFF, 0)])
def test_unchanged_deliveries_can_be_left_out(log: io.StringIO, audit_log: AuditLog, lines: int) -> None:
    observer = AuditObserver(logging.getLogger("provider_runtime"), audit_log)
    for version in ("1", "1", "2"):
        observer.mount_finished(make_report(deliveries=(_delivery(version),)))
    assert len(log.getvalue().splitlines()) == lines


def test_a_word_that_is_no_audit_mode_is_a_problem() -> None:
    problems: list[str] = []
    texts = {"metrics-address": "", "audit-log": "on", "tracing": "maybe", "kubernetes-events": "false"}
    settings = parse_observability(texts, problems)
    assert [problem.partition("flag -")[2].partition(":")[0] for problem in problems] == ["audit-log", "tracing"]
    assert settings.audit_log is AuditLog.OFF
